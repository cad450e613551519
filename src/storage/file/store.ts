import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import type { Listed } from '../../model/entry.ts'
import { baseName } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import type { Found, Root, Span, Store } from '../storage.ts'
import { racyFromNs } from './block.ts'
import { loneSpan, walkAll } from './list.ts'
import { Pool } from './pool.ts'
import { findAll, inspectAll } from './read.ts'
import { mountOf, rootOf } from './root.ts'

// The coarsest clock of a file system in use (FAT) ticks every 2 s: two changes within one tick may leave the same times.
const GUARD_MS = 2_000

// Walking and hashing use a core each; more than a few would fight over directory locks and memory, and the rest of the machine has work too.
const WORKERS_MOST = 4

/** What a watch says about its files. */
export interface FileOptions {
  /** A file under the location whose text is part of the root's identity. */
  readonly rootMarker?: string
  /** How far the clock of a file server may be off: added to the racy window on network mounts. */
  readonly clockSlackMs: number
}

/** Opens a folder, or one file. Whether it is there shows with `root()`. */
export function openFileStore(location: Location, options: FileOptions): Promise<Store> {
  return Promise.resolve(new FileStore(location, options))
}

class FileStore implements Store {
  readonly #location: Location
  readonly #options: FileOptions
  readonly #pool = new Pool(Math.min(WORKERS_MOST, availableParallelism()))
  #network: boolean | undefined

  constructor(location: Location, options: FileOptions) {
    this.#location = location
    this.#options = options
    // The first look of any kind needs one; it starts while the root is checked.
    this.#pool.warm(1)
  }

  root(): Promise<Root> {
    return rootOf(this.#location, this.#options.rootMarker)
  }

  async *scan(startMs: number, signal: AbortSignal): AsyncGenerator<Span> {
    const { object, prefix } = this.#location
    const racyFrom = await this.#racyFrom(startMs)
    signal.throwIfAborted()
    const lone = object === undefined ? undefined : await loneSpan(object, racyFrom)
    if (lone === undefined) yield* walkAll(this.#pool, prefix, racyFrom, signal)
    else yield lone
  }

  async *find(paths: readonly string[], startMs: number, signal: AbortSignal): AsyncGenerator<Found> {
    const { object } = this.#location
    const racyFrom = await this.#racyFrom(startMs)
    const lone = object !== undefined && (await this.#isLone(object))
    // Beside a lone object nothing is ours, whatever lies there.
    const ours = lone ? paths.filter((path) => path === baseName(object)) : paths
    if (lone) for (const path of paths) if (path !== baseName(object)) yield { kind: 'absent', path }
    for await (const batch of findAll(this.#pool, this.#base(lone), ours, racyFrom, signal)) for (const found of batch) yield found
  }

  async *inspect(listed: readonly Listed[], startMs: number, signal: AbortSignal): AsyncGenerator<Found> {
    const { object } = this.#location
    const lone = object !== undefined && listed.length === 1 && listed[0]?.path === baseName(object) && (await this.#isLone(object))
    const racyFrom = await this.#racyFrom(startMs)
    // Loops, not `yield*`, which takes several turns of the microtask queue for each object.
    for await (const batch of inspectAll(this.#pool, this.#base(lone), listed, racyFrom, signal)) for (const found of batch) yield found
  }

  close(): Promise<void> {
    return this.#pool.close()
  }

  #base(lone: boolean): string {
    const { object, prefix } = this.#location
    return lone && object !== undefined ? object.slice(0, -baseName(object).length) : prefix
  }

  /** True when the location is no folder: also when it is not there, for then there is nothing but its name. */
  #isLone(object: string): Promise<boolean> {
    return stat(object).then((seen) => !seen.isDirectory(), () => true)
  }

  async #racyFrom(startMs: number): Promise<bigint> {
    this.#network ??= (await mountOf(this.#location)).network
    return racyFromNs(startMs, GUARD_MS + (this.#network ? this.#options.clockSlackMs : 0))
  }
}
