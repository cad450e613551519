import { VarveError } from '../model/errors.ts'
import type { Watch } from '../model/watch.ts'
import type { Looking, Tally } from '../registry/registry.ts'
import type { Root } from '../storage/storage.ts'
import { isFileAt } from './staging.ts'
import type { Staging } from './staging.ts'

// Below this number of entries a percentage says little: one file of three is 33 %.
const SHARE_FROM_ENTRIES = 20

/** A look that a guard stopped. Thrown with what `accept` needs to know of it. */
export class Held extends VarveError {
  readonly seen: { readonly digest?: string; readonly root?: string }

  constructor(message: string, hint: string, seen: { readonly digest?: string; readonly root?: string }) {
    super('HELD', message, { hint })
    this.seen = seen
  }
}

/** What the registry keeps of a root: its identity, and the words to say what was there. */
export function rootText(root: Root): string {
  return JSON.stringify([root.identity, root.words, root.mount])
}

/**
 * Law 5: is the root still the same root? Throws LOCATION_MISSING when what was mounted is not (it may come back), Held when something else is in its place.
 */
export function checkRoot(looking: Looking, root: Root, watch: Watch): void {
  if (looking.root === undefined || looking.accepted?.root === rootText(root)) return
  const [identity, words, mount] = JSON.parse(looking.root) as [string, string, string]
  if (identity === root.identity) return
  if (mount !== root.mount)
    throw new VarveError('LOCATION_MISSING', `the root is gone: it was ${words}, what lies there now is ${root.words}`, {
      hint: `mount it again; if the data moved for good, run: varve accept ${watch.name}`,
      cause: new Held('another root', '', { root: rootText(root) }),
    })
  throw new Held(`another root is in its place: it was ${words}, now it is ${root.words}`, `if that is meant, run: varve accept ${watch.name}`, {
    root: rootText(root),
  })
}

/** The guards before a commit. Throws Held when one trips and `accept` does not cover what it would let through. */
export async function checkTally(staging: Staging, tally: Tally, root: Root): Promise<void> {
  const { looking, watch } = staging
  const base = looking.base
  const accepts = `look at what is missing; if that is meant, run: varve accept ${watch.name}`
  const seen = { digest: tally.digest, root: rootText(root) }
  if (base === undefined || (tally.changes.removed === 0 && tally.entries > 0)) return
  let words: string | undefined
  if (base.entries > 0 && tally.entries === 0) words = `all ${base.entries} entries are gone`
  else if (base.entries >= SHARE_FROM_ENTRIES && tally.changes.removed / base.entries > watch.guard.removedShareMax)
    words = `${tally.changes.removed} of ${base.entries} entries are gone, more than guard.max_removed (${Math.round(watch.guard.removedShareMax * 100)} %)`
  if (words === undefined) return
  if (looking.accepted !== undefined && (await staging.parts.registry.removedBeyondAccepted(looking, 1)).length === 0) return
  throw new Held(words, accepts, seen)
}

/** Nothing is recorded until the completion marker is there. Throws Held. */
export async function checkComplete(staging: Staging): Promise<void> {
  const marker = staging.watch.guard.completeMarker
  if (marker === undefined || (await thereOf(staging, [marker])).size > 0) return
  throw new Held(`the completion marker ${marker} is not there`, 'it is waited for: write it when the data is complete', {})
}

/**
 * Some stores hide all of `p/…` once an object `p` exists. Before a scan's removals under `p/` are believed, one removed key under it is asked for by name; so are
 * hinted keys that the listing lacks. Throws Held, naming `p`.
 */
export async function checkHidden(staging: Staging): Promise<void> {
  if (staging.watch.locations.every(({ scheme }) => scheme === 'file')) return
  const { parts, looking, filter } = staging
  const present = new Set((await parts.registry.rowsAt(looking, looking.paths)).map((row) => row.path))
  const asked = new Map<string, string>()
  for (const path of [...looking.paths.filter((one) => filter.takes(one) && !present.has(one)), ...staging.removedSamples.values()])
    for (const ancestor of ancestors(path)) if (!asked.has(ancestor)) asked.set(ancestor, path)
  const rows = new Set((await parts.registry.rowsAt(looking, [...asked.keys()])).map((row) => row.path))
  // What the filters drop is no row, and hides all the same.
  const suspects = [...asked].filter(([hider]) => rows.has(hider) || !filter.takes(hider))
  const hidden = await thereOf(staging, [...new Set(suspects.map(([, path]) => path))])
  for (const [hider, path] of suspects) {
    if (!hidden.has(path) || !(rows.has(hider) || (await thereOf(staging, [hider])).size > 0)) continue
    throw new Held(`the object ${hider} hides what lies under ${hider}/ from the listing: ${path} is there when asked for by name`,
      `move or delete the object ${hider}, or the keys under ${hider}/`, {})
  }
}

/** Those of `paths` that are there when asked for by name. */
async function thereOf(staging: Staging, paths: readonly string[]): Promise<ReadonlySet<string>> {
  const there = new Set<string>()
  if (paths.length === 0) return there
  staging.requests += paths.filter((path) => !isFileAt(staging, path)).length
  for await (const found of staging.store.find(paths, staging.startMs, staging.signal)) if (found.kind === 'entry') there.add(found.listed.path)
  return there
}

/** `a/b/c` → `a`, `a/b`. */
function ancestors(path: string): string[] {
  const all: string[] = []
  for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) all.push(path.slice(0, slash))
  return all
}
