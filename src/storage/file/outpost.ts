// A process of its own for each mount that may hang. A call to a server that is gone can block a thread for ever, beyond any signal: the only way not to wait for it
// is not to be its process.
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { VarveError } from '../../model/errors.ts'
import type { FailureCode } from '../../model/errors.ts'
import { closed, fileFailure, silent, stuck } from './failures.ts'
import { CALLS_AT_ONCE } from './hands.ts'
import type { FarHands, RealTask, RootTask, StatTask } from './hands.ts'
import { mountWords } from './mounts.ts'
import type { Mount } from './mounts.ts'
import type { PieceTask, ReadTask, StandTask, WalkTask } from './pack.ts'

export type FarTask = RootTask | StatTask | RealTask | WalkTask | ReadTask | StandTask | PieceTask

/** What the process is told. */
export interface Order {
  readonly id: number
  readonly task: FarTask
}

/** What it tells: at first that it is there, then how a task ended, or which tasks were answered something since. */
export interface Report {
  readonly alive?: readonly number[]
  readonly id?: number
  readonly result?: unknown
  readonly failed?: { readonly code: FailureCode; readonly message: string; readonly hint: string | undefined }
}

/** How long to bear with it. */
export interface Patience {
  /** So long a mount may answer nothing to one task, of walking some folders or reading some files. */
  readonly silenceMs: number
  /** So long an idle process stays. */
  readonly lingerMs: number
}

/**
 * A disk that wakes up takes 10 s, and TCP sends a lost segment again after 0.2, 0.6, 1.4 … 12.6 and 25.4 s: a network that was away for a moment is heard again by
 * then. Nobody is the worse for an early verdict: the look is tried again. Looks that follow each other closely need not start a process each; who looks once a
 * minute keeps none.
 */
export const PATIENCE: Patience = { silenceMs: 30_000, lingerMs: 10_000 }
// Processes that hang in one mount: the first may hang in one bad file alone, or be freed in a moment; more would only pile up.
const STUCK_MOST = 2
const ROUNDS = 30
// Of a mount that was silent to the end the next try expects a first sign sooner: it would otherwise seem to be looked at most of the time.
const RETRY_ROUNDS = 5
// Tasks that keep 64 threads busy even when each is a folder of a few files.
const WIDTH = 16

interface Job {
  readonly owner: object
  /** Rounds of the watchdog without a word about it. */
  silentRounds: number
  resolve(result: unknown): void
  reject(error: unknown): void
}

const outposts = new Map<string, Outpost>()

/** Hands in the outpost of `mount`, which all stores on it share; its process ends some time after the last of them. */
export function handsIn(mount: Mount, patience: Patience): FarHands {
  // The id alone may have been another mount's before.
  const key = `${mount.id} ${mountWords(mount)}`
  const outpost = outposts.get(key) ?? new Outpost(mount, patience, () => outposts.delete(key))
  outposts.set(key, outpost)
  const owner = {}
  outpost.enter(owner)
  const run = <T>(task: FarTask): Promise<T> => outpost.run(owner, task) as Promise<T>
  return {
    width: WIDTH,
    warm: () => undefined,
    root: (task) => run(task),
    stat: (task) => run(task),
    walk: (task) => run(task),
    read: (task) => run(task),
    stand: (task) => run(task),
    piece: (task) => run(task),
    real: (task) => run(task),
    close: async () => outpost.leave(owner),
  }
}

class Outpost {
  readonly #mount: Mount
  readonly #words: string
  readonly #patience: Patience
  readonly #forget: () => void
  readonly #owners = new Set<object>()
  readonly #jobs = new Map<number, Job>()
  /** Killed while they were in a call, and not dead yet. */
  readonly #stuck = new Set<ChildProcess>()
  #process: ChildProcess | undefined
  #begun = false
  /** It was silent to the end, and has answered nothing since. */
  #silent = false
  #lastId = 0
  #watchdog: NodeJS.Timeout | undefined
  #lingering: NodeJS.Timeout | undefined

  constructor(mount: Mount, patience: Patience, forget: () => void) {
    this.#mount = mount
    this.#words = mountWords(mount)
    this.#patience = patience
    this.#forget = forget
  }

  enter(owner: object): void {
    this.#owners.add(owner)
    clearTimeout(this.#lingering)
    this.#process?.ref()
    this.#process?.channel?.ref()
  }

  /** Rejects what `owner` waits for. After the last has left, a process that is idle lingers, and one that is not is killed; neither is waited for. */
  leave(owner: object): void {
    this.#owners.delete(owner)
    for (const [id, job] of this.#jobs) {
      if (job.owner !== owner) continue
      job.reject(closed())
      // Its answer still comes, or shows that it hangs.
      this.#jobs.set(id, { ...job, resolve: () => undefined, reject: () => undefined })
    }
    if (this.#owners.size > 0) return
    if (this.#jobs.size > 0) {
      this.#abandon()
      this.#fail(closed())
    }
    this.#process?.unref()
    this.#process?.channel?.unref()
    clearTimeout(this.#lingering)
    this.#lingering = setTimeout(() => {
      this.#process?.kill('SIGKILL')
      this.#process = undefined
      this.#end()
    }, this.#patience.lingerMs).unref()
  }

  async run(owner: object, task: FarTask): Promise<unknown> {
    if (!this.#owners.has(owner)) throw closed()
    if (this.#process === undefined && this.#stuck.size >= STUCK_MOST) throw stuck(this.#words, this.#mount.point, this.#stuck.size)
    const child = (this.#process ??= this.#start())
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#jobs.set(id, { owner, silentRounds: 0, resolve, reject })
      this.#watch()
      // What cannot be sent any more shows when the process ends.
      child.send({ id, task } satisfies Order, () => undefined)
    })
  }

  #start(): ChildProcess {
    this.#begun = false
    // Compiled, its name ends otherwise, and no compiler sees it here.
    const end = new URL(import.meta.url.endsWith('.ts') ? './outpost-end.ts' : './outpost-end.js', import.meta.url)
    const child = fork(fileURLToPath(end), [], {
      // Nothing that outlives us: neither a folder that somebody wants to unmount, nor a pipe whose end somebody waits for.
      cwd: '/', stdio: ['ignore', 'ignore', 'ignore', 'ipc'], execArgv: [], serialization: 'advanced', env: { UV_THREADPOOL_SIZE: String(CALLS_AT_ONCE) },
    })
    child.on('message', (report: Report) => {
      if (child === this.#process) this.#hear(report)
    })
    child.on('exit', (code, signal) => this.#ended(child, `ended (${signal ?? code})`))
    // What could not be started does not exit either.
    child.on('error', (error) => this.#ended(child, `failed: ${error.message}`))
    return child
  }

  #hear({ alive, id, result, failed }: Report): void {
    if (this.#begun) this.#silent = false
    else for (const job of this.#jobs.values()) job.silentRounds = 0
    this.#begun = true
    for (const one of alive ?? []) Object.assign(this.#jobs.get(one) ?? {}, { silentRounds: 0 })
    const job = id === undefined ? undefined : this.#jobs.get(id)
    if (id === undefined || job === undefined) return
    this.#jobs.delete(id)
    if (this.#jobs.size === 0) this.#rest()
    if (failed === undefined) job.resolve(result)
    else job.reject(new VarveError(failed.code, failed.message, failed.hint === undefined ? {} : { hint: failed.hint }))
  }

  #ended(child: ChildProcess, how: string): void {
    this.#stuck.delete(child)
    if (child === this.#process) {
      this.#process = undefined
      this.#fail(fileFailure(new Error(`the process that looks at it ${how}`), this.#words))
    }
    this.#end()
  }

  #end(): void {
    if (this.#owners.size === 0 && this.#stuck.size === 0 && this.#process === undefined && !this.#silent) this.#forget()
  }

  /** Counts rounds, not time: when this process itself was stopped for a while, nobody has been silent for longer than a round. */
  #watch(): void {
    if (this.#watchdog !== undefined) return
    this.#watchdog = setInterval(() => {
      let most = 0
      for (const job of this.#jobs.values()) most = Math.max(most, ++job.silentRounds)
      if (most < (this.#silent && this.#begun ? RETRY_ROUNDS : ROUNDS)) return
      this.#silent = true
      this.#abandon()
      this.#fail(silent(this.#words, this.#mount.point, this.#patience.silenceMs))
    }, this.#patience.silenceMs / ROUNDS)
  }

  #rest(): void {
    clearInterval(this.#watchdog)
    this.#watchdog = undefined
  }

  /** Rejects all that is going on. */
  #fail(error: VarveError): void {
    this.#rest()
    for (const job of this.#jobs.values()) job.reject(error)
    this.#jobs.clear()
  }

  /** Kills the process while it is in a call, and waits for nothing: it may only die when the server is back. */
  #abandon(): void {
    const child = this.#process
    this.#process = undefined
    if (child === undefined) return
    this.#stuck.add(child)
    child.kill('SIGKILL')
    if (child.connected) child.disconnect()
    child.unref()
  }
}
