// The folder inside a destination that a restore works in: on the same file system, so that a rename puts a file into place whole.
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { VarveError } from '../model/errors.ts'
import { diskFailure } from './disk.ts'
import { isRoomName, ROOM } from './names.ts'
import type { Folding } from './names.ts'

const LOCK = 'lock'
const PARTIAL = '.part'
const WRITTEN_WITHIN_MS = 10_000

export interface Room {
  /** The destination, real, ending in `/`. */
  readonly root: string
  readonly folding: Folding
  /** False where times are so coarse that a second change may leave the same: there nothing is remembered of what is young. */
  readonly fine: boolean
  /** A name in it that nobody else has: gone at the end. */
  temporary(): string
  /** The file that a large object's pieces go to: left where the restore is cut off, and found again by the next. */
  partial(text: string): string
  /** Removes what a restore made in it, it where that was all, and the destination itself if it was made for this restore and nothing is there; where a next restore `goesOn` it leaves the pieces of large objects. */
  leave(goesOn: boolean): void
}

/** True where nothing is in the destination, or it is not there. Throws DESTINATION_REFUSED for what is no folder. */
export function isFresh(destination: string): boolean {
  try {
    if (lstatSync(destination, { throwIfNoEntry: false }) === undefined) return true
    if (statSync(destination, { throwIfNoEntry: false })?.isDirectory() !== true)
      throw new VarveError('DESTINATION_REFUSED', `${destination} is no folder`, { hint: 'name another destination' })
    return readdirSync(destination).length === 0
  } catch (error) {
    throw diskFailure(error)
  }
}

/** What the file system takes for one name, as far as that shows where nothing may be written: the destination itself, or where it is to be made, under its name in other letters. */
export function foldingOf(destination: string): Folding {
  const path = destination.replace(/(?<=.)\/+$/, '')
  const seen = statSync(path, { bigint: true, throwIfNoEntry: false })
  if (seen === undefined) return path === dirname(path) ? { folds: false, same: () => false } : foldingOf(dirname(path))
  const other = [...basename(path)].map((letter) => (letter === letter.toUpperCase() ? letter.toLowerCase() : letter.toUpperCase())).join('')
  const twin = statSync(join(dirname(path), other), { bigint: true, throwIfNoEntry: false })
  const plain = (name: string): string => name.normalize('NFC').toLowerCase()
  return { folds: other !== basename(path) && twin?.ino === seen.ino && twin.dev === seen.dev, same: (one, another) => plain(one) === plain(another) }
}

/** Makes the destination if it is not there, and takes it for this restore. Throws CONFLICT when another works there, DESTINATION_REFUSED. */
export function enter(destination: string): Room {
  try {
    const made = makeFolders(destination)
    const root = `${realpathSync(destination).replace(/\/$/, '')}/`
    const folder = root + ROOM
    if (lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() === false)
      throw new VarveError('CONFLICT', `${folder} is no folder`, { hint: 'a restore works in a folder of that name: move it away' })
    if (!existsSync(folder)) mkdirSync(folder)
    lock(join(folder, LOCK), root)
    clear(folder, (name) => name !== LOCK && !name.endsWith(PARTIAL))
    const { folding, fine } = probe(folder)
    let count = 0
    return {
      root, folding, fine,
      temporary: () => join(folder, `varve-${++count}.tmp`),
      partial: (text) => join(folder, `varve-${createHash('sha256').update(text).digest('hex').slice(0, 32)}${PARTIAL}`),
      leave(goesOn) {
        if (existsSync(folder)) clear(folder, (name) => !goesOn || !name.endsWith(PARTIAL))
        if (existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder)
        if (made !== undefined) removeEmpty(destination, made)
      },
    }
  } catch (error) {
    throw diskFailure(error)
  }
}

/** The real path of what is there, and the rest as it is written. */
export function realOf(path: string): string {
  if (existsSync(path)) return realpathSync(path)
  const cut = path.replace(/\/+$/, '').lastIndexOf('/')
  return cut <= 0 ? path : join(realOf(path.slice(0, cut)), path.slice(cut + 1))
}

/** True for a file in the folder `root`, by the real paths of both. */
export function liesIn(file: string, root: string): boolean {
  const [home, inside] = [dirname(file), root].map((folder) => realOf(folder).replace(/\/*$/, '/')) as [string, string]
  return home.startsWith(inside)
}

/** Removes what restores left there. */
function clear(folder: string, goes: (name: string) => boolean): void {
  for (const name of readdirSync(folder)) if (isRoomName(name) && goes(name)) rmSync(join(folder, name), { recursive: true, force: true })
}

/** Makes a folder with those that it lies in; answers the first that was made. Node's own way never ends where a file system says that what it lies in is not there (/proc). */
function makeFolders(folder: string): string | undefined {
  if (existsSync(folder)) return undefined
  const first = makeFolders(dirname(folder)) ?? folder
  mkdirSync(folder)
  return first
}

/** Takes away the folders from `folder` up to `first` that hold nothing. */
function removeEmpty(folder: string, first: string): void {
  for (let one = folder; one.startsWith(first) && existsSync(one) && readdirSync(one).length === 0; one = dirname(one)) rmdirSync(one)
}

/** A lock says who has it: machine, process, and when that began, for a number may be another process's by now. */
function lock(file: string, root: string): void {
  const mine = `${hostname()} ${process.pid} ${startOf(process.pid) ?? ''}`
  for (let again = true; ; again = false) {
    try {
      writeFileSync(file, mine, { flag: 'wx' })
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const text = readFileSync(file, 'utf8')
    const [machine, pid, start] = text.split(' ')
    // One without text is being written at this moment, or was left by a crash long ago.
    const alive = text === '' ? Date.now() - statSync(file).mtimeMs < WRITTEN_WITHIN_MS : machine !== hostname() || (start !== undefined && startOf(Number(pid)) === start)
    if (alive || !again)
      throw new VarveError('CONFLICT', `another restore works in ${root} (${text === '' ? 'it begins at this moment' : `process ${pid} of ${machine}`})`, { hint: `wait for it; if it does not run any more, remove ${file}` })
    rmSync(file, { force: true })
  }
}

/** When a process began, in ticks since the machine did; undefined when there is none (proc_pid_stat(5), field 22). */
function startOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[19]
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}

/** What the file system takes for one name, and how fine its times are: two files tell. */
function probe(folder: string): { readonly folding: Folding; readonly fine: boolean } {
  const lower = join(folder, 'varve-case')
  const composed = join(folder, 'varve-\u00e9')
  writeFileSync(lower, '')
  writeFileSync(composed, '')
  const folds = existsSync(join(folder, 'varve-CASE')) || existsSync(join(folder, 'varve-e\u0301'))
  // FAT counts 2 s, exFAT 10 ms, old servers whole seconds; what counts nanoseconds ticks every few milliseconds.
  const fine = [lower, composed].some((file) => statSync(file, { bigint: true }).mtimeNs % 10_000_000n !== 0n)
  rmSync(lower)
  rmSync(composed)
  const names = join(folder, 'varve-names')
  const same = (name: string, other: string): boolean => {
    mkdirSync(names)
    try {
      writeFileSync(join(names, name), '')
      return existsSync(join(names, other))
    } finally {
      rmSync(names, { recursive: true })
    }
  }
  return { folding: { folds, same }, fine }
}
