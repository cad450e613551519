import type { Content, Row, Skip } from '../model/entry.ts'
import type { Database, Named } from './database.ts'
import { present } from './present.ts'
import type { Looking, Stretch } from './registry.ts'

// One page of rows crosses as one text: a row at a time costs several times the query itself.
const PAGE = 5_000
/** Greater than any text: a blob orders after it. */
export const END = new Uint8Array(0)

const COLUMNS = 'path, size, digest, identity, etag, pin, latest_pin, checksums, fingerprint, location'
export const COLLECTION = '(SELECT collection FROM look WHERE id = :look)'
/** The location that a path belongs to: of several the one in whose part of the artifact it lies; a path that lies in none belongs to none. */
export function locationFor(looking: Pick<Looking, 'several'>, path: string): string {
  const whole = '(SELECT location FROM look WHERE id = :look)'
  return looking.several ? `(SELECT p.location FROM place p WHERE p.whole = ${whole} AND ${path} >= p.start AND ${path} < p.before)` : whole
}

/** What is staged was found here, whatever the head's row says. */
const stagedColumns = (looking: Looking): string => COLUMNS.replace('location', `${locationFor(looking, 'path')} AS location`)
/** What is staged of entries that the version will have. */
const STAYS = `op IN ('add', 'modify', 'refresh')`
const UNSTAGED = 'NOT EXISTS (SELECT 1 FROM scratch s WHERE s.look = :look AND s.path = head.path)'

type Tuple = readonly [
  path: string, size: number, digest: string, identity: string, etag: string | null, pin: string | null, latestPin: string | null,
  checksums: string | null, fingerprint: string | null, here: number,
]

/** The content as stored in columns. */
export function contentOf(digest: string, etag: string | null, pin: string | null, checksums: string | null): Content {
  return present({ digest, etag, pin, checksums: checksums === null ? null : (JSON.parse(checksums) as Record<string, string>) })
}

async function page(db: Database, looking: Looking, from: string, named: Named): Promise<readonly Row[]> {
  const text = `SELECT json_group_array(json_array(path, size, digest, identity, etag, pin, latest_pin, checksums, fingerprint, location = ${locationFor(looking, 'path')})) AS page FROM (${from})`
  const row = await db.read.one<{ page: string }>(text, named)
  return (JSON.parse(row?.page ?? '[]') as Tuple[]).map(([path, sizeBytes, digest, identity, etag, pin, latestPin, checksums, fingerprint, here]) =>
    present({ path, sizeBytes, content: contentOf(digest, etag, pin, checksums), identity, latestPin, fingerprint, here: here === 1 }),
  )
}

/** See `Ledger.rowsBetween`. */
export function rowsBetween(db: Database, looking: Looking, stretch: Stretch, limit: number): Promise<readonly Row[]> {
  const { text, named } = within(stretch)
  return page(
    db,
    looking,
    `SELECT ${COLUMNS} FROM head WHERE collection = ${COLLECTION} AND ${text} AND ${UNSTAGED}
     UNION ALL SELECT ${stagedColumns(looking)} FROM scratch WHERE look = :look AND ${text} AND ${STAYS} ORDER BY path LIMIT :limit`,
    { look: looking.id, ...named, limit },
  )
}

/** One lower and one upper bound: SQLite walks an index between one of each. */
function within({ after, upTo, within: folder }: Stretch): { readonly text: string; readonly named: Named } {
  if (upTo !== undefined || folder === undefined) return { text: 'path > :after AND path <= :upTo', named: { after, upTo: upTo ?? END } }
  return { text: 'path > :after AND path < :before', named: { after, before: endOf(folder) } }
}

/** See `Ledger.rowsIn`: from child to child, leaping over each directory, since what lies deeper may be a million rows. */
export function rowsIn(db: Database, looking: Looking, directory: string, after: string, limit: number): Promise<readonly Row[]> {
  const children = (table: string, key: string): string =>
    `SELECT path FROM (WITH RECURSIVE child(path) AS (
       SELECT (SELECT min(path) FROM ${table} WHERE ${key} AND path > :after AND path < :end)
       UNION ALL
       SELECT (SELECT min(path) FROM ${table} WHERE ${key} AND path < :end AND path >= iif(instr(substr(child.path, :from), '/') = 0, child.path || char(0),
         :directory || substr(child.path, :from, instr(substr(child.path, :from), '/') - 1) || '0'))
       FROM child WHERE child.path IS NOT NULL)
     SELECT path FROM child WHERE path IS NOT NULL AND instr(substr(path, :from), '/') = 0`
  return page(
    db,
    looking,
    `SELECT ${COLUMNS} FROM head WHERE collection = ${COLLECTION} AND ${UNSTAGED}
       AND path IN (${children('head', `collection = ${COLLECTION}`)} AND NOT EXISTS (SELECT 1 FROM scratch s WHERE s.look = :look AND s.path = child.path) LIMIT :limit))
     UNION ALL SELECT ${stagedColumns(looking)} FROM scratch WHERE look = :look AND ${STAYS}
       AND path IN (${children('scratch', 'look = :look')} LIMIT :limit)) ORDER BY path LIMIT :limit`,
    { look: looking.id, directory, from: firstIn(directory), after, end: endOf(directory), limit },
  )
}

/** Where the names in `directory` begin, as SQLite counts: by code points. */
function firstIn(directory: string): number {
  return [...directory].length + 1
}

/** What orders after all that lies under `directory`: its last character is `/`, and `0` follows it. */
function endOf(directory: string): string | Uint8Array {
  return directory === '' ? END : `${directory.slice(0, -1)}0`
}

/** See `Ledger.rowsAt`: in path order. */
export function rowsAt(db: Database, looking: Looking, paths: readonly string[]): Promise<readonly Row[]> {
  const asked = 'path IN (SELECT value FROM json_each(:paths))'
  return page(
    db,
    looking,
    `SELECT ${COLUMNS} FROM head WHERE collection = ${COLLECTION} AND ${asked} AND ${UNSTAGED}
     UNION ALL SELECT ${stagedColumns(looking)} FROM scratch WHERE look = :look AND ${asked} AND ${STAYS} ORDER BY path`,
    { look: looking.id, paths: JSON.stringify(paths) },
  )
}

/** See `Ledger.hasRowsUnder`. */
export async function hasRowsUnder(db: Database, looking: Looking, path: string): Promise<boolean> {
  const under = 'path > :under AND path < :end'
  const row = await db.read.one<{ found: number }>(
    `SELECT EXISTS (SELECT 1 FROM head WHERE collection = ${COLLECTION} AND ${under} AND ${UNSTAGED})
       OR EXISTS (SELECT 1 FROM scratch WHERE look = :look AND ${under} AND ${STAYS}) AS found`,
    { look: looking.id, under: `${path}/`, end: `${path}0` },
  )
  return row?.found === 1
}

/** The open skip rows as a look would leave them: `path, reason`. */
export const SKIPS_AFTER = `SELECT path, reason FROM skip WHERE collection = ${COLLECTION} AND until IS NULL
    AND NOT EXISTS (SELECT 1 FROM scratch_skip s WHERE s.look = :look AND s.path = skip.path)
  UNION ALL SELECT path, reason FROM scratch_skip WHERE look = :look AND reason IS NOT NULL`

/** See `Ledger.skipsIn`. A directory that could not be read is a skip of itself, not of the one above it. */
export function skipsIn(db: Database, looking: Looking, cover: Stretch | { readonly directory: string } | { readonly path: string }): Promise<readonly Skip[]> {
  if ('path' in cover) return db.read.all<Skip>(`SELECT * FROM (${SKIPS_AFTER}) WHERE path = :path`, { look: looking.id, path: cover.path })
  if ('after' in cover) {
    const { text, named } = within(cover)
    return db.read.all<Skip>(`SELECT * FROM (${SKIPS_AFTER}) WHERE ${text} ORDER BY path`, { look: looking.id, ...named })
  }
  const { directory } = cover
  return db.read.all<Skip>(`SELECT * FROM (${SKIPS_AFTER}) WHERE path >= :directory AND path < :end AND instr(substr(path, :from), '/') = 0 ORDER BY path`, {
    look: looking.id,
    directory,
    from: firstIn(directory),
    end: endOf(directory),
  })
}

/** See `Ledger.directories`. */
export async function* directories(db: Database, looking: Looking): AsyncIterable<readonly { readonly path: string; readonly signature?: string }[]> {
  // The path of the root is empty, so a page begins at a path, not after one; a NUL makes the next text there is.
  for (let from = ''; ; ) {
    const row: { page: string } | undefined = await db.read.one(
      `SELECT json_group_array(json_array(path, signature)) AS page FROM (
         SELECT path, signature FROM directory WHERE collection = ${COLLECTION} AND path >= :from ORDER BY path LIMIT :limit)`,
      { look: looking.id, from, limit: PAGE },
    )
    const found = JSON.parse(row?.page ?? '[]') as [string, string | null][]
    if (found.length > 0) yield found.map(([path, signature]) => present({ path, signature }))
    if (found.length < PAGE) return
    from = `${found.at(-1)?.[0] ?? ''}\0`
  }
}
