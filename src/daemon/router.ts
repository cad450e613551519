import { describe } from '../model/errors.ts'
import { overlaps, pathOf } from '../model/location.ts'
import { WHOLE } from '../model/watch.ts'
import type { LookRequest } from '../registry/registry.ts'
import type { Hint } from '../storage/storage.ts'
import { filterOf } from './filter.ts'
import type { Parts } from './parts.ts'

/**
 * Hop 2: turns hints into requests of every watch that covers them. The returned function resolves when the dirty marks are durable (then the source may
 * acknowledge), and rejects when they are not. The queue is woken after; a wake that fails costs latency only, since the sweep wakes again.
 */
export function router(parts: Pick<Parts, 'registry' | 'queue' | 'clock' | 'log' | 'watches'>): (hints: readonly Hint[]) => Promise<void> {
  const routes = parts.watches.map((watch) => ({ watch, filter: filterOf(watch) }))
  let uncovered = 0

  const requestsFor = (hint: Hint): LookRequest[] => {
    const requests: LookRequest[] = []
    let covered = false
    for (const { watch, filter } of routes) {
      for (const location of watch.locations) {
        if (location.scheme !== hint.scheme || hint.endpoints?.includes(location.endpoint) === false) continue
        if (hint.whole) {
          if (!overlaps(location, hint.bucket, hint.key)) continue
          covered = true
          // A source that begins to hear covers the whole location, and there is nothing to settle; a folder that moved within it settles.
          const begins = location.prefix.startsWith(hint.key)
          requests.push({ watch: watch.name, path: WHOLE, cause: 'hint', ...(begins && { settled: true }) })
          continue
        }
        const path = location.bucket === hint.bucket ? pathOf(location, hint.key) : undefined
        if (path === undefined) continue
        covered = true
        // A key that ends in a slash is mostly a folder marker, but only the store knows whether it has bytes.
        if (!filter.takes(path)) continue
        requests.push({ watch: watch.name, path, cause: 'hint' })
      }
    }
    if (!covered) uncovered++
    return requests
  }

  return async (hints) => {
    const before = uncovered
    const requests = hints.flatMap(requestsFor)
    if (uncovered > before) parts.log.info({ uncovered }, 'hints that no watch covers')
    await request(parts, requests)
  }
}

/** The only entry of requests: durable marks first, then a wake for each watch. */
export async function request(parts: Pick<Parts, 'registry' | 'queue' | 'clock' | 'log' | 'watches'>, requests: readonly LookRequest[]): Promise<void> {
  if (requests.length === 0) return
  await parts.registry.request(requests, parts.clock.now())
  const settles = new Map<string, boolean>()
  for (const { watch, cause, settled } of requests) settles.set(watch, (settles.get(watch) ?? true) && cause === 'hint' && settled !== true)
  for (const watch of parts.watches) {
    const settling = settles.get(watch.name)
    if (settling === undefined) continue
    await parts.queue
      .wake(watch.name, settling ? watch.settleMs : 0)
      .catch((error: unknown) => parts.log.warn({ watch: watch.name, error: describe(error) }, 'the queue could not be woken; the sweep will'))
  }
}
