import { isWeb } from '../model/location.ts'
import { settledAt } from '../model/watch.ts'
import type { Watch } from '../model/watch.ts'
import type { WatchRow } from '../registry/registry.ts'

// Looking by the clock takes at most a twentieth of the time: 1 part looking, 19 parts not.
const STRETCH = 20

/** True where nothing is heard, or not surely: such a watch is looked at every `poll`. A native watcher loses without a word, so every `file:` watch is; web servers tell nothing. */
export function polls(watch: Watch): boolean {
  return watch.events === undefined || watch.locations.some((location) => location.scheme === 'file' || isWeb(location))
}

/** The effective interval between whole looks, stretched where a look is long. What cannot be heard for now is looked at like what never can. */
export function intervalMs(watch: Watch, { lastScanMs, deaf }: Pick<WatchRow, 'lastScanMs' | 'deaf'>): number {
  const wanted = polls(watch) || deaf ? Math.min(watch.pollMs, watch.reconcileMs) : watch.reconcileMs
  return Math.max(wanted, (lastScanMs ?? 0) * STRETCH)
}

/**
 * When the next whole look is due, some jitter before the interval's end so that many watches do not come at once. After a clock was set back it is due now: a start in the
 * future says nothing of when that was.
 */
export function dueAt(watch: Watch, row: Pick<WatchRow, 'name' | 'lastScanAt' | 'lastScanMs' | 'deaf'>, now: number): number {
  if (row.lastScanAt === undefined || row.lastScanAt > now) return now
  const interval = intervalMs(watch, row)
  return row.lastScanAt + Math.round(interval * (0.9 + 0.1 * share(row.name)))
}

/** The longest wait between two tries of a watch that fails. */
export const RETRY_MOST_MS = 300_000

/** When a dirty watch may be looked at: after it settled, and not before its retry. A retry further off than it can have been set (the clock jumped) counts as due. */
export function startAt(watch: Watch, row: WatchRow, now: number): number {
  const settled = settledAt(watch, row.firstHintAt, row.lastHintAt, now)
  const retryAt = row.retryAt === undefined || row.retryAt - now > RETRY_MOST_MS ? now : row.retryAt
  return Math.max(settled, retryAt)
}

/** A number from 0 to 1 that is the same for a name for ever. */
function share(name: string): number {
  let sum = 0
  for (let i = 0; i < name.length; i++) sum = (sum * 31 + name.charCodeAt(i)) % 1009
  return sum / 1009
}
