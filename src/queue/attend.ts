import { DelayedError, Worker } from 'bullmq'
import type { Job } from 'bullmq'
import type { Redis } from 'ioredis'
import type { Clock } from '../model/clock.ts'
import { describe } from '../model/errors.ts'
import type { Look } from './queue.ts'
import { informs, patientConnection } from './redis.ts'
import type { Troubles } from './redis.ts'
import { PREFIX } from './wakes.ts'
import type { Order, Wakes } from './wakes.ts'

export interface AttendParts {
  readonly url: string
  readonly name: string
  /** For commands of Varve's own. */
  readonly redis: Redis
  readonly wakes: Wakes
  readonly troubles: Troubles
  readonly sleep: Clock['sleep']
  /** Called when Redis is there, before anything is looked at. */
  readonly takeBack: () => Promise<void>
}

// A killed worker's look is looked at again by another after at most LOCK_MS + 2 × STALLED_MS; the lock is renewed every LOCK_MS / 2.
const LOCK_MS = 15_000
const STALLED_MS = 5_000
// A look that kills its worker is not the queue's to judge: the registry counts attempts.
const STALLED_MOST = 20
const CLOSE_MOST_MS = 5_000
const RETRY_MS = 250
// Three times in a row with work due, a free place, and nothing begun: this worker does not hear any more.
const CHECK_MS = 20_000
const DEAF_CHECKS = 3

interface Run {
  readonly jobId: string
  readonly stop: AbortController
  readonly ended: Promise<unknown>
}

/** Looks at what is woken until `until` aborts and the running looks are done; a worker that went deaf is replaced. */
export async function attend(parts: AttendParts, look: Look, concurrency: number, until: AbortSignal): Promise<void> {
  const running = new Map<string, Run>()
  const ending: Promise<void>[] = []
  let started = 0
  const oneLook: OneLook = async (job, token) => {
    started++
    parts.troubles.clear('worker')
    const restMs = await lookAt(job, look, running, until)
    if (restMs === undefined) return
    if (restMs !== 'lost') await parts.wakes.sleepOn(job, token, restMs).catch((error: unknown) => parts.troubles.set('worker', describe(error)))
    // BullMQ's word for: leave this job alone.
    throw new DelayedError()
  }
  const isIdle = async (): Promise<boolean> => {
    const before = started
    await parts.sleep(CHECK_MS, until)
    if (until.aborted || started !== before || running.size >= concurrency) return false
    return parts.wakes.isBehind(Date.now() - CHECK_MS).catch(() => false)
  }
  while (!until.aborted) {
    while (parts.redis.status !== 'ready' && !until.aborted) await parts.sleep(RETRY_MS, until)
    if (until.aborted) break
    await parts.takeBack()
    const end = await begin(parts, oneLook, concurrency, running)
    for (let idle = 0; idle < DEAF_CHECKS && !until.aborted; ) idle = (await isIdle()) ? idle + 1 : 0
    if (!until.aborted) parts.troubles.set('worker', 'the worker does not hear any more: another takes its place')
    ending.push(end(!until.aborted))
  }
  await Promise.all(ending)
}

type OneLook = (job: Job<Order>, token: string) => Promise<void>

/** Ends a worker when its looks are done. */
type End = (deaf: boolean) => Promise<void>

/** Starts a worker. */
async function begin(parts: AttendParts, oneLook: OneLook, concurrency: number, running: ReadonlyMap<string, Run>): Promise<End> {
  const informed = await informs(parts.redis)
  const connection = patientConnection(parts.url)
  connection.on('error', (error) => parts.troubles.connection(error))
  connection.on('ready', () => parts.troubles.clear('worker'))
  const worker = new Worker<Order>(parts.name, (job, token) => oneLook(job, token as string), {
    connection,
    prefix: PREFIX,
    concurrency,
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_MS,
    maxStalledCount: STALLED_MOST,
    skipVersionCheck: !informed,
  })
  worker.on('error', (error) => {
    // In an outage every command of every worker fails: that is told once, as the connection's trouble.
    if (parts.redis.status === 'ready') parts.troubles.set('worker', describe(error))
  })
  // BullMQ itself lets a look go on whose job another worker may have by now.
  worker.on('lockRenewalFailed', (ids) => {
    for (const run of running.values()) if (ids.includes(run.jobId)) run.stop.abort()
  })
  return async (deaf) => {
    await worker.pause(true)
    await Promise.all([...running.values()].map(({ ended }) => ended))
    const done = new AbortController()
    // Waiting for its answers makes sense only where some may come.
    const closed = worker.close(deaf || connection.status !== 'ready').finally(() => done.abort())
    await Promise.race([closed, parts.sleep(CLOSE_MOST_MS, done.signal)])
    connection.disconnect()
  }
}

/** Calls `look`; answers how long the job is to sleep on, undefined when it is done, `lost` when it is not ours any more. */
async function lookAt(job: Job<Order>, look: Look, running: Map<string, Run>, until: AbortSignal): Promise<number | 'lost' | undefined> {
  const { watch } = job.data
  // After a freeze BullMQ may hand out again what still runs here: one at a time all the same.
  for (let other = running.get(watch); other !== undefined; other = running.get(watch)) {
    other.stop.abort()
    await other.ended
  }
  if (until.aborted) return 0
  const stop = new AbortController()
  // What a look throws has been logged where it was called: the queue goes on.
  const looked = (async () => look(watch, AbortSignal.any([until, stop.signal])))().catch(() => undefined)
  running.set(watch, { jobId: job.id as string, stop, ended: looked })
  const restMs = await looked
  running.delete(watch)
  if (stop.signal.aborted) return 'lost'
  // What was stopped is another worker's at once.
  return until.aborted ? 0 : restMs
}
