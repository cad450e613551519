import { DatabaseSync } from 'node:sqlite'
import type { StatementSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import { isFailure, VarveError } from '../model/errors.ts'
import { translate } from './failures.ts'
import { migrate, refuseForeign } from './migrate.ts'

export type Value = string | number | null | Uint8Array
/** By name (`:name` in the text), and in their order for each `?`. */
export interface Values {
  readonly named?: Readonly<Record<string, Value>>
  readonly listed?: readonly Value[]
}

/** One connection to the database: what is asked runs in the order it was asked in. Errors are Varve's. */
export interface Connection {
  all(text: string, values: Values): Promise<readonly unknown[]>
  /** Takes the write lock; what an abandoned transaction left is undone first. Not durable: it may be lost, whole, with the power. */
  begin(durable: boolean): Promise<void>
  commit(): Promise<void>
  rollback(): Promise<void>
  close(): Promise<void>
}

// How long a write waits for another process: a commit of a million rows takes some seconds.
export const BUSY_MS = 30_000
// In this thread it waits in short turns, so that the event loop goes on: who holds the lock may need it to go on, too.
const TURN_MS = 20
// 8 MB of pages: the inner nodes of a million entries, twice. More makes neither a look nor a commit faster.
export const CACHE_KB = 8_000
// After so much a commit moves the log into the database: 16 MB, some hundred ms.
const CHECKPOINT_PAGES = 4_000
const STATEMENTS_MOST = 200

/** Who last opened a shared database: an earlier one of the same, abandoned in a crash, must not write into it any more. */
const owners = new WeakMap<DatabaseSync, SyncConnection>()

/** A connection in this thread. Opening it brings the schema up to date. */
export class SyncConnection {
  readonly #database: DatabaseSync
  readonly #owned: boolean
  readonly #statements = new Map<string, StatementSync>()
  #durable = true

  readonly #lasting: boolean

  /**
   * Opens the file; a database that is already open is shared, and taken from who had it. One that is not `lasting` need survive no loss of power, whatever a transaction asks
   * for. Throws REGISTRY_REFUSED for a newer schema.
   */
  constructor(source: string | DatabaseSync, lasting = true) {
    this.#lasting = lasting
    this.#owned = typeof source === 'string'
    this.#database = typeof source === 'string' ? open(source) : source
    if (!this.#owned) owners.set(this.#database, this)
    try {
      this.rollback()
      prepare(this.#database, lasting)
    } catch (error) {
      this.close()
      throw translate(error)
    }
  }

  all(text: string, { named, listed = [] }: Values): readonly unknown[] {
    this.#check()
    const statement = this.#statement(text)
    return named === undefined ? statement.all(...listed) : statement.all(named, ...listed)
  }

  begin(durable: boolean): void {
    this.#check()
    this.rollback()
    if (this.#lasting && this.#durable !== durable) this.#database.exec(`PRAGMA synchronous = ${durable ? 'FULL' : 'NORMAL'}`)
    this.#durable = durable
    this.#database.exec('BEGIN IMMEDIATE')
  }

  commit(): void {
    this.#check()
    this.#database.exec('COMMIT')
  }

  /** From now on so much of the file is kept in memory. */
  keep(kb: number): void {
    this.#database.exec(`PRAGMA cache_size = -${kb}`)
  }

  /** From now on a lock that another holds is waited for so long. */
  waitFor(ms: number): void {
    this.#database.exec(`PRAGMA busy_timeout = ${ms}`)
  }

  rollback(): void {
    if (this.isCurrent && this.#database.isTransaction) this.#database.exec('ROLLBACK')
  }

  close(): void {
    this.#statements.clear()
    if (this.#owned && this.#database.isOpen) this.#database.close()
    else if (this.isCurrent) owners.delete(this.#database)
  }

  #statement(text: string): StatementSync {
    const known = this.#statements.get(text)
    if (known !== undefined) return known
    if (this.#statements.size >= STATEMENTS_MOST) this.#statements.clear()
    const statement = this.#database.prepare(text)
    this.#statements.set(text, statement)
    return statement
  }

  /** False once the shared database was opened anew. */
  get isCurrent(): boolean {
    return this.#owned || owners.get(this.#database) === this
  }

  #check(): void {
    if (!this.isCurrent) throw new VarveError('REGISTRY_BUSY', 'this registry was opened anew elsewhere')
  }
}

function open(file: string): DatabaseSync {
  try {
    return new DatabaseSync(file, { timeout: BUSY_MS })
  } catch (error) {
    throw translate(error)
  }
}

function prepare(database: DatabaseSync, lasting: boolean): void {
  // What is acknowledged upstream is on the disk. No memory map: mapped pages count as memory of the process, and gain nothing.
  database.exec(`PRAGMA synchronous = ${lasting ? 'FULL' : 'OFF'}; PRAGMA mmap_size = 0; PRAGMA cache_size = -${CACHE_KB}; PRAGMA foreign_keys = OFF`)
  refuseForeign(database)
  // A pragma that sets the mode takes a lock even where it changes nothing, so it is asked first.
  const { journal_mode: mode } = database.prepare('PRAGMA journal_mode').get() as { journal_mode: string }
  // A new database gives back what it no longer needs a piece at a time; one that was made without keeps its way until it is vacuumed (see `giveBack`).
  if (mode === 'delete') database.exec('PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL')
  database.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA journal_size_limit = 67108864`)
  migrate(database)
}

/** The same connection under the asynchronous contract. */
export function inThread(connection: SyncConnection): Connection {
  connection.waitFor(TURN_MS)
  const tried = async <T>(step: () => T): Promise<T> => {
    try {
      return step()
    } catch (error) {
      throw translate(error)
    }
  }
  const begin = async (durable: boolean): Promise<void> => {
    const end = performance.now() + BUSY_MS
    for (;;) {
      try {
        return await tried(() => connection.begin(durable))
      } catch (error) {
        if (!isFailure(error, 'REGISTRY_BUSY') || !connection.isCurrent || performance.now() >= end) throw error
        await setTimeout(TURN_MS)
      }
    }
  }
  return {
    all: (text, values) => tried(() => connection.all(text, values)),
    begin,
    commit: () => tried(() => connection.commit()),
    rollback: () => tried(() => connection.rollback()),
    close: () => tried(() => connection.close()),
  }
}
