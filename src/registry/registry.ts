/**
 * The door of `registry`: what we have seen. Versions are ranges: an entry is a row that is valid for `[since, until)`, so a commit that changes
 * k of N objects writes k rows. Three parts: `Ledger` writes (the daemon, `put`), `Auditing` keeps what becomes of it, `Catalog` reads (CLI, later REST). Times are wall ms, given by the caller.
 * Throws REGISTRY_BUSY, REGISTRY_FULL (the disk under `data`), NOT_FOUND, CONFLICT.
 */
import type { Content, Holding, Row, Skip, SkipReason } from '../model/entry.ts'
import type { Loss } from '../model/errors.ts'
import type { Audited, AuditPass, AuditPoint, AuditRow, Fallout, Fate, Question, Refuge } from '../model/fate.ts'
import type { Keeping } from '../model/lifecycle.ts'
import type { Location } from '../model/location.ts'
import type {
  Certificate, Changes, ChangeView, CollectionView, EdgeView, EntryView, LastLook, Marked, MarkedRun, RemovalView, RestorabilityState, RunState, StateChange, UseView, VersionView, WatchView,
} from '../model/version.ts'
import type { Cause, CollectionName, ProjectName, Watch, WatchState } from '../model/watch.ts'

export interface Registry extends Ledger, Auditing, Retention, Catalog {
  /** Made with the database: two installs on one Redis do not meet. */
  readonly id: string
  close(): Promise<void>
}

/** A registry that nobody else knows of before `keep`. One of the two must be called. */
export interface Aside {
  readonly registry: Registry
  /** Closes it and puts it in its place. False when that was taken meanwhile, or cannot be taken: then nothing of it is left. */
  keep(): Promise<boolean>
  /** Closes it, and leaves nothing that was made for it. */
  drop(): Promise<void>
}

/** A wish that `path` (or WHOLE) of a watch be looked at. `hint` is the only cause that settles. */
export interface LookRequest {
  readonly watch: string
  readonly path: string
  readonly cause: Cause
  /** A hint that tells of no change, so that there is nothing to settle. */
  readonly settled?: true
}

export interface Ledger {
  /**
   * Makes the configured watches the ones that are looked at: a row, project, collection and run for each. A new watch, or one whose location, filters or
   * `on_unreadable` differ from what its row was made with, gets a WHOLE request with cause `config`, and trusts no directory signature at its next look.
   * A watch that is gone keeps its history and is no longer listed. Leases of `owner` are those of a process of that name that died: they end. Sweeps the
   * scratch rows of looks that nobody owns.
   * Throws CONFLICT for two watches with one collection. A collection of another type stays what it is: `Looking.type` tells.
   */
  enroll(watches: readonly Watch[], nowMs: number, owner?: string): Promise<void>
  /**
   * Hop 2, the only entry. When it resolves, each watch's generation is raised and its paths are stored with it, durably (fsync), all in one transaction.
   * A second request of a path raises its generation. More than 1,000 paths of a watch become WHOLE. Unknown watches are left out.
   */
  request(requests: readonly LookRequest[], nowMs: number): Promise<void>
  /** Writes something small, durably: when it resolves, what is requested now would be on the disk, too. Throws what `request` throws. */
  proveWritable(): Promise<void>
  watchRows(): Promise<readonly WatchRow[]>
  watchRow(watch: string): Promise<WatchRow | undefined>
  /**
   * Takes the lease and raises the epoch, and in the same transaction reads generation, requests and head: before the first read of storage.
   * Undefined when the watch is not dirty, not enrolled, or leased by another owner whose lease has not expired (one that ends later than a lease of now would
   * has: the clock was set back; so has that of `dead`, an owner that is known to have died). A watch without trouble is `looking` from now on; one in trouble stays what it is until a look ends well.
   */
  begin(watch: string, owner: string, leaseMs: number, nowMs: number, dead?: string): Promise<Looking | undefined>
  /** The same for `put`: no watch, no lease; the base check alone. Makes entity, project, collection and a run. Throws CONFLICT for a collection watched at another location. */
  beginPut(order: PutOrder, nowMs: number): Promise<Looking>
  /** Prolongs the lease. False when the look was overtaken: it must stop. */
  renew(looking: Looking, leaseMs: number, nowMs: number): Promise<boolean>

  /**
   * For a look that goes on after its first pass: reads generation and requests anew under the same lease and epoch, before it reads storage again. `paths` and
   * `whole` are then what was requested since, `generation` the new one. Undefined when the look was overtaken.
   */
  extend(looking: Looking, nowMs: number): Promise<Looking | undefined>

  // The four `rows…` answer the head as this look would leave it: head rows, overlaid by what it has staged so far.
  /** Rows of a stretch, in path order, at most `limit`. */
  rowsBetween(looking: Looking, stretch: Stretch, limit: number): Promise<readonly Row[]>
  /** Rows that are direct children of `directory` (`''` or `a/b/`), after the path `after`, in path order, at most `limit`. */
  rowsIn(looking: Looking, directory: string, after: string, limit: number): Promise<readonly Row[]>
  /** Rows of exactly these paths. */
  rowsAt(looking: Looking, paths: readonly string[]): Promise<readonly Row[]>
  /** True when there are rows under `path + '/'`. */
  hasRowsUnder(looking: Looking, path: string): Promise<boolean>
  /** Open skip rows of a stretch, of a directory's direct children, or of one path. */
  skipsIn(looking: Looking, cover: Stretch | { readonly directory: string } | { readonly path: string }): Promise<readonly Skip[]>
  /** Pages of the directories of the head, with their signatures. Every head row of a `file:` location has one for its directory. */
  directories(looking: Looking): AsyncIterable<readonly { readonly path: string; readonly signature?: string }[]>
  /**
   * Lays findings into scratch. A later one for the same path takes the place of an earlier one. What a finding does is judged against the head alone: `put` of what the
   * head has is a refresh, `remove` of what it lacks is nothing. Throws OVERTAKEN when the scratch of this look was swept.
   */
  stage(looking: Looking, findings: readonly Finding[]): Promise<void>
  /** What a commit of the staged findings would do. */
  tally(looking: Looking): Promise<Tally>
  /** Paths, staged as removed, that the accepted held look did not remove: at most `limit`. */
  removedBeyondAccepted(looking: Looking, limit: number): Promise<readonly string[]>
  /** True when `path`, or where it ends in `/` one that begins with it, is staged as removed. */
  removes(looking: Looking, path: string): Promise<boolean>
  /**
   * Hop 4, one transaction: lease and epoch ours and head = base, also when nothing differs; else it writes nothing and answers `overtaken`.
   * With differences: version base + 1, its rows, aliases, run; WHOLE for every other watch of the collection. Then `committedGeneration`, the covered
   * requests go by generation, and what changed under the look is requested anew (generation + 1) in the same transaction. The lease is given back.
   * Fingerprints, directory signatures, skip rows and `latestPin` are stored in either case. A run that a put names has made the version, also where its content was there
   * already. Running runs that use a version of which rows were closed are marked: nothing is read for that where nobody uses the collection.
   */
  record(looking: Looking, findings: Outcome, nowMs: number): Promise<Recorded>
  /** A look that recorded nothing: writes the watch's state with reason and action, gives the lease back, deletes no request. Does nothing when overtaken. */
  release(looking: Looking, verdict: Verdict, nowMs: number): Promise<void>
  /** Writes down how a source of these watches hears, or how the queue wakes them (`queue`): empty when all is well. It is kept until the next `enroll`. */
  setHearing(watches: readonly string[], source: string, told: Heard): Promise<void>
  /** Lets a held watch's next look through as far as it removes nothing beyond what the held look removed (and takes its root). Requests WHOLE, cause `cli`. Throws CONFLICT when
   * its last verdict brought no `held`. */
  accept(watch: string, nowMs: number): Promise<void>
  /**
   * Writes down that a run uses a version; once, however often it is said. The run is made where it is missing, in its project or the artifact's own. It runs from now on, until
   * `endRun`, with all that it ever used.
   */
  use(collection: CollectionName, version: string, run: RunName, nowMs: number): Promise<UseView>
  /** Nothing marks it any more. Without a project it is the only run of that name: throws CONFLICT when there are several, NOT_FOUND when there is none. */
  endRun(run: RunName, state: Exclude<RunState, 'running'>, nowMs: number): Promise<MarkedRun>
}

/** A run that people name: unique within its project. */
export interface RunName {
  readonly name: string
  readonly project?: ProjectName
}

/** Paths with `after` < path ≤ `upTo` (no `upTo`: to the end), of those that begin with `within` if it is there. */
export interface Stretch {
  readonly after: string
  readonly upTo?: string
  readonly within?: string
}

/** How something that a watch relies on is, in words; `limits` is what it does not hear. */
export interface Heard {
  readonly reason?: string
  readonly action?: string
  readonly limits?: string
}

/** What the registry knows of a watch. */
export interface WatchRow {
  readonly name: string
  readonly generation: number
  readonly committedGeneration: number
  readonly epoch: number
  readonly state: WatchState
  readonly reason?: string
  readonly action?: string
  /** The first hint that no commit covers, and the last one. */
  readonly firstHintAt?: number
  readonly lastHintAt?: number
  /** Not to be tried before, unless `cli` or `config` asked. */
  readonly retryAt?: number
  /** Failures in a row. */
  readonly attempts: number
  /** Who looks at it, and until when nobody else may. */
  readonly owner?: string
  readonly leaseUntil?: number
  /** Start of the last whole look that was recorded, and how long it took. */
  readonly lastScanAt?: number
  readonly lastScanMs?: number
  readonly lastLook?: LastLook
  /** `Root.identity` of the last recorded look. */
  readonly root?: string
  readonly memo?: string
  readonly reconcileFound: number
  readonly heldDigest?: string
  /** A source of it is in trouble: until that is over it hears nothing, or not surely. */
  readonly deaf: boolean
}

/** A look that has begun: what it must cover, and against which head. */
export interface Looking {
  /** Names its scratch rows. */
  readonly id: number
  /** Absent for `put`. */
  readonly watch?: string
  readonly epoch: number
  readonly generation: number
  /** The whole was requested, or nothing at all was though the watch is dirty. `paths` are what was requested by name beside it (at most 1,000). */
  readonly whole: boolean
  readonly paths: readonly string[]
  /** Of the WHOLE request if there is one (the strongest: put, cli, config, startup, interval), else `hint`. */
  readonly cause: Cause
  /** Of the collection: nothing of another type may be recorded in it. */
  readonly type: string
  /** The head: its index, entries and bytes; undefined before v0. */
  readonly base?: { readonly index: number; readonly entries: number; readonly sizeBytes: number }
  /** Open skip rows of the head: none, no need to ask for them. */
  readonly skips: number
  /** False: directory signatures were made with other filters. */
  readonly trustSignatures: boolean
  /** The watch has several locations. */
  readonly several: boolean
  /** True when the head's rows were recorded from other locations than this one (and no configuration change of this watch explains it). */
  readonly foreign: boolean
  readonly root?: string
  readonly memo?: string
  /** Set by `accept`: the root that the held look saw, and whether it found anything new; consumed by the next record. */
  readonly accepted?: { readonly root?: string; readonly foundNew?: true }
  readonly firstHintAt?: number
}

export interface PutOrder {
  readonly location: Location
  readonly collection: CollectionName
  readonly type: string
  readonly aliases: readonly string[]
  readonly description?: string
  /** Of what is imported, not looked at: where each stretch of its paths lies, in path order, instead of `location`. No watch may keep the collection then. */
  readonly stretches?: readonly { readonly first: string; readonly last: string; readonly location: Location }[]
  /** Who made it; in the artifact's own project unless it says another. */
  readonly run?: RunName
}

/** One staged finding. `put` adds or modifies; `refresh` is the same content with newer stamps (`pin` here becomes `latestPin`). */
export type Finding =
  | { readonly op: 'put'; readonly path: string; readonly sizeBytes: number; readonly content: Content; readonly fingerprint?: string; readonly latestPin?: string }
  | { readonly op: 'refresh'; readonly path: string; readonly content?: Content; readonly fingerprint?: string }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'skip'; readonly path: string; readonly reason: SkipReason }
  | { readonly op: 'unskip'; readonly path: string }
  /** A directory that was looked at; without signature it is looked into next time. */
  | { readonly op: 'directory'; readonly path: string; readonly signature?: string }
  | { readonly op: 'undirectory'; readonly path: string }

export interface Tally {
  /** Moves counted out of added and removed. */
  readonly changes: Changes
  /** After the commit. */
  readonly entries: number
  readonly sizeBytes: number
  /** The set digest after the commit. */
  readonly digest: string
  /** Open skip rows after the commit: counts, and the first 1,000 in path order. */
  readonly skippedByReason: Readonly<Record<string, number>>
  readonly skipped: readonly Skip[]
}

export interface Outcome {
  readonly tally: Tally
  readonly certificate: Certificate
  /** A scan, not a touch-up: moves `lastScanAt`. */
  readonly whole: boolean
  /** Paths of new rows that are what a location itself names: their references are its own, not the prefix's. */
  readonly lone: readonly string[]
  /** Requested anew in the same transaction; WHOLE alone when the paths are unknown. */
  readonly changedUnderLook: readonly string[]
  /** Paths whose objects moved whenever they were read: the rows there hold what has been written over. */
  readonly torn?: readonly string[]
  readonly root?: string
  readonly memo?: string
  /** What its buckets do with what is overwritten: before the commit overwrites anything. */
  readonly keeping?: readonly Keeping[]
  /** Adds to `reconcileFound`: what no hint had told. */
  readonly foundByReconcile: number
  /** After this commit: `clean`, or `empty` for a first look that found nothing (no version then). */
  readonly state: 'clean' | 'empty'
  readonly durationMs: number
}

export type Recorded =
  | { readonly kind: 'recorded'; readonly version: VersionView; readonly marked: readonly Marked[]; readonly fallout?: Fallout }
  /** Nothing differs from the head (undefined: there is none yet, state `empty`). */
  | { readonly kind: 'same'; readonly version?: VersionView; readonly fallout?: Fallout }
  | { readonly kind: 'overtaken' }

export interface Verdict {
  readonly state: Exclude<WatchState, 'clean' | 'looking'>
  readonly reason: string
  readonly action?: string
  /** When to try again; absent: at the next request or interval. */
  readonly retryAt?: number
  readonly lastLook?: LastLook
  /** Of a held look: kept with the removed paths in scratch, so that `accept` can bound what it lets through. */
  readonly held?: { readonly digest?: string; readonly root?: string }
}

/** What became of the bytes of rows: it rotates over the collections, the one whose last pass is the oldest first, and goes on where it was after a restart. */
export interface Auditing {
  /** The collection whose pass is under way or due, `everyMs` after the last began. Undefined when none is; one whose watch is held or unavailable is not: its store is in doubt. */
  nextAudit(everyMs: number, nowMs: number): Promise<AuditTurn | undefined>
  /** Rows that later versions closed, behind `after` in the order of path and version, at most `limit`; with `heads` those of the head, too. */
  auditRows(of: Audited, after: AuditPoint | undefined, heads: boolean, limit: number): Promise<readonly AuditRow[]>
  /** For each of `rows`, in their order: what else (none of them) is believed to hold the same bytes now, one with a pin where there is one. Reads every row of the registry once. */
  refuges(of: Audited, rows: readonly AuditRow[]): Promise<readonly (Refuge | undefined)[]>
  /** Writes down what became of rows (undefined: what is believed without an audit), and that a pass has asked all up to its `after`. A row, or a refuge, that is no longer there is left out. */
  recordFates(of: Audited, fates: readonly (readonly [AuditRow, Fate | undefined])[], pass?: AuditPass): Promise<void>
  /** Writes down what buckets do with what is overwritten: where they keep none, a commit loses what it closes though it has a pin. */
  learn(known: readonly Keeping[]): Promise<void>
  /** Ends the pass. Answers the versions that are in another state than at the end of the pass before (the first time: those that are at risk or lost), in their order. */
  endAudit(turn: AuditTurn, told: AuditEnd): Promise<readonly StateChange[]>
  /**
   * Pages of rows that are lost, as far as is known, and may not be: what these commits closed without a pin, what was known in what they closed, and what any collection had lost of the contents
   * that they brought. At most 100,000 of each: the audit finds the rest.
   */
  inQuestion(fallouts: readonly Fallout[]): AsyncIterable<Question>
  /** Pages of those rows of a version that wait for no look and whose bytes nothing pins, of which something is written down, or which are at one of `paths`. */
  rowsToAsk(collection: CollectionName, version: string, paths: readonly string[]): AsyncIterable<Question>
  /** The versions from the number `first` on that are in another state than was last answered, as `endAudit` answers them. */
  turned(of: Audited, first: number): Promise<readonly StateChange[]>
}

export interface AuditTurn extends Audited {
  readonly begunAt: number
  /** How far the pass had come. */
  readonly after?: AuditPoint
  /** No watch looks at it, and maybe nothing ever will: its head is judged as what later versions closed. */
  readonly unseen: boolean
  /** Where the head lies. */
  readonly locations: readonly Location[]
}

export interface AuditEnd {
  /** What could not be asked. */
  readonly notes: readonly string[]
  /** Not all was asked: the pass is due again then, and it counts as none. */
  readonly retryAt?: number
  /** The head was asked, too. */
  readonly heads: boolean
}

export interface Retention {
  /** Pages of a collection's versions, newest first, with what speaks for each. */
  removable(collection: CollectionName): AsyncIterable<readonly RemovalView[]>
  /**
   * Removes a version: metadata alone, in one transaction, after which the rows that no other version covers go in batches between which others write; its index is never used again. Of the newest one, the one before it is newest again,
   * any look and put under way is overtaken, and every watch of the collection gets a WHOLE request with cause `cli`. A collection without any version stays, as before its first.
   * Throws NOT_FOUND, and CONFLICT for one that is spared.
   */
  removeVersion(collection: CollectionName, version: string, removal: Removal, nowMs: number): Promise<RemovalView>
  /** Takes away what a removal has left whose process was killed. */
  reclaim(): Promise<void>
  /**
   * Gives the space that nobody needs any more back to the file system, in pieces between which others write; answers how many bytes. A database that an earlier Varve made must be
   * rewritten as a whole this once, and nobody writes meanwhile: undefined, and nothing done, where `whole` is false or another is writing.
   */
  giveBack(whole: boolean): Promise<number | undefined>
}

/** Something in a registry that is not as it must be. */
export interface Fault {
  readonly artifact?: string
  readonly words: string
}

/** What is spared: versions with aliases besides `latest`, versions that some run used; and, unless `head`, the newest. */
export interface Removal {
  readonly spared: { readonly aliased: boolean; readonly used: boolean }
  readonly head: boolean
}

/** Names `project/collection` or `entity/project/collection`; `version` is `v3` or an alias. Each throws NOT_FOUND, naming what is missing and what there is. */
export interface Catalog {
  /** In name order. */
  collections(project?: string): Promise<readonly CollectionView[]>
  /** Pages, newest first. */
  versions(collection: CollectionName): AsyncIterable<readonly VersionView[]>
  version(collection: CollectionName, version: string): Promise<VersionView>
  /** Pages in path order; with `path`: that entry, or all under `path/`. */
  entries(collection: CollectionName, version: string, path?: string): AsyncIterable<readonly EntryView[]>
  /** The same with where the bytes lay: what restore begins with. */
  holdings(collection: CollectionName, version: string, path?: string): AsyncIterable<readonly Holding[]>
  /**
   * Other rows, of any collection and any version, whose content is that of one of `wanted` by a digest or checksum that both carry in any notation (an S3 ETag that is an MD5, the MD5 of a
   * file, of GCS…) and by size: by the path in `wanted`, at most 16 places each, current rows first. Reads every row once, whatever the number of `wanted`.
   */
  sameContent(wanted: readonly Holding[]): Promise<ReadonlyMap<string, readonly Holding[]>>
  /** The first entries whose bytes are nowhere known any more, in path order, at most `limit`. */
  losses(collection: CollectionName, version: string, limit: number): Promise<readonly Loss[]>
  /** How many versions of each collection are in each state, those with none left out; in name order. */
  versionStates(): Promise<readonly { readonly artifact: string; readonly entity: string; readonly state: RestorabilityState; readonly versions: number }[]>
  /** Pages in path order: all of them, unlike the certificate. */
  skipped(collection: CollectionName, version: string): AsyncIterable<readonly Skip[]>
  /** When did this path change: oldest first. Throws NOT_FOUND when no version ever had it. */
  history(collection: CollectionName, path: string): Promise<readonly ChangeView[]>
  /** Pages in path order: what turns `before` into `after`, from the ranges alone. */
  diff(collection: CollectionName, before: string, after: string): AsyncIterable<readonly ChangeView[]>
  /** Moves `alias` to that version. Throws USAGE for `latest`, `vN`, and text with `/`, `:`, spaces or control characters. */
  addAlias(collection: CollectionName, version: string, alias: string): Promise<void>
  /** Throws NOT_FOUND when that version does not bear it. */
  removeAlias(collection: CollectionName, version: string, alias: string): Promise<void>
  /**
   * Pages of edges, nearest first: up, the runs that made the version, what they used, and so on; then down, the runs that used it, what they made, and so on. Each edge comes once in each
   * direction, so what is reached by two ways has two edges, and a cycle ends. At most `depth` edges away.
   */
  lineage(collection: CollectionName, version: string, depth: number): AsyncIterable<readonly EdgeView[]>
  /** All enrolled watches, in name order. */
  watchViews(nowMs: number): Promise<readonly WatchView[]>
  /** The enrolled watches that keep this collection. */
  watchesOf(collection: CollectionName): Promise<readonly WatchRow[]>
}
