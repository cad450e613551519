import type { Clock } from '../model/clock.ts'
import type { Look, Queue } from './queue.ts'

/** A watch that is waiting or looked at. */
interface Turn {
  /** Monotonic time at which it may start; undefined while it is looked at and nothing was asked for since. */
  readyMs: number | undefined
  running: boolean
}

/** The queue of one process: nothing outlives it, since the dirty marks do. Time moves by `clock` alone. */
export function inlineQueue(clock: Clock): Queue {
  const turns = new Map<string, Turn>()
  let rouse = new AbortController()

  const wake = (watch: string, delayMs: number): void => {
    const turn = turns.get(watch) ?? { readyMs: undefined, running: false }
    turns.set(watch, turn)
    // The first wake of a window decides: later ones must not put it off.
    const readyMs = clock.monotonic() + delayMs
    if (turn.readyMs === undefined || readyMs < turn.readyMs) turn.readyMs = readyMs
    rouse.abort()
  }

  const lookAt = async (watch: string, turn: Turn, look: Look, signal: AbortSignal): Promise<void> => {
    turn.running = true
    turn.readyMs = undefined
    try {
      const againMs = await look(watch, signal)
      if (againMs !== undefined) wake(watch, againMs)
    } finally {
      turn.running = false
      if (turn.readyMs === undefined) turns.delete(watch)
    }
  }

  return {
    async wake(watch, delayMs) {
      wake(watch, delayMs)
    },

    async work(look, concurrency, signal) {
      const running = new Set<Promise<void>>()
      while (!signal.aborted) {
        rouse = new AbortController()
        const now = clock.monotonic()
        let nextMs = Infinity
        // Who has waited longest comes first: else those whose looks hang for long, and are soon ready again, would leave no place for the others.
        const waiting = [...turns].filter(([, { running: looks, readyMs }]) => !looks && readyMs !== undefined).sort(([, a], [, b]) => (a.readyMs ?? 0) - (b.readyMs ?? 0))
        for (const [watch, turn] of waiting) {
          if (turn.readyMs === undefined) continue
          if (turn.readyMs > now || running.size >= concurrency) {
            nextMs = Math.min(nextMs, turn.readyMs)
            continue
          }
          // What a look throws has been logged where it was called: the queue goes on.
          const one: Promise<void> = lookAt(watch, turn, look, signal).catch(() => undefined).finally(() => {
            running.delete(one)
            // Only now is there a place for another.
            rouse.abort()
          })
          running.add(one)
        }
        const wait = running.size >= concurrency ? Infinity : nextMs - now
        await clock.sleep(Math.min(wait, IDLE_MS), AbortSignal.any([signal, rouse.signal]))
      }
      await Promise.all(running)
    },

    trouble: () => undefined,
    advice: () => undefined,
    close: async () => turns.clear(),
  }
}

// With nothing to wait for it sleeps until it is roused; a timer needs some number.
const IDLE_MS = 3_600_000
