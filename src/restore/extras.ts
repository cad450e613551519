// What lies at a destination and is in no entry: what `--delete` takes away.
import { lstatSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs'
import { fingerprintOf } from '../model/fingerprint.ts'
import { comparePaths, directoryOf } from '../model/location.ts'
import { isRoomName, ROOM, Twins } from './names.ts'
import type { Folding } from './names.ts'
import type { Pages } from './pages.ts'
import { isOurs, Remembered } from './receipt.ts'
import type { Kept, Receipt } from './receipt.ts'

export interface Extra {
  readonly path: string
  readonly kind: 'file' | 'folder'
  /** An earlier restore put it there, and nobody touched it since. */
  readonly ours: boolean
}

/** In path order; symbolic links are names like others, and never followed. A folder is told when nothing at all is in it, and the version has nothing to lie in it. */
export async function extrasOf(root: string, pages: Pick<Pages, 'all'>, receipt: Pick<Receipt, 'entries'>, folding?: Folding): Promise<readonly Extra[]> {
  // What a file system lists under another name than it was given may be the version's all the same.
  const twins = folding?.folds === true ? new Twins(folding) : undefined
  if (twins !== undefined) for await (const path of pathsOf(pages)) twins.add(path)
  const remembered = new Remembered(receipt.entries())
  const paths = pathsOf(pages)
  const extras: Extra[] = []
  try {
    let next = await paths.next()
    for (const { path, folder } of walk(root, '')) {
      while (next.done !== true && comparePaths(next.value, path) < 0) next = await paths.next()
      if (next.done !== true && (next.value === path || (folder && next.value.startsWith(path)))) continue
      if (twins?.of(path.replace(/\/$/, '')) !== undefined) continue
      const kept = folder ? undefined : await remembered.of(path)
      extras.push({ path, kind: folder ? 'folder' : 'file', ours: folder || (kept !== undefined && isUntouched(root, kept)) })
    }
    return extras
  } finally {
    await Promise.all([paths.return(undefined), remembered.close()])
  }
}

/** Of a link that a restore made only the link goes: whether what it leads to is still the same does not matter. */
function isUntouched(root: string, kept: Kept): boolean {
  const seen = lstatSync(root + kept.path, { bigint: true, throwIfNoEntry: false })
  if (seen === undefined) return false
  return kept.way === 'symlink' && seen.isSymbolicLink() ? true : isOurs(kept, fingerprintOf(seen))
}

/** The files and empty folders in a folder, which ends in `/`; itself where nothing lies in it. */
export function contentsOf(root: string, folder: string): readonly Omit<Extra, 'ours'>[] {
  if (readdirSync(root + folder).length === 0) return [{ path: folder, kind: 'folder' }]
  return [...walk(root, folder)].map(({ path, folder: empty }) => ({ path, kind: empty ? 'folder' : 'file' }))
}

/** Removes them, and the folders that then hold nothing: of those below `within`, where it is given. Told is each that is gone; a folder that got something meanwhile stays, as does what became one. */
export function* removeExtras<One extends Pick<Extra, 'path' | 'kind'>>(root: string, extras: readonly One[], within = ''): Generator<One, void> {
  for (const extra of extras) {
    const { path, kind } = extra
    if (!isGone(kind === 'folder' ? rmdirSync : unlinkSync, root + path)) continue
    yield extra
    for (let folder = directoryOf(kind === 'folder' ? path.slice(0, -1) : path); folder !== '' && folder.startsWith(within); folder = directoryOf(folder.slice(0, -1)))
      if (contains(root + folder) || !isGone(rmdirSync, root + folder)) break
  }
}

/** A mount says that it is in use before it says that something lies in it. */
function contains(folder: string): boolean {
  try {
    return readdirSync(folder).length > 0
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

function isGone(remove: (path: string) => void, path: string): boolean {
  try {
    remove(path)
    return true
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST', 'EISDIR', 'ENOTDIR'].includes(code)) throw error
    return code === 'ENOENT'
  }
}

async function* pathsOf(pages: Pick<Pages, 'all'>): AsyncGenerator<string, undefined> {
  for await (const { holdings } of pages.all()) for (const { path } of holdings) yield path
  return undefined
}

function* walk(root: string, folder: string): Generator<{ readonly path: string; readonly folder: boolean }> {
  const children = readdirSync(root + folder, { withFileTypes: true }).map((child) => ({ name: child.isDirectory() ? `${child.name}/` : child.name, folder: child.isDirectory() }))
  children.sort((a, b) => comparePaths(a.name, b.name))
  for (const child of children) {
    const path = folder + child.name
    if (path === `${ROOM}/` ? readdirSync(root + path).every(isRoomName) : folder === `${ROOM}/` && isRoomName(child.name)) continue
    if (!child.folder) yield { path, folder: false }
    else if (readdirSync(root + path).length === 0) yield { path, folder: true }
    else yield* walk(root, path)
  }
}
