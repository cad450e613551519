import type { Clock } from '../../src/model/clock.ts'

interface Sleeper {
  readonly at: number
  wake(): void
}

/** Time that passes only when it is told to. Everything between two sleepers happens at one instant, in the order it would. */
export class HandClock implements Clock {
  readonly #sleepers = new Set<Sleeper>()
  #ms = 0
  #startMs: number
  #seed = 1

  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#startMs = startMs
  }

  now = (): number => this.#startMs + this.#ms
  monotonic = (): number => this.#ms
  random = (): number => (this.#seed = (this.#seed * 16_807) % 2_147_483_647) / 2_147_483_647

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve()
    return new Promise((resolve) => {
      const sleeper = {
        at: this.#ms + Math.max(0, ms),
        wake: (): void => {
          this.#sleepers.delete(sleeper)
          signal?.removeEventListener('abort', sleeper.wake)
          resolve()
        },
      }
      this.#sleepers.add(sleeper)
      signal?.addEventListener('abort', sleeper.wake)
    })
  }

  /** The wall clock jumps; what is left of a sleep does not. */
  jump(ms: number): void {
    this.#startMs += ms
  }

  /** Lets `ms` go by, waking each sleeper at its moment. */
  async pass(ms: number): Promise<void> {
    const end = this.#ms + ms
    for (;;) {
      await idle()
      const next = [...this.#sleepers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#ms = Math.max(this.#ms, next.at)
      next.wake()
    }
    this.#ms = end
    await idle()
  }
}

/** All that can go on without time passing has gone on. Whatever runs on a `HandClock` must not wait for anything else. */
async function idle(): Promise<void> {
  for (let turns = 0; turns < 8; turns++) await new Promise((resolve) => setImmediate(resolve))
}
