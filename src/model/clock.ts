/** Time and chance as arguments, so that a simulation can hold both. */
export interface Clock {
  /** Wall time in ms since 1970: for what is stored and shown. It may jump. */
  now(): number
  /** Milliseconds that never go back: for durations within a process. */
  monotonic(): number
  /** Resolves after `ms`, or at once when `signal` aborts. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** At least 0, below 1. */
  random(): number
}

// 1 s doubling to 60 s: what is down for an hour costs 60 tries, not 3,600.
const FIRST_MS = 1_000
const MOST_MS = 60_000

/** The wait before try `attempt` (0, 1, …): doubling, capped, the upper half of it by chance so that many do not come at once. */
export function backoffMs(attempt: number, random: number, mostMs: number = MOST_MS): number {
  const full = Math.min(FIRST_MS * 2 ** Math.min(attempt, 30), mostMs)
  return Math.round(full / 2 + (full / 2) * random)
}
