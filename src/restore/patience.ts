// What may be a matter of the moment is asked for again.
import { backoffMs } from '../model/clock.ts'
import type { Clock } from '../model/clock.ts'
import { isFailure } from '../model/errors.ts'

export const TRIES = 3
// A person waits: a store that is down for longer is for the next run, which goes on from here.
const WAIT_MOST_MS = 5_000

export function isPassing(error: unknown): boolean {
  return isFailure(error, 'STORAGE_UNAVAILABLE') || isFailure(error, 'STORAGE_INVALID') || isFailure(error, 'LOCATION_MISSING')
}

/** The wait after so many tries. Throws when `signal` has aborted. */
export async function pause(tries: number, clock: Clock, signal: AbortSignal): Promise<void> {
  await clock.sleep(backoffMs(tries - 1, clock.random(), WAIT_MOST_MS), signal)
  signal.throwIfAborted()
}
