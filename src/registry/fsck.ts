import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { SetDigest } from '../model/digest.ts'
import { VarveError } from '../model/errors.ts'
import { directoryOf } from '../model/location.ts'
import { translate } from './failures.ts'
import { commonTextFaults, contentFaults, versionTextFaults } from './fsck-texts.ts'
import { refuseForeign, SCHEMA } from './migrate.ts'
import { hasMoved, mayWrite, openReader } from './reading.ts'
import { ABANDONED } from './reclaim.ts'
import type { Abandoned } from './reclaim.ts'
import type { Fault } from './registry.ts'
import { checkRights } from './rights.ts'

const PAGE = 5_000

/**
 * Recomputes what the registry in `folder` says of itself, from one state of it, and yields each fault; a sound one has none. Reads only, each row once, whatever the number of versions.
 * Throws NOT_FOUND where there is no registry, REGISTRY_REFUSED for one of another schema.
 */
export async function* fsck(folder: string): AsyncGenerator<Fault> {
  const file = join(folder, 'varve.db')
  checkRights(folder, 'enter')
  if (!existsSync(file)) throw new VarveError('NOT_FOUND', `no registry in ${folder}`, { hint: 'name its folder with --data or --config' })
  let database: DatabaseSync | undefined
  try {
    const reader = mayWrite(file) ? undefined : await openReader(file)
    // Whoever was killed may have left a journal, which SQLite must put back first: that is a write.
    database = reader?.database ?? new DatabaseSync(file, { timeout: 5_000 })
    database.exec('PRAGMA query_only = 1; BEGIN')
    const broken = integrityFaults(database)
    yield* broken
    // What the file itself has lost cannot be reckoned with.
    if (broken.length > 0) return
    checkSchema(database)
    yield* commonTextFaults(database)
    for (const words of ORPHANS) yield* orphans(database, words)
    for (const collection of collectionsOf(database)) {
      yield* collectionFaults(database, collection)
      // Between collections whoever waits for this process is served.
      await Promise.resolve()
    }
    if (reader !== undefined && hasMoved(file, reader))
      throw new VarveError('REGISTRY_BUSY', `${file} was written to meanwhile, so that what was found may be wrong`, { hint: 'try again' })
  } catch (error) {
    const known = translate(error)
    // SQLITE_CORRUPT and SQLITE_NOTADB: that is what was asked for.
    const primary = ((error as { errcode?: number }).errcode ?? 0) & 0xff
    if (primary !== 11 && primary !== 26) throw known
    yield { words: `the file is damaged: ${(error as Error).message}` }
  } finally {
    database?.close()
  }
}

/** What SQLite itself finds: at most 100 lines of it. */
export function integrityFaults(database: DatabaseSync): readonly Fault[] {
  const lines = (database.prepare('PRAGMA integrity_check(100)').all() as { integrity_check: string }[]).flatMap((row) => row.integrity_check.split('\n'))
  return lines.length === 1 && lines[0] === 'ok' ? [] : lines.map((line) => ({ words: `SQLite: ${line}` }))
}

function checkSchema(database: DatabaseSync): void {
  refuseForeign(database)
  const { user_version: schema } = database.prepare('PRAGMA user_version').get() as { user_version: number }
  if (schema !== SCHEMA)
    throw new VarveError('REGISTRY_REFUSED', `the registry has schema ${schema}, this Varve checks ${SCHEMA}`, {
      hint: schema < SCHEMA ? 'any verb that opens it, such as varve ls, brings it up to date' : 'use the newer Varve that wrote it',
    })
}

const gone = (table: string, id: string): string => `NOT EXISTS (SELECT 1 FROM ${table} t WHERE t.id = ${id})`
const AT = `(SELECT p.name || '/' || c.name FROM collection c JOIN project p ON p.id = c.project WHERE c.id = o.collection)`

/** Rows that point to nothing: each as words, and a query that answers `artifact` and `what`. */
const ORPHANS: readonly (readonly [words: string, text: string])[] = [
  ['has no project', `SELECT o.name AS artifact, 'the collection' AS what FROM collection o WHERE ${gone('project', 'o.project')}`],
  ['has no entity', `SELECT NULL AS artifact, 'the project ' || o.name AS what FROM project o WHERE ${gone('entity', 'o.entity')}`],
  ['belongs to no collection', `SELECT NULL AS artifact, 'the version v' || o.number AS what FROM version o WHERE ${gone('collection', 'o.collection')}`],
  ['was made by no run', `SELECT ${AT} AS artifact, 'v' || o.number AS what FROM version o WHERE ${gone('run', 'o.run')}`],
  ['names a version that is not there',
    `SELECT ${AT} AS artifact, 'the alias ' || o.name AS what FROM alias o WHERE NOT EXISTS (SELECT 1 FROM version v WHERE v.collection = o.collection AND v.number = o.number)`],
  ['keeps no collection', `SELECT NULL AS artifact, 'the watch ' || o.name AS what FROM watch o WHERE ${gone('collection', 'o.collection')}`],
  ['has no location', `SELECT ${AT} AS artifact, 'the watch ' || o.name AS what FROM watch o WHERE ${gone('location', 'o.location')}`],
  ['has no run', `SELECT ${AT} AS artifact, 'the watch ' || o.name AS what FROM watch o WHERE ${gone('run', 'o.run')}`],
  ['belongs to no watch', `SELECT NULL AS artifact, 'a request' AS what FROM request o WHERE ${gone('watch', 'o.watch')}`],
  ['has no collection', `SELECT NULL AS artifact, 'a look' AS what FROM look o WHERE ${gone('collection', 'o.collection')}`],
  // A version that was removed keeps its edges: the run did use it. One that never was has none.
  ['leads to a version that never was', `SELECT ${AT} AS artifact, 'an edge of v' || o.number AS what FROM edge o
     WHERE o.number < 0 OR o.number >= coalesce((SELECT next FROM collection c WHERE c.id = o.collection), 0)`],
  ['leads to no run', `SELECT ${AT} AS artifact, 'an edge of v' || o.number AS what FROM edge o WHERE ${gone('run', 'o.run')}`],
  ...['head', 'past', 'skip', 'directory', 'fate', 'audit'].map((table) => ['belong to no collection',
    `SELECT NULL AS artifact, count(*) || ' rows of ${table}' AS what FROM (SELECT DISTINCT collection FROM ${table}) k JOIN ${table} o ON o.collection = k.collection
     WHERE ${gone('collection', 'k.collection')} HAVING count(*) > 0`] as const),
]

function* orphans(database: DatabaseSync, [words, text]: readonly [string, string]): Generator<Fault> {
  for (const { artifact, what } of database.prepare(text).iterate() as Iterable<{ artifact: string | null; what: string }>)
    yield { ...(artifact !== null && { artifact }), words: `${what} ${words}` }
}

interface Collection {
  readonly id: number
  readonly artifact: string
  readonly next: number
  readonly head: number | null
  readonly entries: number
  readonly size: number
  readonly digest: string | null
}

function collectionsOf(database: DatabaseSync): readonly Collection[] {
  return database.prepare(
    `SELECT c.id, coalesce(p.name || '/', '') || c.name AS artifact, c.next, c.head, c.entries, c.size, c.digest FROM collection c LEFT JOIN project p ON p.id = c.project ORDER BY c.id`,
  ).all() as unknown as Collection[]
}

interface Version {
  readonly number: number
  readonly entries: number
  readonly size: number
  readonly digest: string
}

/** What begins or ends at a version: sums over its rows. Of the versions one each is kept, of the rows none. */
class Turn {
  entries = 0
  size = 0
  readonly digest = new SetDigest()
}

function* collectionFaults(database: DatabaseSync, collection: Collection): Generator<Fault> {
  const { artifact, head, next } = collection
  const versions = database.prepare('SELECT number, entries, size, digest FROM version WHERE collection = ? ORDER BY number').all(collection.id) as unknown as Version[]
  const fault = (words: string): Fault => ({ artifact, words })
  const newest = versions.at(-1)
  if ((newest?.number ?? null) !== head) yield fault(`its head is ${nameOf(head)}, its newest version ${nameOf(newest?.number ?? null)}`)
  if (newest !== undefined && newest.number >= next) yield fault(`the next version would be v${next}, and v${newest.number} is there`)
  if (collection.entries !== (newest?.entries ?? 0) || collection.size !== (newest?.size ?? 0) || collection.digest !== (newest?.digest ?? null))
    yield fault('it counts otherwise than its newest version')
  const turns = new Map<number, Turn>()
  yield* rowFaults(database, collection, versions.map(({ number }) => number), turns)
  yield* versionTextFaults(database, collection.id, artifact)
  yield* skipFaults(database, collection)
  yield* directoryFaults(database, collection)
  yield* fateFaults(database, collection)
  yield* versionFaults(versions, turns, fault)
}

function nameOf(number: number | null): string {
  return number === null ? 'none' : `v${number}`
}

type Row = readonly [path: string, since: number, until: number | null, size: number, identity: string, located: number, digest: string, etag: string | null, checksums: string | null]

const WEB = `SELECT id FROM location WHERE iif(json_valid(json), json ->> 'scheme', NULL) IN ('http', 'https')`

/** Rows by path and beginning, head and past together, a page at a time. */
function* rowsOf(database: DatabaseSync, collection: number): Generator<Row> {
  const columns = (table: string, until: string): string =>
    `SELECT path, since, ${until} AS until, size, identity, location IN (SELECT id FROM location) AS located, digest, iif(location IN (${WEB}), NULL, etag) AS etag, checksums FROM ${table} WHERE collection = :collection AND (path > :path OR (path = :path AND since > :since))`
  // Two ways into the index, since one condition over both columns would be no bound.
  const statement = database.prepare(
    `SELECT json_group_array(json_array(path, since, until, size, identity, located, digest, etag, checksums)) AS page FROM (
       SELECT * FROM (${bounded(columns('head', 'NULL'))}) UNION ALL SELECT * FROM (${bounded(columns('past', 'until'))}) ORDER BY path, since LIMIT ${PAGE})`,
  )
  for (let path = '', since = -1, more = true; more; ) {
    const { page } = statement.get({ collection, path, since }) as { page: string }
    const rows = JSON.parse(page) as Row[]
    yield* rows
    more = rows.length === PAGE
    const last = rows.at(-1)
    if (last !== undefined) [path, since] = [last[0], last[1]]
  }
}

function bounded(text: string): string {
  return `${text} AND path >= :path ORDER BY path, since LIMIT ${PAGE}`
}

function* rowFaults(database: DatabaseSync, collection: Collection, numbers: readonly number[], turns: Map<number, Turn>): Generator<Fault> {
  const turnAt = (number: number): Turn => {
    const known = turns.get(number) ?? new Turn()
    turns.set(number, known)
    return known
  }
  const fault = (path: string, words: string): Fault => ({ artifact: collection.artifact, words: `${JSON.stringify(path)} ${words}` })
  const abandoned = (database.prepare(ABANDONED).all() as unknown as Abandoned[]).filter((one) => one.collection === collection.id)
  const isAbandoned = (since: number, until: number | null): boolean => until !== null && abandoned.some(({ number, before, after }) => until > number && until <= after && since > before)
  let before: Row | undefined
  for (const row of rowsOf(database, collection.id)) {
    const [path, since, until, size, identity, located, digest, etag, checksums] = row
    const range = `v${since} to ${until === null ? 'now' : `v${until}`}`
    if (until !== null && since >= until) yield fault(path, `is there from ${range}, which is no time`)
    else if (coversNone(numbers, since, until) && !isAbandoned(since, until)) yield fault(path, `is there from ${range}, where no version is`)
    if (until !== null && until > (collection.head ?? -1)) yield fault(path, `ended at v${until}, after the newest version`)
    if (before !== undefined && before[0] === path && (before[2] === null || before[2] > since)) yield fault(path, `is there twice from v${since}`)
    if (located === 0) yield fault(path, `has no location from v${since}`)
    for (const words of contentFaults({ size, identity, digest, etag, checksums })) yield fault(path, `${words}, from v${since}`)
    const begun = turnAt(since)
    begun.entries++
    begun.size += size
    begun.digest.add(path, identity)
    if (until !== null) {
      const ended = turnAt(until)
      ended.entries--
      ended.size -= size
      ended.digest.remove(path, identity)
    }
    before = row
  }
}

/** True when no number lies in `[since, until)`. */
function coversNone(numbers: readonly number[], since: number, until: number | null): boolean {
  let low = 0
  let high = numbers.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((numbers[middle] as number) < since) low = middle + 1
    else high = middle
  }
  const first = numbers[low]
  return first === undefined || (until !== null && first >= until)
}

function* versionFaults(versions: readonly Version[], turns: ReadonlyMap<number, Turn>, fault: (words: string) => Fault): Generator<Fault> {
  const sum = new Turn()
  const bounds = [...turns].toSorted(([a], [b]) => a - b)
  let at = 0
  for (const { number, entries, size, digest } of versions) {
    for (let bound = bounds[at]; bound !== undefined && bound[0] <= number; bound = bounds[++at]) {
      sum.entries += bound[1].entries
      sum.size += bound[1].size
      sum.digest.join(bound[1].digest)
    }
    if (sum.entries !== entries) yield fault(`v${number} has ${sum.entries} entries, and says ${entries}`)
    if (sum.size !== size) yield fault(`v${number} has ${sum.size} bytes, and says ${size}`)
    if (sum.digest.toString() !== digest) yield fault(`v${number} has the digest ${sum.digest.toString()}, and says ${digest}`)
  }
}

function* skipFaults(database: DatabaseSync, { id, artifact, next }: Collection): Generator<Fault> {
  let before: { path: string; until: number | null } | undefined
  const rows = database.prepare('SELECT path, since, until FROM skip WHERE collection = ? ORDER BY path, since').iterate(id) as Iterable<{ path: string; since: number; until: number | null }>
  for (const row of rows) {
    const { path, since, until } = row
    const fault = (words: string): Fault => ({ artifact, words: `what was skipped at ${JSON.stringify(path)} ${words}` })
    if (since > next || (until !== null && (since >= until || until > next))) yield fault(`is so from v${since} to ${until === null ? 'now' : `v${until}`}, which is no time`)
    if (before !== undefined && before.path === path && (before.until === null || before.until > since)) yield fault(`is so twice from v${since}`)
    before = row
  }
}

/** What became of a row is said of a row that is there, and of one range with it; what it is must fit the row, or versions would count wrongly what they have lost. */
function* fateFaults(database: DatabaseSync, { id, artifact }: Collection): Generator<Fault> {
  const rows = database.prepare(
    `SELECT f.path, f.since, f.until, f.fate, f.gone_at AS goneAt, f.pinned, f.refuge, h.path IS NOT NULL AS open, p.until AS ended, p.pin IS NOT NULL OR p.latest_pin IS NOT NULL AS pins,
       EXISTS (SELECT 1 FROM head r WHERE r.collection = f.refuge AND r.path = f.refuge_path) AS stands
     FROM fate f LEFT JOIN head h ON h.collection = f.collection AND h.path = f.path AND h.since = f.since
       LEFT JOIN past p ON p.collection = f.collection AND p.path = f.path AND p.since = f.since WHERE f.collection = ? ORDER BY f.path, f.since`,
  ).iterate(id) as Iterable<Told>
  for (const { path, since, until, fate, goneAt, pinned, refuge, open, ended, pins, stands } of rows) {
    const fault = (words: string): Fault => ({ artifact, words: `what became of ${JSON.stringify(path)} from v${since} ${words}` })
    if (until === null ? open === 0 : ended !== until) yield fault(open === 0 && ended === null ? 'is said of no entry' : `is said of it until ${nameOf(until)}, and it is there until ${open === 1 ? 'now' : nameOf(ended)}`)
    // An open row may have got its first pin since.
    else if (until !== null && pinned !== pins) yield fault(`is said of one ${pinned === 1 ? 'with' : 'without'} a pin, which it is not`)
    if (!FATES.has(fate)) yield fault(`is ${JSON.stringify(fate)}, which is not known`)
    if (fate === 'lost' && pinned === 0 && until !== null) yield fault('is lost, which goes without saying where there is no pin: it counts twice')
    if (fate !== 'risk' && fate !== 'fading' && goneAt !== null) yield fault(`is ${fate}, and yet has a day on which it will go`)
    if ((fate === 'mutable') !== (refuge !== null)) yield fault(`is ${fate}, and ${refuge === null ? 'names nothing that holds' : 'yet names what holds'} its bytes`)
    else if (refuge !== null && stands === 0) yield fault('is said to be held by an entry that is not there any more')
  }
}

const FATES: ReadonlySet<string> = new Set(['lost', 'elsewhere', 'fading', 'mutable', 'left', 'risk'])

interface Told {
  readonly path: string
  readonly since: number
  readonly until: number | null
  readonly fate: string
  readonly goneAt: number | null
  readonly pinned: number
  readonly refuge: number | null
  readonly open: number
  readonly ended: number | null
  readonly pins: number
  readonly stands: number
}

/** A look misses what is gone by the directories that it knows. */
function* directoryFaults(database: DatabaseSync, { id, artifact }: Collection): Generator<Fault> {
  const rows = database.prepare(
    `SELECT path FROM head WHERE collection = ? AND NOT lone AND location IN (SELECT id FROM location WHERE iif(json_valid(json), json ->> 'scheme', NULL) = 'file')
       AND rtrim(path, replace(path, '/', '')) NOT IN (SELECT d.path FROM directory d WHERE d.collection = head.collection) ORDER BY path`,
  ).iterate(id) as Iterable<{ path: string }>
  let last: string | undefined
  for (const { path } of rows) {
    const directory = directoryOf(path)
    if (directory !== last) yield { artifact, words: `the directory of ${JSON.stringify(path)} is not known` }
    last = directory
  }
}
