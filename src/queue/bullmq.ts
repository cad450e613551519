import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../model/clock.ts'
import { describe, isFailure, VarveError } from '../model/errors.ts'
import { attend } from './attend.ts'
import type { Queue } from './queue.ts'
import { connected, examine, promptConnection, PROMPT_MS, Troubles } from './redis.ts'
import type { Warnings } from './redis.ts'
import { Wakes } from './wakes.ts'

export interface BullmqOptions {
  /** With its credentials. */
  readonly url: string
  /** Two installs on one Redis do not meet. */
  readonly registryId: string
  readonly log: Warnings
  /** No other process works on what this registry wakes, as a lock sees to: so what is active when this one begins was left by one that died, and waits for no lock to expire. */
  readonly alone?: boolean
  /** For how often the queue asks itself whether it still hears. */
  readonly clock?: Pick<Clock, 'sleep'>
}

// Longer than an orderly end of the workers takes; then the connections are cut all the same.
const CLOSE_MOST_MS = 10_000

/**
 * The queue of many processes, on Redis 6.2 or newer. Throws QUEUE_REFUSED for an older one. A Redis that does not answer is no reason to fail: it is `trouble()`
 * until it does.
 */
export async function bullmqQueue({ url, registryId, log, alone = false, clock }: BullmqOptions): Promise<Queue> {
  const troubles = new Troubles(log)
  const redis = promptConnection(url)
  const wakes = new Wakes(redis, registryId, troubles)
  const closing = new AbortController()
  const working = new Set<Promise<void>>()
  const sleep = clock === undefined ? realSleep : clock.sleep.bind(clock)
  const check = async (): Promise<void> => {
    const notes = await examine(redis)
    troubles.clear('connection')
    troubles.clear('server')
    troubles.advise(notes.join('; '))
  }
  let left = alone
  const takeBack = async (): Promise<void> => {
    if (left) await wakes.takeBack()
    left = false
  }
  redis.on('error', (error) => troubles.connection(error))
  redis.on('close', () => closing.signal.aborted || troubles.connection('the connection is lost'))
  try {
    await promptly(async (signal) => {
      await connected(redis, signal)
      await check()
    })
  } catch (error) {
    if (isFailure(error, 'QUEUE_REFUSED')) {
      redis.disconnect()
      throw error
    }
    troubles.connection(error)
  }
  redis.on('ready', () => void check().catch((error: unknown) => troubles.set('server', describe(error))))

  return {
    wake: (watch, delayMs) => promptly((signal) => wakes.wake(watch, Math.max(0, Math.ceil(delayMs)), signal)),
    async work(look, concurrency, signal) {
      const one = attend({ url, name: registryId, redis, wakes, troubles, sleep, takeBack }, look, concurrency, AbortSignal.any([signal, closing.signal]))
      working.add(one)
      await one.finally(() => working.delete(one))
    },
    trouble: () => troubles.toString() || undefined,
    advice: () => troubles.advice || undefined,
    async close() {
      closing.abort()
      const enough = new AbortController()
      await Promise.race([Promise.allSettled(working), realSleep(CLOSE_MOST_MS, enough.signal)])
      enough.abort()
      redis.disconnect()
    },
  }
}

/** Rejects with QUEUE_UNAVAILABLE when `task` fails or takes longer than a wake may. */
async function promptly(task: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const late = new AbortController()
  const done = new AbortController()
  const timeout = realSleep(PROMPT_MS, done.signal).then(() => {
    late.abort()
    if (!done.signal.aborted) throw new Error(`no answer within ${PROMPT_MS} ms`)
  })
  try {
    await Promise.race([task(late.signal), timeout])
  } catch (error) {
    if (isFailure(error)) throw error
    throw new VarveError('QUEUE_UNAVAILABLE', `Redis: ${describe(error)}`, { hint: 'nothing is lost: what is dirty is looked at once Redis is back', cause: error })
  } finally {
    done.abort()
  }
}

function realSleep(ms: number, signal?: AbortSignal): Promise<void> {
  return pause(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
}
