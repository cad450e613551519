import type { Location } from './location.ts'

/** A shelf of collections and runs. */
export interface ProjectName {
  readonly entity: string
  readonly project: string
}

/** All versions of one thing: `entity/project/collection`. */
export interface CollectionName extends ProjectName {
  readonly collection: string
}

/** A standing order: keep `collection` equal to what lies at `locations`. */
export interface Watch {
  readonly name: string
  /** At least one. Of several each has its own part of the artifact's paths: `at`. */
  readonly locations: readonly [Location, ...Location[]]
  readonly collection: CollectionName
  readonly type: string
  /** Besides `latest`. */
  readonly aliases: readonly string[]
  /** picomatch patterns over paths; `exclude` wins. An empty `include` takes all. */
  readonly include: readonly string[]
  readonly exclude: readonly string[]
  /** Quiet time after a hint, and its bound from the first hint on. */
  readonly settleMs: number
  readonly maxWaitMs: number
  /** The scan that finds what hearing missed. */
  readonly reconcileMs: number
  /** How often to look where nothing can be heard, and at every `file:` watch. */
  readonly pollMs: number
  readonly entriesMax: number
  readonly guard: Guard
  readonly onUnreadable: 'fail' | 'skip'
  /** S3: list a second time before a commit, to be able to say `consistent`. Files are always confirmed. */
  readonly confirm: boolean
  /** Added to the racy window on network mounts: how far the server's clock may be off. */
  readonly clockSlackMs: number
  /** What tells of changes; files are heard without. */
  readonly events?: Events
  readonly s3: S3Access
  readonly gcs: GcsAccess
  readonly http: HttpAccess
}

export type Events =
  | { readonly kind: 'sqs'; readonly url: string }
  /** `projects/P/subscriptions/S`. */
  | { readonly kind: 'pubsub'; readonly subscription: string }
  /** `path` of the daemon's own listener; whoever posts there must show the token that `tokenFile` holds. */
  | { readonly kind: 'webhook'; readonly path: string; readonly tokenFile: string }

export interface Guard {
  /** The share of entries, 0 to 1, above which a removal wants a person; from 20 entries on. */
  readonly removedShareMax: number
  /** A file under the root whose text is part of the root's identity. */
  readonly rootMarker?: string
  /** Nothing is recorded until this path exists. */
  readonly completeMarker?: string
}

export interface S3Access {
  readonly region?: string
  readonly endpoint?: string
  readonly pathStyle?: boolean
  readonly profile?: string
  /** Where that is looked for: the shared files, in their order. */
  readonly sharedFiles?: readonly string[]
  /** The role to assume with those credentials: `arn:aws:iam::123456789012:role/reader`. */
  readonly role?: string
  /** Where that is done when not at AWS. */
  readonly stsEndpoint?: string
}

export interface GcsAccess {
  /** The project that pays and that Pub/Sub is asked in; else the credentials' own. */
  readonly project?: string
  readonly endpoint?: string
  /** A key file; else the application-default credentials. */
  readonly credentialsFile?: string
  /** The service account to impersonate with those: its e-mail address. */
  readonly impersonate?: string
}

export interface HttpAccess {
  /** `content`: the bytes are read and compared whenever what the server shows has moved, or cannot be trusted. */
  readonly checksum?: 'content'
  /** The object is HTML, whatever its name says: else such an answer counts as an error page. */
  readonly html?: boolean
  /** A body with more bytes than this is not read to its end. */
  readonly bytesMax?: number
  /** Redirects may lead to private and link-local addresses. */
  readonly allowPrivate?: boolean
}

/** Why a look was asked for; recorded with the version, never decided upon. */
export type Cause = 'hint' | 'startup' | 'interval' | 'config' | 'cli' | 'put'

export type WatchState = 'clean' | 'dirty' | 'looking' | 'held' | 'unavailable' | 'oversize' | 'backoff' | 'empty'

/** The whole of a location, as a requested path. */
export const WHOLE = '*'

/** `project/collection`, with the entity in front when it is not the default one. */
export function formatCollection(name: CollectionName, defaultEntity: string): string {
  const short = `${name.project}/${name.collection}`
  return name.entity === defaultEntity ? short : `${name.entity}/${short}`
}

/** `entity/project/collection`, for words whose reader may have any default entity. */
export function fullName({ entity, project, collection }: CollectionName): string {
  return `${entity}/${project}/${collection}`
}

/** When a look may start: `settle` after the last hint, at most `maxWait` after the first that no commit covers. After a clock was set back, at once. */
export function settledAt(watch: Watch, firstHintAt: number | undefined, lastHintAt: number | undefined, now: number): number {
  // A time in the future would be waited for until the clock has caught up: hours, perhaps.
  if (firstHintAt === undefined || lastHintAt === undefined || firstHintAt > now || lastHintAt > now) return now
  return Math.min(lastHintAt + watch.settleMs, firstHintAt + watch.maxWaitMs)
}
