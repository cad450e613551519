import type { Clock } from '../model/clock.ts'
import type { Loss, LossReason } from '../model/errors.ts'
import type { Location } from '../model/location.ts'
import type { CollectionName } from '../model/watch.ts'
import type { Catalog } from '../registry/registry.ts'
import type { Reader, Span } from '../storage/storage.ts'
import type { Way } from './local.ts'
import type { Proof } from './verify.ts'


/** What a restore works with. */
export interface Parts {
  readonly registry: Pick<Catalog, 'version' | 'holdings' | 'sameContent'>
  readonly clock: Clock
  /** Opened access to where recorded bytes lie, with the credentials that reach it. */
  openReader(location: Location): Promise<Reader>
  /** The mount, in words, in which looking at the file of an absolute path may hang, also where symbolic links lead there; undefined on local disks. Asks nothing that may hang. */
  farOf(path: string): Promise<string | undefined>
  /** The real path of what lies on such a mount. Throws LOCATION_MISSING where nothing is there, STORAGE_UNAVAILABLE where that does not answer. */
  realFar(path: string): Promise<string>
  /** Walks a local folder, as a look does: `startMs` is for its racy window. */
  walk(folder: string, startMs: number, signal: AbortSignal): AsyncIterable<Span>
  /** Where it is remembered what was put where; it is made when needed. Nothing is remembered where it cannot be written. */
  readonly memory: string
  /** Varve's own data: nothing is restored into it, or over it. */
  readonly data: string
  progress(done: Progress): void
}

/** How far it is. `of` counts what is to be fetched, once that is known. */
export interface Progress {
  readonly entries: number
  readonly bytes: number
  readonly of?: { readonly entries: number; readonly bytes: number }
}

export interface Wish {
  readonly collection: CollectionName
  readonly version: string
  /** That entry, or all under `path/`. */
  readonly path?: string
  /** What else is to be taken; `filters` is its text, so that another choice is known for another. */
  takes?(path: string): boolean
  readonly filters?: string
  /** Reads and digests every byte, also where fingerprints tell that nothing was touched. */
  readonly deep: boolean
}

export interface GetWish extends Wish {
  /** Absolute. */
  readonly destination: string
  readonly as: Way
  /** Files that hold other bytes, and with `delete` files that no earlier restore put there, may go. */
  readonly force: boolean
  /** What the version does not have goes. Not with a `path` or filters. */
  readonly delete: boolean
  /** Restores what can be, though some is lost. */
  readonly partial: boolean
  /** Only tells what would be done. */
  readonly dryRun: boolean
}

export type Action =
  /** Done. */
  | 'fetched' | 'linked' | 'kept' | 'deleted'
  /** A dry run would do so, and where it would not: what is in the way, that may not go. */
  | 'fetch' | 'link' | 'delete' | 'conflict'
  /** The stores show it / its bytes were read. */
  | 'found' | 'verified'
  | 'lost'

/** What was done to one entry, or would be. */
export interface Step {
  readonly path: string
  readonly action: Action
  /** The reference that its bytes came from, and which object version. */
  readonly from?: string
  readonly pin?: string
  readonly proof?: Proof
  readonly sizeBytes?: number
  readonly reason?: LossReason
  readonly words?: string
}

/** What was done in all. */
export interface Report {
  /** `project/name:v3`. */
  readonly name: string
  readonly entries: number
  readonly fetched: number
  readonly fetchedBytes: number
  /** Local files with `as`: in links, and clones that share their bytes. */
  readonly linked: number
  readonly linkedBytes: number
  /** Of the fetched, those of whose bytes nothing is recorded: that they are right is the store's word. */
  readonly byWord: number
  readonly kept: number
  readonly deleted: number
}

/** What a version was found to be. */
export interface Verified {
  readonly name: string
  readonly entries: number
  /** The paths of those whose bytes are not at their own place, but elsewhere. */
  readonly elsewhere: readonly string[]
  /** Of these, those that no listing shows to be the same, for only their bytes told: each with the pin of what was read, where it has one. */
  readonly toldByBytes: ReadonlyMap<string, string | undefined>
  /** With `deep`: those of whose bytes nothing is recorded. That they are right is the store's word. */
  readonly byWord: number
  /** In path order. */
  readonly losses: readonly Loss[]
}

/** Told the steps in path order (the deleted and the lost by themselves); without it only sums are kept. */
export type Tell = ((steps: readonly Step[]) => Promise<void>) | undefined
