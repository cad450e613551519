// The shapes that `--json` prints and REST will answer: each is a promise. Times are ISO 8601 UTC, sizes bytes.
import type { Skip } from './entry.ts'
import type { Cause, WatchState } from './watch.ts'

/** What a look saw, skipped and met; kept with the version. */
export interface Certificate {
  readonly startedAt: string
  readonly endedAt: string
  readonly kind: 'scan' | 'touch-up'
  /** Objects met, whatever became of them. */
  readonly seen: number
  /** Entries of the version. */
  readonly recorded: number
  /** The first 1,000, in path order; the rest is counted, and whole in `show --skipped`. */
  readonly skipped: readonly Skip[]
  readonly skippedByReason: Readonly<Record<string, number>>
  /** What `include` and `exclude` left out. */
  readonly filtered: number
  /** Paths that moved under the look and are looked at again: at most 1,000. */
  readonly changedUnderLook: readonly string[]
  /** True only when one whole pass found that nothing had moved: the version existed as a whole. */
  readonly consistent: boolean
  /** Requests made to the store (S3), or 0. */
  readonly requests: number
  /** Degradations, in words: no permission to list versions, object and prefix of one name… */
  readonly notes: readonly string[]
}

export interface Changes {
  readonly added: number
  readonly modified: number
  readonly removed: number
  readonly moved: number
  readonly bytesAdded: number
  readonly bytesRemoved: number
}

/** A version, as `log`, `show` and `put` print it. */
export interface VersionView {
  /** `project/collection`. */
  readonly artifact: string
  readonly entity: string
  /** `v3`. */
  readonly version: string
  readonly index: number
  readonly type: string
  readonly aliases: readonly string[]
  /** `varve1:<hex>`. */
  readonly digest: string
  readonly createdAt: string
  readonly entries: number
  readonly sizeBytes: number
  readonly cause: Cause
  readonly changes: Changes
  /** The name of the run that made it. */
  readonly run: string
  readonly description?: string
  readonly certificate: Certificate
  readonly restorability: Restorability
}

/** Whether the bytes of a version can come back. */
export interface Restorability {
  /**
   * The worst that holds of any entry: `pinned` (object versions hold the bytes of each, its own or others), `unpinned` (some lie where the next write destroys them; now they are there), `at risk` (rules of
   * the bucket will take some), `partly lost`, `lost` (all of them). Of what a later version replaced: as the last audit found it.
   */
  readonly state: RestorabilityState
  /** Entries whose bytes are nowhere known any more. */
  readonly lost: number
  /** The first day on which some will be taken; absent while `at risk` where that cannot be known. */
  readonly atRiskFrom?: string
  /** When the last whole audit of the artifact began; absent when none did since this version was made. */
  readonly auditedAt?: string
  /** What the last audit could not ask. */
  readonly notes?: readonly string[]
}

export type RestorabilityState = 'pinned' | 'unpinned' | 'at risk' | 'partly lost' | 'lost'

/** A version that an audit found in another state than the one before did. */
export interface StateChange {
  readonly version: string
  /** Absent the first time. */
  readonly before?: RestorabilityState
  readonly now: Restorability
}

/** An outside job, or what stands for one: a watch, or a put that named no run. */
export interface RunView {
  readonly name: string
  readonly entity: string
  readonly project: string
  readonly kind: 'run' | 'watch' | 'put'
  /** Of a `run` alone: running until somebody says that it has ended. */
  readonly state?: RunState
  readonly createdAt: string
  readonly finishedAt?: string
}

export type RunState = 'running' | 'finished' | 'failed'

/** What a commit changed or removed of a version: of the bytes under it, where that version was recorded. */
export interface MarkView {
  readonly artifact: string
  readonly entity: string
  /** The version whose entries those were. */
  readonly version: string
  /** The version whose commit it was. */
  readonly by: string
  readonly at: string
  readonly entries: number
  /** The first 1,000, in path order. */
  readonly paths: readonly string[]
}

/** A commit that changed what running runs use. */
export interface Marked extends MarkView {
  readonly runs: number
  /** Of the first 20, in order. */
  readonly names: readonly string[]
}

/** A run after somebody said something about it, with what changed under it while it ran, oldest first. */
export interface MarkedRun extends RunView {
  readonly marks: readonly MarkView[]
}

/** What `use` prints: exactly what was used, and by which run. */
export interface UseView {
  readonly artifact: string
  readonly entity: string
  readonly version: string
  readonly digest: string
  readonly run: RunView
}

/** One edge of a lineage: a run that made a version (`output`) or used it (`input`). */
export interface EdgeView {
  /** `up` leads to what a version came from, `down` to what came of it. */
  readonly direction: 'up' | 'down'
  /** Edges from the version that was asked for to the far end of this one, at the least: 1 for its own. */
  readonly depth: number
  readonly edge: 'input' | 'output'
  readonly version: LineageVersion
  readonly run: RunView
  /** Of an input: what changed under the run while it ran, oldest first. */
  readonly marks?: readonly MarkView[]
}

/** A version as a lineage names it. One that was removed has no digest any more. */
export interface LineageVersion {
  readonly artifact: string
  readonly entity: string
  readonly version: string
  readonly type: string
  readonly digest?: string
  readonly createdAt?: string
}

/** A version that is removed, or would be, as `rm` and `prune` print it. */
export interface RemovalView {
  readonly artifact: string
  readonly entity: string
  readonly version: string
  readonly createdAt: string
  readonly entries: number
  readonly sizeBytes: number
  /** What speaks for it: its aliases (with `latest`), and the runs that used it (the first 20 names, in order). */
  readonly aliases: readonly string[]
  readonly users: readonly string[]
}

/** One object of a version, as `files` prints it, in path order. */
export interface EntryView {
  readonly path: string
  readonly reference: string
  /** Where the bucket of the reference is when not at its provider: a bucket of the same name elsewhere is another. */
  readonly endpoint?: string
  readonly sizeBytes: number
  readonly digest: string
  readonly pin?: string
  readonly latestPin?: string
  readonly etag?: string
  readonly checksums?: Readonly<Record<string, string>>
}

/** One line of a diff or of a path's history. */
export interface ChangeView {
  readonly change: 'added' | 'modified' | 'removed' | 'moved'
  readonly path: string
  /** Where a moved entry was before. */
  readonly from?: string
  readonly before?: EntryView
  readonly after?: EntryView
  /** The version that made the change (`history`). */
  readonly version?: string
}

export interface CollectionView {
  readonly artifact: string
  readonly entity: string
  readonly type: string
  readonly versions: number
  /** The head: `v3`. */
  readonly head?: string
  /** What the next version will be called: no number is given twice. */
  readonly next: string
  readonly entries: number
  readonly sizeBytes: number
  readonly updatedAt?: string
}

/** A watch, as `status` prints it. */
export interface WatchView {
  readonly watch: string
  readonly artifact: string
  readonly entity: string
  readonly location: string
  readonly state: WatchState
  /** What is wrong, and what to do; absent when nothing is. */
  readonly reason?: string
  readonly action?: string
  readonly head?: string
  readonly generation: number
  readonly committedGeneration: number
  /** What is not heard at once, and so found by looking every `pollEveryMs`. */
  readonly limits?: string
  /** The set digest that a held look saw. */
  readonly heldDigest?: string
  readonly lastLook?: LastLook
  /** The effective interval, stretched where a look is long. */
  readonly pollEveryMs?: number
  readonly nextReconcileAt?: string
  /** On network mounts: a look that sees what another machine changed begins within this. Infinity, in JSON null, where the file system does not tell how long it remembers. */
  readonly othersSeenWithinMs?: number
  /** Changes that only a reconcile found: lost hints. */
  readonly reconcileFound: number
}

export interface LastLook {
  readonly kind: 'scan' | 'touch-up'
  readonly startedAt: string
  readonly endedAt: string
  readonly outcome: 'recorded' | 'same' | 'failed' | 'held'
  /** Requests made to the store; absent where the look did not end well. */
  readonly requests?: number
}
