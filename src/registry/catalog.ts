import { VarveError } from '../model/errors.ts'
import type { Skip } from '../model/entry.ts'
import type { ChangeView, CollectionView, EntryView, VersionView } from '../model/version.ts'
import type { CollectionName } from '../model/watch.ts'
import type { Database, Named } from './database.ts'
import { diff, STATE } from './diff.ts'
import { Holdings } from './holdings.ts'
import { collectionOf, IS_THERE, projectsNamed, versionOf } from './lookup.ts'
import { present } from './present.ts'
import type { Catalog } from './registry.ts'
import { losses, versionStates } from './restorability.ts'
import { END } from './rows.ts'
import { Entries, ENTRY_COLUMNS, ENTRY_TUPLE, versionAt, versionsBefore } from './versions.ts'
import type { EntryTuple } from './versions.ts'

const PAGE = 5_000
const VERSIONS_PAGE = 100

/** The reading half of the registry, over committed rows alone. */
export function catalog(db: Database): Omit<Catalog, 'lineage' | 'watchViews' | 'watchesOf'> {
  const entries = new Entries(db.read)
  const held = new Holdings(db.read)
  return {
    collections: (project) => collections(db, project),
    versions: (name) => versions(db, name),
    version: (name, version) => version_(db, name, version),
    entries: (name, version, path) => entriesOf(db, entries, name, version, path),
    async *holdings(name, version, path) {
      const collection = await collectionOf(db.read, name)
      yield* held.of(collection.id, await versionOf(db.read, collection, version), path)
    },
    sameContent: (wanted) => held.same(wanted),
    async losses(name, version, limit) {
      const collection = await collectionOf(db.read, name)
      return losses(db.read, collection.id, await versionOf(db.read, collection, version), limit)
    },
    versionStates: () => versionStates(db.read),
    skipped: (name, version) => skipped(db, name, version),
    history: (name, path) => history(db, entries, name, path),
    async *diff(name, before, after) {
      const collection = await collectionOf(db.read, name)
      const [low, high] = [await versionOf(db.read, collection, before), await versionOf(db.read, collection, after)]
      yield* diff(db, entries, collection.id, low, high)
    },
    addAlias: (name, version, alias) => addAlias(db, name, version, alias),
    removeAlias: (name, version, alias) => removeAlias(db, name, version, alias),
  }
}

interface StoredCollection {
  readonly artifact: string
  readonly entity: string
  readonly type: string
  readonly versions: number
  readonly head: string | null
  readonly next: string
  readonly entries: number
  readonly sizeBytes: number
  readonly updatedAt: number | null
}

async function collections(db: Database, project: string | undefined): Promise<readonly CollectionView[]> {
  const projects = project === undefined ? null : JSON.stringify(await projectsNamed(db.read, project))
  const rows = await db.read.all<StoredCollection>(
    `SELECT p.name || '/' || c.name AS artifact, e.name AS entity, c.type, (SELECT count(*) FROM version v WHERE v.collection = c.id) AS versions, 'v' || c.head AS head, 'v' || c.next AS next,
       c.entries, c.size AS sizeBytes, (SELECT v.created_at FROM version v WHERE v.collection = c.id AND v.number = c.head) AS updatedAt
     FROM collection c JOIN project p ON p.id = c.project JOIN entity e ON e.id = p.entity
     WHERE (:projects IS NULL OR p.id IN (SELECT value FROM json_each(:projects))) AND ${IS_THERE} ORDER BY e.name, p.name, c.name`,
    { projects },
  )
  return rows.map((row) => present({ ...row, updatedAt: row.updatedAt === null ? null : new Date(row.updatedAt).toISOString() }))
}

async function* versions(db: Database, name: CollectionName): AsyncIterable<readonly VersionView[]> {
  const { id } = await collectionOf(db.read, name)
  for (let before = Number.MAX_SAFE_INTEGER, more = true; more; ) {
    const page = await versionsBefore(db.read, id, before, VERSIONS_PAGE)
    if (page.length > 0) yield page
    more = page.length === VERSIONS_PAGE
    before = page.at(-1)?.index ?? 0
  }
}

async function version_(db: Database, name: CollectionName, version: string): Promise<VersionView> {
  const collection = await collectionOf(db.read, name)
  const view = await versionAt(db.read, collection.id, await versionOf(db.read, collection, version))
  if (view === undefined) throw new VarveError('NOT_FOUND', `no version ${version} of ${collection.artifact}`)
  return view
}

async function* entriesOf(db: Database, entries: Entries, name: CollectionName, version: string, path: string | undefined): AsyncIterable<readonly EntryView[]> {
  const collection = await collectionOf(db.read, name)
  const number = await versionOf(db.read, collection, version)
  const within = { collection: collection.id, number }
  if (path === undefined) return yield* stretch(db, entries, 'path > :after AND path < :end', { ...within, after: '', end: END })
  let found = false
  const under = path.endsWith('/') ? path : `${path}/`
  // The entry itself, and all under it: between the two other paths may lie (`a`, `a-b`, `a/c`).
  const parts: readonly [string, Named][] = [
    ['path = :path AND path > :after', { ...within, path, after: '' }],
    ['path > :after AND path < :end', { ...within, after: under, end: `${under.slice(0, -1)}0` }],
  ]
  for (const [where, named] of parts)
    for await (const page of stretch(db, entries, where, named)) {
      found = true
      yield page
    }
  if (!found) throw new VarveError('NOT_FOUND', `no entry ${JSON.stringify(path)} in ${collection.artifact}:v${number}`, { hint: 'varve files lists what there is' })
}

async function* stretch(db: Database, entries: Entries, where: string, named: Named): AsyncIterable<readonly EntryView[]> {
  for (let after = named['after'], more = true; more; ) {
    const row = await db.read.one<{ page: string }>(
      `SELECT json_group_array(${ENTRY_TUPLE}) AS page FROM (
         SELECT ${ENTRY_COLUMNS} FROM head WHERE collection = :collection AND since <= :number AND ${where}
         UNION ALL SELECT ${ENTRY_COLUMNS} FROM past WHERE collection = :collection AND since <= :number AND until > :number AND ${where} ORDER BY path LIMIT :limit)`,
      { ...named, after: after ?? '', limit: PAGE },
    )
    const tuples = JSON.parse(row?.page ?? '[]') as EntryTuple[]
    if (tuples.length > 0) yield await entries.views(tuples)
    more = tuples.length === PAGE
    after = tuples.at(-1)?.[0] ?? ''
  }
}

async function* skipped(db: Database, name: CollectionName, version: string): AsyncIterable<readonly Skip[]> {
  const collection = await collectionOf(db.read, name)
  const number = await versionOf(db.read, collection, version)
  // The path of a root that cannot be read is empty, so a page begins at a path; a NUL makes the next text there is.
  for (let from = '', more = true; more; ) {
    const page = await db.read.all<Skip>(
      `SELECT path, reason FROM skip WHERE collection = :collection AND path >= :from AND since <= :number AND (until IS NULL OR until > :number) ORDER BY path LIMIT :limit`,
      { collection: collection.id, from, number, limit: PAGE },
    )
    if (page.length > 0) yield page
    more = page.length === PAGE
    from = `${page.at(-1)?.path ?? ''}\0`
  }
}

interface Range {
  /** The first version that shows it, and the first that no longer does. */
  readonly first: number
  readonly ending: number | null
  readonly state: string
  readonly tuple: string
}

/** The first version from `number` on: the one of that number may have been removed. */
function shownFrom(number: string): string {
  return `(SELECT min(v.number) FROM version v WHERE v.collection = :collection AND v.number >= ${number})`
}

async function history(db: Database, entries: Entries, name: CollectionName, path: string): Promise<readonly ChangeView[]> {
  const collection = await collectionOf(db.read, name)
  // What no version covers any more and is still to be taken away was never there.
  const ranges = await db.read.all<Range>(
    `SELECT * FROM (SELECT ${shownFrom('since')} AS first, ${shownFrom('until')} AS ending, ${STATE}, ${ENTRY_TUPLE} AS tuple FROM past WHERE collection = :collection AND path = :path
     UNION ALL SELECT ${shownFrom('since')}, NULL, ${STATE}, ${ENTRY_TUPLE} FROM head WHERE collection = :collection AND path = :path) WHERE first IS NOT ending ORDER BY first`,
    { collection: collection.id, path },
  )
  if (ranges.length === 0) throw new VarveError('NOT_FOUND', `no version of ${collection.artifact} ever had ${JSON.stringify(path)}`)
  const views = await entries.views(ranges.map(({ tuple }) => JSON.parse(tuple) as EntryTuple))
  const changes: ChangeView[] = []
  ranges.forEach(({ first, ending, state }, i) => {
    const [previous, next] = [ranges[i - 1], ranges[i + 1]]
    const [before, after] = [previous?.ending === first ? views[i - 1] : undefined, views[i]]
    const version = `v${first}`
    if (after === undefined) return
    if (before === undefined) changes.push({ change: 'added', path, after, version })
    // Where what lay between was removed, two ranges may show the same.
    else if (previous?.state !== state) changes.push({ change: 'modified', path, before, after, version })
    if (ending !== null && next?.first !== ending) changes.push({ change: 'removed', path, before: after, version: `v${ending}` })
  })
  return changes
}

// As of any name.
const ALIAS_CHARACTERS_MOST = 128

async function addAlias(db: Database, name: CollectionName, version: string, alias: string): Promise<void> {
  if (alias === 'latest' || /^v\d+$/.test(alias)) throw new VarveError('USAGE', `${alias} is given by Varve, not by hand`, { hint: 'choose another alias' })
  if (alias === '' || alias.length > ALIAS_CHARACTERS_MOST || /[/:\s\p{Cc}]/u.test(alias))
    throw new VarveError('USAGE', `${JSON.stringify(alias.slice(0, ALIAS_CHARACTERS_MOST))} is no alias`, {
      hint: `an alias has 1 to ${ALIAS_CHARACTERS_MOST} characters, no /, no :, no spaces and no control characters`,
    })
  await db.transaction(async (tx) => {
    const collection = await collectionOf(tx, name)
    await tx.all('INSERT INTO alias(collection, name, number) VALUES (:collection, :alias, :number) ON CONFLICT DO UPDATE SET number = excluded.number', {
      collection: collection.id,
      alias,
      number: await versionOf(tx, collection, version),
    })
  })
}

async function removeAlias(db: Database, name: CollectionName, version: string, alias: string): Promise<void> {
  if (alias === 'latest' || /^v\d+$/.test(alias)) throw new VarveError('USAGE', `${alias} is given by Varve, and cannot be taken away`, { hint: 'name another alias' })
  await db.transaction(async (tx) => {
    const collection = await collectionOf(tx, name)
    const number = await versionOf(tx, collection, version)
    const gone = await tx.one('DELETE FROM alias WHERE collection = :collection AND name = :alias AND number = :number RETURNING name', {
      collection: collection.id,
      alias,
      number,
    })
    if (gone !== undefined) return
    const names = await tx.all<{ name: string }>('SELECT name FROM alias WHERE collection = :collection AND number = :number ORDER BY name', { collection: collection.id, number })
    throw new VarveError('NOT_FOUND', `${collection.artifact}:v${number} does not bear the alias ${alias}: it has ${names.map((row) => row.name).join(', ') || 'none'}`)
  })
}
