// What restores put into a destination that were cut off before they could write it down file by file: the versions that they brought tell.
import type { Holding } from '../model/entry.ts'
import { isFailure } from '../model/errors.ts'
import type { CollectionName } from '../model/watch.ts'
import { lookClosely } from './closely.ts'
import type { Told } from './closely.ts'
import { farAmong } from './far.ts'
import type { Look, Way } from './local.ts'
import type { Parts } from './terms.ts'
import type { Threads } from './threads.ts'
import { sealOf } from './verify.ts'

const LOOKED_AT_ONCE = 256

/** A version that a restore began to bring. */
export interface Begun extends CollectionName {
  /** `v3`. */
  readonly version: string
}

export interface Destination {
  readonly root: string
  readonly as: Way
  readonly threads: Threads
  readonly farOf: Parts['farOf']
  readonly told: Told
}

/** Of `paths`, those at which lies, byte for byte, what one of the versions has there. */
export async function broughtBy(registry: Parts['registry'], begun: readonly Begun[], paths: Iterable<string>, { root, as, threads, farOf, told }: Destination): Promise<ReadonlySet<string>> {
  const open = new Set(paths)
  const brought = new Set<string>()
  for (const { version, ...collection } of begun) {
    if (open.size === 0) break
    try {
      for await (const page of registry.holdings(collection, version)) {
        const asked = page.filter(({ path }) => open.has(path))
        for (let at = 0; at < asked.length; at += LOOKED_AT_ONCE * threads.width) {
          const turn = asked.slice(at, at + LOOKED_AT_ONCE * threads.width)
          const batches = Array.from({ length: Math.ceil(turn.length / LOOKED_AT_ONCE) }, (_, i) => turn.slice(i * LOOKED_AT_ONCE, (i + 1) * LOOKED_AT_ONCE))
          await Promise.all(batches.map(async (batch) => {
            const { outcomes } = await lookClosely(threads, {
              kind: 'look', base: root, follow: false, digest: 'all', fingerprints: [], way: as, paths: batch.map(({ path }) => path), sizes: batch.map(({ sizeBytes }) => sizeBytes),
              seals: batch.map((holding) => sealOf(holding)), sources: batch.map(sourceOf), far: await farAmong(batch, root, farOf),
            }, batch, told)
            for (const [i, { path }] of batch.entries())
              if (OURS.includes(outcomes[i] as Look)) {
                open.delete(path)
                brought.add(path)
              }
          }))
        }
      }
    } catch (error) {
      // It was removed since: what it had there nobody knows.
      if (!isFailure(error, 'NOT_FOUND')) throw error
    }
  }
  return brought
}

// Links to where it was recorded from are such as a restore makes.
const OURS: readonly Look[] = ['right', 'otherwise', 'shared']

function sourceOf({ location, key }: Holding): string {
  return location.scheme === 'file' ? key : ''
}
