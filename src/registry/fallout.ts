// What commits may have done to older versions, and which of their rows must be asked about for that.
import { comparePaths } from '../model/location.ts'
import type { Audited, AuditPoint, Fallout, Question } from '../model/fate.ts'
import type { CollectionName } from '../model/watch.ts'
import { rowsOf, WAITS } from './audit-rows.ts'
import type { Named, Statements } from './database.ts'
import { HOLDING_COLUMNS, PAST_COLUMNS } from './holdings.ts'
import type { Holdings } from './holdings.ts'
import { UNKEPT } from './keeping.ts'
import { collectionOf, versionOf } from './lookup.ts'
import { UNPINNED } from './restorability.ts'

// Each page is looked for by reading every row of the registry once.
const PAGE = 10_000
const ROWS_MOST = 100_000

/** A row of any collection. */
export type Point = AuditPoint & { readonly collection: number }

/** Rows whose bytes were known in the open rows at the paths that `gone` selects, and nowhere else: they are lost, until somebody finds them elsewhere. */
export async function disown(tx: Statements, collection: number, gone: string, named: Named): Promise<readonly Point[]> {
  const those = `refuge = :collection AND refuge_path IN (${gone})`
  const all = { collection, ...named }
  const [bereft] = await Promise.all([
    tx.all<Point>(`SELECT collection, path, since FROM fate WHERE ${those} LIMIT ${ROWS_MOST}`, all),
    // Of a closed row without a pin it goes without saying.
    tx.all(`UPDATE fate SET fate = 'lost', refuge = NULL, refuge_path = NULL WHERE (pinned OR until IS NULL) AND ${those}`, all),
    tx.all(`DELETE FROM fate WHERE ${those}`, all),
  ])
  return bereft
}

/** Undefined where nothing was ever lost: then a commit changes the state of no version. */
export async function falloutOf(tx: Statements, collection: number, number: number, bereft: Fallout['bereft']): Promise<Fallout | undefined> {
  const lost = bereft.length > 0 ? {} : await tx.one(`SELECT 1 WHERE EXISTS (SELECT 1 FROM past INDEXED BY past_unpinned WHERE ${UNPINNED}) OR EXISTS (${UNKEPT})`)
  return lost === undefined ? undefined : { collection, number, bereft }
}

const UNWRITTEN = `NOT EXISTS (SELECT 1 FROM fate f WHERE f.collection = p.collection AND f.path = p.path AND f.since = p.since)`

const THESE = 'collection = :collection AND (path, since) IN (SELECT value ->> 0, value ->> 1 FROM json_each(:points))'

/** See `Auditing.inQuestion`. */
export async function* inQuestion(read: Statements, held: Holdings, fallouts: readonly Fallout[]): AsyncGenerator<Question> {
  const points = new Map<number, Map<string, Point>>()
  const ask = (found: readonly Point[]): void => {
    for (const point of found) points.set(point.collection, (points.get(point.collection) ?? new Map<string, Point>()).set(`${point.since} ${point.path}`, point))
  }
  for (const [collection, own] of Map.groupBy(fallouts, (one) => one.collection)) {
    const named = { collection, numbers: JSON.stringify(own.map(({ number }) => number)), limit: ROWS_MOST }
    const these = 'IN (SELECT value FROM json_each(:numbers))'
    ask(await read.all<Point>(`SELECT collection, path, since FROM past p WHERE collection = :collection AND until ${these} AND ${UNPINNED} AND ${UNWRITTEN} LIMIT :limit`, named))
    ask(await read.all<Point>(`SELECT collection, path, since FROM fate WHERE collection = :collection AND until ${these} AND fate = 'lost' LIMIT :limit`, named))
    // The second bound says what the first implies, as the partial index wants it. The plus keeps the planner at the rows of `past` in the order in which they lie.
    const begun = own.some(({ number }) => number === 0) ? 'FROM head WHERE' : 'FROM head INDEXED BY head_begun WHERE since > 0 AND'
    const brought = `SELECT identity ${begun} collection = :collection AND since ${these} LIMIT :limit`
    ask(await read.all<Point>(`SELECT collection, path, since FROM past p WHERE +pin IS NULL AND +latest_pin IS NULL AND identity IN (${brought}) AND ${UNWRITTEN} LIMIT :limit`, named))
    ask(await read.all<Point>(
      `SELECT f.collection, f.path, f.since FROM fate f CROSS JOIN past p ON p.collection = f.collection AND p.path = f.path AND p.since = f.since WHERE f.fate = 'lost' AND p.identity IN (${brought}) LIMIT :limit`, named))
    ask(own.flatMap(({ bereft }) => bereft))
  }
  for (const [collection, some] of points) {
    const of = await auditedOf(read, collection)
    const sorted = [...some.values()].sort((a, b) => comparePaths(a.path, b.path) || a.since - b.since)
    const first = sorted.reduce((least, { since }) => Math.min(least, since), Infinity)
    for (let from = 0; of !== undefined && from < sorted.length; from += PAGE) {
      const rows = await rowsOf(read, held, `SELECT ${PAST_COLUMNS}, since, 0 AS waits FROM past WHERE ${THESE} UNION ALL SELECT ${HOLDING_COLUMNS}, since, 0 AS waits FROM head WHERE ${THESE}`, {
        collection, points: JSON.stringify(sorted.slice(from, from + PAGE).map(({ path, since }) => [path, since])),
      })
      yield { of, first, rows: rows.filter(({ fate }) => fate === undefined || fate.fate === 'lost') }
    }
  }
}

/** See `Auditing.rowsToAsk`. */
export async function* rowsToAsk(read: Statements, held: Holdings, name: CollectionName, version: string, paths: readonly string[]): AsyncGenerator<Question> {
  const collection = await collectionOf(read, name)
  const number = await versionOf(read, collection, version)
  const of: Audited = { collection: collection.id, artifact: collection.artifact, entity: name.entity }
  const asked = `(EXISTS (SELECT 1 FROM fate f WHERE f.collection = :collection AND f.path = p.path AND f.since = p.since) OR path IN (SELECT value FROM json_each(:paths)))`
  for (let after: string | undefined, more = true; more; ) {
    const rows = await rowsOf(
      read, held,
      `SELECT ${PAST_COLUMNS}, since, 0 AS waits FROM past p WHERE collection = :collection AND since <= :number AND until > :number AND path > :after AND (${UNPINNED} OR ${asked})
       UNION ALL SELECT ${HOLDING_COLUMNS}, since, 0 AS waits FROM head p WHERE collection = :collection AND since <= :number AND path > :after AND NOT (${WAITS}) AND ${asked} ORDER BY path LIMIT ${PAGE}`,
      { collection: collection.id, number, after: after ?? '', paths: JSON.stringify(paths) },
    )
    if (rows.length > 0) yield { of, first: rows.reduce((least, { since }) => Math.min(least, since), Infinity), rows }
    more = rows.length === PAGE
    after = rows.at(-1)?.holding.path
  }
}

function auditedOf(read: Statements, collection: number): Promise<Audited | undefined> {
  return read.one<Audited>(
    `SELECT c.id AS collection, p.name || '/' || c.name AS artifact, e.name AS entity FROM collection c JOIN project p ON p.id = c.project JOIN entity e ON e.id = p.entity WHERE c.id = :collection`,
    { collection },
  )
}
