import { setImmediate } from 'node:timers/promises'
import { identityOf } from '../model/entry.ts'
import type { Skip } from '../model/entry.ts'
import { SetDigest } from '../model/digest.ts'
import { VarveError } from '../model/errors.ts'
import type { Value } from './connection.ts'
import type { Database, Statements } from './database.ts'
import type { Finding, Looking, Tally } from './registry.ts'
import { COLLECTION, locationFor, SKIPS_AFTER } from './rows.ts'

// Rows per statement: 100 tuples of VALUES cost half of what one JSON text costs, and a quarter of one statement each.
const TUPLES = 100
const COLUMNS = 10
const PAGE = 1_000
const SKIPS_NAMED = 1_000

type Entry = Extract<Finding, { op: 'put' | 'refresh' | 'remove' }>

/** See `Ledger.stage`. It need not survive the power: the look that staged it does not either. */
export async function stage(db: Database, looking: Looking, findings: readonly Finding[]): Promise<void> {
  const entries: Entry[] = []
  const skips = new Map<string, string | null>()
  const directories = new Map<string, readonly [gone: number, signature: string | null]>()
  for (const finding of findings) {
    const { op, path } = finding
    if (op === 'skip') skips.set(path, finding.reason)
    else if (op === 'unskip') skips.set(path, null)
    else if (op === 'directory') directories.set(path, [0, finding.signature ?? null])
    else if (op === 'undirectory') directories.set(path, [1, null])
    else {
      entries.push(finding)
      // What is an entry is no skip.
      if (op !== 'remove' && skips.has(path)) skips.set(path, null)
    }
  }
  await db.transaction(async (tx) => {
    const look = looking.id
    if ((await tx.one('SELECT 1 FROM look WHERE id = :look', { look })) === undefined)
      throw new VarveError('OVERTAKEN', 'another look overtook this one')
    // Asked one after another, answered in that order: none waits for the way of the one before.
    const chunks = Array.from({ length: Math.ceil(entries.length / TUPLES) }, (_, i) => entries.slice(i * TUPLES, (i + 1) * TUPLES))
    await Promise.all(chunks.map((chunk) => stageEntries(tx, looking, chunk)))
    if (entries.length > 0 && (await tx.one('SELECT 1 FROM scratch_skip WHERE look = :look LIMIT 1', { look })) !== undefined)
      await tx.all('UPDATE scratch_skip SET reason = NULL WHERE look = :look AND path IN (SELECT value FROM json_each(:paths))', {
        look,
        paths: JSON.stringify(entries.filter(({ op }) => op !== 'remove').map(({ path }) => path)),
      })
    if (skips.size > 0)
      await tx.all('INSERT OR REPLACE INTO scratch_skip SELECT :look, value ->> 0, value ->> 1 FROM json_each(:skips)', { look, skips: JSON.stringify([...skips]) })
    if (directories.size > 0)
      await tx.all('INSERT OR REPLACE INTO scratch_directory SELECT :look, value ->> 0, value ->> 1, value ->> 2 FROM json_each(:directories)', {
        look,
        directories: JSON.stringify([...directories].map(([path, told]) => [path, ...told])),
      })
  }, false)
}

// Same content, as `sameContent` has it: of the checksums that both carry the first decides; with none in common, the digest. The identity a row was made with counts too.
const SAME = `h.size = f.size AND (h.identity = f.identity OR coalesce((SELECT a.value = b.value FROM json_each(f.checksums) a JOIN json_each(h.checksums) b ON b.key = a.key
  ORDER BY a.id LIMIT 1), h.digest = f.digest))`

/** Each finding becomes the row that the head will have, judged against the head: so a commit only copies. The tuples that fill a statement up have no path. */
const stageText = (looking: Pick<Looking, 'several'>): string => `
WITH f(path, op, size, digest, identity, etag, pin, checksums, fingerprint, latest_pin) AS (VALUES ${Array(TUPLES).fill('(?,?,?,?,?,?,?,?,?,?)').join(',')}),
judged AS (
  SELECT f.*, h.since AS h_since, h.location AS h_location, h.lone AS h_lone, h.size AS h_size, h.digest AS h_digest, h.identity AS h_identity, h.etag AS h_etag,
    h.pin AS h_pin, h.latest_pin AS h_latest_pin, h.checksums AS h_checksums, CASE
      WHEN h.path IS NULL THEN iif(f.op = 'put', 'add', 'none')
      WHEN f.op <> 'put' THEN f.op
      WHEN h.location = ${locationFor(looking, 'h.path')} AND ${SAME} THEN 'refresh'
      ELSE 'modify' END AS verdict
  FROM f LEFT JOIN head h ON h.collection = ${COLLECTION} AND h.path = f.path WHERE f.path IS NOT NULL)
INSERT OR REPLACE INTO scratch
SELECT :look, path, verdict, h_since, h_location, h_lone, iif(verdict = 'refresh', h_size, size), coalesce(digest, h_digest), iif(verdict = 'refresh', h_identity, identity),
  iif(digest IS NULL, h_etag, etag), iif(verdict = 'refresh', h_pin, pin),
  CASE WHEN verdict <> 'refresh' OR latest_pin IS NOT NULL THEN latest_pin WHEN pin IS NULL THEN h_latest_pin WHEN pin = h_pin THEN NULL ELSE pin END,
  iif(verdict <> 'refresh' OR h_checksums IS NULL, checksums, json_patch(h_checksums, coalesce(checksums, '{}'))), fingerprint, h_size, h_identity FROM judged`

const STAGE = stageText({ several: false })
const STAGE_SEVERAL = stageText({ several: true })

async function stageEntries(tx: Statements, looking: Looking, entries: readonly Entry[]): Promise<void> {
  const values = new Array<Value>(TUPLES * COLUMNS).fill(null)
  for (const [i, entry] of entries.entries()) layOut(values, i * COLUMNS, entry)
  await tx.all(looking.several ? STAGE_SEVERAL : STAGE, { look: looking.id }, values)
}

/** Writes the tuple of a finding to `at`, in the order of the columns of `f`, over nulls. */
function layOut(values: Value[], at: number, entry: Entry): void {
  values[at] = entry.path
  values[at + 1] = entry.op
  if (entry.op === 'remove') return
  if (entry.op === 'put') {
    values[at + 2] = entry.sizeBytes
    values[at + 4] = identityOf(entry.content, entry.sizeBytes)
    values[at + 9] = entry.latestPin ?? null
  }
  values[at + 3] = entry.content?.digest ?? null
  values[at + 5] = entry.content?.etag ?? null
  values[at + 6] = entry.content?.pin ?? null
  values[at + 7] = entry.content?.checksums === undefined ? null : JSON.stringify(entry.content.checksums)
  values[at + 8] = entry.fingerprint ?? null
}

interface Sums {
  readonly op: string
  readonly count: number
  readonly size: number
  readonly oldSize: number
}

/** See `Ledger.tally`: costs what was staged, whatever the head holds. */
export async function tally(db: Database, looking: Looking): Promise<Tally> {
  const look = looking.id
  const rows = await db.read.all<Sums>(
    'SELECT op, count(*) AS count, coalesce(sum(size), 0) AS size, coalesce(sum(old_size), 0) AS oldSize FROM scratch WHERE look = :look GROUP BY op',
    { look },
  )
  const sums = (op: string): Sums => rows.find((row) => row.op === op) ?? { op, count: 0, size: 0, oldSize: 0 }
  const [add, modify, remove] = [sums('add'), sums('modify'), sums('remove')]
  const moves = add.count > 0 && remove.count > 0 ? await movesOf(db, look) : { count: 0, size: 0 }
  const changed = add.count + modify.count + remove.count > 0
  const base = await db.read.one<{ digest: string | null }>('SELECT c.digest FROM look l JOIN collection c ON c.id = l.collection WHERE l.id = :look', { look })
  const digest = new SetDigest(base?.digest ?? undefined)
  if (changed) await moveDigest(db, look, digest)
  const reasons = await db.read.all<{ reason: string; count: number }>(`SELECT reason, count(*) AS count FROM (${SKIPS_AFTER}) GROUP BY reason ORDER BY reason`, { look })
  const skipped = reasons.length === 0 ? [] : await db.read.all<Skip>(`SELECT * FROM (${SKIPS_AFTER}) ORDER BY path LIMIT :limit`, { look, limit: SKIPS_NAMED })
  return {
    changes: {
      added: add.count - moves.count,
      modified: modify.count,
      removed: remove.count - moves.count,
      moved: moves.count,
      bytesAdded: add.size + modify.size - moves.size,
      bytesRemoved: remove.oldSize + modify.oldSize - moves.size,
    },
    entries: (looking.base?.entries ?? 0) + add.count - remove.count,
    sizeBytes: (looking.base?.sizeBytes ?? 0) + add.size + modify.size - modify.oldSize - remove.oldSize,
    digest: digest.toString(),
    skippedByReason: Object.fromEntries(reasons.map(({ reason, count }) => [reason, count])),
    skipped,
  }
}

/** What went and came with the same content, once each: the removed side is mostly the smaller, and looked up from the other. */
async function movesOf(db: Database, look: number): Promise<{ count: number; size: number }> {
  const row = await db.read.one<{ count: number; size: number }>(
    `WITH gone AS MATERIALIZED (SELECT old_identity AS identity, max(old_size) AS size FROM scratch WHERE look = :look AND op = 'remove' AND old_size > 0
       GROUP BY old_identity HAVING count(*) = 1),
     came AS MATERIALIZED (SELECT identity FROM scratch WHERE look = :look AND op = 'add' AND identity IN (SELECT identity FROM gone) GROUP BY identity HAVING count(*) = 1)
     SELECT count(*) AS count, coalesce(sum(size), 0) AS size FROM gone WHERE identity IN (SELECT identity FROM came)`,
    { look },
  )
  return row ?? { count: 0, size: 0 }
}

async function moveDigest(db: Database, look: number, digest: SetDigest): Promise<void> {
  for (let after = '', more = true; more; ) {
    const row = await db.read.one<{ page: string }>(
      `SELECT json_group_array(json_array(path, iif(op = 'remove', NULL, identity), old_identity)) AS page FROM (
         SELECT path, op, identity, old_identity FROM scratch WHERE look = :look AND path > :after AND op IN ('add', 'modify', 'remove') ORDER BY path LIMIT :limit)`,
      { look, after, limit: PAGE },
    )
    const page = JSON.parse(row?.page ?? '[]') as [string, string | null, string | null][]
    for (const [path, identity, was] of page) {
      if (was !== null) digest.remove(path, was)
      if (identity !== null) digest.add(path, identity)
    }
    after = page.at(-1)?.[0] ?? after
    more = page.length === PAGE
    // A walk goes on meanwhile, and must not wait for this thread.
    await setImmediate()
  }
}

/** See `Ledger.removes`. */
export async function removes(db: Database, looking: Looking, path: string): Promise<boolean> {
  const below = path.endsWith('/')
  const row = await db.read.one(
    `SELECT 1 FROM scratch WHERE look = :look AND ${below ? 'path > :path AND path < :end' : 'path = :path'} AND op = 'remove' LIMIT 1`,
    { look: looking.id, path, ...(below && { end: `${path.slice(0, -1)}0` }) },
  )
  return row !== undefined
}

/** See `Ledger.removedBeyondAccepted`: in path order. */
export async function removedBeyondAccepted(db: Database, looking: Looking, limit: number): Promise<readonly string[]> {
  const rows = await db.read.all<{ path: string }>(
    `SELECT path FROM scratch s WHERE look = :look AND op = 'remove' AND NOT EXISTS (SELECT 1 FROM scratch a WHERE a.path = s.path AND a.op = 'remove'
       AND a.look = (SELECT w.accepted_look FROM look l JOIN watch w ON w.id = l.watch WHERE l.id = :look)) ORDER BY path LIMIT :limit`,
    { look: looking.id, limit },
  )
  return rows.map(({ path }) => path)
}
