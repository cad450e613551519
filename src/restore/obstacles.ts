// What lies at a destination where an entry must come, and is no file: it must go first.
import { lstatSync } from 'node:fs'
import type { Stats } from 'node:fs'
import { VarveError } from '../model/errors.ts'
import { contentsOf } from './extras.ts'
import type { Extra } from './extras.ts'
import { count, named } from './said.ts'
import type { GetWish, Step } from './terms.ts'

export interface Obstacle {
  readonly path: string
  readonly what: 'a folder' | 'a file' | 'a symbolic link' | 'no file and no folder'
  /** What the version has at its place. */
  readonly wanted: 'a file' | 'a folder'
}

/** The first on the way to `path` that is no folder, else what lies at its place and is no file; undefined where there is none (any more). `root` ends in `/`. */
export function obstacleTo(root: string, path: string): Obstacle | undefined {
  for (let end = path.indexOf('/'); end >= 0; end = path.indexOf('/', end + 1)) {
    const one = path.slice(0, end)
    const seen = lstatSync(root + one, { throwIfNoEntry: false })
    if (seen === undefined) return undefined
    if (!seen.isDirectory()) return { path: one, what: kindOf(seen), wanted: 'a folder' }
  }
  const seen = lstatSync(root + path, { throwIfNoEntry: false })
  return seen === undefined || seen.isFile() || seen.isSymbolicLink() ? undefined : { path, what: kindOf(seen), wanted: 'a file' }
}

function kindOf(seen: Stats): Obstacle['what'] {
  return seen.isDirectory() ? 'a folder' : seen.isFile() ? 'a file' : seen.isSymbolicLink() ? 'a symbolic link' : 'no file and no folder'
}

/** What stands at a destination against what was asked for. */
export interface Clearance {
  /** What goes before anything comes, obstacle by obstacle. */
  readonly going: readonly { readonly obstacle: Obstacle; readonly parts: readonly Omit<Extra, 'ours'>[] }[]
  /** What may not go. */
  readonly conflict?: { readonly failure: VarveError; readonly steps: readonly Step[] }
}

/** Tells what goes and what may not: `foreign` are files with other bytes at places of entries, `extras` with `delete` what the version does not have. */
export function clearanceOf(root: string, wish: GetWish, foreign: readonly string[], obstacles: readonly Obstacle[], extras: readonly Extra[]): Clearance {
  const ours = new Set(extras.filter((extra) => extra.ours).map(({ path }) => path))
  const going: { obstacle: Obstacle; parts: readonly Omit<Extra, 'ours'>[] }[] = []
  const standing: Obstacle[] = []
  for (const obstacle of obstacles) {
    const parts = partsOf(root, obstacle)
    if (wish.force || (wish.delete && parts.every(({ path }) => ours.has(path)))) going.push({ obstacle, parts })
    else standing.push(obstacle)
  }
  const strange = wish.force ? [] : extras.filter((extra) => !extra.ours).map(({ path }) => path)
  if (foreign.length + standing.length + strange.length === 0) return { going }
  const steps = [
    ...foreign.map((path): Step => ({ path, action: 'conflict', words: 'other bytes lie there, which no restore put there' })),
    ...strange.map((path): Step => ({ path, action: 'conflict', words: 'the version does not have it, and no restore put it there' })),
    ...standing.map(({ path, what, wanted }): Step => ({ path, action: 'conflict', words: `it is ${what}, where the version has ${wanted}` })),
  ]
  return { going, conflict: { failure: failureOf(wish, [...foreign, ...strange], standing), steps } }
}

function failureOf(wish: GetWish, strange: readonly string[], standing: readonly Obstacle[]): VarveError {
  const { destination } = wish
  const [first] = standing
  const more = standing.length > 1 ? ` (and ${count(standing.length - 1, 'other', 'others')} like it)` : ''
  const words = [
    ...(strange.length > 0 ? [`${count(strange.length, 'file', 'files')} at ${destination} ${strange.length === 1 ? 'is' : 'are'} not what a restore put there: ${named(strange)}`] : []),
    ...(first === undefined ? [] : [`${first.path} is ${first.what} at ${destination}, where the version has ${first.wanted}${more}`]),
  ]
  // A part of a version cannot be told to be all that is there.
  const may = strange.length > 0 || wish.delete || wish.path !== undefined || wish.filters !== undefined ? '--force' : '--delete where nothing but what a restore put there goes, else with --force'
  return new VarveError('CONFLICT', words.join('; '), { hint: `nothing was written: move ${strange.length + standing.length === 1 ? 'it' : 'them'} away, name another destination, or let ${strange.length + standing.length === 1 ? 'it' : 'them'} go with ${may}` })
}

/** The obstacle itself, or the files and empty folders that lie in it. */
function partsOf(root: string, { path, what }: Obstacle): readonly Omit<Extra, 'ours'>[] {
  return what === 'a folder' ? contentsOf(root, `${path}/`) : [{ path, kind: 'file' }]
}
