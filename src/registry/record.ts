import type { Fallout } from '../model/fate.ts'
import { WHOLE } from '../model/watch.ts'
import type { LastLook, VersionView } from '../model/version.ts'
import type { Database, Named, Statements } from './database.ts'
import { disown, falloutOf } from './fallout.ts'
import { learn, loseUnkept, UNKEPT } from './keeping.ts'
import { writeLeft } from './left.ts'
import { fenced } from './looks.ts'
import type { Fenced } from './looks.ts'
import { markRuns } from './marks.ts'
import type { Looking, Outcome, Recorded } from './registry.ts'
import { demand, strengthOf } from './requests.ts'
import { locationFor } from './rows.ts'
import { UNPINNED } from './restorability.ts'
import { forget } from './scratch.ts'
import { writeTorn } from './torn.ts'
import { writeOutput } from './uses.ts'
import { versionAt } from './versions.ts'

/** See `Ledger.record`. */
export async function record(db: Database, looking: Looking, outcome: Outcome, nowMs: number): Promise<Recorded> {
  return db.transaction(async (tx): Promise<Recorded> => {
    const row = await fenced(tx, looking)
    if (row === undefined) return { kind: 'overtaken' }
    const { added, modified, removed, moved } = outcome.tally.changes
    const differs = added + modified + removed + moved > 0
    await writeSkips(tx, looking.id, row)
    await writeDirectories(tx, looking.id, row, outcome)
    await learn(tx, outcome.keeping ?? [])
    const gone = differs ? await writeVersion(tx, looking, row, outcome, nowMs) : []
    if (!differs) await copyStaged(tx, `op = 'refresh'`, { look: looking.id, collection: row.collection, number: row.next, lone: '[]' }, looking)
    const bereft = [...gone, ...(await writeTorn(tx, looking.id, row.collection, outcome.whole, outcome.torn ?? []))]
    // What a put names is named also where its content was there already; a watch moves its aliases only with a new version, so that a person may move them between.
    if (differs || (row.watch === null && row.head !== null)) await writeAliases(tx, row, differs ? row.next : (row.head ?? 0))
    if (row.watch !== null) await writeWatch(tx, looking, row.watch, outcome, differs, nowMs)
    else await writeRun(tx, row, differs, nowMs)
    const marked = differs && row.head !== null ? await markRuns(tx, row.collection, row.head, row.next, nowMs) : []
    await forget(tx, 'id = :id OR watch = :watch', { id: looking.id, watch: row.watch ?? 0 })
    const newest = differs ? row.next : row.head
    if (newest === null) return { kind: 'same' }
    const fallout = differs || bereft.length > 0 ? await falloutOf(tx, row.collection, newest, bereft) : undefined
    const told = { version: await versionOf(tx, row.collection, newest), ...(fallout !== undefined && { fallout }) }
    return differs ? { kind: 'recorded', marked, ...told } : { kind: 'same', ...told }
  })
}

async function versionOf(tx: Statements, collection: number, number: number): Promise<VersionView> {
  const version = await versionAt(tx, collection, number)
  if (version === undefined) throw new Error(`version ${number} is not there`)
  return version
}

/** Closes what changed or went, lays down what is new: k rows for k changes. Answers what was known nowhere but in what it closed. */
async function writeVersion(tx: Statements, looking: Looking, row: Fenced, outcome: Outcome, nowMs: number): Promise<Fallout['bereft']> {
  const { tally, certificate, lone } = outcome
  const named = { look: looking.id, collection: row.collection, number: row.next, lone: JSON.stringify(lone) }
  let bereft: Fallout['bereft'] = []
  if (row.head !== null) {
    const { look, collection, number } = named
    // Asked one after another, answered in that order: none waits for the way of the one before.
    const closing = tx.all(
      `INSERT INTO past SELECT h.collection, h.path, h.since, :number, h.location, h.lone, h.size, h.digest, h.identity, h.etag, h.pin, h.latest_pin, h.checksums
       FROM scratch s CROSS JOIN head h ON h.collection = :collection AND h.path = s.path WHERE s.look = :look AND s.op IN ('modify', 'remove')`,
      { look, collection, number },
    )
    bereft = (await Promise.all([closing, closeFates(tx, collection, number)]))[1]
    bereft = [...bereft, ...(await writeLeft(tx, { ...row, number }, outcome.whole, lone))]
    await tx.all(`DELETE FROM head WHERE collection = :collection AND path IN (SELECT path FROM scratch WHERE look = :look AND op = 'remove')`, { look, collection })
  }
  const copying = copyStaged(tx, `op IN ('add', 'modify', 'refresh')`, named, looking)
  if (row.head === null) await copying
  else await Promise.all([copying, loseUnkept(tx, row.collection, row.next), writeRefuges(tx, looking, row.collection)])
  await tx.all(
    `INSERT INTO version(collection, number, run, created_at, cause, digest, entries, size, changes, certificate, description)
     VALUES (:collection, :number, :run, :nowMs, :cause, :digest, :entries, :size, :changes, :certificate, :description)`,
    {
      collection: row.collection,
      number: row.next,
      run: row.run,
      nowMs,
      cause: looking.cause,
      digest: tally.digest,
      entries: tally.entries,
      size: tally.sizeBytes,
      changes: JSON.stringify(tally.changes),
      certificate: JSON.stringify(certificate),
      description: row.description,
    },
  )
  await tx.all(
    `UPDATE collection SET next = :number + 1, head = :number, entries = :entries, size = :size, digest = :digest, location = :location WHERE id = :collection`,
    { collection: row.collection, number: row.next, entries: tally.entries, size: tally.sizeBytes, digest: tally.digest, location: row.location },
  )
  // A watch of this collection that did not look itself must see for itself.
  const others = await tx.all<{ id: number }>('SELECT id FROM watch WHERE collection = :collection AND enrolled AND id IS NOT :watch', {
    collection: row.collection,
    watch: row.watch,
  })
  for (const { id } of others) await demand(tx, id, new Map([[WHOLE, strengthOf('put')]]), nowMs)
  return bereft
}

/** What was known of the rows that `number` closed goes with them; what was found in them and nowhere else is lost, and answered. */
async function closeFates(tx: Statements, collection: number, number: number): Promise<Fallout['bereft']> {
  if ((await tx.one('SELECT 1 FROM fate WHERE collection = :collection UNION ALL SELECT 1 FROM fate WHERE refuge = :collection LIMIT 1', { collection })) === undefined) return []
  const closed = 'FROM past WHERE collection = :collection AND until = :number'
  // `+` keeps the planner from walking all open rows.
  const own = 'collection = :collection AND +until IS NULL AND (path, since) IN'
  const named = { collection, number }
  const going = [
    `DELETE FROM fate WHERE ${own} (SELECT path, since ${closed}) AND NOT pinned`,
    `UPDATE fate SET until = :number WHERE ${own} (SELECT path, since ${closed})`,
  ].map((text) => tx.all(text, named))
  const [bereft] = await Promise.all([disown(tx, collection, `SELECT path ${closed}`, { number }), ...going])
  return bereft
}

// Older rows of a changed path that are compared with what came: a revert goes back a few steps, and a commit must not pay for a long history.
const REVERTS_MOST = 8

/** Bytes without a pin are lost with what held them, unless this very commit shows them at another path (a move), or at their own again (a revert). The audit finds the rest. */
async function writeRefuges(tx: Statements, looking: Looking, collection: number): Promise<void> {
  await tx.all(
    `INSERT INTO fate(collection, path, since, until, fate, pinned, refuge, refuge_path)
     WITH came AS MATERIALIZED (SELECT identity, path, iif(${locationFor(looking, 'path')} IN (${UNKEPT}), NULL, pin) AS pin FROM scratch WHERE look = :look AND op IN ('add', 'modify') GROUP BY identity)
     SELECT p.collection, p.path, p.since, p.until, iif(came.pin IS NULL, 'mutable', 'elsewhere'), p.pin IS NOT NULL OR p.latest_pin IS NOT NULL, iif(came.pin IS NULL, :collection, NULL), iif(came.pin IS NULL, came.path, NULL)
     FROM scratch s CROSS JOIN past p ON p.collection = :collection AND p.path = s.path
       AND p.since IN (SELECT o.since FROM past o WHERE o.collection = :collection AND o.path = s.path ORDER BY o.since DESC LIMIT ${REVERTS_MOST})
     JOIN came ON came.identity = p.identity
     WHERE s.look = :look AND s.op IN ('add', 'modify', 'remove')
       AND ((p.pin IS NULL AND p.latest_pin IS NULL)
         OR EXISTS (SELECT 1 FROM fate f WHERE f.collection = p.collection AND f.path = p.path AND f.since = p.since AND f.fate IN ('lost', 'mutable')))
       AND (EXISTS (SELECT 1 FROM past WHERE collection = :collection AND until > 0 AND ${UNPINNED}) OR EXISTS (${UNKEPT}))
     ON CONFLICT DO UPDATE SET fate = excluded.fate, refuge = excluded.refuge, refuge_path = excluded.refuge_path, gone_at = NULL WHERE fate.fate NOT IN ('elsewhere', 'left') OR (fate.fate = 'left' AND excluded.fate = 'elsewhere')`,
    { look: looking.id, collection },
  )
}

/** Staged rows are as the head will hold them, but for what only the commit knows: since when, and from where. */
async function copyStaged(tx: Statements, which: string, named: Named, looking: Looking): Promise<void> {
  // What has another pin than when it was last asked for may be there again, which is for who asks next to say.
  if ((await tx.one('SELECT 1 FROM fate WHERE collection = :collection AND until IS NULL LIMIT 1', { collection: named.collection ?? null })) !== undefined)
    await tx.all(
      `DELETE FROM fate WHERE collection = :collection AND until IS NULL AND fate <> 'risk' AND path IN (SELECT s.path FROM scratch s JOIN head h ON h.collection = :collection AND h.path = s.path
         WHERE s.look = :look AND s.op = 'refresh' AND (s.pin IS NOT h.pin OR s.latest_pin IS NOT h.latest_pin))`,
      { look: looking.id, collection: named.collection ?? null },
    )
  await tx.all(
    `INSERT OR REPLACE INTO head
     SELECT :collection, path, iif(op = 'refresh', since, :number), iif(op = 'refresh', location, ${locationFor(looking, 'path')}), iif(op = 'refresh', lone, path IN (SELECT value FROM json_each(:lone))),
       size, digest, identity, etag, pin, latest_pin, checksums, fingerprint
     FROM scratch WHERE look = :look AND ${which} ORDER BY path`,
    named,
  )
}

/** Skip rows are ranges like entries. One that changes without a version belongs to the next one. */
async function writeSkips(tx: Statements, look: number, { collection, next }: Fenced): Promise<void> {
  const named = { look, collection, number: next }
  const open = 'collection = :collection AND until IS NULL'
  const staged = 'SELECT path FROM scratch_skip WHERE look = :look'
  const changed = `${open} AND path IN (${staged}) AND reason IS NOT (SELECT s.reason FROM scratch_skip s WHERE s.look = :look AND s.path = skip.path)`
  await tx.all(`DELETE FROM skip WHERE ${changed} AND since = :number`, named)
  await tx.all(`UPDATE skip SET until = :number WHERE ${changed}`, named)
  await tx.all(
    `INSERT INTO skip SELECT :collection, path, :number, NULL, reason FROM scratch_skip
     WHERE look = :look AND reason IS NOT NULL AND path NOT IN (SELECT path FROM skip WHERE ${open} AND path IN (${staged}))`,
    named,
  )
}

/** A whole look read every directory whose signature it could not trust, so from now on they are its own. */
async function writeDirectories(tx: Statements, look: number, { collection, signs_as: signsAs }: Fenced, outcome: Outcome): Promise<void> {
  await tx.all('DELETE FROM directory WHERE collection = :collection AND path IN (SELECT path FROM scratch_directory WHERE look = :look AND gone)', { look, collection })
  await tx.all('INSERT OR REPLACE INTO directory SELECT :collection, path, signature FROM scratch_directory WHERE look = :look AND NOT gone', { look, collection })
  if (outcome.whole) await tx.all('UPDATE collection SET signed_by = :signsAs WHERE id = :collection', { collection, signsAs })
}

async function writeAliases(tx: Statements, { collection, aliases }: Fenced, number: number): Promise<void> {
  await tx.all(
    'INSERT INTO alias(collection, name, number) SELECT :collection, value, :number FROM json_each(:aliases) WHERE true ON CONFLICT DO UPDATE SET number = excluded.number',
    { collection, aliases, number },
  )
}

/** Of a put: a run that people name has made the content, also where it was there already; any other that made no version goes. */
async function writeRun(tx: Statements, { run, collection, next, head }: Fenced, differs: boolean, nowMs: number): Promise<void> {
  if (differs || head !== null) await writeOutput(tx, run, collection, differs ? next : (head ?? 0), nowMs)
  if (!differs) await tx.all('DELETE FROM run WHERE id = :run AND state IS NULL', { run })
}

async function writeWatch(tx: Statements, looking: Looking, watch: number, outcome: Outcome, differs: boolean, nowMs: number): Promise<void> {
  const { certificate } = outcome
  const lastLook: LastLook = {
    kind: certificate.kind,
    startedAt: certificate.startedAt,
    endedAt: certificate.endedAt,
    outcome: differs ? 'recorded' : 'same',
    requests: certificate.requests,
  }
  // Nobody but this look's own requests goes: by generation, and the generation is the one read before storage was.
  await tx.all(
    `UPDATE watch SET committed = :generation, owner = NULL, lease_until = NULL, state = :state, reason = NULL, action = NULL, attempts = 0, retry_at = NULL,
       first_hint_at = hinted_since, last_hint_at = iif(hinted_since IS NULL, NULL, last_hint_at), hinted_since = NULL, last_look = :lastLook,
       last_scan_at = iif(:whole, :scanAt, last_scan_at), last_scan_ms = iif(:whole, :scanMs, last_scan_ms), root = coalesce(:root, root), memo = :memo,
       reconcile_found = reconcile_found + :found, former = NULL,
       held_digest = NULL, held_root = NULL, held_look = NULL, accepted_look = NULL, accepted_root = NULL WHERE id = :watch`,
    {
      watch,
      generation: looking.generation,
      state: outcome.state,
      lastLook: JSON.stringify(lastLook),
      whole: outcome.whole ? 1 : 0,
      scanAt: Date.parse(certificate.startedAt),
      scanMs: outcome.durationMs,
      root: outcome.root ?? null,
      memo: outcome.memo ?? null,
      found: outcome.foundByReconcile,
    },
  )
  await tx.all('DELETE FROM request WHERE watch = :watch AND generation <= :generation', { watch, generation: looking.generation })
  if (outcome.changedUnderLook.length > 0) await demand(tx, watch, new Map(outcome.changedUnderLook.map((path) => [path, strengthOf('hint')])), nowMs)
}
