/**
 * The door of `storage`: where bytes lie, and how we hear that they moved. Read only: nothing here writes to, tags,
 * locks or reconfigures what it looks at (law 10). Every method throws VarveError, translated in one `failures.ts` per scheme.
 */
import type { Content, Listed, Skip } from '../model/entry.ts'
import type { VarveError } from '../model/errors.ts'
import type { Keeping, Kept, Terms } from '../model/lifecycle.ts'
import type { Scheme } from '../model/location.ts'
import type { Watch } from '../model/watch.ts'

/** Opened access to one location. */
export interface Store {
  /**
   * What the root is: file system type, mount source and subpath, and the root marker; for S3 endpoint and bucket. It changes when another
   * disk is in its place, never by a remount. Throws LOCATION_MISSING when the root is not there, LOCATION_DENIED; a store whose every listing and
   * look-up proves its root (S3, GCS) leaves it to them, since each request counts.
   */
  root(signal: AbortSignal): Promise<Root>
  /**
   * One pass over all that lies below the location. The spans together cover it whole, none twice, and only the last has `end`: a listing without
   * it was cut short. Rather than yield less than is there, it throws. `startMs` is the wall time of the look's start: for the racy window.
   */
  scan(startMs: number, signal: AbortSignal): AsyncIterable<Span>
  /** A HEAD or lstat for each of `paths`, in any order, each once. `entry` has its fingerprint where one can be promised. */
  find(paths: readonly string[], startMs: number, signal: AbortSignal): AsyncIterable<Found>
  /**
   * Reads what a listing could not tell: hashes files (stat, hash, stat), asks HEAD with checksums. Never on the main thread.
   * Yields each of `listed` once, in any order, as batches are done.
   */
  inspect(listed: readonly Listed[], startMs: number, signal: AbortSignal): AsyncIterable<Found>
  /** Why a location where a scan showed nothing may hold something all the same, each in words. Absent where there is no such reason. */
  whyEmpty?(signal: AbortSignal): Promise<readonly string[]>
  /** Whether the buckets keep what is overwritten, where pins do not tell (GCS); of those that do not say so nothing. Counts its requests. */
  keeping?(counter: { requests: number }, signal: AbortSignal): Promise<readonly Keeping[]>
  close(): Promise<void>
}

export interface Root {
  /** Equal text, same root. */
  readonly identity: string
  /** What tells apart those of one identity, for each place; null where the system does not tell. Another root where one is known twice and differs. */
  readonly finer?: readonly (string | null)[]
  /** The same in words, for `status`: `ext4 /dev/sda1 at /mnt`. */
  readonly words: string
  /** What holds it: the mount point, or endpoint and bucket. Another one than before means that what was mounted is not. */
  readonly mount: string
  /** What is mounted below it, by its path in the artifact: `ext4 /dev/sdb1`. */
  readonly below?: Readonly<Record<string, string>>
  /** True on NFS, SMB, FUSE and the like, and where the native watcher hears nothing. */
  readonly network: boolean
  /** For so long (ms; Infinity where nobody knows) this machine may answer from memory what another has changed since. Absent: it never does. */
  readonly lagMs?: number
}

/**
 * Either all paths with `after` < path ≤ `upTo` (no `upTo`: to the end), of those that begin with `within` if it is there; or the direct children of one directory (`''` or
 * `a/b/`); or one path. Only a place that shares the artifact with others has `within` or `path`.
 */
export type Cover = { readonly after: string; readonly upTo?: string; readonly within?: string } | { readonly directory: string } | { readonly path: string }

/** A stretch of a scan, whole within what it covers. */
export interface Span {
  readonly cover: Cover
  /** Everything met in it: entries and skipped. */
  readonly seen: number
  /** The entries in path order (UTF-8 bytes). Lazy: a directory whose signature is known is never decoded, and one of a million files is not in memory at once. */
  entries(): Iterable<Listed>
  readonly skipped: readonly Skip[]
  /** For directories: over names and stats of all direct children, skipped ones too. Equal to an earlier pass: nothing in it moved. */
  readonly stamp?: string
  /** False while something in it is racy: then `stamp` may not be kept as the directory's signature. */
  readonly settled: boolean
  readonly end?: Pass
}

/** How a pass went; on its last span. */
export interface Pass {
  /** Requests made for it, on the wire. */
  readonly requests: number
  /** What was degraded, in words. */
  readonly notes: readonly string[]
  /** What the store wants to be told at its next opening on this watch (S3: how to list). Opaque. */
  readonly memo?: string
  /** The paths of entries that are what a location itself names, no object below it: the base names. */
  readonly lone: readonly string[]
}

export type Found =
  /** The whole truth about one object: `listed.content` is there. `torn`: it moved while it was read, so look again. */
  | { readonly kind: 'entry'; readonly listed: Listed }
  | { readonly kind: 'torn'; readonly path: string }
  /** `marked`: its newest version is a delete marker (S3), and older ones may lie beneath. */
  | { readonly kind: 'absent'; readonly path: string; readonly marked?: true }
  | { readonly kind: 'skipped'; readonly skip: Skip }
  /** A folder lies there: only a scan can tell. */
  | { readonly kind: 'directory'; readonly path: string }

/**
 * Opened access to the bytes of recorded entries: by full key, wherever in the bucket (for files: absolute paths; for HTTP the one object). It asks nothing before it must, and
 * nobody but the store that the location names. Every method throws VarveError for what is wrong with the store itself (denied, no such bucket, unreachable).
 */
export interface Reader {
  /**
   * What stands at each of `keys` now, each once, in their order (given in path order). Costs follow what is least: pages of a listing where the keys lie close, a HEAD or stat
   * for each where not. `held` is absent where nothing is there, or where that cannot be told of this key alone: then `failed` says why (LOCATION_DENIED, STORAGE_UNAVAILABLE).
   */
  standing(keys: readonly string[], signal: AbortSignal): AsyncIterable<Standing>
  /** The object versions of `key` that can still be named, newest first (delete markers left out); of a store that keeps none, the one that stands there. Empty: nothing is there. */
  versions(key: string, signal: AbortSignal): Promise<readonly Held[]>
  /**
   * Opens the bytes of one object version. Throws NOT_FOUND when there is none (any more), ARCHIVED when its class must be thawed first, OVERTAKEN when it is not what `wanted.etag`
   * says, LOCATION_DENIED, STORAGE_UNAVAILABLE. It is not retried here beyond what a single dropped connection needs.
   */
  open(key: string, wanted: Wanted, signal: AbortSignal): Promise<Bytes>
  close(): Promise<void>
}

/**
 * What a bucket still keeps, and what will take it: asked by the audit, by the listing of versions, a request for up to a thousand of them. `spend` is awaited before each request, and
 * told of those that had to be made again. Every method throws VarveError for what is wrong with the store itself: no answer is never "nothing is there".
 */
export interface Inventory {
  /** Its rules. What may not be read, or is not offered, is a note. */
  terms(spend: Spend, signal: AbortSignal): Promise<Terms>
  /** All object versions and delete markers of each of `keys`, newest first, each key once, in their order (given in path order). Empty: none is left. */
  kept(keys: readonly string[], spend: Spend, signal: AbortSignal): AsyncIterable<{ readonly key: string; readonly versions: readonly KeptVersion[] }>
  /** Asks by name: some stores leave out of a listing what is there. */
  isThere(key: string, pin: string, spend: Spend, signal: AbortSignal): Promise<boolean>
  close(): Promise<void>
}

/** Resolves when `requests` may be made. */
export type Spend = (requests: number) => Promise<void>

export interface KeptVersion extends Kept {
  /** Its class must be thawed before its bytes can be had. */
  readonly archived: boolean
  /** Of a delete marker: nothing. `content.pin` is the version's own. */
  readonly content?: Content
}

/** What stands at a key. */
export interface Standing {
  readonly key: string
  readonly held?: Held
  readonly failed?: VarveError
}

/** With whose credentials, and where, the bytes of a location are asked for. */
export type Access = Pick<Watch, 's3' | 'gcs' | 'http'>

/** One object version that a store shows. */
export interface Held {
  readonly sizeBytes: number
  /** Absent where the bytes must be read to tell (files). `content.pin` is the version's own. */
  readonly content?: Content
  /** Files: what tells that it was not touched, where that can be promised. */
  readonly fingerprint?: string
  /** The one that is answered when none is asked for. */
  readonly current: boolean
  /** The storage class (`GLACIER`), where its bytes cannot be had before they are thawed. */
  readonly archived?: string
}

export interface Wanted {
  /** As recorded: `versionId:…`, `generation:…`. Absent: the current object. */
  readonly pin?: string
  /** Only if it bears this ETag: what was planned is what is read. Not asked of a generation (GCS), whose ETag moves with metadata while its bytes never do. */
  readonly etag?: string
  /** Bytes `from` ≤ i < `upTo`; the whole when absent. */
  readonly range?: { readonly from: number; readonly upTo: number }
}

export interface Bytes {
  /** Of the whole object, whatever the range. */
  readonly sizeBytes: number
  /** What the answer that bears the bytes says of them. Absent for files. */
  readonly content?: Content
  /** The ETag is no MD5 of the bytes, as the store says (encrypted by a key of its own). */
  readonly opaque: boolean
  /**
   * Exactly as many bytes as were asked for, or it throws STORAGE_UNAVAILABLE (cut short) or STORAGE_INVALID (too many). Not verified: who asked has the digest. Whoever does not read
   * to the end calls `return` (a `for await` that is left does), which ends the connection. The memory of a chunk is the reader's own: it may give it away.
   */
  readonly bytes: AsyncIterable<Uint8Array>
  /**
   * S3, of a multipart object: the sizes of its parts, of which an only one is that of all but the last; undefined where the store does not tell them. Asked only when called; with `each`
   * of every part, else parts that look alike by the first and the last are taken to be alike.
   */
  partBytes?(signal: AbortSignal, each: boolean): Promise<readonly number[] | undefined>
}

/** A hint: it may be late, doubled, out of order or wrong. It says only where to look. */
export interface Hint {
  readonly scheme: Scheme
  readonly bucket: string
  /** A full key or absolute path; with `whole` a prefix: all that lies under it (or that it lies under) is to be looked at. */
  readonly key: string
  readonly whole: boolean
  /** Where a bucket of that name may be: the endpoints of what its source serves, undefined for the provider's own. Absent: anywhere. */
  readonly endpoints?: readonly (string | undefined)[]
}

/** How a source hears, as it changes. Neither: it hears all. */
export interface Hearing {
  /** The error that keeps it from hearing now. */
  readonly trouble?: unknown
  /** What it does not hear, in words. */
  readonly limits?: string
}

/** One structured line each; `fields` hold no secrets. */
export interface Log {
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
}

/** What hears. */
export interface ChangeSource {
  /** For logs and `status`: `sqs mnist`, `inotify /mnt/runs/ckpt/`. */
  readonly name: string
  /** The watches that it serves: whose `status` says how it hears. */
  readonly serves?: readonly string[]
  /**
   * Hears until `signal` aborts, then resolves. A message is acknowledged upstream only after `emit` resolved for it. Each time it begins
   * to hear it emits a `whole` hint for what it serves, since nobody knows what was missed. Rejects when it can no longer hear: it is started again.
   * `tell` is called with each change of how it hears, where it does not reject.
   */
  listen(emit: (hints: readonly Hint[]) => Promise<void>, signal: AbortSignal, tell?: (hearing: Hearing) => void): Promise<void>
}

/** A change source that is told over HTTP: what is posted to `path` of the daemon's listener is its own. */
export interface ToldSource extends ChangeSource {
  readonly path: string
  /** Before a body is read: the status to refuse its post with (401: it does not show the token; 503: nobody hears now), or undefined. Never rejects. */
  refusal(authorization: string | undefined): Promise<401 | 503 | undefined>
  /**
   * What to answer to a post: 200 once what it hints is marked durably, or when it hints nothing; 400 for what is no notification; 503 when it could not be marked,
   * so that its sender posts it again. Never rejects.
   */
  tell(body: Uint8Array): Promise<200 | 400 | 503>
}

export function isTold(source: ChangeSource): source is ToldSource {
  return 'tell' in source
}
