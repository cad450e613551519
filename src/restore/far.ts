// What of a restore leads to a server that may hang.
import type { Holding } from '../model/entry.ts'
import { ROOM } from './names.ts'
import type { Parts } from './terms.ts'

/** Of each, whether it or its source leads to another mount that may hang than the destination does. */
export async function farAmong(holdings: readonly Holding[], root: string, farOf: Parts['farOf']): Promise<readonly boolean[]> {
  const home = await farOf(root + ROOM)
  const isFar = async (path: string): Promise<boolean> => ![undefined, home].includes(await farOf(path))
  return Promise.all(holdings.map(async ({ path, location, key }) => (location.scheme === 'file' && (await isFar(key))) || isFar(root + path)))
}
