import type { Clock } from '../model/clock.ts'
import { describe } from '../model/errors.ts'
import type { Log } from './parts.ts'

// 1 s doubling to 60 s: a source that is down for an hour costs 60 tries, not 3,600.
const FIRST_MS = 1_000
const MOST_MS = 60_000

/** The wait before try `attempt` (0, 1, …): doubling, capped, the upper half of it by chance so that many do not come at once. */
export function backoffMs(attempt: number, random: number, mostMs: number = MOST_MS): number {
  const full = Math.min(FIRST_MS * 2 ** Math.min(attempt, 30), mostMs)
  return Math.round(full / 2 + (full / 2) * random)
}

/** Keeps `task` running until `signal` aborts: what it throws is logged here, once, and it is started again after a growing wait. */
export async function supervise(name: string, task: (signal: AbortSignal) => Promise<void>, clock: Clock, log: Log, signal: AbortSignal): Promise<void> {
  let attempt = 0
  while (!signal.aborted) {
    const startedMs = clock.monotonic()
    try {
      await task(signal)
      if (signal.aborted) return
      log.warn({ name }, 'ended by itself; started again')
    } catch (error) {
      if (signal.aborted) return
      log.warn({ name, error: describe(error) }, 'failed; started again')
    }
    if (clock.monotonic() - startedMs > MOST_MS) attempt = 0
    await clock.sleep(backoffMs(attempt++, clock.random()), signal)
  }
}
