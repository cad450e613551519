import { isFailure, VarveError } from '../model/errors.ts'
import type { RemovalView } from '../model/version.ts'
import { WHOLE } from '../model/watch.ts'
import type { CollectionName } from '../model/watch.ts'
import type { Database, Statements } from './database.ts'
import { collectionOf, versionOf } from './lookup.ts'
import { abandon, reclaim } from './reclaim.ts'
import type { Removal } from './registry.ts'
import { demand, strengthOf } from './requests.ts'
import { forget } from './scratch.ts'

const PAGE = 200
const NAMED_MOST = 20

interface Stored {
  readonly artifact: string
  readonly entity: string
  readonly number: number
  readonly head: number
  readonly createdAt: number
  readonly entries: number
  readonly sizeBytes: number
  readonly run: number
  readonly aliases: string
  readonly users: string
}

// Whoever only made it is no user.
const USERS = `(SELECT json_group_array(name) FROM (SELECT DISTINCT r.name FROM edge g JOIN run r ON r.id = g.run
  WHERE g.collection = v.collection AND g.number = v.number AND g.output = 0 ORDER BY r.name LIMIT ${NAMED_MOST}))`
const STORED = `SELECT p.name || '/' || c.name AS artifact, e.name AS entity, v.number, c.head, v.created_at AS createdAt, v.entries, v.size AS sizeBytes, v.run,
    (SELECT json_group_array(a.name ORDER BY a.name) FROM alias a WHERE a.collection = v.collection AND a.number = v.number) AS aliases, ${USERS} AS users
  FROM version v JOIN collection c ON c.id = v.collection JOIN project p ON p.id = c.project JOIN entity e ON e.id = p.entity WHERE v.collection = :collection`

function viewOf({ artifact, entity, number, head, createdAt, entries, sizeBytes, aliases, users }: Stored): RemovalView {
  return {
    artifact, entity, version: `v${number}`, createdAt: new Date(createdAt).toISOString(), entries, sizeBytes,
    aliases: [...(number === head ? ['latest'] : []), ...(JSON.parse(aliases) as string[])],
    users: JSON.parse(users) as string[],
  }
}

/** See `Retention.removable`. */
export async function* removable(db: Database, name: CollectionName): AsyncIterable<readonly RemovalView[]> {
  const { id } = await collectionOf(db.read, name)
  for (let before = Number.MAX_SAFE_INTEGER, more = true; more; ) {
    const page: readonly Stored[] = await db.read.all(`${STORED} AND v.number < :before ORDER BY v.number DESC LIMIT :limit`, { collection: id, before, limit: PAGE })
    if (page.length > 0) yield page.map(viewOf)
    more = page.length === PAGE
    before = page.at(-1)?.number ?? 0
  }
}

/** See `Retention.removeVersion`. */
export async function removeVersion(db: Database, name: CollectionName, version: string, { spared, head }: Removal, nowMs: number): Promise<RemovalView> {
  const removed = await db.transaction(async (tx) => {
    const found = await collectionOf(tx, name)
    const number = await versionOf(tx, found, version)
    const stored = await tx.one<Stored>(`${STORED} AND v.number = :number`, { collection: found.id, number })
    if (stored === undefined) throw new VarveError('NOT_FOUND', `no version ${version} of ${found.artifact}`)
    const view = viewOf(stored)
    refuse(view, spared)
    if (number === found.head && !head) throw new VarveError('CONFLICT', `${view.artifact}:${view.version} is the newest version`)
    const beside = await tx.one<{ before: number | null; after: number | null }>(
      `SELECT (SELECT max(number) FROM version WHERE collection = :collection AND number < :number) AS before,
         (SELECT min(number) FROM version WHERE collection = :collection AND number > :number) AS after`,
      { collection: found.id, number },
    )
    const before = beside?.before ?? null
    const after = beside?.after ?? null
    await tx.all('DELETE FROM version WHERE collection = :collection AND number = :number', { collection: found.id, number })
    await tx.all('DELETE FROM alias WHERE collection = :collection AND number = :number', { collection: found.id, number })
    if (after === null) await uncover(tx, found.id, before, nowMs)
    else await abandon(tx, { collection: found.id, number, before: before ?? -1, after })
    // A put without a name leaves no run behind; what people named, and what stands for a watch, stays.
    await tx.all(
      `DELETE FROM run WHERE id = :run AND state IS NULL AND NOT EXISTS (SELECT 1 FROM version v WHERE v.run = :run) AND NOT EXISTS (SELECT 1 FROM watch w WHERE w.run = :run)
       AND NOT EXISTS (SELECT 1 FROM look l WHERE l.run = :run) AND NOT EXISTS (SELECT 1 FROM edge g WHERE g.run = :run)`,
      { run: stored.run },
    )
    return view
  })
  await reclaim(db)
  return removed
}

function refuse({ artifact, version, aliases, users }: RemovalView, spared: Removal['spared']): void {
  const named = aliases.filter((alias) => alias !== 'latest')
  const whys = [
    ...(spared.aliased && named.length > 0 ? [`bears the alias${named.length === 1 ? '' : 'es'} ${named.slice(0, NAMED_MOST).join(', ')}`] : []),
    ...(spared.used && users.length > 0 ? [`was used by the run${users.length === 1 ? '' : 's'} ${users.join(', ')}`] : []),
  ]
  if (whys.length > 0) throw new VarveError('CONFLICT', `${artifact}:${version} ${whys.join(' and ')}`, { hint: 'it stays; --force removes it all the same' })
}

/** The newest version is gone, and `head` is the newest now: what the versions after it closed is open again, and every watch must see for itself. */
async function uncover(tx: Statements, collection: number, head: number | null, nowMs: number): Promise<void> {
  const bounds = { collection, head: head ?? -1 }
  // The second bound says what the first implies, as the partial index wants it.
  await tx.all(`DELETE FROM head WHERE collection = :collection AND since > :head ${head === null ? '' : 'AND since > 0'}`, bounds)
  const reopened = 'collection = :collection AND until > :head AND since <= :head'
  await tx.all(
    `INSERT INTO head SELECT collection, path, since, location, lone, size, digest, identity, etag, pin, latest_pin, checksums, NULL FROM past WHERE ${reopened} ORDER BY path`,
    bounds,
  )
  // A directory that is not known is not missed when it is gone, nor what lay in it.
  await tx.all(
    `INSERT OR IGNORE INTO directory SELECT DISTINCT collection, rtrim(path, replace(path, '/', '')), NULL FROM past
     WHERE ${reopened} AND NOT lone AND location IN (SELECT id FROM location WHERE json ->> 'scheme' = 'file')`,
    bounds,
  )
  await tx.all('DELETE FROM past WHERE collection = :collection AND until > :head', bounds)
  await tx.all('DELETE FROM skip WHERE collection = :collection AND since > :head', bounds)
  await tx.all('UPDATE skip SET until = NULL WHERE collection = :collection AND until > :head', bounds)
  if (head === null) {
    await tx.all('DELETE FROM directory WHERE collection = :collection', { collection })
    await tx.all('UPDATE collection SET head = NULL, entries = 0, size = 0, digest = NULL, location = NULL, signed_by = NULL WHERE id = :collection', { collection })
  } else
    // The location stays that of the version that is gone: what lies there was recorded from it, and no other place has come in between.
    await tx.all(
      `UPDATE collection SET head = :head, (entries, size, digest) = (SELECT entries, size, digest FROM version WHERE collection = :collection AND number = :head), signed_by = NULL
       WHERE id = :collection`,
      bounds,
    )
  await overtake(tx, collection, nowMs)
}

/** Whatever look is under way, or was held, was judged against a head that is no more. */
async function overtake(tx: Statements, collection: number, nowMs: number): Promise<void> {
  await forget(tx, 'collection = :collection', { collection })
  await tx.all(
    `UPDATE watch SET epoch = epoch + 1, owner = NULL, lease_until = NULL, reason = iif(state = 'held', NULL, reason), action = iif(state = 'held', NULL, action),
       state = iif(state IN ('held', 'looking', 'empty'), 'clean', state), held_digest = NULL, held_root = NULL, held_look = NULL, accepted_look = NULL, accepted_root = NULL
     WHERE collection = :collection AND enrolled`,
    { collection },
  )
  const watches = await tx.all<{ id: number }>('SELECT id FROM watch WHERE collection = :collection AND enrolled', { collection })
  for (const { id } of watches) await demand(tx, id, new Map([[WHOLE, strengthOf('cli')]]), nowMs)
}

// 8 MB of pages: some ten milliseconds, and then whoever waits to write may.
const PIECE_PAGES = 2_000

/** See `Retention.giveBack`. */
export async function giveBack(db: Database, whole: boolean): Promise<number | undefined> {
  const pragma = async (name: string): Promise<number> => Object.values((await db.read.one<Record<string, number>>(`PRAGMA ${name}`)) ?? {})[0] ?? 0
  const before = await pragma('page_count')
  try {
    if ((await pragma('auto_vacuum')) !== 2) {
      if (!whole) return undefined
      // A database of an earlier Varve: this once as a whole, and from then on in pieces.
      await db.read.all('PRAGMA auto_vacuum = INCREMENTAL')
      await db.read.all('VACUUM')
    } else
      for (let free = await pragma('freelist_count'); free > 0; ) {
        await db.transaction((tx) => tx.all(`PRAGMA incremental_vacuum(${PIECE_PAGES})`), false)
        await db.read.all('PRAGMA wal_checkpoint(PASSIVE)')
        const left = await pragma('freelist_count')
        if (left >= free) break
        free = left
      }
    // The file itself is cut when the log has been moved into it: now, or when whoever reads has ended.
    await db.read.all('PRAGMA wal_checkpoint(PASSIVE)')
  } catch (error) {
    if (!isFailure(error, 'REGISTRY_BUSY')) throw error
    return undefined
  }
  return Math.max(0, before - (await pragma('page_count'))) * (await pragma('page_size'))
}
