import { isUnreadable } from '../model/entry.ts'
import { isFailure, VarveError } from '../model/errors.ts'
import { formatLocation, locationAt, lonePath } from '../model/location.ts'
import type { Watch } from '../model/watch.ts'
import type { Looking, Tally } from '../registry/registry.ts'
import type { Found, Root } from '../storage/storage.ts'
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
export function rootText({ identity, words, mount, finer = [], below = {} }: Known): string {
  return JSON.stringify([identity, words, mount, finer, below])
}

type Known = Pick<Root, 'identity' | 'words' | 'mount' | 'finer' | 'below'>

/** A text of before that was known has nothing finer, and nothing below. */
function rootIn(text: string): Known {
  const [identity, words, mount, finer = [], below = {}] = JSON.parse(text) as [string, string, string, (string | null)[]?, Readonly<Record<string, string>>?]
  return { identity, words, mount, finer, below }
}

/** What is to be known of the root from now on. What was ever mounted below it stays known, unless a person said that it is gone for good. */
export function rootToKeep(looking: Looking, root: Root): string {
  const before = looking.root === undefined || looking.accepted !== undefined ? {} : rootIn(looking.root).below
  return rootText({ ...root, below: { ...before, ...root.below } })
}

/** True where something is mounted below the root that was not there when it was last looked at, or was another. */
export function mountsMore(looking: Looking, root: Root): boolean {
  const before = looking.root === undefined ? {} : (rootIn(looking.root).below ?? {})
  return Object.entries(root.below ?? {}).some(([path, is]) => before[path] !== is)
}

/** What is known of one of them alone tells nothing: it may have been recorded before Varve asked for it. */
export function isSameRoot(before: Known, now: Known): boolean {
  return before.identity === now.identity && !(now.finer ?? []).some((one, place) => one !== null && one !== (before.finer?.[place] ?? one))
}

/** Two roots in words: never the same ones, whatever it is that differs. */
export function tellApart(before: Known, now: Known): readonly [string, string] {
  const tell = ({ identity, words, finer = [] }: Known): string => {
    const more = before.identity === now.identity ? finer.filter((one) => one !== null) : before.words === now.words ? [identity] : []
    return [words, ...more].join(', ')
  }
  return [tell(before), tell(now)]
}

/**
 * Law 5: is the root still the same root? Throws LOCATION_MISSING when what was mounted is not (it may come back), Held when something else is in its place.
 */
export function checkRoot(looking: Looking, root: Root, watch: Watch): void {
  if (looking.root === undefined) return
  const accepted = looking.accepted?.root === undefined ? undefined : rootIn(looking.accepted.root)
  if (accepted?.mount === root.mount && isSameRoot(accepted, root)) return
  const away = elsewhere(looking, root)
  if (away === undefined) return
  if (away.isGone) throw new VarveError('LOCATION_MISSING', away.words, { hint: remount(watch), cause: new Held('another root', '', { root: rootText(root) }) })
  throw new Held(away.words, `if that is meant, run: varve accept ${watch.name}`, { root: rootText(root) })
}

/** How the root differs from the one that was last recorded; undefined where it does not. `isGone`: nothing is mounted where that one was. */
function elsewhere(looking: Looking, root: Root): { readonly words: string; readonly isGone: boolean } | undefined {
  const before = looking.root === undefined ? undefined : rootIn(looking.root)
  if (before === undefined || isSameRoot(before, root)) return undefined
  const [was, is] = tellApart(before, root)
  const isGone = before.mount !== root.mount
  return { words: isGone ? `the root is gone: it was ${was}, what lies there now is ${is}` : `another root is in its place: it was ${was}, now it is ${is}`, isGone }
}

function remount({ name }: Watch): string {
  return `mount it again; if the data moved for good, run: varve accept ${name}`
}

// Of what was left out so many are named in a line; `skipped` has them all.
const LEFT_OUT_MOST = 20

/** What was recorded and is removed now for no other reason than that it cannot be read (`on_unreadable: skip`): the first of it by name. Undefined when there is none. */
export async function leftOut({ looking, parts }: Staging, { skipped, changes }: Tally): Promise<string | undefined> {
  const paths: string[] = []
  if (changes.removed + changes.moved > 0) for (const skip of skipped) if (isUnreadable(skip) && (await parts.registry.removes(looking, skip.path))) paths.push(skip.path)
  const more = paths.length - LEFT_OUT_MOST
  return paths.length === 0 ? undefined : `${paths.slice(0, LEFT_OUT_MOST).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

/** The guards before a commit; `unread` is what of the removed could not be read. Throws Held when one trips and `accept` does not cover what it would let through. */
export async function checkTally(staging: Staging, tally: Tally, root: Root, unread: string | undefined): Promise<void> {
  const { looking, watch } = staging
  const base = looking.base
  const accepts = `look at what is missing; if that is meant, run: varve accept ${watch.name}`
  const seen = { digest: tally.digest, root: rootText(root) }
  if (base === undefined || (tally.changes.removed + tally.changes.moved === 0 && tally.entries > 0)) return
  await checkBeside(staging, tally, seen)
  await checkBelow(staging, tally, root)
  if (tally.changes.removed === 0 && tally.entries > 0) return
  let words: string | undefined
  if (base.entries > 0 && tally.entries === 0) words = base.entries === 1 ? 'the only entry is gone' : `all ${base.entries} entries are gone`
  else if (base.entries >= SHARE_FROM_ENTRIES && tally.changes.removed / base.entries > watch.guard.removedShareMax)
    words = `${tally.changes.removed} of ${base.entries} entries ${tally.changes.removed === 1 ? 'is' : 'are'} gone, more than guard.max_removed (${Math.round(watch.guard.removedShareMax * 100)} %)`
  if (words === undefined) return
  // Who was asked whether most may be gone was not asked whether all may: beside what was gone then, something new lay there.
  const asked = looking.accepted !== undefined && !(tally.entries === 0 && looking.accepted.foundNew === true)
  if (asked && (await staging.parts.registry.removedBeyondAccepted(looking, 1)).length === 0) return
  const away = elsewhere(looking, root)
  throw new Held([...(away === undefined ? [] : [away.words]), unread === undefined ? words : `${words}; not gone, but not to be read: ${unread}`].join(', and '), away?.isGone === true ? remount(watch) : accepts, seen)
}

/** Law 5 for a location of a bucket without a slash that was a prefix, and is an object now: what lies under the prefix is none of its entries, and yet not known to be gone. Throws Held at any number. */
async function checkBeside({ looking, watch, lone, parts }: Staging, { changes }: Tally, seen: Held['seen']): Promise<void> {
  const location = watch.locations.find((one) => ['s3', 'gs'].includes(one.scheme) && one.object !== undefined && lone.includes(lonePath(one)))
  if (location === undefined || (location.at !== undefined && !(await parts.registry.removes(looking, location.at)))) return
  if (looking.accepted !== undefined && (await parts.registry.removedBeyondAccepted(looking, 1)).length === 0) return
  const [place, count] = [formatLocation(location), changes.removed + changes.moved]
  const leave = count === 1 ? '1 recorded entry under it is none of it then' : `${count} recorded entries under it are none of it then`
  throw new Held(`an object ${place} stands beside ${place}/ now, and a location without / at its end means the object: ${leave}, gone or not`,
    `write the location as ${place}/ to go on with what lies under it, or delete the object; to have them leave the artifact, and the object alone in it, run: varve accept ${watch.name}`, seen)
}

/** Law 5 for disks that are mounted below the root: what is gone with its mount is not known to be gone. Throws LOCATION_MISSING, or Held where another is in its place. */
async function checkBelow({ looking, watch, parts }: Staging, tally: Tally, root: Root): Promise<void> {
  const before = looking.root === undefined ? {} : rootIn(looking.root).below
  for (const [path, was] of Object.entries(before ?? {})) {
    const is = root.below?.[path]
    if (is === was || !(await parts.registry.removes(looking, `${path}/`))) continue
    if (looking.accepted !== undefined && (await parts.registry.removedBeyondAccepted(looking, 1)).length === 0) return
    const seen = { digest: tally.digest, root: rootText(root) }
    if (is !== undefined) throw new Held(`another disk is mounted at ${path}: it was ${was}, now it is ${is}`, `if that is meant, run: varve accept ${watch.name}`, seen)
    throw new VarveError('LOCATION_MISSING', `${path} is not mounted: it was ${was}, and what it held is not there`, {
      hint: remount(watch),
      cause: new Held('a mount is gone', '', seen),
    })
  }
}

/** Nothing is recorded until the completion marker is there. Throws Held. */
export async function checkComplete(staging: Staging): Promise<void> {
  const marker = staging.watch.guard.completeMarker
  if (marker === undefined) return
  for await (const found of byName(staging, [marker])) if (found.kind === 'entry') return
  throw new Held(`the completion marker ${marker} is not there`, 'it is waited for: write it when the data is complete', {})
}

/**
 * Law 5: some stores list nothing of `p/…` while an object `p` has any version, be the newest a delete marker. So before a scan's removals are believed, one removed key of
 * each folder is asked for by name; so are hinted keys that the listing lacks. Throws Held, naming `p`.
 */
export async function checkHidden(staging: Staging): Promise<void> {
  const { parts: { registry }, looking, filter } = staging
  // Files have folders, and a web server lists nothing.
  const asked = [...new Set([...looking.paths.filter((path) => filter.takes(path)), ...staging.removedSamples.values()])]
    .filter((path) => ['s3', 'gs'].includes(locationAt(staging.watch.locations, path)?.scheme ?? ''))
  const present = new Set((await registry.rowsAt(looking, asked)).map((row) => row.path))
  const missing = asked.filter((path) => !present.has(path))
  const under = new Map<string, string>()
  let there: string | undefined
  try {
    for await (const found of byName(staging, missing))
      if (found.kind === 'entry') {
        there = found.listed.path
        for (const ancestor of ancestors(there)) if (!under.has(ancestor)) under.set(ancestor, there)
      }
  } catch (error) {
    // Who may only list can ask nothing by name: the listing is believed, unless it shows an object that may hide what it lacks.
    if (!isFailure(error, 'LOCATION_DENIED') || (await registry.rowsAt(looking, missing.flatMap(ancestors))).length > 0) throw error
    return
  }
  for await (const found of byName(staging, under.keys())) {
    if (found.kind !== 'entry' && !(found.kind === 'absent' && found.marked === true)) continue
    const [hider, what] = found.kind === 'entry' ? [found.listed.path, 'object'] : [found.path, 'deleted object']
    throw new Held(`the ${what} ${hider} hides what lies under ${hider}/ from the listing: ${under.get(hider)} is there when asked for by name`,
      `delete ${hider} with all its versions, or move the keys under ${hider}/`, {})
  }
  // Nothing hides it now: it came since the listing, or what hid it has gone. Either way the listing is not what lies there, nor what lies beside it.
  if (there !== undefined) throw new VarveError('STORAGE_INVALID', `${there} is there when asked for by name, and the listing lacked it`, { hint: 'nothing was recorded; it is looked at again at once' })
}

async function* byName(staging: Staging, names: Iterable<string>): AsyncIterable<Found> {
  const paths = [...names]
  staging.requests += paths.filter((path) => !isFileAt(staging, path)).length
  if (paths.length > 0) yield* staging.store.find(paths, staging.startMs, staging.signal)
}

/** `a/b/c` → `a`, `a/b`. */
function ancestors(path: string): string[] {
  const all: string[] = []
  for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) all.push(path.slice(0, slash))
  return all
}
