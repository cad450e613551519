// What a restore must know of the files of this machine: which of them a server may hang, and whether that server answers. Nothing here asks such a one in this process.
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { heldBy, mountWords, Shores } from './mounts.ts'
import { handsIn, PATIENCE } from './outpost.ts'
import type { Patience } from './outpost.ts'

/** A place whose server or daemon may hang. */
export interface Shore {
  /** Resolves when it has answered, whatever. Throws STORAGE_UNAVAILABLE when it was silent to the end. */
  ask(): Promise<void>
  /** Resolves soon, whatever hangs. */
  close(): Promise<void>
}

/** The shore that the absolute `path` lies on, or that lies below it; undefined for local disks. Asks nothing yet. */
export function openShore(path: string, patience: Patience = PATIENCE): Shore | undefined {
  const { far } = heldBy(path)
  if (far === undefined) return undefined
  const hands = handsIn(far, patience)
  return {
    ask: async () => {
      // Of a name that nobody asked for before no client remembers anything: the server itself must say that nothing is there.
      await hands.stand({ kind: 'stand', paths: [far.point, path].map((folder) => join(folder, `.varve-${randomUUID()}`)).join('\0') })
    },
    close: () => hands.close(),
  }
}

/** What tells of the files of this machine, by absolute path, in which mount, in words, looking at them may hang: undefined for those of local disks. */
export function farFinder(): (path: string) => string | undefined {
  const shores = new Shores()
  return (path) => {
    const far = shores.farOf(path)
    return far === undefined ? undefined : mountWords(far)
  }
}

/** The real path of what a server may hang. Throws LOCATION_MISSING where nothing is there, STORAGE_UNAVAILABLE where it does not answer. */
export async function realFar(path: string, patience: Patience = PATIENCE): Promise<string> {
  const { mount, far = mount } = heldBy(path)
  const hands = handsIn(far, patience)
  return hands.real({ kind: 'real', path }).finally(() => hands.close())
}
