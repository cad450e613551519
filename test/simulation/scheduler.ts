import type { Clock } from '../../src/model/clock.ts'

/** A process that may be frozen for a while, or crash for good: then nothing of it goes on. */
export interface Life {
  crashed: boolean
  frozen: boolean
}

interface Parked {
  readonly life: Life
  readonly resume: () => void
}

interface Sleeper extends Parked {
  readonly at: number
}

/** Numbers from 0 to 1 that a seed decides (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Decides what goes on next: one step of one process at a time, in an order that the seed draws. Time passes by the step, and leaps when all sleep. */
export class Scheduler {
  nowMs = Date.UTC(2026, 0, 1)
  readonly random: () => number
  #parked: Parked[] = []
  #sleepers: Sleeper[] = []

  constructor(seed: number) {
    this.random = randomOf(seed)
  }

  /** A whole number from 0 to below `bound`. */
  below(bound: number): number {
    return Math.floor(this.random() * bound)
  }

  chance(share: number): boolean {
    return this.random() < share
  }

  /** Resolves when this step's turn has come; never, once its process has crashed. */
  step(life: Life): Promise<void> {
    return new Promise((resolve) => this.#parked.push({ life, resume: resolve }))
  }

  clockOf(life: Life): Clock {
    return {
      now: () => this.nowMs,
      monotonic: () => this.nowMs,
      random: this.random,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          if (signal?.aborted === true) return resolve()
          const sleeper = { life, at: this.nowMs + Math.max(0, ms), resume: resolve }
          this.#sleepers.push(sleeper)
          signal?.addEventListener('abort', () => {
            this.#sleepers = this.#sleepers.filter((one) => one !== sleeper)
            resolve()
          }, { once: true })
        }),
    }
  }

  /** Lets one step go on, or one sleeper wake. False when nothing is left that could. */
  async turn(): Promise<boolean> {
    await new Promise((resolve) => setImmediate(resolve))
    this.#parked = this.#parked.filter(({ life }) => !life.crashed)
    this.#sleepers = this.#sleepers.filter(({ life }) => !life.crashed)
    const ready = this.#parked.filter(({ life }) => !life.frozen)
    const next = ready.length > 0 ? ready[this.below(ready.length)] : this.#earliest()
    if (next === undefined) return false
    this.#parked = this.#parked.filter((one) => one !== next)
    this.nowMs++
    next.resume()
    return true
  }

  #earliest(): Sleeper | undefined {
    const awake = this.#sleepers.filter(({ life }) => !life.frozen)
    const first = awake.reduce<Sleeper | undefined>((least, one) => (least === undefined || one.at < least.at ? one : least), undefined)
    if (first === undefined) return undefined
    this.#sleepers = this.#sleepers.filter((one) => one !== first)
    this.nowMs = Math.max(this.nowMs, first.at)
    return first
  }
}
