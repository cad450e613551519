// What restores are told with: the real registry and the real room over a memory, and a destination on the disk.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { putOnce } from '../../src/daemon/daemon.ts'
import { isFailure } from '../../src/model/errors.ts'
import type { Loss } from '../../src/model/errors.ts'
import { comparePaths, parseLocation } from '../../src/model/location.ts'
import type { Location } from '../../src/model/location.ts'
import type { VersionView } from '../../src/model/version.ts'
import type { CollectionName, Watch } from '../../src/model/watch.ts'
import { openRegistryIn } from '../../src/registry/open.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { get, verify } from '../../src/restore/restore.ts'
import type { GetWish, Parts, Report, Step, Verified } from '../../src/restore/restore.ts'
import { openFileStore } from '../../src/storage/file/store.ts'
import { Memory } from '../../src/storage/memory.ts'
import type { MemoryOptions } from '../../src/storage/memory.ts'
import { openReader, openStore } from '../../src/storage/open.ts'
import { MNIST, watchOf } from '../suite/registry-world.ts'
import { lookPartsOf, realClock } from '../laws/world.ts'

export const signal = new AbortController().signal

/** What a restore came to. */
export interface Came {
  readonly report?: Report
  readonly steps: readonly Step[]
  readonly code?: string
  readonly message: string
  readonly losses: readonly Loss[]
}

/** A bucket in memory at `s3://bucket/p/`, beside files of this machine. */
export class RestoreWorld {
  readonly folder = mkdtempSync(join(tmpdir(), 'varve-restore-'))
  readonly memory: Memory
  readonly waits: number[] = []
  registry!: Registry
  parts!: Parts
  #places = 0

  constructor(options: Partial<MemoryOptions> = {}) {
    this.memory = new Memory({ versioned: true, ...options })
  }

  async open(): Promise<this> {
    this.registry = await openRegistryIn(new DatabaseSync(':memory:'))
    this.parts = {
      registry: this.registry,
      clock: { ...realClock(), sleep: async (ms) => void this.waits.push(ms) },
      openReader: async (location) => (location.scheme === 'file' ? openReader(location, { s3: {}, gcs: {}, http: {} }) : this.memory.reader('p/')),
      farOf: async () => undefined,
      realFar: async (path) => path,
      async *walk(root, startMs, stop) {
        const store = await openFileStore({ scheme: 'file', bucket: '', prefix: root.replace(/\/*$/, '/') }, { clockSlackMs: 0 })
        try {
          yield* store.scan(startMs, stop)
        } finally {
          await store.close()
        }
      },
      memory: join(this.folder, 'restored'),
      data: join(this.folder, 'restored'),
      progress: () => undefined,
    }
    return this
  }

  /** Looks at what lies in the memory now, and records it. */
  record(collection: CollectionName = MNIST): Promise<VersionView> {
    return this.#put(parseLocation('s3://bucket/p/', '/'), collection, async () => this.memory.open())
  }

  /** The same of a folder of this machine. */
  recordFolder(folder: string, collection: CollectionName = MNIST, aheadMs = 0): Promise<VersionView> {
    return this.#put(parseLocation(`${folder}/`, '/'), collection, openStore, aheadMs)
  }

  /** A destination that is not there yet. */
  place(): string {
    return join(this.folder, `to-${++this.#places}`)
  }

  async get(version: string, destination: string, over: Partial<GetWish> = {}, parts: Partial<Parts> = {}): Promise<Came> {
    const wish: GetWish = { collection: MNIST, version, destination, as: 'copy', deep: false, force: false, delete: false, partial: false, dryRun: false, ...over }
    const steps: Step[] = []
    try {
      const report = await get({ ...this.parts, ...parts }, wish, async (some) => void steps.push(...some), signal)
      return { report, steps, message: '', losses: [] }
    } catch (error) {
      if (!isFailure(error)) throw error
      return { steps, message: error.message, losses: error.losses, code: error.code }
    }
  }

  async verify(version: string, deep = false): Promise<Verified & { readonly steps: readonly Step[] }> {
    const steps: Step[] = []
    return { ...(await verify(this.parts, { collection: MNIST, version, deep }, async (some) => void steps.push(...some), signal)), steps }
  }

  async close(): Promise<void> {
    await this.registry.close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  async #put(location: Location, collection: CollectionName, open: (watch: Watch, memo: string | undefined) => ReturnType<typeof openStore>, aheadMs = 0): Promise<VersionView> {
    const watch = watchOf({ locations: [location], settleMs: 0, guard: { removedShareMax: 1 } })
    const parts = lookPartsOf(this.registry, realClock(aheadMs), open)
    return (await putOnce(parts, { location, collection, type: 'dataset', aliases: [] }, watch, signal)).version
  }
}

/** What lies below a folder, path to text; undefined where there is no folder. */
export function treeOf(folder: string): Record<string, string> | undefined {
  const tree: Record<string, string> = {}
  try {
    for (const one of readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory())) {
      const path = join(one.parentPath, one.name)
      tree[path.slice(folder.length + 1)] = readFileSync(path, 'latin1')
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  return Object.fromEntries(Object.entries(tree).sort(([a], [b]) => comparePaths(a, b)))
}

export function lostOf({ losses }: Pick<Came, 'losses'>): Record<string, string> {
  return Object.fromEntries(losses.map(({ path, reason }) => [path, reason]))
}

export function folderIn(world: RestoreWorld, name: string): string {
  const folder = join(world.folder, name)
  mkdirSync(folder, { recursive: true })
  return folder
}
