import { digestOf } from '../model/digest.ts'
import { VarveError } from '../model/errors.ts'
import { locationsIdentity } from '../model/location.ts'
import type { LastLook, WatchView } from '../model/version.ts'
import { fullName, WHOLE } from '../model/watch.ts'
import type { CollectionName, Watch, WatchState } from '../model/watch.ts'
import type { Database, Statements } from './database.ts'
import { collectionOf } from './lookup.ts'
import { formatStored, locationOf, placeOf, runOf } from './places.ts'
import type { Place } from './places.ts'
import { present } from './present.ts'
import type { Heard, WatchRow } from './registry.ts'
import { demand, strengthOf } from './requests.ts'
import { sweep } from './scratch.ts'

/** See `Ledger.enroll`. */
export async function enroll(db: Database, watches: readonly Watch[], nowMs: number, owner?: string): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.all(`UPDATE watch SET hearing = '{}'`)
    await tx.all('UPDATE watch SET enrolled = 0 WHERE name NOT IN (SELECT value FROM json_each(:names))', {
      names: JSON.stringify(watches.map(({ name }) => name)),
    })
    const owners = new Map<number, string>()
    for (const watch of watches) {
      const place = await placeOf(tx, watch.collection, watch.type, watch.name)
      const other = owners.get(place.id)
      if (other !== undefined)
        throw new VarveError('CONFLICT', `the watches ${other} and ${watch.name} both write ${fullName(watch.collection)}`, {
          hint: 'a collection has one writer: give one of them another artifact',
        })
      owners.set(place.id, watch.name)
      await enrollOne(tx, watch, place, nowMs)
    }
    if (owner !== undefined) await tx.all('UPDATE watch SET owner = NULL, lease_until = NULL WHERE owner = :owner', { owner })
    await sweep(tx, nowMs)
  })
}

interface Known {
  readonly id: number
  readonly enrolled: number
  readonly collection: number
  readonly config: string
  readonly generation: number
  readonly epoch: number
}

async function enrollOne(tx: Statements, watch: Watch, place: Place, nowMs: number): Promise<void> {
  const { name, include, exclude, onUnreadable } = watch
  const named = {
    name,
    aliases: JSON.stringify(watch.aliases),
    location: await locationOf(tx, watch.locations),
    config: digestOf([locationsIdentity(watch.locations), include, exclude, onUnreadable]),
  }
  const known = await tx.one<Known>('SELECT id, enrolled, collection, config, generation, epoch FROM watch WHERE name = :name', { name })
  if (known !== undefined && known.enrolled === 1 && known.collection === place.id) {
    // Who starts it anew has perhaps mended what kept it waiting.
    await tx.all('UPDATE watch SET aliases = :aliases, retry_at = NULL WHERE name = :name', { name, aliases: named.aliases })
    if (known.config === named.config) return
    // A look under the old configuration is overtaken. What its location was, explains a head of that location.
    await tx.all(
      `UPDATE watch SET epoch = epoch + 1, owner = NULL, lease_until = NULL, state = 'clean', reason = NULL, action = NULL, attempts = 0,
         former = iif(location <> :location, coalesce(former, location), former), root = iif(location <> :location, NULL, root),
         memo = iif(location <> :location, NULL, memo), location = :location, config = :config, aliases = :aliases,
         held_digest = NULL, held_root = NULL, held_look = NULL, accepted_look = NULL, accepted_root = NULL WHERE name = :name`,
      named,
    )
  } else {
    // Numbers go on, so that a look of the former row can never pass for one of this.
    if (known !== undefined) await tx.all('DELETE FROM request WHERE watch = :id', { id: known.id })
    await tx.all('DELETE FROM watch WHERE name = :name', { name })
    await tx.all(
      `INSERT INTO watch(name, enrolled, collection, location, run, config, aliases, generation, committed, epoch)
       VALUES (:name, 1, :collection, :location, :run, :config, :aliases, :generation, :generation, :epoch)`,
      { ...named, collection: place.id, run: await runOf(tx, place.project, name, nowMs), generation: known?.generation ?? 0, epoch: (known?.epoch ?? 0) + 1 },
    )
  }
  await tx.all('UPDATE collection SET signed_by = NULL WHERE id = :id', { id: place.id })
  const { id } = (await tx.one<{ id: number }>('SELECT id FROM watch WHERE name = :name', { name })) as { id: number }
  await demand(tx, id, new Map([[WHOLE, strengthOf('config')]]), nowMs)
}

interface Stored {
  readonly name: string
  readonly generation: number
  readonly committedGeneration: number
  readonly epoch: number
  readonly state: WatchState
  readonly reason: string | null
  readonly action: string | null
  readonly firstHintAt: number | null
  readonly lastHintAt: number | null
  readonly retryAt: number | null
  readonly attempts: number
  readonly owner: string | null
  readonly leaseUntil: number | null
  readonly lastScanAt: number | null
  readonly lastScanMs: number | null
  readonly lastLook: string | null
  readonly root: string | null
  readonly memo: string | null
  readonly reconcileFound: number
  readonly heldDigest: string | null
  readonly deaf: number
}

// A row that is clean or empty by state but dirty by generation has been asked for since.
const STORED = `SELECT name, generation, committed AS committedGeneration, epoch, iif(state IN ('clean', 'empty') AND generation > committed, 'dirty', state) AS state, reason, action,
  first_hint_at AS firstHintAt, last_hint_at AS lastHintAt, retry_at AS retryAt, attempts, owner, lease_until AS leaseUntil, last_scan_at AS lastScanAt,
  last_scan_ms AS lastScanMs, last_look AS lastLook, root, memo, reconcile_found AS reconcileFound, held_digest AS heldDigest,
  EXISTS (SELECT 1 FROM json_each(hearing) WHERE key <> 'queue' AND value ->> 'reason' IS NOT NULL) AS deaf FROM watch WHERE enrolled`

/** See `Ledger.watchRows`: in name order. */
export async function watchRows(db: Database): Promise<readonly WatchRow[]> {
  return (await db.read.all<Stored>(`${STORED} ORDER BY name`)).map(rowOf)
}

/** See `Ledger.watchRow`. */
export async function watchRow(db: Database, name: string): Promise<WatchRow | undefined> {
  const stored = await db.read.one<Stored>(`${STORED} AND name = :name`, { name })
  return stored === undefined ? undefined : rowOf(stored)
}

/** See `Catalog.watchesOf`. */
export async function watchesOf(db: Database, name: CollectionName): Promise<readonly WatchRow[]> {
  const { id } = await collectionOf(db.read, name)
  return (await db.read.all<Stored>(`${STORED} AND collection = :id ORDER BY name`, { id })).map(rowOf)
}

function rowOf(stored: Stored): WatchRow {
  return present({ ...stored, lastLook: lookOf(stored.lastLook), deaf: stored.deaf === 1 })
}

function lookOf(text: string | null): LastLook | null {
  return text === null ? null : (JSON.parse(text) as LastLook)
}

interface StoredView {
  readonly watch: string
  readonly artifact: string
  readonly entity: string
  readonly location: string
  readonly state: WatchState
  readonly reason: string | null
  readonly action: string | null
  readonly head: string | null
  readonly generation: number
  readonly committedGeneration: number
  readonly heldDigest: string | null
  readonly lastLook: string | null
  readonly reconcileFound: number
  readonly hearing: string
}

/** See `Ledger.setHearing`. */
export async function setHearing(db: Database, watches: readonly string[], source: string, told: Heard): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.all(
      `UPDATE watch SET hearing = json_patch(hearing, json_object(:source, json(:told))) WHERE name IN (SELECT value FROM json_each(:watches))`,
      // A patch takes away what is null.
      { source, told: Object.keys(told).length === 0 ? 'null' : JSON.stringify({ reason: null, action: null, limits: null, ...told }), watches: JSON.stringify(watches) },
    )
  }, false)
}

/** What a look met goes before what keeps a watch from being heard. */
function heardOf(hearing: string, { reason, action }: { readonly reason: string | null; readonly action: string | null }): { reason: string | null; action: string | null; limits: string | null } {
  const told = Object.entries(JSON.parse(hearing) as Record<string, Heard>)
  const [name, trouble] = told.find(([, one]) => one.reason !== undefined) ?? []
  const limits = told.flatMap(([, one]) => one.limits ?? [])
  return {
    reason: reason ?? (trouble === undefined ? null : `${name}: ${trouble.reason}`),
    action: reason === null ? (trouble?.action ?? null) : action,
    limits: limits.length === 0 ? null : limits.join('; '),
  }
}

/** See `Catalog.watchViews`. */
export async function watchViews(db: Database, nowMs: number): Promise<readonly WatchView[]> {
  const stored = await db.read.all<StoredView>(
    `SELECT w.name AS watch, p.name || '/' || c.name AS artifact, e.name AS entity, l.json AS location,
       iif(w.generation > w.committed AND (w.state IN ('clean', 'empty') OR (w.state = 'looking' AND coalesce(w.lease_until, 0) <= :nowMs)), 'dirty', w.state) AS state,
       w.reason, w.action, 'v' || c.head AS head, w.generation, w.committed AS committedGeneration, w.held_digest AS heldDigest, w.last_look AS lastLook,
       w.reconcile_found AS reconcileFound, w.hearing
     FROM watch w JOIN collection c ON c.id = w.collection JOIN project p ON p.id = c.project JOIN entity e ON e.id = p.entity JOIN location l ON l.id = w.location
     WHERE w.enrolled ORDER BY w.name`,
    { nowMs },
  )
  return stored.map(({ hearing, ...one }) => present({ ...one, ...heardOf(hearing, one), location: formatStored(one.location), lastLook: lookOf(one.lastLook) }))
}
