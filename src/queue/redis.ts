import { once } from 'node:events'
import { Redis } from 'ioredis'
import type { Callback, RedisOptions } from 'ioredis'
import { describe, VarveError } from '../model/errors.ts'

/** One structured line; `fields` hold no secrets. */
export interface Warnings {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
}

/** How long a wake may take before it is given up. */
export const PROMPT_MS = 2_000

// RESP 2 is what BullMQ is tested with. An outage is over within two seconds of Redis being back.
const COMMON = { protocol: 2, retryStrategy: (times: number) => Math.min(times * 50, 2_000) } as const

/** A connection whose commands fail within `PROMPT_MS` rather than wait for Redis to come back. It reconnects by itself. */
export function promptConnection(url: string): Redis {
  return discreet(new Redis(url, { ...COMMON, enableOfflineQueue: false, maxRetriesPerRequest: 1, commandTimeout: PROMPT_MS, connectTimeout: PROMPT_MS }))
}

/** A connection whose commands wait until Redis is back: what a worker must have. */
export function patientConnection(url: string): Redis {
  return discreet(new Redis(url, { ...COMMON, maxRetriesPerRequest: null }))
}

/**
 * BullMQ prints to the console what it thinks of the eviction policy, and ioredis that INFO is denied, at each connection. `examine` says both, so they are not told. BullMQ's
 * `skipVersionCheck` would silence it, too, but take Redis for 5.0: then a worker waits for whole seconds, and looks begin late.
 */
function discreet(redis: Redis): Redis {
  const { duplicate } = redis
  const info: (tell?: Callback<string>) => Promise<string> = redis.info.bind(redis)
  const asked = async (): Promise<string> => (await info()).replace(/^maxmemory_policy:.*$/m, '')
  return Object.assign(redis, {
    // ioredis asks with a callback whether the server is ready: one that does not say counts as ready.
    info: (tell?: Callback<string>) => (tell === undefined ? asked() : info((error, text) => (describe(error).includes('NOPERM') ? tell(null, '') : tell(error, text)))),
    duplicate: (over?: Partial<RedisOptions>) => discreet(duplicate.call(redis, over)),
  })
}

/** Resolves when commands can be sent; rejects at the next failure to connect, with QUEUE_REFUSED where the database of the URL is not there. */
export async function connected(redis: Redis, signal: AbortSignal): Promise<void> {
  try {
    if (redis.status !== 'ready') await once(redis, 'ready', { signal })
  } catch (error) {
    throw databaseFailure(redis, error)
  }
}

/** ioredis goes on in database 0, somebody else's perhaps, where the one of the URL cannot be had. */
function databaseFailure({ options: { db = 0 } }: Redis, error: unknown): unknown {
  if (!/DB index/i.test(describe(error))) return error
  return new VarveError('QUEUE_REFUSED', `Redis refuses the database ${db}: ${describe(error)}`, { hint: 'correct the database at the end of the URL of queue' })
}

/** What to do where Redis refuses. */
export const REFUSED_HINT = 'correct user and password in the URL of queue'

/** True for what Redis says to who is not let in, or may not do this. */
export function isRefusal(words: string): boolean {
  return /\b(NOAUTH|WRONGPASS|NOPERM)\b/.test(words)
}

const OLDEST = [6, 2] as const

/** What is wrong with this server, in words; empty when nothing is. Throws QUEUE_REFUSED for a Redis before 6.2, and for a database that it does not have. */
export async function examine(redis: Redis): Promise<readonly string[]> {
  const { db = 0 } = redis.options
  if (db !== 0)
    await redis.select(db).catch((error: unknown) => {
      throw databaseFailure(redis, error)
    })
  const info = await infoOf(redis)
  if (info === undefined) return ['INFO is denied on this Redis: neither its version nor what it keeps could be checked']
  const version = /^redis_version:(\d+)\.(\d+)\S*/m.exec(info)
  const [major, minor] = [Number(version?.[1]), Number(version?.[2])]
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
    throw new VarveError('QUEUE_REFUSED', `this is Redis ${version?.[0].slice('redis_version:'.length)}`, { hint: `use Redis ${OLDEST.join('.')} or newer` })
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? 'noeviction'
  const notes = []
  if (policy !== 'noeviction')
    notes.push(`maxmemory-policy of this Redis is ${policy}: it may drop wake-ups, so looks come late (nothing else is lost); set it to noeviction`)
  if (/^aof_enabled:0/m.test(info))
    notes.push('appendonly of this Redis is off: a restart forgets wake-ups, so looks come late (nothing else is lost); set it to yes')
  return notes
}

/** False where INFO is denied: BullMQ must not ask for it then. */
export async function informs(redis: Redis): Promise<boolean> {
  return (await infoOf(redis)) !== undefined
}

async function infoOf(redis: Redis): Promise<string | undefined> {
  try {
    return String(await redis.call('INFO'))
  } catch (error) {
    if (/^(NOPERM|ERR unknown command)/i.test(describe(error))) return undefined
    throw error
  }
}

/** What is wrong by kind. A thing is logged when it begins, not each time that it is met again. */
export class Troubles {
  /** What the server could do better: nothing fails for it, so it is no trouble. */
  advice = ''
  readonly #words = new Map<string, string>()
  readonly #log: Warnings

  constructor(log: Warnings) {
    this.#log = log
  }

  set(kind: string, told: string): void {
    // Which of BullMQ's scripts met it makes no other trouble.
    const words = told.replace(/,? ?\bscript: [0-9a-f]{40}\b.*$/s, '').trim()
    if (this.#words.get(kind) === words) return
    this.#words.set(kind, words)
    this.#log.warn({ queue: 'redis', trouble: words }, 'the queue is in trouble')
  }

  advise(words: string): void {
    if (words !== '' && words !== this.advice) this.#log.warn({ queue: 'redis', advice: words }, 'the queue works, and could be set up better')
    this.advice = words
  }

  /** An outage is one trouble, however many connections meet it and in whatever words; one that ends in a refusal is another, which waiting does not mend. */
  connection(error: unknown): void {
    const words = describe(error)
    const known = this.#words.get('connection')
    if (isRefusal(words)) return this.set('connection', `Redis refuses: ${words} (${REFUSED_HINT})`)
    // A connection that was refused is then cut: only what the system says of it tells that nobody is there any more.
    if (known === undefined || (isRefusal(known) && (error as NodeJS.ErrnoException | undefined)?.code !== undefined)) this.set('connection', `Redis does not answer: ${words}`)
  }

  clear(kind: string): void {
    this.#words.delete(kind)
  }

  toString(): string {
    return [...this.#words.values()].join('; ')
  }
}
