// What restores put into a destination that were cut off before they could write it down file by file: the versions that they brought tell.
import { isFailure } from '../model/errors.ts'
import type { CollectionName } from '../model/watch.ts'
import { lookClosely } from './closely.ts'
import type { Destination } from './closely.ts'
import type { Look, Way } from './local.ts'
import { inParallel } from './plan.ts'
import type { Parts } from './terms.ts'

const LOOKED_AT_ONCE = 256

/** A version that a restore began to bring. */
export interface Begun extends CollectionName {
  /** `v3`. */
  readonly version: string
}

/** Of `paths`, those at which lies, byte for byte, what one of the versions has there. */
export async function broughtBy(registry: Parts['registry'], begun: readonly Begun[], paths: Iterable<string>, destination: Destination, way: Way): Promise<ReadonlySet<string>> {
  const open = new Set(paths)
  const brought = new Set<string>()
  for (const { version, ...collection } of begun) {
    if (open.size === 0) break
    try {
      for await (const page of registry.holdings(collection, version)) {
        const asked = page.filter(({ path }) => open.has(path))
        const batches = Array.from({ length: Math.ceil(asked.length / LOOKED_AT_ONCE) }, (_, i) => asked.slice(i * LOOKED_AT_ONCE, (i + 1) * LOOKED_AT_ONCE))
        await inParallel(batches, destination.threads.width, async (batch) => {
          const { outcomes } = await lookClosely(destination, batch, { digest: 'all', fingerprints: [], way })
          for (const [i, { path }] of batch.entries())
            if (OURS.includes(outcomes[i] as Look)) {
              open.delete(path)
              brought.add(path)
            }
        })
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
