import type { BigIntStats } from 'node:fs'
import type { Listed, Skip, SkipReason } from '../../model/entry.ts'
import { fingerprintOf } from '../../model/fingerprint.ts'

export { fingerprintOf }

// What workers and the main thread say to each other about stats: per child four 64-bit numbers (size, or the kind of what is no file;
// mtime and ctime in ns; inode), then the names, parted by NUL. It crosses the threads without a copy, and is decoded only where somebody asks.

/** Numbers per child. */
export const FIELDS = 4
const CHILD_BYTES = FIELDS * 8
// Numbers of a `Place`.
const PLACE_FIELDS = 6

// The index is what is written to the block: append only, for stamps hold it.
const KINDS: readonly (SkipReason | 'directory')[] = [
  'directory', 'unreadable', 'unreadable-directory', 'symlink-directory', 'dangling-symlink', 'loop',
  'fifo', 'socket', 'device', 'not-utf8', 'left-out', 'too-long',
]

/** What became of a file that was to be read. `as-seen`: hashed, and as the walk had seen it; `read`: hashed, and its numbers are given. */
export type Outcome = 'torn' | 'as-seen' | 'read' | 'absent' | 'directory' | SkipReason

/** What a number of an answer says. The first is what is not known. */
export const OUTCOMES: readonly Outcome[] = ['torn', 'as-seen', 'read', 'absent', ...KINDS]

/** What a digest takes in an answer. */
export const DIGEST_BYTES = 16

/** Where one directory lies in a block, and what it holds: byte offset, children, bytes of names, entries, skipped, racy entries. */
export interface Place {
  readonly offset: number
  readonly children: number
  readonly nameBytes: number
  readonly entries: number
  readonly skipped: number
  readonly racy: number
}

/** The place number `index` of packed places. */
export function placeAt(places: Int32Array, index: number): Place {
  const field = (number: number): number => places[index * PLACE_FIELDS + number] as number
  return { offset: field(0), children: field(1), nameBytes: field(2), entries: field(3), skipped: field(4), racy: field(5) }
}

/** What stands for `kind` in place of a size: below zero. */
export function kindNumber(kind: SkipReason | 'directory'): number {
  return -1 - KINDS.indexOf(kind)
}

/** The kind that `number` stands for, or undefined when it is a size. */
export function kindOf(number: number): SkipReason | 'directory' | undefined {
  return number < 0 ? KINDS[-1 - number] : undefined
}

/** What a stat shows that is no regular file; undefined for a regular file. */
export function kindOfStat(stat: Pick<BigIntStats, 'isFile' | 'isDirectory' | 'isFIFO' | 'isSocket'>): SkipReason | 'directory' | undefined {
  if (stat.isFile()) return undefined
  if (stat.isDirectory()) return 'directory'
  if (stat.isFIFO()) return 'fifo'
  return stat.isSocket() ? 'socket' : 'device'
}

/** A file's times from here on are too young to be trusted: the same stamp may hide a second change. */
export function racyFromNs(startMs: number, guardMs: number): bigint {
  return BigInt(Math.floor(startMs - guardMs)) * 1_000_000n
}

/** One file as its four numbers show it; without fingerprint while it is racy. */
export function listedOf(path: string, numbers: BigInt64Array, at: number, racyFrom: bigint): Listed {
  const [size, mtimeNs, ctimeNs, ino] = [numbers[at] as bigint, numbers[at + 1] as bigint, numbers[at + 2] as bigint, numbers[at + 3] as bigint]
  const racy = mtimeNs >= racyFrom || ctimeNs >= racyFrom
  return racy ? { path, sizeBytes: Number(size) } : { path, sizeBytes: Number(size), fingerprint: fingerprintOf({ mtimeNs, ctimeNs, ino }) }
}

/** The names in a block, in the order of its numbers. */
export function namesOf(block: ArrayBuffer, place: Place): readonly string[] {
  return Buffer.from(block, place.offset + place.children * CHILD_BYTES, place.nameBytes).toString('utf8').split('\0')
}

/** The numbers of the children. */
export function numbersOf(block: ArrayBuffer, place: Place): BigInt64Array {
  return new BigInt64Array(block, place.offset, place.children * FIELDS)
}

/** What of a directory is no entry, in the order of the block. */
export function skipsOf(block: ArrayBuffer, place: Place, directory: string): readonly Skip[] {
  if (place.skipped === 0) return []
  const numbers = numbersOf(block, place)
  return namesOf(block, place).flatMap((name, child) => {
    const kind = kindOf(Number(numbers[child * FIELDS]))
    return kind === undefined || kind === 'directory' ? [] : [{ path: directory + name, reason: kind }]
  })
}
