// What is asked of those that look at files, and how their answers are laid out: the same for synchronous threads and for the asynchronous process.
import { isUtf8 } from 'node:buffer'
import { hash } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import type { SkipReason } from '../../model/entry.ts'
import { DIGEST_BYTES, FIELDS, kindNumber, kindOfStat, OUTCOMES } from './block.ts'
import type { Outcome } from './block.ts'

// A batch ends at so many children or directories: some 10 ms of work, so that messages are rare and both workers have something to do.
export const CHILDREN_MOST = 2_000
// Where few folders are known yet all wait for what the first batches find.
export const CHILDREN_FIRST = 250
export const DIRECTORIES_MOST = 256
// 2,000 children of 32 bytes and names of a usual length; it grows when needed.
const BLOCK_BYTES = 256 * 1024
// Characters of base64 that are kept of a SHA-1: 132 bits.
const STAMP_LENGTH = 22

/** Some directories to be walked. */
export interface WalkTask {
  readonly kind: 'walk'
  /** What every directory is relative to: ends in `/`. */
  readonly prefix: string
  readonly directories: readonly string[]
  readonly racyFrom: bigint
  /** Ends with the directory that makes so many children. */
  readonly childrenMost: number
}

/** The directories that were walked, and those that were found or left. */
export interface Walked {
  readonly directories: readonly string[]
  /** Empty where none can be given. */
  readonly stamps: readonly string[]
  readonly places: Int32Array
  readonly block: ArrayBuffer
  readonly left: readonly string[]
}

/** Some files to be read. */
export interface ReadTask {
  readonly kind: 'read'
  /** What every path is relative to: ends in `/`. */
  readonly prefix: string
  /** Joined by NUL, which costs a fraction of an array on the way between threads. */
  readonly paths: string
  /** What a walk saw: a file that still looks so need not be looked at first. Absent: not even the folders of the paths are known. */
  readonly seen?: { readonly sizes: Float64Array; readonly fingerprints: string }
}

/** What became of each path. */
export interface Read {
  /** Of each an index of OUTCOMES. */
  readonly outcomes: Uint8Array
  /** Of what was `read`: size, mtime, ctime, inode. */
  readonly numbers: BigInt64Array
  /** Of what was `read` or `as-seen`. */
  readonly digests: Uint8Array
}

/** What stands at some absolute paths is to be told: nothing is opened. */
export interface StandTask {
  readonly kind: 'stand'
  /** Joined by NUL. */
  readonly paths: string
}

/** A piece of a file is to be read. */
export interface PieceTask {
  readonly kind: 'piece'
  readonly path: string
  readonly from: number
  readonly length: number
}

/** A piece, and the file's size and fingerprint when it was read. Shorter than asked: the file ended. */
export interface Piece {
  readonly bytes: Uint8Array
  readonly size: number
  readonly fingerprint: string
}

/** `lost+found`, silly-renamed NFS files and the snapshot folders of filers hold no data of the user's. */
export function isLeftOut(name: string): boolean {
  return name === 'lost+found' || name === '.snapshot' || name === '.zfs' || name.startsWith('.nfs')
}

/** The folders on the way to `path`, outermost first; undefined when a walk never comes by. */
export function wayTo(path: string): readonly string[] | undefined {
  const names = path.split('/')
  if (names.some((name, depth) => name === '' || name === '.' || name === '..' || (depth < names.length - 1 && isLeftOut(name)))) return undefined
  return names.slice(1).map((_, depth) => names.slice(0, depth + 1).join('/'))
}

/** A name that is not UTF-8 for people: each byte that does not belong as `%XX`. */
export function percented(name: Buffer): string {
  let text = ''
  for (let at = 0; at < name.length; ) {
    const lead = name[at] as number
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
    const piece = name.subarray(at, at + length)
    if (piece.length === length && isUtf8(piece)) {
      text += piece.toString('utf8')
      at += length
    } else {
      text += `%${lead.toString(16).toUpperCase().padStart(2, '0')}`
      at++
    }
  }
  return text
}

/** Where the answers of a reading lie. */
export class Answers implements Read {
  readonly outcomes: Uint8Array
  readonly numbers: BigInt64Array
  readonly digests: Uint8Array

  constructor(files: number) {
    this.outcomes = new Uint8Array(files)
    this.numbers = new BigInt64Array(files * FIELDS)
    this.digests = new Uint8Array(files * DIGEST_BYTES)
  }

  settle(index: number, outcome: Outcome): void {
    this.outcomes[index] = OUTCOMES.indexOf(outcome)
  }

  digest(index: number, digest: Uint8Array, outcome: 'as-seen' | 'read'): void {
    this.digests.set(digest, index * DIGEST_BYTES)
    this.settle(index, outcome)
  }

  stat(index: number, { size, mtimeNs, ctimeNs, ino }: BigIntStats): void {
    this.numbers.set([size, mtimeNs, ctimeNs, ino], index * FIELDS)
  }

  stand(index: number, seen: Looked): void {
    if (typeof seen === 'string') return this.settle(index, seen)
    this.stat(index, seen)
    this.settle(index, 'read')
  }

  /** What tells of more than the path is left to whoever asks for it alone. */
  unknown(index: number, error: unknown): void {
    if (isDenied(error)) this.settle(index, 'unreadable')
    else this.settle(index, (error as NodeJS.ErrnoException).code === 'ELOOP' ? 'loop' : 'torn')
  }
}

/** What a look at one path finds: the stat of a regular file, or what else is there. */
export type Looked = BigIntStats | SkipReason | 'directory' | 'absent'

/** What a symbolic link leads to. */
export function targetOf(target: BigIntStats): Looked {
  const kind = kindOfStat(target)
  return kind === 'directory' ? 'symlink-directory' : (kind ?? target)
}

/** What it says of a path that it has no stat. Throws `error` again when it tells of more than the path, EACCES of the folder too. */
export function unseen(error: unknown): Looked {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'absent'
  if (code === 'ENAMETOOLONG') return 'too-long'
  throw error
}

/** What it says of a symbolic link that it leads to no stat. Throws `error` again when it tells of more than the link. */
export function lost(error: unknown): Looked {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ELOOP') return 'loop'
  if (isDenied(error)) return 'unreadable'
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return 'dangling-symlink'
  throw error
}

/** True when the system forbids it. */
export function isDenied(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'EACCES' || code === 'EPERM'
}

/** What it says of one path that it cannot be looked at. Throws `error` again when it tells of more than the path. */
export function verdict(error: unknown): Outcome {
  if (isDenied(error)) return 'unreadable'
  if ((error as NodeJS.ErrnoException).code === 'ELOOP') return 'loop'
  return unseen(error) as Outcome
}

/** What it says of a whole directory that it cannot be looked into. Throws `error` again when it tells of more. */
export function bar(directory: string, error: unknown, packer: Packer): void {
  // Of the root there must be a span: its absence is for the caller to name.
  if (directory === '') throw error
  // What is gone is so since its parent was read, which therefore has another stamp by now.
  if (isDenied(error)) packer.barred(directory, 'unreadable-directory')
  else if (unseen(error) === 'too-long') packer.barred(directory, 'too-long')
}

// What one packer wrote into serves the next: only what is in it crosses to another thread, where a quarter of a megabyte a time would lie until that one's heap is swept.
let spare: BigInt64Array<ArrayBuffer> | undefined

/** Writes directories one after the other into a block. */
export class Packer {
  readonly directories: string[] = []
  childrenTotal = 0
  readonly #racyFrom: bigint
  readonly #stamps: string[] = []
  readonly #places: number[] = []
  #numbers = spare ?? new BigInt64Array(BLOCK_BYTES / 8)
  #bytes = Buffer.from(this.#numbers.buffer)
  // Where the directory at hand begins, and where its next child goes: in numbers, not bytes.
  #start = 0
  #at = 0
  #names: string[] = []
  #entries = 0
  #folders = 0
  #racy = 0

  constructor(racyFrom: bigint) {
    this.#racyFrom = racyFrom
    spare = undefined
  }

  begin(directory: string): void {
    this.directories.push(directory)
    this.#start = this.#at
    this.#names = []
    this.#entries = 0
    this.#folders = 0
    this.#racy = 0
  }

  /** To be called before that many children are told of. */
  makeRoom(children: number): void {
    this.#reserve(children * FIELDS)
  }

  file(name: string, stat: BigIntStats): void {
    if (stat.mtimeNs >= this.#racyFrom || stat.ctimeNs >= this.#racyFrom) this.#racy++
    this.#entries++
    this.#add(name, stat.size, stat.mtimeNs, stat.ctimeNs, stat.ino)
  }

  /** Of what is no file only name and kind count: the times of a sub-directory are its own span's business. */
  skip(name: string, kind: SkipReason | 'directory'): void {
    if (kind === 'directory') this.#folders++
    this.#add(name, BigInt(kindNumber(kind)), 0n, 0n, 0n)
  }

  /** What a look found that is no file. */
  other(name: string, seen: SkipReason | 'directory' | 'absent'): void {
    if (seen !== 'absent') this.skip(name, seen)
  }

  end(stamped = true): void {
    const names = this.#names.join('\0')
    const from = this.#at * 8
    this.#reserve(Math.ceil(Buffer.byteLength(names) / 8))
    const nameBytes = this.#bytes.write(names, from, 'utf8')
    const children = this.#names.length
    this.#places.push(this.#start * 8, children, nameBytes, this.#entries, children - this.#entries - this.#folders, this.#racy)
    this.#stamps.push(stamped ? hash('sha1', this.#bytes.subarray(this.#start * 8, from + nameBytes), 'base64').slice(0, STAMP_LENGTH) : '')
    this.#at += Math.ceil(nameBytes / 8)
    this.childrenTotal += children
  }

  /** Forgets the directory at hand. */
  drop(): void {
    this.directories.pop()
    this.#at = this.#start
  }

  /** A directory that cannot be looked into: nothing but itself, and never the same as before. */
  barred(directory: string, reason: SkipReason): void {
    this.begin(directory)
    this.makeRoom(1)
    this.skip('', reason)
    this.end(false)
  }

  /** To be called once, at the end. */
  finish(left: readonly string[]): Walked {
    const { directories } = this
    const block = this.#numbers.buffer.slice(0, this.#at * 8)
    if (this.#numbers.byteLength === BLOCK_BYTES) spare = this.#numbers
    return { directories, stamps: this.#stamps, places: Int32Array.from(this.#places), block, left }
  }

  #add(name: string, size: bigint, mtimeNs: bigint, ctimeNs: bigint, ino: bigint): void {
    const numbers = this.#numbers
    const at = this.#at
    numbers[at] = size
    numbers[at + 1] = mtimeNs
    numbers[at + 2] = ctimeNs
    numbers[at + 3] = ino
    this.#at = at + FIELDS
    this.#names.push(name)
  }

  #reserve(more: number): void {
    if (this.#at + more <= this.#numbers.length) return
    const grown = new BigInt64Array(Math.max(this.#numbers.length + BLOCK_BYTES / 8, this.#at + more))
    grown.set(this.#numbers)
    this.#numbers = grown
    this.#bytes = Buffer.from(grown.buffer)
  }
}
