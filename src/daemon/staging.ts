import { isUnreadable, mayBeSame, sameContent } from '../model/entry.ts'
import type { Content, Listed, Row, Skip } from '../model/entry.ts'
import { VarveError } from '../model/errors.ts'
import { comparePaths, directoryOf, locationAt } from '../model/location.ts'
import type { Watch } from '../model/watch.ts'
import type { Finding, Looking, Tally } from '../registry/registry.ts'
import type { Found, Store } from '../storage/storage.ts'
import type { Filter } from './filter.ts'
import type { LookParts } from './parts.ts'

// Findings per transaction: large enough that it is paid rarely, small enough that who hashes does not run dry while this thread writes (2 ms).
const STAGE_MOST = 500
// Objects per inspection and inspections at once: enough to keep all workers busy while the listing goes on, few enough that a bounded number is in memory.
const INSPECT_MOST = 1_024
const INSPECT_BYTES_MOST = 256 * 1024 * 1024
const INSPECTIONS_MOST = 3
// What may not be read is named up to here, and counted.
const DENIED_MOST = 20
// Removed paths, one per folder, that are kept to ask for by name: another object may hide them.
const SAMPLES_MOST = 1_000

/** The state of one look: what it knows, and its way into scratch.  */
export interface Staging {
  readonly parts: LookParts
  readonly watch: Watch
  readonly store: Store
  readonly filter: Filter
  readonly signal: AbortSignal
  looking: Looking
  /** Wall time at which the present pass began: for the racy window. */
  startMs: number
  /** From the second pass on: what is found now moved under the look. */
  again: boolean
  /** Stamps of directories as last read in this look, or the signatures of the head; undefined: must be read. */
  readonly stamps: Map<string, string | undefined>
  /** Directories that were read into, with the signature they may keep. */
  readonly signatures: Map<string, string | undefined>
  /** Paths that moved since they were first read in this look. */
  readonly moved: Set<string>
  /** What this pass may not read, where that fails the look: how many, and the first in path order. */
  readonly denied: { count: number; readonly first: Skip[] }
  /** Paths that could not be read in one piece. */
  readonly torn: Set<string>
  /** A removed path for each folder that lost one: not one that filters leave out. */
  readonly removedSamples: Map<string, string>
  /** Something staged had no fingerprint: it may still be moving. */
  racy: boolean
  /** Something other than a refresh was staged. */
  changed: boolean
  /** Every entry of the last pass had stamps that never repeat. */
  stampsHold: boolean
  seen: number
  taken: number
  bytes: number
  requests: number
  /** Time spent waiting for quiet: no part of what the look took. */
  restedMs: number
  memo: string | undefined
  lone: readonly string[]
  readonly notes: Set<string>
  readonly findings: Finding[]
  /** How often findings were laid into scratch. */
  batches: number
  /** What would be recorded, as it was when so many batches had been laid down. */
  foretold?: { readonly tally: Tally; readonly batches: number }
  wanted: Wanted[]
  wantedBytes: number
  readonly inspections: Set<Promise<void>>
  failure: { readonly error: unknown } | undefined
}

interface Wanted {
  readonly listed: Listed
  readonly row: Row | undefined
}

/** True when a path of the artifact is one of files, which have directories, fingerprints of their own, and cost no request. */
export function isFileAt({ watch }: Staging, path: string): boolean {
  return locationAt(watch.locations, path)?.scheme === 'file'
}

/** What must be waited for before anything more is told; mostly nothing. A promise for each object would cost more than all else that is done with it. */
type Waiting = Promise<void> | undefined

/** Compares one object with its row, and stages what differs, or has it inspected first. */
export function meet(staging: Staging, listed: Listed, row: Row | undefined): Waiting {
  if (++staging.taken > staging.watch.entriesMax) throw oversize(staging.watch.entriesMax)
  if (row !== undefined && untouched(row, listed)) return undefined
  if (listed.content === undefined || (row !== undefined && row.here && differs(row, listed.content) && mayBeSame(row, listed))) {
    staging.wanted.push({ listed, row })
    staging.wantedBytes += listed.sizeBytes
    return staging.wanted.length >= INSPECT_MOST || staging.wantedBytes >= INSPECT_BYTES_MOST ? inspectWanted(staging) : undefined
  }
  return settle(staging, listed, listed.content, row)
}

/** Not touched since it was recorded: the same fingerprint and size, at this location, under a pin that the row knows. */
function untouched(row: Row, listed: Listed): boolean {
  if (!row.here || listed.fingerprint === undefined || row.fingerprint !== listed.fingerprint || row.sizeBytes !== listed.sizeBytes) return false
  const pin = listed.content?.pin
  return (pin === undefined || pin === row.content.pin || pin === row.latestPin) && !(listed.content !== undefined && differs(row, listed.content))
}

function differs(row: Row, content: Content): boolean {
  return row.content.digest !== content.digest
}

/** Stages an object whose content is known: the same content is a refresh, any other is a put. */
export function settle(staging: Staging, listed: Listed, content: Content, row: Row | undefined): Waiting {
  const { path, sizeBytes, fingerprint } = listed
  const same = row !== undefined && row.here && sameContent(row, content, sizeBytes)
  if (staging.again && !same) staging.moved.add(path)
  if (!same) staging.changed = true
  if (fingerprint === undefined && !same) staging.racy = true
  const stamp = fingerprint === undefined ? {} : { fingerprint }
  // In a later pass the row may itself be staged, and a refresh would take its place: a put of what the head has is a refresh anyway.
  const staged = stage(staging, same && !staging.again ? { op: 'refresh', path, content, ...stamp } : { op: 'put', path, sizeBytes, content, ...stamp })
  const unskipped = staging.looking.skips > 0 ? stage(staging, { op: 'unskip', path }) : undefined
  return staged ?? unskipped
}

/** Stages the removal of an entry that is not there any more. */
export function removed(staging: Staging, row: Row): Waiting {
  if (staging.again) staging.moved.add(row.path)
  staging.changed = true
  const folder = directoryOf(row.path)
  const samples = staging.removedSamples
  if (folder !== '' && samples.size < SAMPLES_MOST && !samples.has(folder) && staging.filter.takes(row.path)) samples.set(folder, row.path)
  return stage(staging, { op: 'remove', path: row.path })
}

/** Stages something that is no entry; what may not be read fails the look unless the watch says `skip`, at the end of the pass, so that all of it can be named. */
export async function skipped(staging: Staging, skip: Skip): Promise<void> {
  if (isUnreadable(skip) && staging.watch.onUnreadable === 'fail') {
    const { denied } = staging
    denied.count++
    // The same ones whatever came first: a reason that is the same as before is not told again.
    denied.first.push(skip)
    denied.first.sort((a, b) => comparePaths(a.path, b.path)).splice(DENIED_MOST)
    return
  }
  await stage(staging, { op: 'skip', path: skip.path, reason: skip.reason })
}

/** What a HEAD, lstat or hash found, against the row of its path. */
export function foundOne(staging: Staging, found: Found, row: Row | undefined): Waiting {
  if (found.kind === 'entry' && found.listed.content !== undefined) {
    staging.bytes += found.listed.sizeBytes
    return settle(staging, found.listed, found.listed.content, row)
  }
  if (found.kind === 'skipped') return foundSkip(staging, found.skip, row)
  const path = found.kind === 'entry' ? found.listed.path : found.path
  if (found.kind === 'torn') staging.torn.add(path)
  staging.moved.add(path)
  // What vanished or became a folder since it was listed moved its directory too: the next pass reads that again. Where a listing knows no directories, one
  // that were made up here would count as gone, with all that lies in it.
  if (!staging.stamps.has(directoryOf(path))) return undefined
  staging.stamps.set(directoryOf(path), undefined)
  staging.signatures.set(directoryOf(path), undefined)
  return undefined
}

async function foundSkip(staging: Staging, skip: Skip, row: Row | undefined): Promise<void> {
  if (row !== undefined) await removed(staging, row)
  await skipped(staging, skip)
}

export function stage(staging: Staging, finding: Finding): Waiting {
  staging.findings.push(finding)
  return staging.findings.length >= STAGE_MOST ? flush(staging) : undefined
}

/** Starts an inspection of what waits for one; waits itself only when enough are going on. */
export async function inspectWanted(staging: Staging): Promise<void> {
  const wanted = staging.wanted
  if (wanted.length === 0) return
  staging.wanted = []
  staging.wantedBytes = 0
  const inspection: Promise<void> = inspect(staging, wanted)
    .catch((error: unknown) => {
      staging.failure ??= { error }
    })
    .finally(() => staging.inspections.delete(inspection))
  staging.inspections.add(inspection)
  while (staging.inspections.size >= INSPECTIONS_MOST) await Promise.race(staging.inspections)
  if (staging.failure !== undefined) throw staging.failure.error
}

async function inspect(staging: Staging, wanted: readonly Wanted[]): Promise<void> {
  const rows = new Map(wanted.map(({ listed, row }) => [listed.path, row]))
  const listed = wanted.map((one) => one.listed)
  staging.requests += listed.filter(({ path }) => !isFileAt(staging, path)).length
  for await (const found of staging.store.inspect(listed, staging.startMs, staging.signal)) {
    const path = found.kind === 'entry' ? found.listed.path : found.kind === 'skipped' ? found.skip.path : found.path
    const waiting = foundOne(staging, found, rows.get(path))
    if (waiting !== undefined) await waiting
  }
}

/** Throws UNREADABLE when the pass met something that it may not read and must not leave out. */
export function refuseDenied({ denied: { count, first } }: Staging): void {
  if (count === 0) return
  const [named, rest] = [first.map(({ path, reason }) => `${path || 'the root'}${count === 1 ? '' : ` (${reason})`}`).join(', '), count - first.length]
  const words = count === 1 ? `${named} cannot be read (${first[0]?.reason})` : `${count} paths cannot be read: ${named}${rest === 0 ? '' : ` and ${rest} more`}`
  throw new VarveError('UNREADABLE', words, { hint: `give Varve permission to read ${count === 1 ? 'it, exclude it' : 'them, exclude them'}, or set on_unreadable: skip` })
}

/** Waits for every inspection, and lays all findings into scratch. */
export async function drain(staging: Staging): Promise<void> {
  await inspectWanted(staging)
  while (staging.inspections.size > 0) await Promise.race(staging.inspections)
  if (staging.failure !== undefined) throw staging.failure.error
  await flush(staging)
}

/** Lays what is found so far into scratch. */
export async function flush(staging: Staging): Promise<void> {
  if (staging.findings.length === 0) return
  staging.batches++
  await staging.parts.registry.stage(staging.looking, staging.findings.splice(0))
}

/** The refusal of a prefix with too many entries: never truncated. */
export function oversize(entriesMax: number): VarveError {
  return new VarveError('OVERSIZE', `more than ${entriesMax} ${entriesMax === 1 ? 'entry' : 'entries'} (max_objects)`, {
    hint: 'raise max_objects (of put: --max-objects), or narrow what is looked at; nothing was recorded, the last version stays',
  })
}
