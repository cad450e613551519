import type { Clock } from '../model/clock.ts'

const BETWEEN_MS = 60_000

/** Tells of what may happen a thousand times a second at most once a minute: each time how often it did since. */
export class Seldom {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #tell: (count: number) => void
  #count = 0
  #toldMs = -Infinity

  constructor(clock: Pick<Clock, 'monotonic'>, tell: (count: number) => void) {
    this.#clock = clock
    this.#tell = tell
  }

  happened(times = 1): void {
    this.#count += times
    if (this.#count === 0) return
    const now = this.#clock.monotonic()
    if (now - this.#toldMs < BETWEEN_MS) return
    this.#tell(this.#count)
    this.#count = 0
    this.#toldMs = now
  }
}
