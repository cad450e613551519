import { VarveError } from '../model/errors.ts'
import { fullName } from '../model/watch.ts'
import type { CollectionName } from '../model/watch.ts'
import { changeLine } from './change.ts'
import type { Context, Options } from './context.ts'
import { parseVersion } from './names.ts'
import { placeOf, reading } from './place.ts'

const WRITE = 'write: varve diff project/name:v1 v2'

/** Prints what turns the version `name` names into `other`, of the same artifact, named alone or in full, in path order. Answers 0 when they are the same, 1 when they differ. */
export async function diff(context: Context, name: string, other: string, options: Options): Promise<number> {
  const place = await placeOf(context, options)
  if (!name.includes(':')) throw new VarveError('USAGE', `${name} names no version`, { hint: WRITE })
  const { collection, version } = parseVersion(name, place.defaultEntity)
  const second = secondOf(other, collection, place.defaultEntity)
  return reading(context, place, async (registry) => {
    let changed = false
    for await (const page of registry.diff(collection, version, second)) {
      changed ||= page.length > 0
      if (options.json === true) await context.screen.json(page)
      else await context.screen.print(...page.map((change) => changeLine(change, context.screen)))
    }
    return changed ? 1 : 0
  })
}

function secondOf(other: string, collection: CollectionName, defaultEntity: string): string {
  if (!/[:/]/.test(other)) return other
  const full = other.includes(':') ? parseVersion(other, defaultEntity) : undefined
  if (full === undefined || fullName(full.collection) !== fullName(collection)) throw new VarveError('USAGE', `${other} is no version of the same artifact`, { hint: WRITE })
  return full.version
}
