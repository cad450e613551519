import { backoffMs } from '../model/clock.ts'
import type { Clock } from '../model/clock.ts'
import { describe } from '../model/errors.ts'
import type { Log } from './parts.ts'

// What ran for so long was well: its next failure is a first one.
const LASTED_MS = 60_000

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
    if (clock.monotonic() - startedMs > LASTED_MS) attempt = 0
    await clock.sleep(backoffMs(attempt++, clock.random()), signal)
  }
}
