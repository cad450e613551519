import { availableParallelism } from 'node:os'
import type { Listed } from '../../model/entry.ts'
import { isFailure } from '../../model/errors.ts'
import { baseName } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import type { Found, Root, Span, Store } from '../storage.ts'
import { racyFromNs } from './block.ts'
import type { Hands, Stated } from './hands.ts'
import { loneSpan, walkAll } from './list.ts'
import { heldBy, isNetwork } from './mounts.ts'
import { handsIn, PATIENCE } from './outpost.ts'
import type { Patience } from './outpost.ts'
import { Pool, prepare } from './pool.ts'
import { findAll, inspectAll } from './read.ts'

// The coarsest clock of a file system in use (FAT) ticks every 2 s: two changes within one tick may leave the same times.
export const GUARD_MS = 2_000

// Walking and hashing use a core each; more than a few would fight over directory locks and memory, and the rest of the machine has work too.
const WORKERS_MOST = 4

/** What a watch says about its files. */
export interface FileOptions {
  /** A file under the location whose text is part of the root's identity. */
  readonly rootMarker?: string
  /** How far the clock of a file server may be off: added to the racy window on network mounts. */
  readonly clockSlackMs: number
  /** With mounts that may hang; PATIENCE unless said. */
  readonly patience?: Patience
}

const workers = (): number => Math.min(WORKERS_MOST, availableParallelism())

/** Starts the threads that a scan of a location will need. */
export function warm(location: Location): void {
  if (heldBy(location.object ?? location.prefix).far === undefined) prepare(workers())
}

/** Opens a folder, or one file. Whether it is there shows with `root()`; nothing here asks a file system that could hang. */
export async function openFileStore(location: Location, options: FileOptions): Promise<Store> {
  const { mount, far } = heldBy(location.object ?? location.prefix)
  const patience = options.patience ?? PATIENCE
  const hands = far === undefined ? new Pool(workers(), patience) : handsIn(far, patience)
  // The first look of any kind needs one; it starts while the root is checked.
  hands.warm(1)
  return new FileStore(location, options, hands, GUARD_MS + (isNetwork(far ?? mount) ? options.clockSlackMs : 0))
}

class FileStore implements Store {
  readonly #location: Location
  readonly #marker: string | undefined
  readonly #hands: Hands
  readonly #guardMs: number

  constructor(location: Location, { rootMarker }: FileOptions, hands: Hands, guardMs: number) {
    this.#location = location
    this.#marker = rootMarker
    this.#hands = hands
    this.#guardMs = guardMs
  }

  root(signal: AbortSignal): Promise<Root> {
    const marker = this.#marker
    return unlessAborted(this.#hands.root({ kind: 'root', location: this.#location, ...(marker === undefined ? {} : { marker }) }), signal)
  }

  async *scan(startMs: number, signal: AbortSignal): AsyncGenerator<Span> {
    const { object, prefix } = this.#location
    const racyFrom = racyFromNs(startMs, this.#guardMs)
    signal.throwIfAborted()
    const lone = object === undefined ? undefined : loneSpan(object, await this.#stat(object, signal), racyFrom)
    if (lone === undefined) yield* walkAll(this.#hands, prefix, racyFrom, signal)
    else yield lone
  }

  async *find(paths: readonly string[], startMs: number, signal: AbortSignal): AsyncGenerator<Found> {
    const { object } = this.#location
    const lone = object !== undefined && (await this.#isLone(object, signal))
    // Beside a lone object nothing is ours, whatever lies there.
    const ours = lone ? paths.filter((path) => path === baseName(object)) : paths
    if (lone) for (const path of paths) if (path !== baseName(object)) yield { kind: 'absent', path }
    for await (const batch of findAll(this.#hands, this.#base(lone), ours, racyFromNs(startMs, this.#guardMs), signal)) for (const found of batch) yield found
  }

  async *inspect(listed: readonly Listed[], startMs: number, signal: AbortSignal): AsyncGenerator<Found> {
    const { object } = this.#location
    const lone = object !== undefined && listed.length === 1 && listed[0]?.path === baseName(object) && (await this.#isLone(object, signal))
    // Loops, not `yield*`, which takes several turns of the microtask queue for each object.
    for await (const batch of inspectAll(this.#hands, this.#base(lone), listed, racyFromNs(startMs, this.#guardMs), signal)) for (const found of batch) yield found
  }

  close(): Promise<void> {
    return this.#hands.close()
  }

  #base(lone: boolean): string {
    const { object, prefix } = this.#location
    return lone && object !== undefined ? object.slice(0, -baseName(object).length) : prefix
  }

  /** True when the location is no folder: also when it is not there, for then there is nothing but its name. */
  async #isLone(object: string, signal: AbortSignal): Promise<boolean> {
    try {
      return (await this.#stat(object, signal)).kind !== 'directory'
    } catch (error) {
      if (isFailure(error, 'LOCATION_MISSING')) return true
      throw error
    }
  }

  #stat(path: string, signal: AbortSignal): Promise<Stated> {
    return unlessAborted(this.#hands.stat({ kind: 'stat', path }), signal)
  }
}

/** What `work` comes to, but no later than `signal` aborts. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
