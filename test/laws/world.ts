// What the laws are told with: the real daemon over the real registry, and a place that does as it is told.
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { runDaemon } from '../../src/daemon/daemon.ts'
import type { LookParts, Parts } from '../../src/daemon/daemon.ts'
import type { Clock } from '../../src/model/clock.ts'
import { parseLocation } from '../../src/model/location.ts'
import type { EntryView, VersionView } from '../../src/model/version.ts'
import type { Watch } from '../../src/model/watch.ts'
import { inlineQueue } from '../../src/queue/inline.ts'
import { openRegistryIn } from '../../src/registry/open.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { Memory, MemorySource } from '../../src/storage/memory.ts'
import type { MemoryOptions } from '../../src/storage/memory.ts'
import type { Hint, Store } from '../../src/storage/storage.ts'
import { all, MNIST, watchOf } from '../suite/registry-world.ts'
import { HandClock } from './clock.ts'

export { all, MNIST } from '../suite/registry-world.ts'

/** Changes the parts before they are run: how a defect is planted. */
export type Refit = (parts: Parts) => Parts

/** The parts as they are. */
export const unfitted: Refit = (parts) => parts

/** Parts without a queue: for one look at a time. */
export function lookPartsOf(registry: Registry, clock: Clock, openStore: LookParts['openStore'], owner = 'one'): LookParts {
  const nothing = (): void => undefined
  return { registry, clock, owner, openStore, log: { info: nothing, warn: nothing, error: nothing }, tell: { recorded: nothing, state: nothing, restorability: nothing, progress: nothing } }
}

/** The clock of this machine, `aheadMs` ahead: what was written a moment ago is then old. */
export function realClock(aheadMs = 0): Clock {
  return {
    now: () => Date.now() + aheadMs,
    monotonic: () => performance.now(),
    sleep: (ms, signal) => sleep(Math.min(ms, 2 ** 31 - 1), undefined, signal === undefined ? {} : { signal }).catch(() => undefined),
    random: () => 0.5,
  }
}

/** A daemon over memory: one watch, `mnist`, at `s3://bucket/p/`, a source that hears it, and time in hand. */
export class World {
  readonly clock = new HandClock()
  readonly memory: Memory
  readonly watch: Watch
  readonly database = new DatabaseSync(':memory:')
  registry!: Registry
  source = new MemorySource('memory', [])
  parts!: Parts
  readonly said: string[] = []
  #starts = 0
  #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(over: Partial<Watch> = {}, options: Partial<MemoryOptions> = {}) {
    this.memory = new Memory(options)
    this.watch = watchOf({ locations: [parseLocation('s3://bucket/p/', '/')], settleMs: 5_000, maxWaitMs: 60_000, reconcileMs: 86_400_000, events: { kind: 'sqs', url: 'memory' }, ...over })
  }

  /** Starts the daemon. */
  async start(refit: Refit = unfitted): Promise<void> {
    this.registry = await openRegistryIn(this.database)
    this.source = new MemorySource('memory', [{ scheme: 's3', bucket: 'bucket', key: 'p/', whole: true }])
    const say = (fields: unknown, message: string): void => void this.said.push(`${message} ${JSON.stringify(fields)}`)
    const plain: Parts = {
      ...lookPartsOf(this.registry, this.clock, async () => this.memory.open()),
      log: { info: say, warn: say, error: say },
      owner: `daemon ${++this.#starts}`,
      queue: inlineQueue(this.clock),
      watches: [this.watch], sources: [this.source], sweepMs: 1_000, concurrency: 2,
    }
    this.parts = refit(plain)
    this.#stop = new AbortController()
    this.#running = runDaemon(this.parts, this.#stop.signal)
    this.#running.catch(() => undefined)
    await this.clock.pass(0)
  }

  /** As by `kill -9`: what the daemon still does reaches the registry no more, and the next one begins with what was durable. */
  crash(refit?: Refit): Promise<void> {
    return this.start(refit)
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.clock.pass(0)
    await this.#running
  }

  /** Delivers a hint of a path; true once it may be acknowledged. */
  hint(...paths: readonly string[]): Promise<boolean> {
    return this.source.deliver(paths.map((path) => hintOf(path)))
  }

  async versions(): Promise<VersionView[]> {
    return versionsOf(this.registry)
  }

  /** What lies there now. */
  lying(): string[] {
    return this.memory.paths().flatMap((path) => {
      const found = this.memory.at(path)
      return found.kind === 'entry' ? [`${path} ${found.listed.content?.digest}`] : []
    })
  }

  /** The same of a version. */
  async recorded(version = 'latest'): Promise<string[]> {
    return recordedOf(this.registry, version)
  }
}

export function hintOf(path: string, bucket = 'bucket'): Hint {
  return { scheme: 's3', bucket, key: `p/${path}`, whole: false }
}

/** Oldest first; none while there is no collection. */
export async function versionsOf(registry: Registry): Promise<VersionView[]> {
  if ((await registry.collections()).length === 0) return []
  return (await all(registry.versions(MNIST))).reverse()
}

export async function entriesOf(registry: Registry, version = 'latest'): Promise<EntryView[]> {
  return all(registry.entries(MNIST, version))
}

/** `path digest` of each entry, in path order; nothing while there is no version. */
export async function recordedOf(registry: Registry, version = 'latest'): Promise<string[]> {
  if ((await versionsOf(registry)).length === 0) return []
  return (await entriesOf(registry, version)).map(({ path, digest }) => `${path} ${digest}`)
}

/** A registry that does `over` where it is given, and else what `registry` does. */
export function registryWith(registry: Registry, over: Partial<Registry>): Registry {
  return { ...registry, ...over }
}

/** Parts whose stores do `over` where it is given. */
export function storesWith(over: (store: Store, watch: Watch) => Partial<Store>): <P extends LookParts>(parts: P) => P {
  return (parts) => ({
    ...parts,
    openStore: async (watch, memo) => {
      const store = await parts.openStore(watch, memo)
      return {
        root: (signal) => store.root(signal),
        scan: (startMs, signal) => store.scan(startMs, signal),
        find: (paths, startMs, signal) => store.find(paths, startMs, signal),
        inspect: (listed, startMs, signal) => store.inspect(listed, startMs, signal),
        close: () => store.close(),
        ...over(store, watch),
      }
    },
  })
}

/** Parts whose stores write down what they are asked: `scan`, `find a,b`, `inspect a,b`. */
export function noting(reads: string[]): ReturnType<typeof storesWith> {
  return storesWith((store) => ({
    scan: (startMs, signal) => {
      reads.push('scan')
      return store.scan(startMs, signal)
    },
    find: (paths, startMs, signal) => {
      reads.push(`find ${[...paths].sort().join()}`)
      return store.find(paths, startMs, signal)
    },
    inspect: (listed, startMs, signal) => {
      reads.push(`inspect ${listed.map(({ path }) => path).sort().join()}`)
      return store.inspect(listed, startMs, signal)
    },
  }))
}
