// What became of the bytes of rows: what the audit asks, and what it writes down.
import type { Holding } from './entry.ts'

export interface AuditPoint {
  readonly path: string
  readonly since: number
}

export interface AuditRow {
  readonly holding: Holding
  readonly since: number
  /** Of the head. */
  readonly open: boolean
  readonly fate?: Fate
}

/**
 * `lost`: nowhere. `elsewhere`: an object version elsewhere has the same bytes. `mutable`: only what now stands at `refuge` has them, without a pin, until it changes. `risk`: rules of its
 * bucket will take it, at `goneAtMs` where that is known. A row without pin that a later version closed is lost unless one of these is written down; any other is there.
 */
export interface Fate {
  readonly fate: 'lost' | 'elsewhere' | 'mutable' | 'risk'
  readonly goneAtMs?: number
  readonly refuge?: Refuge
}

/** A row that holds the same bytes. */
export interface Refuge {
  readonly pinned: boolean
  readonly collection: number
  readonly path: string
  readonly since: number
}
