// Runs in a worker: synchronous calls here are the fastest that Node has, and hold up nobody.
import { isUtf8 } from 'node:buffer'
import { lstatSync, readdirSync, statSync } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { kindOfStat } from './block.ts'
import { isStale } from './failures.ts'
import { heldBy, Mounts, mountWords } from './mounts.ts'
import type { Mount } from './mounts.ts'
import { Answers, bar, DIRECTORIES_MOST, isLeftOut, lost, Packer, percented, targetOf, unseen } from './pack.ts'
import type { Looked, Read, StandTask, Walked, WalkTask } from './pack.ts'

/** Thrown where calls wait for a server, a daemon or a turning disk rather than for the processor: synchronous threads are the wrong hands for that. */
export class Waits extends Error {
  readonly mount: Mount

  constructor(mount: Mount) {
    super(`calls wait for ${mountWords(mount)}`)
    this.mount = mount
  }
}

// The middle one of so many tells what a call costs here: 3 to 10 µs where the kernel knows the answer, 200 µs and more where a server gives it.
const MEASURED = 100
const WAITS_MS = 0.1
const paces: number[] = []

/** Walks directories, and what it finds below them, until the batch is full. Throws what the system threw when not even the skip list can hold it. */
export function walk(task: WalkTask): Walked {
  const packer = new Packer(task.racyFrom)
  const left = [...task.directories]
  while (packer.directories.length < DIRECTORIES_MOST && packer.childrenTotal < task.childrenMost) {
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
      else if ((paces.length < MEASURED ? measured : meet)(base + name, name, packer) === 'directory') left.push(`${directory}${name}/`)
    }
    packer.end()
  } catch (error) {
    left.length = found
    packer.drop()
    bar(directory, error, packer)
  }
}

const list = (path: string): readonly string[] => readdirSync(path)

/** The names in a directory; those that are not UTF-8 as bytes. */
function namesIn(directory: string): readonly (string | Buffer)[] {
  const names = freshly(list, directory)
  if (!names.some((name) => name.includes('\ufffd'))) return names
  return readdirSync(directory, { encoding: 'buffer' }).map((name) => (isUtf8(name) ? name.toString('utf8') : name))
}

/** The first of a thread are timed. */
function measured(path: string, name: string, packer: Packer): Looked {
  const from = performance.now()
  const seen = meet(path, name, packer)
  paces.push(performance.now() - from)
  const middle = paces.length < MEASURED ? 0 : (paces.toSorted((a, b) => a - b)[MEASURED / 2] as number)
  if (middle > WAITS_MS) throw new Waits(heldBy(path).mount)
  return seen
}

function meet(path: string, name: string, packer: Packer): Looked {
  const seen = look(path)
  if (typeof seen !== 'string') packer.file(name, seen)
  else packer.other(name, seen)
  return seen
}

/**
 * What lies at `path`: the stat of a regular file, or of the one that a symbolic link leads to; else what it is. Opens nothing. Throws EACCES when
 * the folder may not be searched.
 */
export function look(path: string): Looked {
  let seen: BigIntStats | undefined
  try {
    seen = freshly(lstat, path)
  } catch (error) {
    return unseen(error)
  }
  if (seen === undefined) return 'absent'
  return seen.isSymbolicLink() ? follow(path) : (kindOfStat(seen) ?? seen)
}

/** See `Hands.stand`. */
export function stand(task: StandTask): Read {
  const paths = task.paths.split('\0')
  const answers = new Answers(paths.length)
  for (const [index, path] of paths.entries()) {
    try {
      answers.stand(index, look(path))
    } catch (error) {
      if (error instanceof Waits) throw error
      answers.unknown(index, error)
    }
  }
  return answers
}

let mounts: Mounts | undefined

/** A link may lead from a local disk to where calls hang; where nothing can, that is not even asked. */
function follow(path: string): Looked {
  mounts ??= new Mounts()
  const far = mounts.anyFar ? mounts.held(path).far : undefined
  if (far !== undefined) throw new Waits(far)
  try {
    const target = freshly(stat, path)
    return target === undefined ? 'dangling-symlink' : targetOf(target)
  } catch (error) {
    return lost(error)
  }
}

const STAT = { bigint: true, throwIfNoEntry: false } as const
const lstat = (path: string): BigIntStats | undefined => lstatSync(path, STAT)
const stat = (path: string): BigIntStats | undefined => statSync(path, STAT)

/** A second try after ESTALE looks the name up anew at the server. */
function freshly<T>(ask: (path: string) => T, path: string): T {
  try {
    return ask(path)
  } catch (error) {
    if (isStale(error)) return ask(path)
    throw error
  }
}
