import { digestOf } from '../model/digest.ts'
import { VarveError } from '../model/errors.ts'
import { formatLocation, locationIdentity } from '../model/location.ts'
import { fullName, WHOLE } from '../model/watch.ts'
import type { Database, Statements } from './database.ts'
import { formatStored, locationOf, namedRun, placeOf, runOf, stretchesOf } from './places.ts'
import { present } from './present.ts'
import type { Looking, PutOrder, Verdict } from './registry.ts'
import { CAUSES, demand, strengthOf } from './requests.ts'
import { forget, PUT_MOST_MS, sweep } from './scratch.ts'

interface Begun {
  readonly id: number
  readonly generation: number
  readonly committed: number
  readonly epoch: number
  readonly owner: string | null
  readonly lease_until: number | null
  readonly first_hint_at: number | null
  readonly root: string | null
  readonly memo: string | null
  readonly accepted_look: number | null
  readonly accepted_root: string | null
  readonly accepted_new: number
  readonly config: string
  readonly type: string
  readonly signed_by: string | null
  readonly foreign_head: number
  readonly several: number
  readonly head: number | null
  readonly entries: number
  readonly size: number
  readonly skips: number
}

const SKIPS = '(SELECT count(*) FROM skip WHERE skip.collection = c.id AND until IS NULL) AS skips'

/** See `Ledger.begin`. */
export async function begin(db: Database, watch: string, owner: string, leaseMs: number, nowMs: number, dead?: string): Promise<Looking | undefined> {
  return db.transaction(async (tx) => {
    const row = await tx.one<Begun>(
      `SELECT w.*, c.type, c.signed_by, c.head, c.entries, c.size, c.location NOT IN (w.location, coalesce(w.former, w.location)) AS foreign_head,
         EXISTS (SELECT 1 FROM place WHERE whole = w.location) AS several, EXISTS (SELECT 1 FROM scratch WHERE look = w.accepted_look AND op = 'add') AS accepted_new, ${SKIPS}
       FROM watch w JOIN collection c ON c.id = w.collection WHERE w.name = :watch AND w.enrolled`,
      { watch },
    )
    if (row === undefined || row.generation <= row.committed) return undefined
    // A lease that ends later than one of now would was taken before the clock was set back.
    const until = row.lease_until ?? 0
    if (row.owner !== null && row.owner !== owner && row.owner !== dead && until > nowMs && until <= nowMs + leaseMs) return undefined
    await forget(tx, 'watch = :id AND id NOT IN (SELECT coalesce(held_look, 0) FROM watch WHERE id = :id UNION SELECT coalesce(accepted_look, 0) FROM watch WHERE id = :id)', {
      id: row.id,
    })
    await tx.all(`UPDATE watch SET epoch = epoch + 1, owner = :owner, lease_until = :until, hinted_since = NULL,
         state = iif(state IN ('clean', 'dirty'), 'looking', state) WHERE id = :id`, {
      id: row.id,
      owner,
      until: nowMs + leaseMs,
    })
    const look = await tx.one<{ id: number }>(
      `INSERT INTO look(watch, epoch, owner, collection, location, base, run, signs_as, aliases, begun_at)
       SELECT w.id, w.epoch, w.owner, w.collection, w.location, c.head, w.run, w.config, w.aliases, :nowMs
       FROM watch w JOIN collection c ON c.id = w.collection WHERE w.id = :id RETURNING id`,
      { id: row.id, nowMs },
    )
    const accepted = row.accepted_look === null && row.accepted_root === null ? null : present({ root: row.accepted_root, foundNew: row.accepted_new === 1 ? (true as const) : null })
    return present({
      id: look?.id ?? 0,
      watch,
      epoch: row.epoch + 1,
      generation: row.generation,
      ...(await wanted(tx, row.id, 0)),
      type: row.type,
      base: baseOf(row),
      skips: row.skips,
      trustSignatures: row.signed_by === row.config,
      several: row.several === 1,
      foreign: row.head !== null && row.foreign_head === 1 && row.accepted_look === null,
      root: row.root,
      memo: row.memo,
      accepted,
      firstHintAt: row.first_hint_at,
    })
  })
}

function baseOf(row: { readonly head: number | null; readonly entries: number; readonly size: number }): Looking['base'] | null {
  return row.head === null ? null : { index: row.head, entries: row.entries, sizeBytes: row.size }
}

/** What was requested after the generation `beyond`. Dirty without a request is the whole: nobody knows what was lost. */
async function wanted(tx: Statements, watch: number, beyond: number): Promise<Pick<Looking, 'whole' | 'paths' | 'cause'>> {
  const rows = await tx.all<{ path: string; strength: number }>(
    'SELECT path, strength FROM request WHERE watch = :watch AND generation > :beyond ORDER BY path',
    { watch, beyond },
  )
  const whole = rows.find(({ path }) => path === WHOLE)
  return {
    whole: whole !== undefined || rows.length === 0,
    paths: rows.filter(({ path }) => path !== WHOLE).map(({ path }) => path),
    cause: CAUSES[whole?.strength ?? 0] ?? 'hint',
  }
}

interface PutRow {
  readonly head: number | null
  readonly entries: number
  readonly size: number
  readonly signed_by: string | null
  readonly skips: number
  readonly watch: string | null
  readonly watch_location: number | null
  readonly watch_json: string | null
}

/** See `Ledger.beginPut`. */
export async function beginPut(db: Database, order: PutOrder, nowMs: number): Promise<Looking> {
  return db.transaction(async (tx) => {
    for (const { id } of await tx.all<{ id: number }>('SELECT id FROM look WHERE watch IS NULL AND begun_at < :oldest', { oldest: nowMs - PUT_MOST_MS })) await forgetPut(tx, id)
    await sweep(tx, nowMs)
    const place = await placeOf(tx, order.collection, order.type, null)
    const { stretches } = order
    const location = stretches === undefined ? await locationOf(tx, [order.location]) : await stretchesOf(tx, stretches)
    const row = (await tx.one<PutRow>(
      `SELECT c.head, c.entries, c.size, c.signed_by, ${SKIPS}, w.name AS watch, w.location AS watch_location, l.json AS watch_json
       FROM collection c LEFT JOIN watch w ON w.collection = c.id AND w.enrolled LEFT JOIN location l ON l.id = w.location WHERE c.id = :id`,
      { id: place.id },
    )) as PutRow
    if (row.watch_json !== null && stretches !== undefined)
      throw new VarveError('CONFLICT', `${fullName(order.collection)} is kept by the watch ${row.watch} at ${formatStored(row.watch_json)}`, {
        hint: 'import under another name',
      })
    if (row.watch_json !== null && row.watch_location !== location)
      throw new VarveError(
        'CONFLICT',
        `${fullName(order.collection)} is kept by the watch ${row.watch} at ${formatStored(row.watch_json)}, not at ${formatLocation(order.location)}`,
        { hint: 'put under another name, or change the watch' },
      )
    const signsAs = digestOf([stretches === undefined ? 'put' : 'import', locationIdentity(order.location)])
    const look = await tx.one<{ id: number }>(
      `INSERT INTO look(epoch, collection, location, base, run, signs_as, aliases, description, begun_at)
       VALUES (0, :collection, :location, :base, :run, :signsAs, :aliases, :description, :nowMs) RETURNING id`,
      {
        collection: place.id,
        location,
        base: row.head,
        run: order.run === undefined ? await runOf(tx, place.project, 'put', nowMs) : await namedRun(tx, order.run, order.collection, nowMs),
        signsAs,
        aliases: JSON.stringify(order.aliases),
        description: order.description ?? null,
        nowMs,
      },
    )
    const id = look?.id ?? 0
    await tx.all(`UPDATE run SET name = 'put-' || id WHERE id = (SELECT run FROM look WHERE id = :id) AND state IS NULL`, { id })
    return present({
      id,
      epoch: 0,
      generation: 0,
      whole: true,
      paths: [],
      cause: 'put' as const,
      type: place.type,
      base: baseOf(row),
      skips: row.skips,
      trustSignatures: row.signed_by === signsAs,
      several: stretches !== undefined,
      foreign: false,
    })
  })
}

/** What the fence reads: one row while the look is known. */
export interface Fenced {
  readonly watch: number | null
  readonly collection: number
  readonly location: number
  /** What the head was recorded from. */
  readonly lay: number | null
  readonly run: number
  readonly signs_as: string
  readonly aliases: string
  readonly description: string | null
  readonly next: number
  readonly head: number | null
  readonly entries: number
  readonly size: number
  readonly digest: string | null
  readonly generation: number | null
}

/** The fence and the base check: the look, if its lease and epoch are still its own and the head is its base; else undefined, and it must write nothing. */
export async function fenced(tx: Statements, looking: Looking): Promise<Fenced | undefined> {
  return tx.one<Fenced>(
    `SELECT l.watch, l.collection, l.location, c.location AS lay, l.run, l.signs_as, l.aliases, l.description, c.next, c.head, c.entries, c.size, c.digest, w.generation
     FROM look l JOIN collection c ON c.id = l.collection LEFT JOIN watch w ON w.id = l.watch
     WHERE l.id = :id AND l.epoch = :epoch AND c.head IS l.base AND (l.watch IS NULL OR (w.enrolled AND w.epoch = l.epoch AND w.owner IS l.owner))`,
    { id: looking.id, epoch: looking.epoch },
  )
}

/** See `Ledger.renew`. */
export async function renew(db: Database, looking: Looking, leaseMs: number, nowMs: number): Promise<boolean> {
  return db.transaction(async (tx) => {
    const row = await fenced(tx, looking)
    if (row === undefined) return false
    await tx.all('UPDATE watch SET lease_until = :until WHERE id = :watch', { watch: row.watch, until: nowMs + leaseMs })
    return true
  })
}

/** See `Ledger.extend`. */
export async function extend(db: Database, looking: Looking): Promise<Looking | undefined> {
  return db.transaction(async (tx) => {
    const row = await fenced(tx, looking)
    if (row === undefined) return undefined
    if (row.watch === null || row.generation === null || row.generation <= looking.generation) return { ...looking, whole: false, paths: [] }
    await tx.all('UPDATE watch SET hinted_since = NULL WHERE id = :watch', { watch: row.watch })
    const since = await wanted(tx, row.watch, looking.generation)
    const cause = strengthOf(since.cause) > strengthOf(looking.cause) ? since.cause : looking.cause
    return { ...looking, ...since, cause, generation: row.generation }
  })
}

/** See `Ledger.release`. */
export async function release(db: Database, looking: Looking, verdict: Verdict): Promise<void> {
  await db.transaction(async (tx) => {
    const row = await fenced(tx, looking)
    const { held } = verdict
    if (looking.watch === undefined) await forgetPut(tx, looking.id)
    if (row === undefined || row.watch === null) return
    // Of a held look stays what it would have removed, and one of what it would have added, so that `accept` can bound what it lets through. Held anew, an earlier consent is used up, but for the root
    // while that is the same: else who accepts one doubt after the other would never come to an end.
    if (held === undefined) await forget(tx, 'id = :id', { id: looking.id })
    else await tx.all(`DELETE FROM scratch WHERE look = :id AND op <> 'remove' AND path IS NOT (SELECT min(path) FROM scratch WHERE look = :id AND op = 'add')`, { id: looking.id })
    await tx.all(
      `UPDATE watch SET owner = NULL, lease_until = NULL, state = :state, reason = :reason, action = :action, attempts = attempts + :failed,
         retry_at = iif(EXISTS (SELECT 1 FROM request r WHERE r.watch = :watch AND r.generation > :generation AND r.strength >= :asked), NULL, :retryAt),
         last_look = coalesce(:lastLook, last_look), held_digest = :heldDigest, held_root = :heldRoot, held_look = :heldLook,
         accepted_look = iif(:used, NULL, accepted_look), accepted_root = iif(:used AND accepted_root IS NOT :heldRoot, NULL, accepted_root) WHERE id = :watch`,
      {
        watch: row.watch,
        state: verdict.state,
        reason: verdict.reason,
        action: verdict.action ?? null,
        retryAt: verdict.retryAt ?? null,
        // Somebody asked anew while this look went on.
        generation: looking.generation,
        asked: strengthOf('config'),
        // A look that was stopped did not fail.
        failed: verdict.state === 'dirty' ? 0 : 1,
        lastLook: verdict.lastLook === undefined ? null : JSON.stringify(verdict.lastLook),
        heldDigest: held?.digest ?? null,
        heldRoot: held?.root ?? null,
        heldLook: held === undefined ? null : looking.id,
        // A consent that came while this look went on is the next one's.
        used: held !== undefined && looking.accepted !== undefined ? 1 : 0,
      },
    )
  })
}

/** A put that recorded nothing leaves no run and no collection that it alone had made. */
async function forgetPut(tx: Statements, id: number): Promise<void> {
  const look = await tx.one<{ run: number; collection: number }>('SELECT run, collection FROM look WHERE id = :id', { id })
  if (look === undefined) return
  await forget(tx, 'id = :id', { id })
  const elsewhere = ['version', 'edge', 'look'].map((table) => `NOT EXISTS (SELECT 1 FROM ${table} WHERE ${table}.run = :run)`).join(' AND ')
  await tx.all(`DELETE FROM run WHERE id = :run AND ${elsewhere}`, { run: look.run })
  await tx.all(
    `DELETE FROM collection WHERE id = :collection AND next = 0 AND NOT EXISTS (SELECT 1 FROM watch WHERE watch.collection = :collection)
     AND NOT EXISTS (SELECT 1 FROM look WHERE look.collection = :collection)`,
    { collection: look.collection },
  )
}

/** See `Ledger.accept`. */
export async function accept(db: Database, watch: string, nowMs: number): Promise<void> {
  await db.transaction(async (tx) => {
    const row = await tx.one<{ id: number; state: string; held_look: number | null }>('SELECT id, state, held_look FROM watch WHERE name = :watch AND enrolled', { watch })
    if (row === undefined) {
      const names = await tx.all<{ name: string }>('SELECT name FROM watch WHERE enrolled ORDER BY name')
      throw new VarveError('NOT_FOUND', `no watch ${watch}: there is ${names.map(({ name }) => name).join(', ') || 'none'}`)
    }
    if (row.held_look === null) throw new VarveError('CONFLICT', `the watch ${watch} is ${row.state}, not held: there is nothing to accept`)
    await tx.all('UPDATE watch SET accepted_look = held_look, accepted_root = held_root WHERE id = :id', { id: row.id })
    await demand(tx, row.id, new Map([[WHOLE, strengthOf('cli')]]), nowMs)
  })
}
