import { Worker } from 'node:worker_threads'
import { VarveError } from '../../model/errors.ts'
import { fileFailure } from './failures.ts'
import type { Read, ReadTask } from './hash.ts'
import type { Walked, WalkTask } from './walk.ts'

export type Task = WalkTask | ReadTask
export type Answer = { readonly result: Walked | Read } | { readonly failed: Failed }

interface Failed {
  readonly code: string | undefined
  readonly message: string
  readonly path: string
}

// The next task lies ready in the worker while the answer to the last one crosses the threads.
const TASKS_PER_WORKER = 2

interface Job {
  readonly task: Task
  resolve(result: Walked | Read): void
  reject(error: unknown): void
}

interface Hand {
  readonly worker: Worker
  /** In the order in which they were given, which is that of the answers. */
  readonly jobs: Job[]
}

/** Worker threads that look at files: started when first needed, ended by `close`. Tasks begin in the order in which they came. */
export class Pool {
  readonly #size: number
  readonly #hands: Hand[] = []
  readonly #queue: Job[] = []
  #closed = false

  constructor(size: number) {
    this.#size = size
  }

  /** How many tasks keep every worker busy. */
  get width(): number {
    return this.#size * TASKS_PER_WORKER
  }

  /** Starts workers now, up to `count` of them, for there will be work. */
  warm(count: number = this.#size): void {
    while (this.#hands.length < Math.min(count, this.#size)) this.#start()
  }

  /** The directories that `task` walks. Throws VarveError. */
  walk(task: WalkTask): Promise<Walked> {
    return this.#run(task) as Promise<Walked>
  }

  /** The files that `task` reads. Throws VarveError. */
  read(task: ReadTask): Promise<Read> {
    return this.#run(task) as Promise<Read>
  }

  /** Ends the workers, whatever they do; tasks that are not done reject. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#hands.map(({ worker }) => worker.terminate()))
    for (const job of this.#queue.splice(0)) job.reject(stopped())
  }

  #run(task: Task): Promise<Walked | Read> {
    if (this.#closed) return Promise.reject(stopped())
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

  #start(): Hand {
    // Compiled, the worker's name ends otherwise, and no compiler sees it here.
    const worker = new Worker(new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url), { execArgv: [] })
    const hand: Hand = { worker, jobs: [] }
    let trouble: unknown
    worker.on('message', (answer: Answer) => {
      const job = hand.jobs.shift()
      if ('result' in answer) job?.resolve(answer.result)
      else job?.reject(fileFailure(Object.assign(new Error(answer.failed.message), { code: answer.failed.code }), answer.failed.path))
      this.#pump()
    })
    worker.on('error', (error) => (trouble = error))
    worker.on('exit', () => {
      this.#hands.splice(this.#hands.indexOf(hand), 1)
      for (const job of hand.jobs.splice(0)) job.reject(trouble === undefined ? stopped() : fileFailure(trouble, 'a worker'))
      this.#pump()
    })
    this.#hands.push(hand)
    return hand
  }
}

function stopped(): VarveError {
  return new VarveError('STORAGE_UNAVAILABLE', 'the store was closed while it was read')
}
