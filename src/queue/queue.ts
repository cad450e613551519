/**
 * The door of `queue`: what must be looked at next. It only wakes: the dirty mark in the registry is the truth, and the sweep wakes what is
 * dirty anyway, so losing all of a queue costs latency, never data.
 */
export interface Queue {
  /**
   * When this resolves, a look at `watch` that STARTS later than now is coming, about `delayMs` from now: also when one is running at this moment.
   * Many wakes within one delay are one look; a steady stream of wakes never puts it off. Rejects with QUEUE_UNAVAILABLE within 2 s rather than hang.
   */
  wake(watch: string, delayMs: number): Promise<void>
  /**
   * Calls `look` for every woken watch, one at a time per watch, at most `concurrency` at once, until `signal` aborts and the running ones are done.
   * `look` answers undefined when done, or the milliseconds after which it wants to be called again. What it throws is its caller's to have logged: the
   * queue goes on. Its signal aborts when the queue no longer owns the work (lock lost, closing).
   */
  work(look: Look, concurrency: number, signal: AbortSignal): Promise<void>
  /** What is wrong with it now, in words; undefined when nothing is. */
  trouble(): string | undefined
  /** What it could do better if it were set up otherwise, in words; undefined when nothing. */
  advice(): string | undefined
  close(): Promise<void>
}

export type Look = (watch: string, signal: AbortSignal) => Promise<number | undefined>
