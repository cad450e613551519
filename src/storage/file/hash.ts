// Runs in a worker: synchronous calls here are the fastest that Node has, and hold up nobody.
import { createHash } from 'node:crypto'
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { DIGEST_BYTES, fingerprintOf, kindOfStat } from './block.ts'
import type { Outcome } from './block.ts'
import { Lanes } from '../../model/lanes.ts'
import { Answers, isDenied, isLeftOut, verdict, wayTo } from './pack.ts'
import type { Read, ReadTask } from './pack.ts'
import { look } from './walk.ts'

/** Reads files whole: stat, hash, stat. A file whose stats differ is torn. Throws what the system threw when the disk or server fails. */
export function read(task: ReadTask): Read {
  const paths = task.paths.split('\0')
  const fingerprints = task.seen?.fingerprints.split('\0')
  const reading = new Reading(task.prefix, paths)
  const files: Wanted[] = []
  const known = new Map<string, Outcome | undefined>()
  for (const [index, path] of paths.entries()) {
    const fingerprint = fingerprints?.[index] ?? ''
    const barred = task.seen === undefined ? barrier(task.prefix, path, known) : undefined
    if (barred !== undefined) reading.settle(index, barred)
    else if (fingerprint === '') reading.examine(index, files)
    else files.push({ index, size: task.seen?.sizes[index] as number, fingerprint, seen: true })
  }
  reading.hashAll(files)
  const again: Wanted[] = []
  // It looks otherwise than the walk saw it: only a stat of our own tells whether it moves at this moment.
  for (const index of reading.changed.splice(0)) reading.examine(index, again)
  reading.hashAll(again)
  return reading
}

/** Why a walk would not come by: a folder of the path is a symbolic link, left out, not there, or not to be searched. Undefined when it would. */
function barrier(prefix: string, path: string, known: Map<string, Outcome | undefined>): Outcome | undefined {
  const way = wayTo(path)
  if (way === undefined) return 'absent'
  for (const folder of way) {
    if (!known.has(folder)) known.set(folder, folderState(prefix + folder))
    const barred = known.get(folder)
    if (barred !== undefined) return barred
  }
  return undefined
}

function folderState(path: string): Outcome | undefined {
  try {
    return (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false) ? undefined : 'absent'
  } catch (error) {
    return verdict(error)
  }
}

interface Wanted {
  readonly index: number
  readonly size: number
  readonly fingerprint: string
  /** Size and fingerprint are those that the walk saw. */
  readonly seen: boolean
}

interface Open extends Wanted {
  readonly fd: number
  readonly path: string
  got: number
}

// Eight lanes together are three times as fast as one chain alone, and each of them less than half: quicker alone is what is longer than a sixth of all, and nearly twice the next.
const LONE_SHARE = 1 / 6
const LONE_LEAD = 1.7
// Larger buffers fall out of the second-level cache.
const CHUNK_BYTES = 256 * 1024
let chunk: Uint8Array | undefined
let lanes: Lanes<Open> | undefined

class Reading extends Answers {
  /** Files that were not what the walk had seen. */
  readonly changed: number[] = []
  readonly #prefix: string
  readonly #paths: readonly string[]

  constructor(prefix: string, paths: readonly string[]) {
    super(paths.length)
    this.#prefix = prefix
    this.#paths = paths
  }

  /** Looks what is there; a regular file is added to `files`. */
  examine(index: number, files: Wanted[]): void {
    const path = this.#paths[index] as string
    const seen = isLeftOut(path.slice(path.lastIndexOf('/') + 1)) ? 'left-out' : this.#look(this.#prefix + path)
    if (typeof seen === 'string') this.settle(index, seen)
    else {
      this.stat(index, seen)
      files.push({ index, size: Number(seen.size), fingerprint: fingerprintOf(seen), seen: false })
    }
  }

  hashAll(files: Wanted[]): void {
    files.sort((a, b) => b.size - a.size)
    let total = files.reduce((sum, { size }) => sum + size, 0)
    let at = 0
    const isQuickerAlone = ({ size }: Wanted): boolean => files.length - at < 3 || (size > total * LONE_SHARE && size > (files[at + 1] as Wanted).size * LONE_LEAD)
    for (let file = files[at]; file !== undefined && isQuickerAlone(file); file = files[++at]) {
      this.#hashAlone(file)
      total -= file.size
    }
    if (at < files.length) this.#hashTogether(files, at)
  }

  #look(path: string): BigIntStats | Outcome {
    try {
      return look(path)
    } catch (error) {
      return verdict(error)
    }
  }

  #hashAlone(file: Wanted): void {
    const open = this.#open(file)
    if (open === undefined) return
    try {
      chunk ??= new Uint8Array(CHUNK_BYTES)
      const sum = createHash('md5')
      for (let length = this.#fill(open, chunk, 0); length > 0; length = this.#fill(open, chunk, 0)) sum.update(chunk.subarray(0, length))
      this.#judge(open, () => this.digests.set(sum.digest(), file.index * DIGEST_BYTES))
    } finally {
      closeSync(open.fd)
    }
  }

  #hashTogether(files: readonly Wanted[], from: number): void {
    let next = from
    const open = (): Open | undefined => {
      let file: Open | undefined
      while (file === undefined && next < files.length) file = this.#open(files[next++] as Wanted)
      return file
    }
    lanes ??= new Lanes<Open>()
    lanes.hash({
      open,
      fill: (file, target, at, length) => this.#fill(file, target, at, length),
      done: (file, digestTo) => this.#judge(file, () => digestTo(this.digests, file.index * DIGEST_BYTES)),
      close: (file) => closeSync(file.fd),
    })
  }

  #open(file: Wanted): Open | undefined {
    const path = this.#prefix + (this.#paths[file.index] as string)
    try {
      // A FIFO that took the file's place a moment ago must not hang us.
      return { ...file, path, got: 0, fd: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK) }
    } catch (error) {
      if (file.seen && !isDenied(error)) this.changed.push(file.index)
      else this.settle(file.index, (error as NodeJS.ErrnoException).code === 'ENXIO' ? 'torn' : verdict(error))
      return undefined
    }
  }

  /** Reads up to `length` bytes, less only at the end: of the file, or of the size that its stat said. */
  #fill(file: Open, target: Uint8Array, at: number, length: number = target.length): number {
    let filled = 0
    while (filled < length && file.got < file.size) {
      const more = readSome(file.fd, target, at + filled, Math.min(length - filled, file.size - file.got))
      if (more === 0) break
      filled += more
      file.got += more
    }
    return filled
  }

  #judge(file: Open, keep: () => void): void {
    const after = fstatSync(file.fd, { bigint: true })
    const whole = file.got === file.size && Number(after.size) === file.size && kindOfStat(after) === undefined
    const same = whole && fingerprintOf(after) === file.fingerprint
    if (same) keep()
    if (same) this.settle(file.index, file.seen ? 'as-seen' : 'read')
    else if (file.seen) this.changed.push(file.index)
    else this.settle(file.index, 'torn')
  }
}

/** Bytes read; 0 at the end, and of what has become a folder or an empty FIFO since it was looked at. */
function readSome(fd: number, target: Uint8Array, at: number, length: number): number {
  try {
    return readSync(fd, target, at, length, null)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EISDIR' || code === 'EAGAIN') return 0
    throw error
  }
}
