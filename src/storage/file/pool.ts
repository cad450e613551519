import { Worker } from 'node:worker_threads'
import { stat } from 'node:fs/promises'
import type { Root } from '../storage.ts'
import { kindOfStat } from './block.ts'
import { closed, fileFailure } from './failures.ts'
import type { Hands, RootTask, Stated, StatTask } from './hands.ts'
import type { Mount } from './mounts.ts'
import { handsIn } from './outpost.ts'
import type { Patience } from './outpost.ts'
import type { Read, ReadTask, StandTask, Walked, WalkTask } from './pack.ts'
import { rootOf } from './root.ts'

export type Task = WalkTask | ReadTask | StandTask
/** `waits`: nothing was done, for calls wait there for that mount. */
export type Answer = { readonly result: Walked | Read } | { readonly failed: Failed } | { readonly waits: Mount }

interface Failed {
  readonly code: string | undefined
  readonly message: string
  readonly path: string
}

// The next tasks lie ready in the worker while the answer to the last one crosses the threads, and while the main thread writes: some 10 ms.
const TASKS_PER_WORKER = 4

interface Job {
  readonly task: Task
  resolve(result: Walked | Read): void
  reject(error: unknown): void
}

// Threads that were started before there was a pool to have them.
const ready: Worker[] = []

/** Starts `count` threads for the pools to come: for who is about to look, and has something else to do first. They keep no process alive. */
export function prepare(count: number): void {
  for (let i = ready.length; i < count; i++) {
    const worker = start()
    worker.unref()
    worker.on('error', () => void ready.splice(0, ready.length, ...ready.filter((one) => one !== worker)))
    ready.push(worker)
  }
}

function start(): Worker {
  // Compiled, the worker's name ends otherwise, and no compiler sees it here.
  return new Worker(new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url), { execArgv: [] })
}

interface Hand {
  readonly worker: Worker
  /** In the order in which they were given, which is that of the answers. */
  readonly jobs: Job[]
}

/**
 * Worker threads that look at local files: started when first needed, ended by `close`. Tasks begin in the order in which they came. From the first on that finds
 * calls to wait for others than the processor, all walking and reading goes to an outpost.
 */
export class Pool implements Hands {
  readonly #size: number
  readonly #patience: Patience
  #far: Hands | undefined
  readonly #hands: Hand[] = []
  readonly #queue: Job[] = []
  #closed = false

  constructor(size: number, patience: Patience) {
    this.#size = size
    this.#patience = patience
  }

  get width(): number {
    return this.#far?.width ?? this.#size * TASKS_PER_WORKER
  }

  /** Starts workers now, up to `count` of them, for there will be work. */
  warm(count: number = this.#size): void {
    while (this.#hands.length < Math.min(count, this.#size)) this.#start()
  }

  root({ location, marker }: RootTask): Promise<Root> {
    return rootOf(location, marker)
  }

  async stat({ path }: StatTask): Promise<Stated> {
    const seen = await stat(path, { bigint: true }).catch((error: unknown) => {
      throw fileFailure(error, path)
    })
    const kind = kindOfStat(seen)
    return { size: seen.size, mtimeNs: seen.mtimeNs, ctimeNs: seen.ctimeNs, ino: seen.ino, ...(kind === undefined ? {} : { kind }) }
  }

  walk(task: WalkTask): Promise<Walked> {
    return this.#run(task) as Promise<Walked>
  }

  read(task: ReadTask): Promise<Read> {
    return this.#run(task) as Promise<Read>
  }

  stand(task: StandTask): Promise<Read> {
    return this.#run(task) as Promise<Read>
  }

  /** Ends the workers, whatever they do; tasks that are not done reject. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([this.#far?.close(), ...this.#hands.map(({ worker }) => worker.terminate())])
    for (const job of this.#queue.splice(0)) job.reject(closed())
  }

  #run(task: Task): Promise<Walked | Read> {
    if (this.#closed) return Promise.reject(closed())
    if (this.#far !== undefined) return askFar(this.#far, task)
    return new Promise((resolve, reject) => {
      this.#queue.push({ task, resolve, reject })
      this.#pump()
    })
  }

  #pump(): void {
    for (let job = this.#queue[0]; job !== undefined && !this.#closed; job = this.#queue[0]) {
      const hand = this.#free()
      if (hand === undefined) return
      this.#queue.shift()
      hand.jobs.push(job)
      hand.worker.postMessage(job.task)
    }
  }

  /** An idle worker, else a new one, else one with room. */
  #free(): Hand | undefined {
    const idle = this.#hands.find(({ jobs }) => jobs.length === 0)
    if (idle !== undefined) return idle
    if (this.#hands.length < this.#size) return this.#start()
    return this.#hands.find(({ jobs }) => jobs.length < TASKS_PER_WORKER)
  }

  #handOver(job: Job | undefined, mount: Mount): void {
    if (this.#closed) return job?.reject(closed())
    this.#far ??= handsIn(mount, this.#patience)
    for (const one of [job, ...this.#queue.splice(0)]) if (one !== undefined) askFar(this.#far, one.task).then(one.resolve, one.reject)
  }

  #start(): Hand {
    const worker = ready.shift() ?? start()
    worker.ref()
    const hand: Hand = { worker, jobs: [] }
    let trouble: unknown
    worker.on('message', (answer: Answer) => {
      const job = hand.jobs.shift()
      if ('result' in answer) job?.resolve(answer.result)
      else if ('waits' in answer) this.#handOver(job, answer.waits)
      else job?.reject(fileFailure(Object.assign(new Error(answer.failed.message), { code: answer.failed.code }), answer.failed.path))
      this.#pump()
    })
    worker.on('error', (error) => (trouble = error))
    worker.on('exit', () => {
      this.#hands.splice(this.#hands.indexOf(hand), 1)
      for (const job of hand.jobs.splice(0)) job.reject(trouble === undefined ? closed() : fileFailure(trouble, 'a worker'))
      this.#pump()
    })
    this.#hands.push(hand)
    return hand
  }
}

function askFar(far: Hands, task: Task): Promise<Walked | Read> {
  if (task.kind === 'walk') return far.walk(task)
  return task.kind === 'read' ? far.read(task) : far.stand(task)
}
