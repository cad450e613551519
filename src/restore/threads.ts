import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { VarveError } from '../model/errors.ts'
import { diskFailure } from './disk.ts'
import type { Refused } from './disk.ts'
import type { Answer, Task } from './local.ts'

// More than a few would fight over directory locks and memory.
const THREADS_MOST = 8
// The next task lies ready while the answer to the last one crosses the threads.
const TASKS_PER_THREAD = 2
// What a thread makes lives for one task: with room for more it would only come to it later.
const YOUNG_MB = 8

interface Job {
  readonly task: Task
  resolve(answer: Answer): void
  reject(error: unknown): void
}

interface Hand {
  readonly worker: Worker
  readonly jobs: Job[]
}

type Reply = { readonly answer: Answer } | { readonly failed: Refused }

/** Threads that look at local files and put them into place: started when first needed, ended by `close`. */
export class Threads {
  readonly #size: number
  readonly #hands: Hand[] = []
  readonly #queue: Job[] = []
  #closed = false

  constructor(size: number = Math.min(THREADS_MOST, availableParallelism())) {
    this.#size = size
  }

  /** How many tasks keep them busy. */
  get width(): number {
    return this.#size * TASKS_PER_THREAD
  }

  /** There will be work: they start now. */
  warm(): void {
    while (this.#hands.length < this.#size) this.#start()
  }

  /** Throws DESTINATION_REFUSED for what is wrong with a disk itself. What belongs together names its thread by a number: all others may be wherever there is room. */
  run(task: Task, thread?: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const job = { task, resolve, reject }
      if (thread === undefined) this.#queue.push(job)
      else {
        while (this.#hands.length <= thread && !this.#closed) this.#start()
        this.#give(job, this.#hands[thread])
      }
      this.#pump()
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#hands.map(({ worker }) => worker.terminate()))
  }

  #pump(): void {
    while (this.#queue.length > 0 && !this.#closed) {
      const hand = this.#hands.find(({ jobs }) => jobs.length === 0) ?? (this.#hands.length < this.#size ? this.#start() : this.#hands.find(({ jobs }) => jobs.length < TASKS_PER_THREAD))
      const job = hand === undefined ? undefined : this.#queue.shift()
      if (hand === undefined || job === undefined) return
      this.#give(job, hand)
    }
  }

  #give(job: Job, hand: Hand | undefined): void {
    if (hand === undefined) return job.reject(ended())
    hand.jobs.push(job)
    // A piece is handed over, not copied: nobody here reads it again.
    hand.worker.postMessage(job.task, job.task.kind === 'pour' ? job.task.chunks.map(({ buffer }) => buffer) : [])
  }

  #start(): Hand {
    // Compiled, the worker's name ends otherwise, and no compiler sees it here.
    const worker = new Worker(new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url), { execArgv: [], resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB } })
    const hand: Hand = { worker, jobs: [] }
    let trouble: unknown
    worker.on('message', (reply: Reply) => {
      const job = hand.jobs.shift()
      if ('answer' in reply) job?.resolve(reply.answer)
      else job?.reject(diskFailure(Object.assign(new Error(reply.failed.message), reply.failed)))
      this.#pump()
    })
    worker.on('error', (error) => (trouble = error))
    worker.on('exit', () => {
      this.#hands.splice(this.#hands.indexOf(hand), 1)
      for (const job of hand.jobs.splice(0)) job.reject(trouble ?? ended())
    })
    this.#hands.push(hand)
    return hand
  }
}

function ended(): VarveError {
  return new VarveError('DESTINATION_REFUSED', 'the restore was ended')
}
