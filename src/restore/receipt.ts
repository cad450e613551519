// What earlier restores put into a destination: so the next one reads no bytes of what was not touched since. It lies outside of the destination, with the registry.
import { hash } from 'node:crypto'
import { createReadStream, createWriteStream, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { WriteStream } from 'node:fs'
import { once } from 'node:events'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { isFailure } from '../model/errors.ts'
import { sameFile } from '../model/fingerprint.ts'
import { comparePaths, directoryOf } from '../model/location.ts'
import type { Span } from '../storage/storage.ts'
import type { Begun } from './begun.ts'
import type { Way } from './local.ts'

/** A file that is in place: what it holds, and what tells that it was not touched. */
export interface Kept {
  readonly path: string
  /** `identityOf` the entry. */
  readonly holds: string
  readonly sizeBytes: number
  /** Of a symbolic link: of what it leads to. */
  readonly fingerprint: string
  readonly way: Lying
}

/** How a file lies there: a reflink is a copy to whoever looks at it. */
export type Lying = 'copy' | 'hardlink' | 'symlink'

export function lyingBy(way: Way): Lying {
  return way === 'reflink' ? 'copy' : way
}

/** True when what lies at a place is what an earlier restore put there, or a link that it made. */
export function isOurs(kept: Kept, fingerprint: string): boolean {
  return kept.fingerprint === fingerprint || (kept.way === 'hardlink' && sameFile(kept.fingerprint, fingerprint))
}

/** The whole of a destination as a restore left it. */
export interface Left {
  /** The run of the machine in which it was written. */
  readonly boot: string
  /** What was asked for: the set digest of the version, and the filters. */
  readonly order: string
  /** Nothing else lies there. */
  readonly exact: boolean
  readonly entries: number
  readonly sizeBytes: number
  /** The stamp of each folder in which nothing but entries lie, all of them unmoved since they were verified. */
  readonly stamps: ReadonlyMap<string, string>
  /** Folders without a stamp there are, too. */
  readonly whole: boolean
}

const LINES_AT_ONCE = 2_000
// Only what would be refused is compared with them, each of which is read through for it.
const BEGUN_MOST = 8

/**
 * Tells one run of the machine from the next: after a power cut a file may show the size and the times of bytes that never reached the disk, so a fingerprint tells of bytes only in the run that
 * saw them. To flush each file before it is written down would cost more than the restore.
 */
export function bootOf(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch (error) {
    if (['ENOENT', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return ''
    throw error
  }
}

/** What is remembered of one destination. */
export class Receipt {
  readonly #folder: string
  readonly #name: string

  /** `folder` is made when something is to be remembered; `destination` is a real path. */
  constructor(folder: string, destination: string) {
    this.#folder = folder
    this.#name = join(folder, hash('sha256', destination, 'hex'))
  }

  /** What an earlier restore left; undefined when none did, or it cannot be read. */
  async left(): Promise<Left | undefined> {
    const stamps = new Map<string, string>()
    let head: Omit<Left, 'stamps'> | undefined
    for await (const line of linesOf(`${this.#name}.folders`)) {
      if (head === undefined) head = line as Omit<Left, 'stamps'>
      else {
        const [folder, stamp] = line as [string, string]
        stamps.set(folder, stamp)
      }
    }
    return head === undefined ? undefined : { ...head, stamps }
  }

  /** The files that earlier restores put there, in path order. */
  async *entries(): AsyncGenerator<Kept> {
    for await (const line of linesOf(`${this.#name}.entries`)) {
      const [path, holds, sizeBytes, fingerprint, way = 'copy'] = line as [string, string, number, string, Lying?]
      yield { path, holds, sizeBytes, fingerprint, way }
    }
  }

  /** The versions that restores began to bring there, of which something may lie there still: the last one last. */
  begun(): readonly Begun[] {
    try {
      return readFileSync(`${this.#name}.begun`, 'utf8').split('\n').flatMap((line) => begunOf(line) ?? [])
    } catch (error) {
      if (['ENOENT', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return []
      throw error
    }
  }

  /** Begins to write down anew what `order` brings, where nothing lies yet if it is `fresh`; of the rest nothing is changed before `keep`. Undefined where nothing can be written. */
  begin(order: Begun, fresh: boolean): Draft | undefined {
    try {
      mkdirSync(this.#folder, { recursive: true })
      const line = lineOfBegun(order)
      const before = fresh ? [] : this.begun().map(lineOfBegun).filter((one) => one !== line)
      writeBegun(this.#name, [...before.slice(1 - BEGUN_MOST), line])
      // One restore works at a destination at a time: what others began was cut off.
      const begun = new RegExp(`^${basename(this.#name)}\\.(entries|folders|begun)\\.\\d+$`)
      for (const name of readdirSync(this.#folder)) if (begun.test(name)) rmSync(join(this.#folder, name), { force: true })
      return new Draft(this.#name, line)
    } catch (error) {
      if (['EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
      throw error
    }
  }
}

function lineOfBegun({ entity, project, collection, version }: Begun): string {
  return JSON.stringify([entity, project, collection, version])
}

/** Whole, or where the disk is full as it was: then a restore after one that is cut off asks for force. */
function writeBegun(name: string, lines: readonly string[]): void {
  const file = `${name}.begun`
  try {
    writeFileSync(`${file}.${process.pid}`, lines.join('\n'))
    renameSync(`${file}.${process.pid}`, file)
  } catch (error) {
    if (!['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    rmSync(`${file}.${process.pid}`, { force: true })
  }
}

function begunOf(line: string): Begun | undefined {
  const [, entity = '', project = '', collection = '', version = ''] = /^\["([^"\\]*)","([^"\\]*)","([^"\\]*)","(v\d+)"\]$/.exec(line) ?? []
  return version === '' ? undefined : { entity, project, collection, version }
}

/** Reads JSON lines; a torn end, or no file, is the end. */
async function* linesOf(file: string): AsyncGenerator<unknown> {
  const stream = createReadStream(file)
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
      let value: unknown
      try {
        value = JSON.parse(line)
      } catch {
        // A crash of the machine tore it: what it told is digested again.
        return
      }
      yield value
    }
  } catch (error) {
    if (!['ENOENT', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  } finally {
    stream.destroy()
  }
}

/** Entries and folders as they come to be in place. Entries are told in path order. */
export class Draft {
  readonly #name: string
  readonly #line: string
  readonly #lines: Lines
  /** By folder: what its files came to. */
  readonly #folders = new Map<string, string>()
  #open: { readonly folder: string; text: string }[] = []
  #entries = 0
  #sizeBytes = 0

  /** `line` is what stands for the version among those that were begun. */
  constructor(name: string, line = '') {
    this.#name = name
    this.#line = line
    this.#lines = new Lines(`${name}.entries.${process.pid}`)
  }

  async add(kept: Kept): Promise<void> {
    const { path, holds, sizeBytes, fingerprint, way } = kept
    this.#entries++
    this.#sizeBytes += sizeBytes
    const folder = directoryOf(path)
    for (let open = this.#open.at(-1); open !== undefined && !folder.startsWith(open.folder); open = this.#open.at(-1)) this.#close()
    if (this.#open.at(-1)?.folder !== folder) this.#open.push({ folder, text: '' })
    const open = this.#open.at(-1) as { text: string }
    open.text += lineOf(path, sizeBytes, fingerprint)
    await this.#lines.write(JSON.stringify(way === 'copy' ? [path, holds, sizeBytes, fingerprint] : [path, holds, sizeBytes, fingerprint, way]))
  }

  /** `spans` is a walk of the destination, after all is in place: its stamps are kept where it saw what was verified. `all`: nothing else lies there, so that other versions that were brought count no more. */
  async keep(order: string, spans: AsyncIterable<Span>, all: boolean, signal: AbortSignal): Promise<void> {
    while (this.#open.length > 0) this.#close()
    await this.#lines.end()
    const stamps: string[] = []
    let exact = true
    try {
      for await (const span of spans) {
        const folder = 'directory' in span.cover ? span.cover.directory : ''
        let text = ''
        for (const { path, sizeBytes, fingerprint = '' } of span.entries()) text += lineOf(path, sizeBytes, fingerprint)
        const same = span.skipped.length === 0 && span.settled && span.stamp !== undefined && (this.#folders.get(folder) ?? '') === digestOf(text)
        exact &&= same
        if (same) stamps.push(JSON.stringify([folder, span.stamp]))
        if (this.#folders.delete(folder) && !same) exact = false
      }
    } catch (error) {
      // A mount below the destination that does not answer. All entries are in place.
      if (!isFailure(error) || signal.aborted) throw error
      exact = false
    }
    const head: Omit<Left, 'stamps'> = { boot: bootOf(), order, exact, entries: this.#entries, sizeBytes: this.#sizeBytes, whole: exact && this.#folders.size === 0 }
    const folders = new Lines(`${this.#name}.folders.${process.pid}`)
    for (const line of [JSON.stringify(head), ...stamps]) await folders.write(line)
    await folders.end()
    if (this.#lines.failed || folders.failed) {
      for (const { file } of [this.#lines, folders]) rmSync(file, { force: true })
      return
    }
    // The entries go before: they are what is true of each file for itself.
    rmSync(`${this.#name}.folders`, { force: true })
    renameSync(this.#lines.file, `${this.#name}.entries`)
    renameSync(folders.file, `${this.#name}.folders`)
    if (all) writeBegun(this.#name, [this.#line])
  }

  async drop(): Promise<void> {
    await this.#lines.end()
    rmSync(this.#lines.file, { force: true })
  }

  #close(): void {
    const { folder, text } = this.#open.pop() as { folder: string; text: string }
    this.#folders.set(folder, digestOf(text))
  }
}

function lineOf(path: string, sizeBytes: number, fingerprint: string): string {
  return `${path}\0${sizeBytes}\0${fingerprint}\n`
}

function digestOf(text: string): string {
  return text === '' ? '' : hash('sha1', text, 'base64')
}

/** A file of lines that is written a batch at a time. What cannot be written is not: the next restore reads bytes instead. */
class Lines {
  readonly file: string
  failed = false
  readonly #stream: WriteStream
  #waiting: string[] = []

  constructor(file: string) {
    this.file = file
    // Opened at once: who may not write here is told so before anything is written down.
    this.#stream = createWriteStream(file, { fd: openSync(file, 'w') })
    this.#stream.on('error', () => (this.failed = true))
  }

  async write(line: string): Promise<void> {
    if (this.#waiting.push(line) >= LINES_AT_ONCE) await this.#flush()
  }

  async end(): Promise<void> {
    if (this.#stream.writableEnded || this.#stream.closed) return
    await this.#flush()
    const closed = once(this.#stream, 'close').catch(() => undefined)
    this.#stream.end()
    await closed
  }

  async #flush(): Promise<void> {
    const text = this.#waiting.map((line) => `${line}\n`).join('')
    this.#waiting = []
    if (text === '' || this.#stream.destroyed) return
    if (!this.#stream.write(text)) await once(this.#stream, 'drain').catch(() => undefined)
  }
}

/** What a stream of receipts says of paths that are asked for in path order. */
export class Remembered {
  readonly #entries: AsyncGenerator<Kept>
  #next: Kept | undefined
  #begun = false

  constructor(entries: AsyncGenerator<Kept>) {
    this.#entries = entries
  }

  async of(path: string): Promise<Kept | undefined> {
    if (!this.#begun) await this.#step()
    while (this.#next !== undefined && comparePaths(this.#next.path, path) < 0) await this.#step()
    return this.#next?.path === path ? this.#next : undefined
  }

  async close(): Promise<void> {
    await this.#entries.return(undefined)
  }

  async #step(): Promise<void> {
    this.#begun = true
    const { value, done } = await this.#entries.next()
    this.#next = done === true ? undefined : (value as Kept)
  }
}
