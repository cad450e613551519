import { DatabaseSync } from 'node:sqlite'
import { putOnce, runDaemon } from '../../src/daemon/daemon.ts'
import type { LookParts } from '../../src/daemon/daemon.ts'
import { VarveError } from '../../src/model/errors.ts'
import { parseLocation } from '../../src/model/location.ts'
import type { Watch } from '../../src/model/watch.ts'
import { inlineQueue } from '../../src/queue/inline.ts'
import { openRegistryIn } from '../../src/registry/open.ts'
import type { Looking, LookRequest, Recorded, Registry } from '../../src/registry/registry.ts'
import { Memory, MemorySource } from '../../src/storage/memory.ts'
import type { Hint, Span, Store } from '../../src/storage/storage.ts'
import { MNIST, watchOf } from '../suite/registry-world.ts'
import type { Defect } from './defects.ts'
import { Scheduler } from './scheduler.ts'
import type { Life } from './scheduler.ts'

interface Process {
  readonly life: Life
  readonly source: MemorySource
}

/** What lay there from a moment on. */
export interface Moment {
  readonly at: number
  readonly lying: ReadonlyMap<string, string>
}

const PATHS = ['a', 'b', 'c/x', 'c/y']
const BYTES = ['0', '1', '22']
const LEASE_MS = 60_000
const NOTHING = (): void => undefined

/** Daemons over one registry and one place in memory, with everything between them in the hands of a scheduler. */
const GAPE_MOST_MS = 10_000

export class World {
  readonly scheduler: Scheduler
  readonly memory: Memory
  readonly database = new DatabaseSync(':memory:')
  readonly moments: Moment[] = []
  readonly undelivered = new Map<number, Hint>()
  readonly watch: Watch
  readonly failures: unknown[] = []
  registry!: Registry
  /** Deliveries that go on, by their process. */
  readonly delivering = new Map<symbol, Life>()
  putting = 0
  faulty = true
  readonly #defect: Defect
  readonly #processes: Process[] = []
  readonly #lives: Life[] = []
  readonly #unmatched: Set<string>
  readonly #bytes = new Map<string, string | undefined>()
  #last: { readonly path: string; readonly before: string | undefined } | undefined
  #hints = 0
  #starts = 0

  constructor(seed: number, defect: Defect) {
    this.#defect = defect
    this.scheduler = new Scheduler(seed)
    this.memory = new Memory({ pageSize: 1 + this.scheduler.below(2), contentListed: this.scheduler.chance(0.5), versioned: this.scheduler.chance(0.5) })
    this.watch = watchOf({
      locations: [parseLocation('s3://bucket/p/', '/')], events: { kind: 'sqs', url: 'memory' }, settleMs: this.scheduler.below(2) * 500, maxWaitMs: 5_000, reconcileMs: 1e11, pollMs: 10_000,
      confirm: this.scheduler.chance(0.5),
    })
    this.#unmatched = new Set(defect.sql?.map(([from]) => from))
    this.#plantSql()
  }

  async start(): Promise<void> {
    this.registry = await openRegistryIn(this.database)
    this.memory.put('kept', 'always there')
    this.#note()
    for (let i = 0; i < (this.#defect.daemons ?? 2); i++) this.#processes.push(this.#spawn())
  }

  /** One change there, of which a hint will tell, once at least. */
  write(): void {
    // Often the last change is taken back: a head that is right again hides that something in between was lost.
    const back = this.scheduler.chance(0.4) ? this.#last : undefined
    const path = back?.path ?? (PATHS[this.scheduler.below(PATHS.length)] as string)
    const bytes = back === undefined ? (this.scheduler.chance(0.3) ? undefined : (BYTES[this.scheduler.below(BYTES.length)] as string)) : back.before
    this.#last = { path, before: this.#bytes.get(path) }
    if (bytes === undefined) this.memory.remove(path)
    else this.memory.put(path, bytes)
    this.#bytes.set(path, bytes)
    this.#note()
    const folder = path.startsWith('c/') && this.scheduler.chance(0.2)
    this.undelivered.set(this.#hints++, folder ? hintOf('c/', true) : hintOf(path, false))
  }

  /** Some of the hints, shuffled, to one of the daemons; those that it took may come again. */
  deliver(all: boolean): void {
    const { source, life } = this.#any()
    const chosen = [...this.undelivered].filter(() => all || this.scheduler.chance(0.5))
    chosen.sort(() => this.scheduler.random() - 0.5)
    if (chosen.length === 0) return
    const taken = (): void => {
      for (const [id] of chosen) if (all || this.scheduler.chance(0.8)) this.undelivered.delete(id)
    }
    if (this.#defect.acknowledgesFirst === true) taken()
    const delivery = Symbol('delivery')
    this.delivering.set(delivery, life)
    void source.deliver(chosen.map(([, hint]) => hint)).then((heard) => {
      this.delivering.delete(delivery)
      if (heard) taken()
    }, () => this.delivering.delete(delivery))
  }

  /** `kill -9`, and a new one. What it was told and had not taken comes again. */
  crash(): void {
    const at = this.scheduler.below(this.#processes.length)
    const gone = this.#processes[at] as Process
    gone.life.crashed = true
    for (const [delivery, life] of this.delivering) if (life === gone.life) this.delivering.delete(delivery)
    this.#processes[at] = this.#spawn()
  }

  freeze(): void {
    this.#any().life.frozen = true
  }

  thaw(): void {
    for (const life of this.#lives) life.frozen = false
  }

  put(): void {
    const life = this.#born()
    const order = { location: this.watch.locations[0], collection: MNIST, type: this.watch.type, aliases: [] }
    this.putting++
    void putOnce(this.#partsOf(life, 'put'), order, { ...this.watch, settleMs: 0 }, new AbortController().signal).then(
      () => this.putting--,
      () => this.putting--,
    )
  }

  /** Each exchanged piece of SQL was met: else the defect was not planted. */
  get planted(): boolean {
    return this.#unmatched.size === 0
  }

  end(): void {
    for (const life of this.#lives) life.crashed = true
  }

  #born(): Life {
    const life = { crashed: false, frozen: false }
    this.#lives.push(life)
    return life
  }

  #any(): Process {
    return this.#processes[this.scheduler.below(this.#processes.length)] as Process
  }

  #note(): void {
    const lying = new Map(this.memory.paths().flatMap((path) => {
      const found = this.memory.at(path)
      return found.kind === 'entry' && found.listed.content !== undefined ? [[path, found.listed.content.digest] as const] : []
    }))
    this.moments.push({ at: this.scheduler.nowMs, lying })
  }

  #spawn(): Process {
    const life = this.#born()
    const source = new MemorySource('memory', [])
    const parts = this.#partsOf(life, `daemon ${++this.#starts}`)
    const queue = inlineQueue(parts.clock)
    const run = runDaemon({
      ...parts, queue: this.#defect.queue?.(queue) ?? queue, watches: [this.watch], sources: [source], sweepMs: this.#defect.sweepMs ?? 15_000, concurrency: 2,
    }, new AbortController().signal)
    run.catch((error: unknown) => this.failures.push(error))
    return { life, source }
  }

  #partsOf(life: Life, owner: string): LookParts {
    const pause = (): Promise<void> => this.scheduler.step(life)
    // Long enough that a look may begin and end between: else a defect that stands in one place is met too seldom.
    const gape = async (): Promise<void> => {
      await this.scheduler.clockOf(life).sleep(this.scheduler.below(GAPE_MOST_MS))
      await pause()
    }
    const planted: Registry = { ...this.registry, ...this.#defect.registry?.({ registry: this.registry, database: this.database, pause: gape }) }
    const log = { info: NOTHING, warn: NOTHING, error: (fields: Readonly<Record<string, unknown>>, message: string) => this.failures.push(`${message} ${JSON.stringify(fields)}`) }
    return {
      registry: {
        ...gated(planted, pause),
        request: (requests, nowMs) => this.#marking(requests, pause, () => planted.request(requests, nowMs)),
        record: (looking, outcome, nowMs) => this.#recording(life, looking, pause, () => planted.record(looking, outcome, nowMs)),
      }, clock: this.scheduler.clockOf(life), owner, log,
      tell: { recorded: NOTHING, state: NOTHING, restorability: NOTHING, progress: NOTHING },
      openStore: async () => this.#store(pause),
    }
  }

  /** The disk under the registry may be full: then nothing is marked. */
  async #marking(requests: readonly LookRequest[], pause: () => Promise<void>, act: () => Promise<void>): Promise<void> {
    await pause()
    if (this.faulty && this.scheduler.chance(0.1) && requests.every(({ cause }) => cause === 'hint')) throw new VarveError('REGISTRY_FULL', 'no space is left')
    await act()
    await pause()
  }

  /** Between its last read and its commit a process may be frozen for longer than its lease. Law 2: who was overtaken records nothing. */
  async #recording(life: Life, looking: Looking, pause: () => Promise<void>, act: () => Promise<Recorded>): Promise<Recorded> {
    if (this.faulty && this.scheduler.chance(0.15)) {
      life.frozen = true
      this.scheduler.nowMs += LEASE_MS
    }
    await pause()
    const before = looking.watch === undefined ? undefined : await this.registry.watchRow(looking.watch)
    const recorded = await act()
    if (recorded.kind !== 'overtaken' && before !== undefined && before.epoch !== looking.epoch) this.failures.push(`law 2: epoch ${looking.epoch} recorded, though ${before.epoch} had begun`)
    await pause()
    return recorded
  }

  #store(pause: () => Promise<void>): Store {
    const store = this.memory.open()
    const broken = (): boolean => this.faulty && this.scheduler.chance(0.03)
    const cutsShort = this.#defect.takesCutForWhole === true
    const scan = async function* (startMs: number, signal: AbortSignal): AsyncGenerator<Span> {
      let after = ''
      for await (const span of store.scan(startMs, signal)) {
        await pause()
        if (broken()) {
          if (!cutsShort) throw new VarveError('STORAGE_UNAVAILABLE', 'the listing broke off')
          yield { cover: { after }, seen: 0, entries: () => [], skipped: [], settled: true, end: { requests: 1, notes: [], lone: [] } }
          return
        }
        yield span
        if ('after' in span.cover) after = span.cover.upTo ?? ''
      }
    }
    const slowly = async function* <T>(found: AsyncIterable<T>): AsyncGenerator<T> {
      await pause()
      if (broken()) throw new VarveError('STORAGE_UNAVAILABLE', 'the store does not answer')
      for await (const one of found) {
        await pause()
        yield one
      }
    }
    return {
      root: (signal) => store.root(signal), scan, close: () => store.close(),
      find: (paths, startMs, signal) => slowly(store.find(paths, startMs, signal)),
      inspect: (listed, startMs, signal) => slowly(store.inspect(listed, startMs, signal)),
    }
  }

  #plantSql(): void {
    const { sql } = this.#defect
    if (sql === undefined) return
    const prepare = this.database.prepare.bind(this.database)
    this.database.prepare = (text, ...rest) => {
      let planted = text
      for (const [from, to] of sql) {
        if (!planted.includes(from)) continue
        planted = planted.replaceAll(from, to)
        this.#unmatched.delete(from)
      }
      return prepare(planted, ...rest)
    }
  }
}

/** Others may come before and after each call, and a crash may. */
function gated(registry: Registry, pause: () => Promise<void>): Registry {
  const gate = (act: (...args: never[]) => unknown) => async (...args: never[]): Promise<unknown> => {
    await pause()
    const result = await act(...args)
    await pause()
    return result
  }
  const entries = Object.entries(registry).map(([name, act]) => [name, typeof act === 'function' && name !== 'directories' ? gate(act as never) : act])
  return Object.fromEntries(entries) as Registry
}

function hintOf(path: string, whole: boolean): Hint {
  return { scheme: 's3', bucket: 'bucket', key: `p/${path}`, whole }
}
