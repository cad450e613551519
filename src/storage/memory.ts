import { hash } from 'node:crypto'
import type { Content, Listed, Skip, SkipReason } from '../model/entry.ts'
import { VarveError } from '../model/errors.ts'
import { comparePaths } from '../model/location.ts'
import { memoryReader } from './memory-reader.ts'
import type { Kept } from './memory-reader.ts'
import type { ChangeSource, Found, Hint, Reader, Root, Span, Store } from './storage.ts'

/** What lies at a path: an object, or something that is no entry. */
type Lying = { readonly kind: 'object'; readonly listed: Listed; readonly content: Content } | { readonly kind: 'skip'; readonly reason: SkipReason }

/** How a memory shows itself. */
export interface MemoryOptions {
  /** Objects per span of a scan. */
  readonly pageSize: number
  /** True: listings carry the content, as S3's do. False: only `inspect` tells, as with files. */
  readonly contentListed: boolean
  /** True: every put gets a pin. */
  readonly versioned: boolean
}

/**
 * A place whose objects lie in memory and may be changed at any moment, also between two pages of a scan. It outlives the stores
 * that are opened on it. It does nothing by itself: the same acts in the same order give the same answers.
 */
export class Memory {
  /** What holds the objects; undefined: the root is gone. */
  root: Root | undefined = { identity: 'memory', words: 'memory', mount: 'memory', network: false }
  /** Called before page 0, 1, … of every scan. It may change objects, or throw what is to be thrown; `cut` ends it there, without an end. */
  beforePage: (page: number) => Promise<'cut' | undefined> | 'cut' | undefined = () => undefined
  /** Called while an object is read by `find` or `inspect`, after its first stat: what it changes there is torn. */
  whileRead: (path: string) => Promise<void> | void = () => undefined
  /** What a reader hands on of an object's bytes: a test may flip, cut or add some. */
  served: (path: string, bytes: Uint8Array) => Uint8Array = (_path, bytes) => bytes
  readonly #options: MemoryOptions
  readonly #lying = new Map<string, Lying>()
  /** What readers see: the object versions of each path, newest first; a delete marker is without bytes. */
  readonly #kept = new Map<string, Kept[]>()
  #paths: readonly string[] | undefined
  #puts = 0

  constructor(options: Partial<MemoryOptions> = {}) {
    this.#options = { pageSize: 1_000, contentListed: true, versioned: false, ...options }
  }

  /** Writes an object; also with the bytes that it has already. */
  put(path: string, bytes: string | Uint8Array): void {
    const stamp = `${++this.#puts}`
    const digest = this.#options.contentListed ? `etag:${hash('md5', bytes, 'hex')}` : `md5:${hash('md5', bytes, 'base64')}`
    const pin = this.#options.versioned ? { pin: `versionId:${stamp}` } : {}
    const etag = this.#options.contentListed ? { etag: digest.slice('etag:'.length) } : {}
    const sizeBytes = Buffer.byteLength(bytes)
    const content = { digest, ...etag, ...pin }
    this.#lay(path, { kind: 'object', listed: { path, sizeBytes, fingerprint: stamp }, content })
    this.#keep(path, { bytes: Buffer.from(bytes), content, fingerprint: stamp })
  }

  /** The object version is there no more: it expired. The newest stays. */
  expire(path: string, pin: string): void {
    this.#kept.set(path, (this.#kept.get(path) ?? []).filter(({ content }, at) => at === 0 || content?.pin !== pin))
  }

  /** All versions of an object go to a storage class from which they must be thawed; without one they come back. */
  archive(path: string, storageClass?: string): void {
    this.#kept.set(path, (this.#kept.get(path) ?? []).map(({ archived: _, ...kept }) => ({ ...kept, ...(storageClass !== undefined && { archived: storageClass }) })))
  }

  /** Puts something there that is no entry. */
  skip(path: string, reason: SkipReason): void {
    this.#kept.delete(path)
    this.#lay(path, { kind: 'skip', reason })
  }

  /** True when something was there. */
  remove(path: string): boolean {
    this.#paths = undefined
    this.#keep(path, undefined)
    return this.#lying.delete(path)
  }

  /** All paths, in path order. */
  paths(): readonly string[] {
    return (this.#paths ??= [...this.#lying.keys()].sort(comparePaths))
  }

  /** What lies at `path`, whole, as `find` would tell it at this moment. */
  at(path: string): Found {
    const lying = this.#lying.get(path)
    if (lying?.kind === 'object') return { kind: 'entry', listed: { ...lying.listed, content: lying.content } }
    if (lying !== undefined) return { kind: 'skipped', skip: { path, reason: lying.reason } }
    const first = this.paths()[this.#after(`${path}/`)]
    return { kind: first?.startsWith(`${path}/`) === true && !this.#options.contentListed ? 'directory' : 'absent', path }
  }

  /** Opens a store on it. */
  open(): Store {
    return {
      root: async (signal) => this.#root(signal),
      scan: (_startMs, signal) => this.#scan(signal),
      find: (paths, _startMs, signal) => this.#read(paths, signal),
      inspect: (listed, _startMs, signal) => this.#read(listed.map(({ path }) => path), signal),
      close: async () => undefined,
    }
  }

  /** Opens the bytes of what lies on it; full keys begin with `prefix`. */
  reader(prefix = ''): Reader {
    return memoryReader({
      kept: (key) => (key.startsWith(prefix) ? (this.#kept.get(key.slice(prefix.length)) ?? []) : []),
      root: (signal) => void this.#root(signal),
      served: (key, bytes) => this.served(key.slice(prefix.length), bytes),
    })
  }

  #keep(path: string, kept: Kept | undefined): void {
    const older = this.#options.versioned ? (this.#kept.get(path) ?? []) : []
    const all = kept === undefined && older.length === 0 ? [] : [kept ?? {}, ...older]
    if (all.length === 0) this.#kept.delete(path)
    else this.#kept.set(path, all)
  }

  #lay(path: string, lying: Lying): void {
    if (!this.#lying.has(path)) this.#paths = undefined
    this.#lying.set(path, lying)
  }

  #root(signal: AbortSignal): Root {
    signal.throwIfAborted()
    if (this.root === undefined) throw new VarveError('LOCATION_MISSING', 'the memory is gone')
    return this.root
  }

  async *#scan(signal: AbortSignal): AsyncGenerator<Span> {
    let after = ''
    for (let page = 0; ; page++) {
      const cut = (await this.beforePage(page)) === 'cut'
      this.#root(signal)
      if (cut) return
      const from = page === 0 ? 0 : this.#after(after)
      const paths = this.paths().slice(from, from + this.#options.pageSize)
      const last = from + paths.length === this.paths().length
      const upTo = last ? undefined : paths.at(-1)
      yield this.#span(after, upTo, paths, page)
      if (upTo === undefined) return
      after = upTo
    }
  }

  #span(after: string, upTo: string | undefined, paths: readonly string[], page: number): Span {
    const entries: Listed[] = []
    const skipped: Skip[] = []
    for (const path of paths) {
      const lying = this.#lying.get(path) as Lying
      if (lying.kind === 'skip') skipped.push({ path, reason: lying.reason })
      else entries.push(this.#options.contentListed ? { ...lying.listed, content: lying.content } : lying.listed)
    }
    const cover = upTo === undefined ? { after } : { after, upTo }
    const span = { cover, seen: paths.length, entries: () => entries, skipped, settled: true }
    return upTo === undefined ? { ...span, end: { requests: page + 1, notes: [], lone: [] } } : span
  }

  async *#read(paths: readonly string[], signal: AbortSignal): AsyncGenerator<Found> {
    for (const path of paths) {
      this.#root(signal)
      const before = this.at(path)
      await this.whileRead(path)
      const torn = before.kind === 'entry' && fingerprintOf(this.at(path)) !== before.listed.fingerprint
      yield torn ? { kind: 'torn', path } : before
    }
  }

  /** The position of the first path behind `path`. */
  #after(path: string): number {
    const paths = this.paths()
    let low = 0
    let high = paths.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (comparePaths(paths[middle] as string, path) <= 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

function fingerprintOf(found: Found): string | undefined {
  return found.kind === 'entry' ? found.listed.fingerprint : undefined
}

/** A change source that hears what it is told. */
export class MemorySource implements ChangeSource {
  readonly name: string
  readonly #served: readonly Hint[]
  #emit: ((hints: readonly Hint[]) => Promise<void>) | undefined

  /** `served`: the whole hints that it emits each time that it begins to hear. */
  constructor(name: string, served: readonly Hint[]) {
    this.name = name
    this.#served = served
  }

  async listen(emit: (hints: readonly Hint[]) => Promise<void>, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    await emit(this.#served)
    this.#emit = emit
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    this.#emit = undefined
  }

  /** Delivers hints: true once they are durably requested, false when nobody listens. Rejects when they could not be requested. */
  async deliver(hints: readonly Hint[]): Promise<boolean> {
    if (this.#emit === undefined) return false
    await this.#emit(hints)
    return true
  }
}
