// The wide regime, where each call waits for a server: as many at once as the process has threads for them, and none of them in anybody's way. What `walk.ts` and
// `hash.ts` do one after the other is done here side by side, with the same answers.
import { AsyncLocalStorage } from 'node:async_hooks'
import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { close, constants, fstat, lstat, open, read, readdir, realpath, stat } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Root } from '../storage.ts'
import { fingerprintOf, kindOfStat } from './block.ts'
import type { Outcome } from './block.ts'
import { fileFailure, isStale, noFile, pieceFailure } from './failures.ts'
import { CALLS_AT_ONCE } from './hands.ts'
import type { RealTask, RootTask, Stated, StatTask } from './hands.ts'
import { Answers, bar, isDenied, isLeftOut, lost, Packer, percented, targetOf, unseen, verdict, wayTo } from './pack.ts'
import type { Looked, Piece, PieceTask, Read, ReadTask, StandTask, Walked, WalkTask } from './pack.ts'
import { rootOf } from './root.ts'

// Looks that are ahead of the one whose turn it is: no thread is idle, and a folder of a million files is not in memory at once.
const AHEAD = 4 * CALLS_AT_ONCE
// Folders of one task at once: there are many tasks, and what is read ahead of its turn must not grow beyond bounds.
const FOLDERS_AT_ONCE = 8
// Files of one task at once. A task must not wait for those of others, or it would seem to hang.
const FILES_AT_ONCE = 8
// Larger reads are split by the kernel anyway.
const CHUNK_BYTES = 256 * 1024
// Waits before the next try after ESTALE: the kernel has tried once by itself, and what was replaced on the server is found anew within a moment.
const STALE_WAITS_MS = [20, 200]

const BIG = { bigint: true } as const
const calls = {
  close: promisify(close), fstat: promisify(fstat), lstat: promisify(lstat), open: promisify(open), read: promisify(read), readdir: promisify(readdir), realpath: promisify(realpath.native), stat: promisify(stat),
}

/** What was answered to one task so far: while it rises, the task does not hang. */
export interface Pulse {
  answers: number
}

const pulses = new AsyncLocalStorage<Pulse>()

/** Runs a task; each answer that it gets raises `pulse`. */
export function withPulse<T>(pulse: Pulse, task: () => Promise<T>): Promise<T> {
  return pulses.run(pulse, task)
}

async function counted<T>(call: Promise<T>): Promise<T> {
  try {
    return await call
  } finally {
    const pulse = pulses.getStore()
    if (pulse !== undefined) pulse.answers++
  }
}

/** Waits for a call, and tries anew what is stale. */
async function ask<T>(call: () => Promise<T>): Promise<T> {
  for (const waitMs of STALE_WAITS_MS)
    try {
      return await counted(call())
    } catch (error) {
      if (!isStale(error)) throw error
      await sleep(waitMs)
    }
  return counted(call())
}

/** See `Hands.root`. */
export function rootWide({ location, marker }: RootTask): Promise<Root> {
  return ask(() => rootOf(location, marker))
}

/** See `Hands.stat`. */
export async function statWide({ path }: StatTask): Promise<Stated> {
  try {
    const seen = await ask(() => calls.stat(path, BIG))
    const { size, mtimeNs, ctimeNs, ino } = seen
    const kind = kindOfStat(seen)
    return { size, mtimeNs, ctimeNs, ino, ...(kind === undefined ? {} : { kind }) }
  } catch (error) {
    throw fileFailure(error, path)
  }
}

/** See `FarHands.real`. */
export async function realWide({ path }: RealTask): Promise<string> {
  try {
    return await ask(() => calls.realpath(path))
  } catch (error) {
    throw fileFailure(error, path)
  }
}

/** Walks the directories of `task`, some at a time, until there are enough children; what it finds below them is left for other tasks. Throws like `walk`. */
export async function walkWide(task: WalkTask): Promise<Walked> {
  const packer = new Packer(task.racyFrom)
  const left = [...task.directories]
  const found: string[] = []
  while (left.length > 0 && packer.childrenTotal < task.childrenMost) await visit(task.prefix, left.splice(-FOLDERS_AT_ONCE), packer, found)
  return packer.finish([...left, ...found])
}

interface Trouble {
  readonly error: unknown
}

async function visit(prefix: string, directories: readonly string[], packer: Packer, found: string[]): Promise<void> {
  const listings = await Promise.all(directories.map((directory) => namesIn(prefix + directory).catch((error: unknown): Trouble => ({ error }))))
  const paths: string[] = []
  for (const [index, listing] of listings.entries())
    if (!('error' in listing)) for (const name of listing) if (typeof name === 'string' && !isLeftOut(name)) paths.push(prefix + directories[index] + name)
  const next = looksAhead(paths)
  for (const [index, listing] of listings.entries()) {
    const directory = directories[index] as string
    if ('error' in listing) bar(directory, listing.error, packer)
    else await lay(directory, listing, next, packer, found)
  }
}

/** The names in a directory; those that are not UTF-8 as bytes. */
async function namesIn(directory: string): Promise<readonly (string | Buffer)[]> {
  const names = await ask(() => calls.readdir(directory))
  if (!names.some((name) => name.includes('\ufffd'))) return names
  return (await ask(() => calls.readdir(directory, { encoding: 'buffer' }))).map((name) => (isUtf8(name) ? name.toString('utf8') : name))
}

/** Looks at `paths`, a stretch ahead of whoever takes the answers: one at each call, in their order. */
function looksAhead(paths: readonly string[]): () => Promise<Looked | Trouble> {
  const going: Promise<Looked | Trouble>[] = []
  let started = 0
  let taken = 0
  return () => {
    for (; started < paths.length && started < taken + AHEAD; started++) going[started % AHEAD] = look(paths[started] as string).catch((error: unknown) => ({ error }))
    return going[taken++ % AHEAD] as Promise<Looked | Trouble>
  }
}

async function lay(directory: string, names: readonly (string | Buffer)[], next: () => Promise<Looked | Trouble>, packer: Packer, found: string[]): Promise<void> {
  const before = found.length
  let trouble: Trouble | undefined
  packer.begin(directory)
  packer.makeRoom(names.length)
  for (const name of names) {
    if (typeof name !== 'string') packer.skip(percented(name), 'not-utf8')
    else if (isLeftOut(name)) packer.skip(name, 'left-out')
    else {
      const seen = await next()
      if (typeof seen === 'string') packer.other(name, seen)
      else if ('error' in seen) trouble ??= seen
      else packer.file(name, seen)
      if (seen === 'directory') found.push(`${directory}${name}/`)
    }
  }
  if (trouble === undefined) return packer.end()
  found.length = before
  packer.drop()
  bar(directory, trouble.error, packer)
}

/** See `look` of `walk.ts`. */
async function look(path: string): Promise<Looked> {
  let seen: BigIntStats
  try {
    seen = await ask(() => calls.lstat(path, BIG))
  } catch (error) {
    return unseen(error)
  }
  if (!seen.isSymbolicLink()) return kindOfStat(seen) ?? seen
  try {
    return targetOf(await ask(() => calls.stat(path, BIG)))
  } catch (error) {
    return lost(error)
  }
}

/** Reads files whole, with the answers of `read`: stat, hash, stat. */
export async function readWide(task: ReadTask): Promise<Read> {
  const paths = task.paths.split('\0')
  const fingerprints = task.seen?.fingerprints.split('\0')
  const answers = new Answers(paths.length)
  const known = new Map<string, Promise<Outcome | undefined>>()
  let next = 0
  const reader = async (): Promise<void> => {
    for (let index = next++; index < paths.length; index = next++) {
      const path = paths[index] as string
      const fingerprint = fingerprints?.[index] ?? ''
      const barred = task.seen === undefined ? await barrier(task.prefix, path, known) : undefined
      if (barred !== undefined) answers.settle(index, barred)
      else if (fingerprint === '' || !(await readAsSeen(answers, index, task.prefix + path, { size: task.seen?.sizes[index] as number, fingerprint })))
        await readAnew(answers, index, task.prefix + path)
    }
  }
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, reader))
  return answers
}

/** Why a walk would not come by; undefined when it would. */
async function barrier(prefix: string, path: string, known: Map<string, Promise<Outcome | undefined>>): Promise<Outcome | undefined> {
  for (const folder of wayTo(path) ?? [undefined]) {
    if (folder === undefined) return 'absent'
    let state = known.get(folder)
    if (state === undefined) {
      state = ask(() => calls.lstat(prefix + folder, BIG)).then((seen) => (seen.isDirectory() ? undefined : 'absent'), verdict)
      known.set(folder, state)
    }
    const barred = await state
    if (barred !== undefined) return barred
  }
  return undefined
}

/** See `Hands.stand`. */
export async function standWide(task: StandTask): Promise<Read> {
  const paths = task.paths.split('\0')
  const answers = new Answers(paths.length)
  const next = looksAhead(paths)
  for (const index of paths.keys()) {
    const seen = await next()
    if (typeof seen === 'object' && 'error' in seen) answers.unknown(index, seen.error)
    else answers.stand(index, seen)
  }
  return answers
}

/** See `FarHands.piece`. Nothing is left open between two pieces: whoever goes away leaves nothing behind. */
export async function pieceWide({ path, from, length }: PieceTask): Promise<Piece> {
  try {
    const kind = kindOfStat(await ask(() => calls.stat(path, BIG)))
    const piece = kind !== undefined ? undefined : await opened(path, async (file): Promise<Piece | undefined> => {
      const seen = await ask(() => calls.fstat(file, BIG))
      if (kindOfStat(seen) !== undefined) return undefined
      const size = Number(seen.size)
      const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - from)))
      let got = 0
      while (got < bytes.length) {
        const { bytesRead } = await ask(() => calls.read(file, bytes, got, Math.min(CHUNK_BYTES, bytes.length - got), from + got))
        if (bytesRead === 0) break
        got += bytesRead
      }
      return { bytes: bytes.subarray(0, got), size, fingerprint: fingerprintOf(seen) }
    })
    if (piece === undefined) throw noFile(path)
    return piece
  } catch (error) {
    throw pieceFailure(error, path)
  }
}

interface Wanted {
  readonly size: number
  readonly fingerprint: string
}

/** True when all is said of it: it was read as the walk had seen it, or may not be read. Else only a stat of our own tells whether it moves at this moment. */
async function readAsSeen(answers: Answers, index: number, path: string, wanted: Wanted): Promise<boolean> {
  try {
    const digest = await digestOf(path, wanted)
    if (digest === undefined) return false
    answers.digest(index, digest, 'as-seen')
    return true
  } catch (error) {
    if (!isDenied(error)) return false
    answers.settle(index, 'unreadable')
    return true
  }
}

async function readAnew(answers: Answers, index: number, path: string): Promise<void> {
  try {
    const seen = isLeftOut(path.slice(path.lastIndexOf('/') + 1)) ? 'left-out' : await look(path)
    if (typeof seen === 'string') return answers.settle(index, seen)
    answers.stat(index, seen)
    const digest = await digestOf(path, { size: Number(seen.size), fingerprint: fingerprintOf(seen) })
    if (digest === undefined) answers.settle(index, 'torn')
    else answers.digest(index, digest, 'read')
  } catch (error) {
    answers.settle(index, verdict(error))
  }
}

// A FIFO that took the file's place a moment ago must not hang us.
const READING = constants.O_RDONLY | constants.O_NONBLOCK

/** The MD5 of a file that is `wanted` from before its first byte is read until after its last; undefined when it is not. */
async function digestOf(path: string, wanted: Wanted): Promise<Uint8Array | undefined> {
  return opened(path, async (file) => {
    const sum = createHash('md5')
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, wanted.size))
    let got = 0
    while (got < wanted.size) {
      const length = await readSome(file, chunk, Math.min(chunk.length, wanted.size - got))
      if (length === 0) return undefined
      sum.update(chunk.subarray(0, length))
      got += length
    }
    // What an open file is said to be may be remembered from before; a client asks its server when it opens one (close-to-open, nfs(5)).
    const after = await opened(path, (again) => ask(() => calls.fstat(again, BIG)))
    const same = after !== undefined && kindOfStat(after) === undefined && Number(after.size) === wanted.size && fingerprintOf(after) === wanted.fingerprint
    return same ? sum.digest() : undefined
  })
}

/** What `use` makes of the open file; undefined when no file is there any more. */
async function opened<T>(path: string, use: (file: number) => Promise<T | undefined>): Promise<T | undefined> {
  let file: number
  try {
    file = await ask(() => calls.open(path, READING))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENXIO' || code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
  try {
    return await use(file)
  } finally {
    await ask(() => calls.close(file))
  }
}

/** Bytes read; 0 at the end, and of what has become a folder or an empty FIFO, or was deleted or replaced on the server. */
async function readSome(file: number, chunk: Uint8Array, length: number): Promise<number> {
  try {
    return (await counted(calls.read(file, chunk, 0, length, null))).bytesRead
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EISDIR' || code === 'EAGAIN' || isStale(error)) return 0
    throw error
  }
}
