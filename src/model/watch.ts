import type { Location } from './location.ts'

/** All versions of one thing: `entity/project/collection`. */
export interface CollectionName {
  readonly entity: string
  readonly project: string
  readonly collection: string
}

/** A standing order: keep `collection` equal to what lies at `location`. */
export interface Watch {
  readonly name: string
  readonly location: Location
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
  readonly sqs?: string
  readonly s3: S3Access
}

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

/** When a look may start: `settle` after the last hint, at most `maxWait` after the first that no commit covers. After a clock was set back, at once. */
export function settledAt(watch: Watch, firstHintAt: number | undefined, lastHintAt: number | undefined, now: number): number {
  // A time in the future would be waited for until the clock has caught up: hours, perhaps.
  if (firstHintAt === undefined || lastHintAt === undefined || firstHintAt > now || lastHintAt > now) return now
  return Math.min(lastHintAt + watch.settleMs, firstHintAt + watch.maxWaitMs)
}
