import { Queue as Producer } from 'bullmq'
import type { Job } from 'bullmq'
import type { Redis } from 'ioredis'
import { digestOf } from '../model/digest.ts'
import { connected, informs } from './redis.ts'
import type { Troubles } from './redis.ts'

/** What a job says: never what is to be done, since only one of many wakes becomes a job. */
export interface Order {
  readonly watch: string
}

/** What keys of Varve begin with on a Redis that others use too. */
export const PREFIX = 'varve'

// A job within this of its time is not moved: the way to Redis and back takes as long.
const NEAR_MS = 20
// BullMQ sorts delayed jobs by time × 4096 + a counter, so that no two are equal.
const SCORE_PER_MS = 4096

// A wake that came during a look waits beside its job, to become one when that completes. A job that sleeps on starts later than such a wake, so it stands for
// it, if it keeps its time. Only while it sleeps: one that runs again may have started before.
const TAKE_STORED = `
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return nil end
local stored = redis.call('HGET', KEYS[2], 'opts')
redis.call('DEL', KEYS[2])
return stored`

// What a dead worker left active waits again, next in line, and who listens is told. Its lock keeps nobody from it: who takes it up writes another.
const TAKE_BACK = `
local left = redis.call('LRANGE', KEYS[1], 0, -1)
if #left == 0 then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
for _, id in ipairs(left) do redis.call('RPUSH', KEYS[3], id) end
redis.call('ZADD', KEYS[4], 0, '0')
return #left`

/** The wakes of one registry: jobs, at most one waiting and one active for each watch. */
export class Wakes {
  readonly #redis: Redis
  readonly #name: string
  readonly #troubles: Troubles
  #producer: Promise<Producer<Order>> | undefined

  constructor(redis: Redis, name: string, troubles: Troubles) {
    this.#redis = redis
    this.#name = name
    this.#troubles = troubles
  }

  /** One job for the watch is there when this resolves, due `delayMs` from now or sooner. */
  async wake(watch: string, delayMs: number, signal: AbortSignal): Promise<void> {
    await connected(this.#redis, signal)
    const producer = await this.#open()
    // Plain deduplication forgets a wake that comes during a look; `keepLastIfActive` makes a job of the last one.
    const deduplication = { id: dedupIdOf(watch), keepLastIfActive: true }
    const job = await producer.add('look', { watch }, { deduplication, delay: delayMs, removeOnComplete: true, removeOnFail: true })
    await this.#bringForward(producer, job, delayMs)
  }

  /** Puts an active job to sleep for `restMs`, or less when a wake asked for it meanwhile. Rejects when `token` no longer owns the job. */
  async sleepOn(job: Job<Order>, token: string, restMs: number): Promise<void> {
    await job.moveToDelayed(Date.now() + restMs, token)
    const producer = await this.#open()
    const stored = await this.#redis.eval(TAKE_STORED, 2, producer.toKey('delayed'), producer.toKey(`dn:${dedupIdOf(job.data.watch)}`), job.id as string)
    if (typeof stored === 'string') await this.#bringForward(producer, job, (JSON.parse(stored) as { delay?: number }).delay ?? 0)
  }

  /** What is active becomes waiting: only for who knows that all that worked on it are dead. A wake that came meanwhile stays stored beside its job. */
  async takeBack(): Promise<void> {
    const producer = await this.#open()
    await this.#redis.eval(TAKE_BACK, 4, ...['active', 'stalled', 'wait', 'marker'].map((type) => producer.toKey(type)))
  }

  /** True when something should have begun by `now` and has not. */
  async isBehind(now: number): Promise<boolean> {
    const producer = await this.#open()
    const due = await this.#redis.zcount(producer.toKey('delayed'), 0, now * SCORE_PER_MS)
    return due > 0 || (await producer.getWaitingCount()) > 0
  }

  /** A job that sleeps for long must not keep a wake waiting that is due sooner. */
  async #bringForward(producer: Producer<Order>, job: Job<Order>, delayMs: number): Promise<void> {
    const score = await this.#redis.zscore(producer.toKey('delayed'), job.id as string)
    if (score === null || Number(score) / SCORE_PER_MS <= Date.now() + delayMs + NEAR_MS) return
    await job.changeDelay(delayMs).catch((error: unknown) => {
      if (!hasBegun(error)) throw error
    })
  }

  /** BullMQ gives up for ever where its first command fails, so such a one is thrown away. */
  async #open(): Promise<Producer<Order>> {
    const mine = (this.#producer ??= this.#begin())
    try {
      return await mine
    } catch (error) {
      if (this.#producer === mine) this.#producer = undefined
      throw error
    }
  }

  async #begin(): Promise<Producer<Order>> {
    const producer = new Producer<Order>(this.#name, { connection: this.#redis, prefix: PREFIX, skipVersionCheck: !(await informs(this.#redis)) })
    producer.on('error', (error) => this.#troubles.connection(error))
    await producer.waitUntilReady()
    return producer
  }
}

/** A watch's name may hold any text; a part of a key of Redis had better not. */
function dedupIdOf(watch: string): string {
  return digestOf(watch)
}

/** BullMQ's codes for a job that is not delayed any more, and for one that is gone. */
function hasBegun(error: unknown): boolean {
  return [-3, -1].includes((error as { code?: number }).code ?? 0)
}
