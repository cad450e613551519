// Runs in a worker: synchronous calls here are the fastest that Node has, and hold up nobody.
import { hash } from 'node:crypto'
import { closeSync, constants, copyFileSync, fchmodSync, fchownSync, fstatSync, linkSync, lstatSync, openSync, readlinkSync, readSync, realpathSync, renameSync, rmSync, statSync, symlinkSync, writeSync } from 'node:fs'
import type { BigIntStats, Stats } from 'node:fs'
import { fingerprintOf, sameFile } from '../model/fingerprint.ts'
import { directoryOf } from '../model/location.ts'
import { placed } from './disk.ts'
import { makeWay, wayTo } from './folders.ts'
import { PART_MOST_BYTES, writtenParts } from './parts.ts'
import { Prover, proverOf } from './verify.ts'
import type { Seal } from './verify.ts'

/** How a restored file comes to its bytes. */
export type Way = 'copy' | 'reflink' | 'hardlink' | 'symlink'

/** Files are to be looked at: `base` + path each. */
export interface LookTask {
  readonly kind: 'look'
  readonly base: string
  readonly paths: readonly string[]
  readonly sizes: readonly number[]
  /** What tells that the file was not touched; empty: unknown. */
  readonly fingerprints: readonly string[]
  readonly seals: readonly (Seal | undefined)[]
  /** Whom to digest: nobody; those that look otherwise than their fingerprint; all. */
  readonly digest: 'none' | 'differing' | 'all'
  /** A source: symbolic links on the way and at the end are followed. At a destination they are in the way. */
  readonly follow: boolean
  /** At a destination: the way in which each is to have come there. */
  readonly way?: Way
  /** Where each was recorded from; empty where that is no file of this machine. */
  readonly sources?: readonly string[]
  /** Those whose source, or what a link in their place leads to, may hang whoever asks for it: it is not asked for. */
  readonly far?: readonly boolean[]
  /** Those that are hard links to something as long as their fingerprint holds. */
  readonly hard?: readonly boolean[]
  /** At a destination: what tells that it is the copy that a restore put there; empty where none did. */
  readonly copies?: readonly string[]
}

/**
 * `same`: by fingerprint. `right`, `wrong`: by digest, or by size. `otherwise`: not in the way that is asked for, and what lies there is the recorded bytes, or a link to where they were recorded
 * from. `shared`: the recorded bytes, in a file that has other names and is to have none. `unknown`: nothing is recorded that would tell. `barred`: no file, or something on the way is no folder. `failing`: of a source, its disk does not give it.
 */
export type Look = 'absent' | 'same' | 'right' | 'wrong' | 'otherwise' | 'shared' | 'unknown' | 'barred' | 'denied' | 'failing'

/** Files are to be read, verified, and put into place. */
export interface PlaceTask {
  readonly kind: 'place'
  /** Absolute. */
  readonly sources: readonly string[]
  /** Ends in `/`. */
  readonly root: string
  readonly paths: readonly string[]
  readonly sizes: readonly number[]
  readonly seals: readonly Seal[]
  /** Those whose place another file may have, which goes. */
  readonly replace: readonly boolean[]
  readonly way: Way
  /** A name of this task's own, in the folder of temporary files. */
  readonly temporary: string
}

/** Bytes, verified already, are to be put into place; without `bytes` the file that lies at `temporary`. */
export interface WriteTask {
  readonly kind: 'write'
  readonly root: string
  readonly path: string
  readonly replace: boolean
  readonly temporary: string
  readonly bytes?: Uint8Array
}

/** A large file comes in pieces, in their order: `begin`, `pour` each, `end`. One at a time in a thread. */
export type PourTask =
  /** With `resume` what the file has already is digested first. `place` is what it is to become. */
  | { readonly kind: 'begin'; readonly file: string; readonly place: string; readonly resume: boolean; readonly seal: Seal | undefined }
  | { readonly kind: 'pour'; readonly chunks: readonly Uint8Array<ArrayBuffer>[] }
  | { readonly kind: 'end' }

/** `wrong`: the source is not what was recorded. `occupied`: a file has come to its place. */
export type Put = 'done' | 'absent' | 'wrong' | 'denied' | 'failing' | 'barred' | 'occupied'

export type Task = LookTask | PlaceTask | WriteTask | PourTask
/** In the order of the task, with the fingerprints of what is in place. */
export interface Answer {
  readonly outcomes: readonly (Look | Put)[]
  readonly fingerprints: readonly string[]
  /** Of `begin`: the bytes that are there. */
  readonly lengthBytes?: number
  /** Of `end`: the bytes are what was recorded, as far as anything is. */
  readonly holds?: boolean
}

// Large enough that a chunk's calls cost nothing, small enough for the second-level cache.
const CHUNK_BYTES = 512 * 1024
const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES)
const STAT = { bigint: true, throwIfNoEntry: false } as const

export async function perform(task: Task): Promise<Answer> {
  if (task.kind === 'begin') return { ...NOTHING, lengthBytes: await begin(task.file, task.place, task.resume, task.seal) }
  if (task.kind === 'pour') return pourMore(task.chunks)
  if (task.kind === 'end') return { ...NOTHING, holds: await end() }
  const outcomes: (Look | Put)[] = []
  const fingerprints: string[] = []
  let at = 0
  try {
    if (task.kind === 'write') return write(task)
    for (; at < task.paths.length; at++) {
      const [outcome, fingerprint] = task.kind === 'look' ? await lookAt(task, at) : await placeOne(task, at)
      outcomes.push(outcome)
      fingerprints.push(fingerprint)
    }
    return { outcomes, fingerprints }
  } catch (error) {
    throw placed(error, task.kind === 'look' ? task.base + (task.paths[at] as string) : task.root + (task.kind === 'write' ? task.path : (task.paths[at] as string)))
  }
}

const NOTHING: Answer = { outcomes: [], fingerprints: [] }
let poured: { readonly place: string; readonly fd: number; readonly prover: Prover | undefined } | undefined

async function begin(file: string, place: string, resume: boolean, seal: Seal | undefined): Promise<number> {
  if (poured !== undefined) closeSync(poured.fd)
  poured = undefined
  const fd = opened(file, place, constants.O_RDWR | constants.O_CREAT | (resume ? 0 : constants.O_TRUNC))
  poured = { place, fd, prover: seal === undefined ? undefined : await writtenProverOf(seal, fd) }
  let total = 0
  for (let length = 1; resume && length > 0; total += length) {
    length = readSync(poured.fd, chunk, 0, CHUNK_BYTES, null)
    poured.prover?.update(chunk.subarray(0, length))
  }
  return total
}

function opened(file: string, place: string, flags: number): number {
  try {
    return openSync(file, flags)
  } catch (error) {
    throw placed(error, place)
  }
}

async function writtenProverOf(seal: Seal, fd: number): Promise<Prover> {
  const [[partBytes = 0, ...differing] = [], ...others] = seal.partBytes ?? []
  const inLanes = seal.by === 'parts' && differing.length === 0 && others.length === 0 && partBytes <= PART_MOST_BYTES
  return inLanes ? new Prover(seal, writtenParts(fd, partBytes)) : proverOf(seal)
}

function pourMore(chunks: readonly Uint8Array<ArrayBuffer>[]): Answer {
  if (poured === undefined) throw new Error('nothing is poured')
  try {
    for (const bytes of chunks) {
      for (let at = 0; at < bytes.length; ) at += writeSync(poured.fd, bytes, at, bytes.length - at)
      poured.prover?.update(bytes)
      // Its memory is given back at once: the collector, which comes the more often the more of it lies about, would cost as much as the digest.
      bytes.buffer.transfer(0)
    }
  } catch (error) {
    throw placed(error, poured.place)
  }
  return NOTHING
}

async function end(): Promise<boolean> {
  if (poured === undefined) throw new Error('nothing is poured')
  const { fd, prover } = poured
  poured = undefined
  try {
    return prover === undefined || (await prover.holds())
  } finally {
    closeSync(fd)
  }
}

function write({ root, path, replace, temporary, bytes }: WriteTask): Answer {
  if (bytes !== undefined) {
    const fd = openSync(temporary, 'w')
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at)
    } finally {
      closeSync(fd)
    }
  }
  const outcome = settle(root, path, temporary, replace) ?? 'done'
  const seen = outcome === 'done' ? lstatSync(root + path, STAT) : undefined
  return { outcomes: [outcome], fingerprints: [seen === undefined ? '' : fingerprintOf(seen)] }
}

async function lookAt(task: LookTask, at: number): Promise<readonly [Look, string]> {
  const path = task.base + (task.paths[at] as string)
  try {
    if (task.follow) return await lookAtFile(task, at, path, statSync(path, STAT))
    // No symbolic link is followed, but the one that is to be there.
    const way = wayTo(task.base, directoryOf(task.paths[at] as string))
    if (way !== 'clear') return [way, '']
    const seen = lstatSync(path, STAT)
    if (seen?.isSymbolicLink() === true) return await lookAtLink(task, at, path)
    const [outcome, fingerprint] = await lookAtFile(task, at, path, seen)
    return [seen === undefined ? outcome : asAsked(task, at, seen, outcome), fingerprint]
  } catch (error) {
    return [task.follow && isFailing(error) ? 'failing' : verdict(error), '']
  }
}

async function lookAtFile(task: LookTask, at: number, path: string, seen: BigIntStats | undefined): Promise<readonly [Look, string]> {
  if (seen === undefined) return ['absent', '']
  if (!seen.isFile()) return ['barred', '']
  const size = task.sizes[at] as number
  const fingerprint = fingerprintOf(seen)
  if (Number(seen.size) !== size) return ['wrong', fingerprint]
  if (task.digest !== 'all' && task.fingerprints[at] === fingerprint) return ['same', fingerprint]
  const seal = task.seals[at]
  if (seal === undefined || task.digest === 'none') return ['unknown', fingerprint]
  const right = await digestFile(path, size, seal)
  // What moved while it was read is not what the digest tells of.
  const after = statSync(path, STAT)
  if (after === undefined || fingerprintOf(after) !== fingerprint) return ['wrong', fingerprint]
  return [right ? 'right' : seal.guessed === true ? 'unknown' : 'wrong', fingerprint]
}

/** A symbolic link at a destination: its fingerprint is that of what it leads to. */
async function lookAtLink(task: LookTask, at: number, path: string): Promise<readonly [Look, string]> {
  const own = readlinkSync(path) === task.sources?.[at]
  const seen = task.far?.[at] === true ? undefined : followed(path)
  if (seen?.isFile() !== true) return [own ? 'otherwise' : 'wrong', '']
  const fingerprint = fingerprintOf(seen)
  if (task.way === 'symlink' && (own || task.fingerprints[at] === fingerprint)) {
    const [outcome] = await lookAtFile(task, at, path, seen)
    return [outcome === 'same' || outcome === 'right' || outcome === 'unknown' ? outcome : 'otherwise', fingerprint]
  }
  return [own ? 'otherwise' : 'wrong', fingerprint]
}

/**
 * What was found of a file's bytes, in the light of the way in which they are to be there. A reflink is a copy to whoever looks at it. A link of an earlier restore may by now be one to a file of
 * any name, and who was cut off wrote nothing down: so only of the copy that a restore put there other names are somebody's wish.
 */
function asAsked(task: LookTask, at: number, seen: BigIntStats, outcome: Look): Look {
  if (task.way === undefined || (outcome !== 'same' && outcome !== 'right' && outcome !== 'wrong')) return outcome
  const copied = isCopied(task.way)
  if (copied && seen.nlink === 1n) return outcome
  const right = outcome !== 'wrong'
  const kin = !copied && outcome === 'same' && task.hard?.[at] === true ? 'link' : kinOf(seen, task.base + (task.paths[at] as string), task.far?.[at] === true ? '' : (task.sources?.[at] ?? ''))
  if (copied && right && kin === 'stranger' && task.seals[at] !== undefined && !sameFile(task.copies?.[at] ?? '', fingerprintOf(seen))) return 'shared'
  if (kin === 'itself' || (right && task.way !== 'symlink' && (kin === 'link') === (task.way === 'hardlink'))) return outcome
  return right || kin === 'link' ? 'otherwise' : 'wrong'
}

function isCopied(way: Way): boolean {
  return way === 'copy' || way === 'reflink'
}

/** What the file at `place` is to that at `source`: that very file, another name of it, or neither. */
function kinOf(seen: BigIntStats, place: string, source: string): 'itself' | 'link' | 'stranger' {
  const other = source === '' ? undefined : followed(source)
  if (other === undefined || other.ino !== seen.ino || other.dev !== seen.dev) return 'stranger'
  return seen.nlink === 1n || realpathSync(source) === place ? 'itself' : 'link'
}

function followed(path: string): BigIntStats | undefined {
  try {
    return statSync(path, STAT)
  } catch (error) {
    verdict(error)
    return undefined
  }
}

function verdict(error: unknown): 'absent' | 'denied' | 'barred' {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'absent'
  if (code === 'EACCES' || code === 'EPERM') return 'denied'
  if (code === 'ELOOP' || code === 'ENAMETOOLONG' || code === 'EISDIR' || code === 'ENXIO') return 'barred'
  throw error
}

/** A file that its disk, or what stands behind it, does not give. */
function isFailing(error: unknown): boolean {
  return ['EIO', 'EREMOTEIO', 'EMEDIUMTYPE', 'ENOMEDIUM', 'ENODATA', 'EUCLEAN', 'EBADMSG', 'ESTALE'].includes((error as NodeJS.ErrnoException).code ?? '')
}

async function digestFile(path: string, size: number, seal: Seal): Promise<boolean> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    return (await pour(fd, undefined, size, seal)) === 'right'
  } finally {
    closeSync(fd)
  }
}

/** Reads a file of `size` bytes, digests it, and writes it to `to`. */
async function pour(from: number, to: number | undefined, size: number, seal: Seal): Promise<'right' | 'wrong'> {
  let length = readSync(from, chunk, 0, CHUNK_BYTES, null)
  if (length < CHUNK_BYTES && length === size && seal.by === 'md5') {
    // The one read that most files need: also the digest is one call.
    if (hash('md5', chunk.subarray(0, length), 'hex') !== seal.value || readSync(from, chunk, length, 1, null) !== 0) return 'wrong'
    if (to !== undefined) writeAll(to, length)
    return 'right'
  }
  const prover = await proverOf(seal)
  let total = 0
  for (; length > 0 && total + length <= size; length = readSync(from, chunk, 0, CHUNK_BYTES, null)) {
    prover.update(chunk.subarray(0, length))
    if (to !== undefined) writeAll(to, length)
    total += length
  }
  return length === 0 && total === size && (await prover.holds()) ? 'right' : 'wrong'
}

function writeAll(fd: number, length: number): void {
  for (let at = 0; at < length; ) at += writeSync(fd, chunk, at, length - at)
}

const AT_PLACE = { kind: 'look', base: '', paths: [], fingerprints: [], digest: 'all', follow: false } as const

async function placeOne(task: PlaceTask, at: number): Promise<readonly [Put, string]> {
  const path = task.paths[at] as string
  const target = task.root + path
  // Where a source lies at its own destination no link may take its place.
  const there = task.replace[at] === true ? lstatSync(target, STAT) : undefined
  const parted = isCopied(task.way) && task.sources[at] === target && there?.nlink !== 1n
  if (there?.isFile() === true && !parted && kinOf(there, target, task.sources[at] as string) === 'itself') {
    const right = (await lookAtFile({ ...AT_PLACE, sizes: task.sizes, seals: task.seals }, at, target, there))[0] === 'right'
    return right ? ['done', fingerprintOf(there)] : ['wrong', '']
  }
  const got = await fetchTo(task, at)
  if (got !== 'done') return [got, '']
  const barred = settle(task.root, path, task.temporary, task.replace[at] === true)
  if (barred !== undefined) return [barred, '']
  const seen = (task.way === 'symlink' ? statSync : lstatSync)(target, STAT)
  return ['done', seen === undefined ? '' : fingerprintOf(seen)]
}

/** Brings the bytes of a source, verified, to the temporary name. */
async function fetchTo({ root, paths, sources, sizes, seals, way, temporary }: PlaceTask, at: number): Promise<Put> {
  const [source, size, seal] = [sources[at] as string, sizes[at] as number, seals[at] as Seal]
  let from: number | undefined
  try {
    from = openSync(source, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    return sourceVerdict(error)
  }
  let to: number | undefined
  try {
    if (way === 'copy') {
      const parts = source === root + (paths[at] as string)
      to = openSync(temporary, 'w', parts ? 0o600 : 0o666)
      if (parts) dress(to, fstatSync(from))
      return (await pour(from, to, size, seal)) === 'right' ? 'done' : 'wrong'
    }
    rmSync(temporary, { force: true })
    if (way === 'reflink') {
      copyFileSync(source, temporary, constants.COPYFILE_FICLONE_FORCE)
      return (await digestFile(temporary, size, seal)) ? 'done' : 'wrong'
    }
    const before = fstatSync(from, STAT)
    if ((await pour(from, undefined, size, seal)) === 'wrong' || fingerprintOf(fstatSync(from, { bigint: true })) !== fingerprintOf(before as BigIntStats)) return 'wrong'
    if (way === 'hardlink') linkSync(source, temporary)
    else symlinkSync(source, temporary)
    return 'done'
  } catch (error) {
    // Reading is the source's; what is written never fails so without a word of its own.
    if ((error as NodeJS.ErrnoException).syscall === 'read' && isFailing(error)) return 'failing'
    throw error
  } finally {
    closeSync(from)
    if (to !== undefined) closeSync(to)
  }
}

/** A copy that takes the place of the very file it is made from is nobody else's, and no more open. */
function dress(to: number, { uid, gid, mode }: Stats): void {
  try {
    fchownSync(to, uid, gid)
  } catch (error) {
    // Only root may give files away.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error
  }
  fchmodSync(to, mode & 0o777)
}

function sourceVerdict(error: unknown): 'absent' | 'denied' | 'wrong' | 'failing' {
  if (isFailing(error)) return 'failing'
  const found = verdict(error)
  return found === 'barred' ? 'wrong' : found
}

/** Renames `temporary` to `root` + `path`, making the folders on the way; never through a symbolic link, and never over what may not go. */
function settle(root: string, path: string, temporary: string, replace: boolean): 'barred' | 'occupied' | undefined {
  if (makeWay(root, directoryOf(path)) === 'barred') return 'barred'
  const target = root + path
  const there = lstatSync(target, { throwIfNoEntry: false })
  if (there?.isDirectory() === true) return 'barred'
  if (there !== undefined && !replace) return 'occupied'
  renameSync(temporary, target)
  return undefined
}
