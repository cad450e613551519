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
