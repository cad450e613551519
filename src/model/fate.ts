// What became of the bytes of rows: what the audit asks, and what it writes down.
import type { Holding } from './entry.ts'

export interface AuditPoint {
  readonly path: string
  readonly since: number
}

export interface AuditRow {
  readonly holding: Holding
  readonly since: number
  /** Of the head, and what it lacks is for a look to say: a watch looks there, or it has no pin to ask for. */
  readonly waits: boolean
  readonly fate?: Fate
  /** See `Fate.proof`: whoever asks may have read them just now. */
  readonly proof?: string
}

/**
 * `lost`: nowhere. `elsewhere`: an object version elsewhere has the same bytes; `fading`: rules will take it, at `goneAtMs` where that is known. `mutable`: only what now stands at `refuge` has them, without a pin, until it changes. `left`: nobody looks at its
 * place any more, where its bytes lie without a pin as they were last seen. `risk`: rules of its
 * bucket will take it, as a `fading` one. A row without pin that a later version closed is lost unless one of these is written down; any other is there.
 */
export interface Fate {
  readonly fate: 'lost' | 'elsewhere' | 'fading' | 'mutable' | 'left' | 'risk'
  readonly goneAtMs?: number
  readonly refuge?: Refuge
  /** The pin of an object version at its own key whose bytes were read and are its own, though nothing that a listing shows tells so: as long as that is there, they are. */
  readonly proof?: string
}

/** True where nothing but its place, at which no look is any more, tells of its bytes. */
export function isLeft({ fate }: AuditRow): boolean {
  return fate?.fate === 'left'
}

/** What became of a row whose own place has its bytes no more, by what else is believed to hold them. */
export function fateBy({ holding: { content, latestPin }, fate }: AuditRow, refuge: Refuge | undefined): Fate | undefined {
  // Of a row without pin that a later version closed, a loss goes without saying; of one that is open and has been written over it does not.
  if (refuge === undefined) return (content.pin ?? latestPin) === undefined && fate?.fate !== 'lost' ? undefined : { fate: 'lost' }
  if (!refuge.pinned) return { fate: 'mutable', refuge }
  if (refuge.goneAtMs === undefined) return { fate: 'elsewhere' }
  return refuge.goneAtMs === null ? { fate: 'fading' } : { fate: 'fading', goneAtMs: refuge.goneAtMs }
}

/** A row that holds the same bytes. */
export interface Refuge {
  readonly pinned: boolean
  /** When rules will have taken the last one with a pin; null when that cannot be known, undefined when none will. */
  readonly goneAtMs?: number | null
  readonly collection: number
  readonly path: string
  readonly since: number
}

/** What was, or is, in question. */
export interface Audited {
  /** Opaque. */
  readonly collection: number
  readonly artifact: string
  readonly entity: string
}

export interface Question {
  readonly of: Audited
  /** No version below this number has any of them. */
  readonly first: number
  readonly rows: readonly AuditRow[]
  /** Paths of which whoever asks has found that nothing else has their bytes, either. */
  readonly lost?: ReadonlySet<string>
}

export interface AuditPass {
  readonly begunAt: number
  readonly after: AuditPoint
}

/** A commit after which older versions may be in another state: to be followed up. Opaque. */
export interface Fallout {
  readonly collection: number
  readonly number: number
  /** Rows whose bytes were known in what it closed, and nowhere else. */
  readonly bereft: readonly (AuditPoint & { readonly collection: number })[]
}
