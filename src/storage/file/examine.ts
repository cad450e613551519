// Runs in a child of its own: every call here may hang for good on a mount whose server is gone, and then it is the child that is killed.
import { accessSync, closeSync, constants, lstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import type { Dirent, Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Location } from '../../model/location.ts'
import { degraded, fails, works } from '../../model/probe.ts'
import type { Diagnosis } from '../../model/probe.ts'
import { fileFailure } from './failures.ts'
import { grantOf, watchesNeeded } from './inotify.ts'
import { levelsOf } from './notifications.ts'
import { isLeftOut } from './pack.ts'
import { rootOf } from './root.ts'

/** What the child is to examine. */
export interface Order {
  readonly location: Location
  readonly rootMarker?: string
  /** In words, how changes are found that are not heard. */
  readonly otherwise: string
  readonly clockSlackMs: number
  /** How long the walk may take. */
  readonly walkMs: number
}

/** What the child says: which question it asks now, and what came of one. */
export type Word = { readonly asks: string } | { readonly found: Diagnosis } | { readonly walked: Walked } | { readonly done: true }

/** What a walk met. Each of `barred` is a path that may not be read; one that ends in `/` is a folder. */
export interface Walked {
  readonly files: number
  readonly folders: number
  /** Everything was walked; else time ran out. */
  readonly whole: boolean
  readonly barred: readonly string[]
}

// Enough that one of them is not filtered out by the watch, and little to be sent.
const BARRED_MOST = 1_000

/** Examines, question by question. Resolves when all is said, or one answer forbids the next. */
export async function examine(order: Order, say: (word: Word) => void): Promise<void> {
  const { location, rootMarker } = order
  const path = location.object ?? location.prefix
  const ask = async <T>(capability: string, question: () => Promise<T> | T): Promise<T | undefined> => {
    say({ asks: capability })
    try {
      return await question()
    } catch (error) {
      const { message, hint } = fileFailure(error, path)
      say({ found: fails(capability, { reason: message, action: hint }) })
      return undefined
    }
  }
  const root = await ask('root', () => rootOf(location, rootMarker))
  if (root === undefined) return
  say({ found: works('root', root.words) })
  const seen = await ask('walk', async () => ((await isFile(location)) ? lone(path) : walk(location.prefix, order.walkMs)))
  if (seen === undefined) return
  say({ walked: { files: seen.files, folders: seen.folders, whole: seen.whole, barred: seen.barred } })
  const { sample } = seen
  if (sample !== undefined && (await ask('read', () => readOne(sample)))) say({ found: works('read') })
  const hears = await ask('hear', () => hearing(location, seen, root.network, order.otherwise))
  if (hears !== undefined) say({ found: hears })
  const clock = clockOf(seen.aheadMs, root.network, order.clockSlackMs)
  if (clock !== undefined) say({ found: clock })
}

async function isFile({ object }: Location): Promise<boolean> {
  return object !== undefined && !(await stat(object)).isDirectory()
}

interface Seen extends Walked {
  /** A file to be read. */
  readonly sample: string | undefined
  /** Folders by how deep they lie. */
  readonly levels: readonly number[]
  /** How far the latest change lies in the future. */
  readonly aheadMs: number
}

/** That it may be read its root has shown. */
function lone(path: string): Seen {
  return { files: 1, folders: 0, whole: true, barred: [], sample: path, levels: [1], aheadMs: statSync(path).ctimeMs - Date.now() }
}

/** Walks all below `prefix` for so long, and tries what this user may do there. */
function walk(prefix: string, walkMs: number): Seen {
  const until = performance.now() + walkMs
  const left = [{ folder: '', depth: 0 }]
  const levels: number[] = []
  const barred: string[] = []
  const met = { files: 0, folders: 0, sample: undefined as string | undefined, aheadMs: -Infinity }
  for (let here = left.pop(); here !== undefined; here = left.pop()) {
    const children = childrenOf(prefix, here.folder)
    if (children === 'barred' && barred.length < BARRED_MOST) barred.push(here.folder)
    if (typeof children === 'string') continue
    met.folders++
    levels[here.depth] = (levels[here.depth] ?? 0) + 1
    for (const child of children) {
      if (performance.now() > until) return { ...met, whole: false, barred, levels }
      if (isLeftOut(child.name)) continue
      const path = here.folder + child.name
      const found = fileAt(prefix + path, child)
      if (found === 'folder') left.push({ folder: `${path}/`, depth: here.depth + 1 })
      if (typeof found !== 'object') continue
      met.files++
      met.aheadMs = Math.max(met.aheadMs, found.ctimeMs - Date.now())
      if (!allows(prefix + path, constants.R_OK)) {
        if (barred.length < BARRED_MOST) barred.push(path)
      } else if (found.size > 0) met.sample ??= prefix + path
    }
  }
  return { ...met, whole: true, barred, levels }
}

/** Throws for the root alone. */
function childrenOf(prefix: string, folder: string): readonly Dirent[] | 'barred' | 'gone' {
  try {
    accessSync(prefix + folder, constants.R_OK | constants.X_OK)
    return readdirSync(prefix + folder, { withFileTypes: true })
  } catch (error) {
    if (folder === '') throw error
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EACCES' || code === 'EPERM') return 'barred'
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return 'gone'
    throw error
  }
}

/** What a look would take for a file, or go down into. Symbolic links to files are followed. */
function fileAt(path: string, child: Dirent): Stats | 'folder' | 'other' {
  if (child.isDirectory()) return 'folder'
  try {
    const seen = lstatSync(path)
    if (seen.isDirectory()) return 'folder'
    const target = seen.isSymbolicLink() ? statSync(path) : seen
    return target.isFile() ? target : 'other'
  } catch {
    // Gone by now, or a link that leads nowhere.
    return 'other'
  }
}

function allows(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}

/** Permissions may say yes where the server says no. */
function readOne(path: string): boolean {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    readSync(file, Buffer.alloc(1), 0, 1, 0)
    return true
  } finally {
    closeSync(file)
  }
}

/** Whether the kernel tells of changes. */
async function hearing(location: Location, seen: Seen, network: boolean, otherwise: string): Promise<Diagnosis> {
  if (network) return degraded('hear', { reason: `a network file system tells nothing of what other machines write; ${otherwise}` })
  const folder = location.prefix.replace(/(.)\/$/, '$1')
  const file = location.object !== undefined && seen.folders === 0
  const depth = file ? 1 : await levelsOf(folder)
  if (depth === 0) return degraded('hear', { reason: `there are too many entries to be heard of; ${otherwise}` })
  const root = file ? folder.slice(0, folder.lastIndexOf('/')) || '/' : folder
  const limited = watchesNeeded(grantOf(root), seen.levels.slice(0, depth).reduce((sum, count) => sum + count, 0), seen.whole)
  if (limited !== undefined) return degraded('hear', { ...limited, reason: `${limited.reason}; ${otherwise}` })
  if (!file && depth !== Infinity) return degraded('hear', { reason: `folders below level ${depth} are not heard, since there are too many; ${otherwise}` })
  return works('hear')
}

// The kernel's clock of files ticks a few times in a hundredth of a second.
const TICK_MS = 20

/**
 * A change in the future was stamped by a clock that is ahead of this one. The time of a change is set by whoever keeps the file, and by nobody else. A clock that is behind
 * cannot be seen without writing.
 */
export function clockOf(aheadMs: number, network: boolean, slackMs: number): Diagnosis | undefined {
  if (aheadMs <= TICK_MS) return network ? works('clock', 'no file was changed in the future; a server whose clock is behind cannot be seen without writing') : undefined
  const seconds = Math.ceil(aheadMs / 1_000)
  if (!network) return degraded('clock', { reason: `a file was changed ${seconds} s in the future: this clock was set back`, action: 'have the clock of this machine synchronised' })
  if (aheadMs <= slackMs) return works('clock', `the file server's clock is ${seconds} s ahead, within clock_slack`)
  return degraded('clock', {
    reason: `the file server's clock is at least ${seconds} s ahead of this one: what changes just after a look may be missed`,
    action: `have both clocks synchronised, or set clock_slack to ${seconds}s or more`,
  })
}
