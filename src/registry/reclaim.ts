// Rows that no version covers any more, after a version between two others was removed. Nothing reads them, so they may go a few at a time, and later: a million at once would keep everybody
// else from writing for ten seconds. Which they are is noted in the transaction that removed the version; what a process that was killed has left, the next one takes away.
import { setTimeout } from 'node:timers/promises'
import type { Database, Statements } from './database.ts'

// Some tens of ms.
const BATCH_ROWS = 2_000

/** Rows that ended after `number`, at `after` at the latest, and began after `before`. */
export interface Abandoned {
  readonly collection: number
  readonly number: number
  readonly before: number
  readonly after: number
}

/** What is noted, over `meta`. */
export const ABANDONED = `SELECT value ->> 0 AS collection, value ->> 1 AS number, value ->> 2 AS before, value ->> 3 AS after FROM meta WHERE key > 'abandoned:' AND key < 'abandoned;'`

/** `number` is gone, and nothing lies between `before` and `after` any more. A row covers a version on, whatever the version is called that its range begins or ends with. */
export async function abandon(tx: Statements, { collection, number, before, after }: Abandoned): Promise<void> {
  await tx.all('INSERT OR REPLACE INTO meta VALUES (:key, :value)', { key: keyOf(collection, number), value: JSON.stringify([collection, number, before, after]) })
}

/** Deletes what was abandoned, and rests after each batch for as long as that took: whoever waits to write may. */
export async function reclaim(db: Database): Promise<void> {
  for (const one of await db.read.all<Abandoned>(ABANDONED)) {
    for (const table of ['past', 'skip']) await reclaimFrom(db, table, one)
    await db.transaction((tx) => tx.all('DELETE FROM meta WHERE key = :key', { key: keyOf(one.collection, one.number) }), false)
  }
}

function keyOf(collection: number, number: number): string {
  return `abandoned:${collection}:${number}`
}

async function reclaimFrom(db: Database, table: string, { collection, number, before, after }: Abandoned): Promise<void> {
  let last = { until: number, path: '\u{10ffff}', since: 0 }
  for (let more = true; more; ) {
    // The plus keeps the planner at the index of ends: of what began since, there may be a million.
    const rows: readonly (typeof last)[] = await db.read.all(
      `SELECT until, path, since FROM ${table} WHERE collection = :collection AND (until, path, since) > (:until, :path, :since) AND until > :number AND until <= :after AND +since > :before
       ORDER BY until, path, since LIMIT :limit`,
      { collection, number, before, after, ...last, limit: BATCH_ROWS },
    )
    const startedMs = performance.now()
    if (rows.length > 0)
      await db.transaction((tx) => tx.all(`DELETE FROM ${table} WHERE collection = :collection AND (path, since) IN (SELECT value ->> 0, value ->> 1 FROM json_each(:rows))`, {
        collection, rows: JSON.stringify(rows.map(({ path, since }) => [path, since])),
      }), false)
    more = rows.length === BATCH_ROWS
    last = rows.at(-1) ?? last
    if (more) await setTimeout(performance.now() - startedMs)
  }
}
