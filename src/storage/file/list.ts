import type { Listed, Skip } from '../../model/entry.ts'
import { baseName, comparePaths } from '../../model/location.ts'
import type { Pass, Span } from '../storage.ts'
import { FIELDS, fingerprintOf, listedOf, namesOf, numbersOf, placeAt, skipsOf } from './block.ts'
import type { Place } from './block.ts'
import { flow } from './flow.ts'
import type { Hands, Stated } from './hands.ts'
import { CHILDREN_FIRST, CHILDREN_MOST } from './pack.ts'
import type { Walked } from './pack.ts'

// Folders per task: enough that trees of tiny folders need few messages, few enough that there is work for all.
const FOLDERS_MOST = 64
// Batches that wait for a slow reader, a quarter of a megabyte each.
const WAITING_MOST = 8

const END: Pass = { requests: 0, notes: [], lone: [] }

/** Walks all below `prefix`: a span for each directory. Throws LOCATION_MISSING, LOCATION_DENIED, STORAGE_UNAVAILABLE. */
export async function* walkAll(hands: Hands, prefix: string, racyFrom: bigint, signal: AbortSignal): AsyncGenerator<Span> {
  hands.warm()
  // Last in, first out: depth first, so that few are in hand at a time.
  const folders = ['']
  const next = (): Promise<Walked> | undefined => {
    if (folders.length === 0) return undefined
    const childrenMost = folders.length < hands.width ? CHILDREN_FIRST : CHILDREN_MOST
    const directories = folders.splice(-Math.min(FOLDERS_MOST, Math.ceil(folders.length / hands.width)))
    return hands.walk({ kind: 'walk', prefix, directories, racyFrom, childrenMost }).then((walked) => {
      for (const folder of walked.left) folders.push(folder)
      return walked
    })
  }
  let last: DirectorySpan | undefined
  for await (const walked of flow(next, hands.width + WAITING_MOST, signal))
    for (let index = 0; index < walked.directories.length; index++) {
      if (last !== undefined) yield last
      last = new DirectorySpan(walked, index, racyFrom)
    }
  if (last !== undefined) yield Object.assign(last, { end: END })
}

class DirectorySpan implements Span {
  readonly cover: { readonly directory: string }
  readonly seen: number
  readonly settled: boolean
  readonly stamp?: string
  readonly end?: Pass
  readonly #block: ArrayBuffer
  readonly #place: Place
  readonly #racyFrom: bigint

  constructor(walked: Walked, index: number, racyFrom: bigint) {
    const place = placeAt(walked.places, index)
    const stamp = walked.stamps[index] as string
    this.cover = { directory: walked.directories[index] as string }
    this.seen = place.entries + place.skipped
    this.settled = place.racy === 0
    if (stamp !== '') this.stamp = stamp
    this.#block = walked.block
    this.#place = place
    this.#racyFrom = racyFrom
  }

  get skipped(): readonly Skip[] {
    return skipsOf(this.#block, this.#place, this.cover.directory)
  }

  *entries(): Generator<Listed> {
    if (this.#place.entries === 0) return
    const { directory } = this.cover
    const numbers = numbersOf(this.#block, this.#place)
    const names = namesOf(this.#block, this.#place)
    const files = Uint32Array.from(names.keys()).filter((child) => (numbers[child * FIELDS] as bigint) >= 0n)
    // Names, not paths: they differ sooner.
    files.sort((a, b) => comparePaths(names[a] as string, names[b] as string))
    for (const child of files) yield listedOf(directory + (names[child] as string), numbers, child * FIELDS, this.#racyFrom)
  }
}

/** The span of a location that names one file; undefined when it names a folder. */
export function loneSpan(object: string, seen: Stated, racyFrom: bigint): Span | undefined {
  const { kind } = seen
  if (kind === 'directory') return undefined
  const path = baseName(object)
  const racy = seen.mtimeNs >= racyFrom || seen.ctimeNs >= racyFrom
  const entry: Listed = { path, sizeBytes: Number(seen.size), ...(racy ? {} : { fingerprint: fingerprintOf(seen) }) }
  return {
    cover: { after: '' },
    seen: 1,
    entries: () => (kind === undefined ? [entry] : []),
    skipped: kind === undefined ? [] : [{ path, reason: kind }],
    settled: !racy,
    end: { ...END, lone: [path] },
  }
}
