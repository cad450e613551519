import type { ChangeView } from '../model/version.ts'
import type { Database, Statements } from './database.ts'
import { present } from './present.ts'
import { ENTRY_COLUMNS, ENTRY_TUPLE } from './versions.ts'
import type { Entries, EntryTuple } from './versions.ts'

const PAGE = 2_000

/** The row of `path` in the version `number`: a point in the head or in the past. */
function rowAt(number: string, path: string, columns: string): string {
  return `SELECT ${columns} FROM head WHERE collection = :collection AND path = ${path} AND since <= ${number}
    UNION ALL SELECT ${columns} FROM past WHERE collection = :collection AND path = ${path} AND since <= ${number} AND until > ${number}`
}

const CHANGED = `SELECT path FROM head WHERE collection = :collection AND since > :low AND since <= :high
  UNION SELECT path FROM past WHERE collection = :collection AND since > :low AND since <= :high
  UNION SELECT path FROM past WHERE collection = :collection AND until > :low AND until <= :high`

/** What was and what is, as text that is the same for the same content at the same place. */
export const STATE = `json_array(identity, location) AS state`

let diffs = 0

/** Pages in path order of what turns `before` into `after`: read off the ranges that begin or end between the two. It lies in a table of the connection while it is read. */
export async function* diff(db: Database, entries: Entries, collection: number, before: number, after: number): AsyncIterable<readonly ChangeView[]> {
  const read = db.read
  const id = ++diffs
  await read.all(
    `CREATE TABLE IF NOT EXISTS temp.difference(id INTEGER NOT NULL, path TEXT NOT NULL, was TEXT, now TEXT, size INTEGER, come_from TEXT, gone_to TEXT, PRIMARY KEY (id, path))
     STRICT, WITHOUT ROWID`,
  )
  try {
    await fill(read, id, collection, before, after)
    await findMoves(read, id)
    for (let last = '', more = true; more; ) {
      const page = await pageOf(read, id, collection, before, after, last)
      if (page.length > 0) yield await viewsOf(entries, page)
      more = page.length === PAGE
      last = page.at(-1)?.[0] ?? last
    }
  } finally {
    await read.all('DELETE FROM temp.difference WHERE id = :id', { id })
  }
}

async function fill(read: Statements, id: number, collection: number, before: number, after: number): Promise<void> {
  const low = Math.min(before, after)
  const high = Math.max(before, after)
  await read.all(
    `INSERT INTO temp.difference(id, path, was, now, size)
     SELECT :id, path, was, now, (SELECT size FROM (${rowAt('iif(was IS NULL, :after, :before)', 'path_of', 'size')})) FROM (
       SELECT path, path AS path_of, (SELECT state FROM (${rowAt(':before', 'changed.path', STATE)})) AS was, (SELECT state FROM (${rowAt(':after', 'changed.path', STATE)})) AS now
       FROM (${CHANGED}) AS changed)
     WHERE was IS NOT now`,
    { id, collection, low, high, before, after },
  )
}

/** One removed and one added path with the same content, not empty, unique on both sides. */
async function findMoves(read: Statements, id: number): Promise<void> {
  const identity = (state: string): string => `${state} ->> 0`
  await read.all(
    `WITH gone AS MATERIALIZED (SELECT ${identity('was')} AS identity, min(path) AS path FROM temp.difference WHERE id = :id AND now IS NULL AND size > 0
       GROUP BY 1 HAVING count(*) = 1),
     come AS MATERIALIZED (SELECT ${identity('now')} AS identity, min(path) AS path FROM temp.difference WHERE id = :id AND was IS NULL AND size > 0
       GROUP BY 1 HAVING count(*) = 1)
     INSERT OR REPLACE INTO temp.difference
     SELECT d.id, d.path, d.was, d.now, d.size, iif(d.was IS NULL, gone.path, NULL), iif(d.was IS NULL, NULL, come.path)
     FROM gone JOIN come USING (identity) JOIN temp.difference d ON d.id = :id AND d.path IN (gone.path, come.path)`,
    { id },
  )
}

type Line = readonly [path: string, from: string | null, before: EntryTuple | null, after: EntryTuple | null]

async function pageOf(read: Statements, id: number, collection: number, before: number, after: number, last: string): Promise<readonly Line[]> {
  const tuple = (number: string, path: string): string => `(SELECT ${ENTRY_TUPLE} FROM (${rowAt(number, path, ENTRY_COLUMNS)}))`
  const row = await read.one<{ page: string }>(
    `SELECT json_group_array(json_array(path, come_from, json(${tuple(':before', 'origin')}), json(${tuple(':after', 'd.path')}))) AS page
     FROM (SELECT path, come_from, coalesce(come_from, path) AS origin FROM temp.difference WHERE id = :id AND path > :last AND gone_to IS NULL ORDER BY path LIMIT :limit) AS d`,
    { id, collection, before, after, last, limit: PAGE },
  )
  return JSON.parse(row?.page ?? '[]') as Line[]
}

async function viewsOf(entries: Entries, page: readonly Line[]): Promise<readonly ChangeView[]> {
  const before = await entries.views(page.flatMap(([, , tuple]) => (tuple === null ? [] : [tuple])))
  const after = await entries.views(page.flatMap(([, , , tuple]) => (tuple === null ? [] : [tuple])))
  let b = 0
  let a = 0
  return page.map(([path, from, was, now]) => {
    const change = from !== null ? 'moved' : was === null ? 'added' : now === null ? 'removed' : 'modified'
    return present({ change, path, from, before: was === null ? null : (before[b++] ?? null), after: now === null ? null : (after[a++] ?? null) } as const)
  })
}
