// Runs in a worker: synchronous calls here are the fastest that Node has, and hold up nobody.
import { isUtf8 } from 'node:buffer'
import { hash } from 'node:crypto'
import { lstatSync, readdirSync, statSync } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import type { SkipReason } from '../../model/entry.ts'
import { FIELDS, kindNumber, kindOfStat } from './block.ts'

// A batch ends at so many children or directories: some 10 ms of work, so that messages are rare and both workers have something to do.
const CHILDREN_MOST = 2_000
const DIRECTORIES_MOST = 256
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

/** Walks directories, and what it finds below them, until the batch is full. Throws what the system threw when not even the skip list can hold it. */
export function walk(task: WalkTask): Walked {
  const packer = new Packer(task.racyFrom)
  const left = [...task.directories]
  while (packer.directories.length < DIRECTORIES_MOST && packer.childrenTotal < CHILDREN_MOST) {
    const directory = left.pop()
    if (directory === undefined) break
    visit(task.prefix, directory, packer, left)
  }
  return packer.finish(left)
}

function visit(prefix: string, directory: string, packer: Packer, left: string[]): void {
  const base = prefix + directory
  const found = left.length
  try {
    packer.begin(directory)
    const names = namesIn(base)
    packer.makeRoom(names.length)
    for (const name of names) {
      if (typeof name !== 'string') packer.skip(percented(name), 'not-utf8')
      else if (isLeftOut(name)) packer.skip(name, 'left-out')
      else if (meet(base + name, name, packer) === 'directory') left.push(`${directory}${name}/`)
    }
    packer.end()
  } catch (error) {
    left.length = found
    packer.drop()
    // Of the root there must be a span: its absence is for the caller to name.
    if (directory === '') throw error
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EACCES' || code === 'EPERM') packer.barred(directory, 'unreadable-directory')
    else if (code === 'ENAMETOOLONG') packer.barred(directory, 'too-long')
    // Gone since its parent was read, which therefore has another stamp by now.
    else if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error
  }
}

const list = (path: string): readonly string[] => readdirSync(path)

/** The names in a directory; those that are not UTF-8 as bytes. */
function namesIn(directory: string): readonly (string | Buffer)[] {
  const names = freshly(list, directory)
  if (!names.some((name) => name.includes('\ufffd'))) return names
  return readdirSync(directory, { encoding: 'buffer' }).map((name) => (isUtf8(name) ? name.toString('utf8') : name))
}

/** `lost+found`, silly-renamed NFS files and the snapshot folders of filers hold no data of the user's. */
export function isLeftOut(name: string): boolean {
  return name === 'lost+found' || name === '.snapshot' || name === '.zfs' || name.startsWith('.nfs')
}

function meet(path: string, name: string, packer: Packer): ReturnType<typeof look> {
  const seen = look(path)
  if (typeof seen !== 'string') packer.file(name, seen)
  else if (seen !== 'absent') packer.skip(name, seen)
  return seen
}

/**
 * What lies at `path`: the stat of a regular file, or of the one that a symbolic link leads to; else what it is. Opens nothing. Throws EACCES when
 * the folder may not be searched.
 */
export function look(path: string): BigIntStats | SkipReason | 'directory' | 'absent' {
  let seen: BigIntStats | undefined
  try {
    seen = freshly(lstat, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENAMETOOLONG') return 'too-long'
    throw error
  }
  if (seen === undefined) return 'absent'
  return seen.isSymbolicLink() ? follow(path) : (kindOfStat(seen) ?? seen)
}

function follow(path: string): BigIntStats | SkipReason {
  try {
    const target = freshly(stat, path)
    if (target === undefined) return 'dangling-symlink'
    const kind = kindOfStat(target)
    return kind === 'directory' ? 'symlink-directory' : (kind ?? target)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ELOOP') return 'loop'
    if (code === 'EACCES' || code === 'EPERM') return 'unreadable'
    if (code === 'ENAMETOOLONG') return 'dangling-symlink'
    throw error
  }
}

// ESTALE has no name in Node.
const ESTALE = -116
const STAT = { bigint: true, throwIfNoEntry: false } as const
const lstat = (path: string): BigIntStats | undefined => lstatSync(path, STAT)
const stat = (path: string): BigIntStats | undefined => statSync(path, STAT)

/** A second try after ESTALE looks the name up anew at the server. */
function freshly<T>(ask: (path: string) => T, path: string): T {
  try {
    return ask(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).errno === ESTALE) return ask(path)
    throw error
  }
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

/** Writes directories one after the other into a block. */
class Packer {
  readonly directories: string[] = []
  childrenTotal = 0
  readonly #racyFrom: bigint
  readonly #stamps: string[] = []
  readonly #places: number[] = []
  #numbers: BigInt64Array<ArrayBuffer> = new BigInt64Array(BLOCK_BYTES / 8)
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

  finish(left: readonly string[]): Walked {
    const { directories } = this
    return { directories, stamps: this.#stamps, places: Int32Array.from(this.#places), block: this.#numbers.buffer, left }
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
