import type { Clock } from '../model/clock.ts'
import type { Fallout } from '../model/fate.ts'
import type { Location } from '../model/location.ts'
import type { Marked, StateChange, VersionView } from '../model/version.ts'
import type { Watch } from '../model/watch.ts'
import type { Queue } from '../queue/queue.ts'
import type { Registry } from '../registry/registry.ts'
import type { Access, ChangeSource, Inventory, Store } from '../storage/storage.ts'

/** What one look needs, opened by `compose`. */
export interface LookParts {
  readonly registry: Registry
  readonly clock: Clock
  /** Opens the store of a watch; closed after each look. */
  openStore(watch: Watch, memo: string | undefined): Promise<Store>
  readonly log: Log
  readonly tell: Tell
  /** Is told of each commit after which older versions may be in another state. */
  committed?(fallout: Fallout): void
  /** Names this process as the owner of leases: no other that runs has this name. */
  readonly owner: string
}

/** All that the loop needs. */
export interface Parts extends LookParts {
  readonly queue: Queue
  readonly watches: readonly Watch[]
  /** The sources that serve these watches. */
  readonly sources: readonly ChangeSource[]
  /** How often what is dirty or due is woken: 1 s inline, 15 s beside a queue. */
  readonly sweepMs: number
  /** Looks that work at once. Those that wait for their server do not count, up to a dozen. */
  readonly concurrency: number
  /** Absent: what became of older versions is not asked. */
  readonly audit?: AuditOrder
}

/** How the audit runs. */
export interface AuditOrder {
  /** A pass over a collection begins so long after the last one began. */
  readonly everyMs: number
  /** At most so many requests to stores in any hour. */
  readonly requestsPerHour: number
  openInventory(location: Location, access: Access): Promise<Inventory | undefined>
}

/** One structured line each; `fields` hold no secrets. */
export interface Log {
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

/** What people see happen. */
export interface Tell {
  /** A new version, and which running runs it marked. */
  recorded(watch: string, version: VersionView, marked: readonly Marked[]): void
  /** A watch came into another state, with the reason. */
  state(watch: string, state: string, reason: string | undefined, action: string | undefined): void
  /** Versions that an audit, or a commit, left in another state than before. */
  restorability(of: { readonly artifact: string; readonly entity: string }, changes: readonly StateChange[]): void
  /** Progress of a long look: objects met and bytes read so far. */
  progress(name: string, objects: number, bytes: number): void
}
