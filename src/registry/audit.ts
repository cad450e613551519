import type { Audited, AuditPass, AuditPoint, AuditRow, Fate, Refuge } from '../model/fate.ts'
import type { Location } from '../model/location.ts'
import type { StateChange } from '../model/version.ts'
import type { Database, Named } from './database.ts'
import { CARRIES, HOLDING_COLUMNS, HOLDING_TUPLE, Holdings, namesOf, PAST_COLUMNS, textsOf, WANTED } from './holdings.ts'
import type { HoldingTuple } from './holdings.ts'
import { present } from './present.ts'
import { rowsOf, WAITS } from './audit-rows.ts'
import { learn, UNKEPT } from './keeping.ts'
import { inQuestion, rowsToAsk } from './fallout.ts'
import type { AuditEnd, Auditing, AuditTurn } from './registry.ts'
import { restorabilities, toldOf, UNPINNED } from './restorability.ts'

/** See `Auditing`. */
export function auditing(db: Database): Auditing {
  const held = new Holdings(db.read)
  return {
    nextAudit: (everyMs, nowMs) => nextAudit(db, everyMs, nowMs),
    auditRows: (of, after, heads, limit) => auditRows(db, held, of, after, heads, limit),
    refuges: (turn, rows) => refuges(db, held, turn, rows),
    recordFates: (of, fates, pass) => recordFates(db, of, fates, pass),
    learn: (known) => (known.length === 0 ? Promise.resolve() : db.transaction((tx) => learn(tx, known))),
    endAudit: (turn, told) => endAudit(db, turn, told),
    inQuestion: (fallouts) => inQuestion(db.read, held, fallouts),
    rowsToAsk: (name, version, paths) => rowsToAsk(db.read, held, name, version, paths),
    turned: (of, first) => turned(db, of.collection, first),
  }
}

interface Due {
  readonly collection: number
  readonly artifact: string
  readonly entity: string
  readonly begun_at: number | null
  readonly path: string | null
  readonly since: number | null
  readonly locations: string
  readonly unseen: number
}

async function nextAudit(db: Database, everyMs: number, nowMs: number): Promise<AuditTurn | undefined> {
  // A start in the future says nothing of when that was: the clock was set back.
  const due = await db.read.one<Due>(
    `SELECT c.id AS collection, p.name || '/' || c.name AS artifact, e.name AS entity, a.begun_at, a.path, a.since,
       (SELECT json_group_array(json(l.json)) FROM location l WHERE l.id IN (SELECT location FROM place WHERE whole = c.location)
          OR (l.id = c.location AND NOT EXISTS (SELECT 1 FROM place WHERE whole = c.location))) AS locations,
       NOT EXISTS (SELECT 1 FROM watch w WHERE w.collection = c.id AND w.enrolled) AS unseen
     FROM collection c JOIN project p ON p.id = c.project JOIN entity e ON e.id = p.entity LEFT JOIN audit a ON a.collection = c.id
     WHERE c.head IS NOT NULL AND NOT EXISTS (SELECT 1 FROM watch w WHERE w.collection = c.id AND w.enrolled AND w.state IN ('held', 'unavailable'))
       AND (a.collection IS NULL OR a.path IS NOT NULL OR a.begun_at > :nowMs OR a.begun_at + :everyMs <= :nowMs OR a.retry_at <= :nowMs)
     ORDER BY a.path IS NULL, a.begun_at, c.id LIMIT 1`,
    { everyMs, nowMs },
  )
  if (due === undefined) return undefined
  const { begun_at: before, path, since, locations, unseen, ...rest } = due
  const under = path === null ? undefined : { path, since: since ?? -1 }
  const begunAt = under === undefined ? nowMs : (before ?? nowMs)
  if (under === undefined)
    await db.transaction((tx) => tx.all(
      `INSERT INTO audit(collection, begun_at, path, since) VALUES (:collection, :nowMs, '', -1)
       ON CONFLICT DO UPDATE SET begun_at = :nowMs, path = '', since = -1, retry_at = NULL`,
      { collection: due.collection, nowMs },
    ))
  return { ...rest, begunAt, locations: JSON.parse(locations) as Location[], unseen: unseen === 1, ...(under !== undefined && { after: under }) }
}

async function auditRows(db: Database, held: Holdings, { collection }: Audited, after: AuditPoint | undefined, heads: boolean, limit: number): Promise<readonly AuditRow[]> {
  const behind = 'collection = :collection AND (path, since) > (:path, :since)'
  const open = heads ? `UNION ALL SELECT ${HOLDING_COLUMNS}, since, ${WAITS} AS waits FROM head WHERE ${behind} AND path >= :path` : ''
  return rowsOf(db.read, held, `SELECT ${PAST_COLUMNS}, since, 0 AS waits FROM past WHERE ${behind} ${open} ORDER BY path, since LIMIT :limit`, {
    collection, path: after?.path ?? '', since: after?.since ?? -1, limit,
  })
}

async function refuges(db: Database, held: Holdings, of: Audited, rows: readonly AuditRow[]): Promise<readonly (Refuge | undefined)[]> {
  const wanted = new Map<string, number[]>()
  rows.forEach(({ holding }, at) => {
    for (const name of namesOf(holding)) wanted.set(name, [...(wanted.get(name) ?? []), at])
  })
  const own = new Set(rows.map(({ holding: { path }, since }) => `${since} ${path}`))
  const best: (Refuge | undefined)[] = rows.map(() => undefined)
  const open = new Set(rows.keys())
  for (const table of ['head', 'past'] as const)
    for await (const found of carriers(db, table, textsOf([...wanted.keys()]))) {
      const holdings = await held.made(found.map(({ tuple }) => JSON.parse(tuple) as HoldingTuple))
      holdings.forEach((holding, i) => {
        const { collection, since, unkept, risk } = found[i] as Found
        if (collection === of.collection && own.has(`${since} ${holding.path}`)) return
        const pinned = unkept === 0 && (holding.content.pin ?? holding.latestPin) !== undefined
        const [goneAtMs] = risk === null ? [] : (JSON.parse(risk) as [number | null])
        const refuge: Refuge = { pinned, ...(pinned && goneAtMs !== undefined && { goneAtMs }), collection, path: holding.path, since }
        for (const at of new Set(namesOf(holding).flatMap((name) => wanted.get(name) ?? []))) {
          if (!open.has(at) || isSameVersion((rows[at] as AuditRow).holding, holding)) continue
          best[at] = better(best[at], refuge)
          // Nothing lasts longer.
          if (pinned && goneAtMs === undefined) open.delete(at)
        }
      })
      if (open.size === 0) return best
    }
  return best
}

// Of a content that a million rows have, so many are held at a time.
const CARRIERS_PAGE = 5_000

/** Pages of the rows of `table` that carry one of `texts` and are believed to be there: the table is read once, in its own order. */
async function* carriers(db: Database, table: 'head' | 'past', texts: string): AsyncGenerator<readonly Found[]> {
  const [columns, kept, unkept] = table === 'head' ? [HOLDING_COLUMNS, 'true', `location IN (${UNKEPT})`] : [PAST_COLUMNS, `NOT (${UNPINNED})`, '0']
  const point = table === 'head' ? ['collection', 'path'] : ['collection', 'path', 'since']
  for (let after: Pick<Found, 'collection' | 'path' | 'since'> | undefined = { collection: -1, path: '', since: -1 }; after !== undefined; ) {
    const found: readonly Found[] = await db.read.all(
      `${WANTED} SELECT ${HOLDING_TUPLE} AS tuple, collection, path, since, unkept, (SELECT json_array(f.gone_at) FROM fate f WHERE f.collection = r.collection AND f.path = r.path
         AND f.since = r.since AND f.fate = 'risk') AS risk
       FROM (SELECT ${columns}, collection, since, ${unkept} AS unkept FROM ${table} t WHERE (${point.join(', ')}) > (:${point.join(', :')}) AND ${CARRIES} AND ${kept}
         AND NOT EXISTS (SELECT 1 FROM fate f WHERE f.collection = t.collection AND f.path = t.path AND f.since = t.since AND f.fate IN ('lost', 'elsewhere', 'fading', 'mutable'))
         ORDER BY ${point.join(', ')} LIMIT ${CARRIERS_PAGE}) r`,
      { texts, collection: after.collection, path: after.path, ...(table === 'past' && { since: after.since }) },
    )
    if (found.length > 0) yield found
    after = found.length === CARRIERS_PAGE ? found.at(-1) : undefined
  }
}

interface Found {
  readonly tuple: string
  readonly collection: number
  readonly path: string
  readonly since: number
  /** Its pin protects nothing: the next write takes it. */
  readonly unkept: number
  /** A list of when it will be gone. */
  readonly risk: string | null
}

/** The one that lasts longer: with a pin rather than without, by no rule rather than at risk. Of several at risk, one of which nobody knows the day, nobody knows when the last goes. */
function better(a: Refuge | undefined, b: Refuge): Refuge {
  if (a === undefined || a.pinned !== b.pinned) return a?.pinned === true ? a : b
  if (a.goneAtMs === undefined || b.goneAtMs === undefined) return a.goneAtMs === undefined ? a : b
  return a.goneAtMs === null || (b.goneAtMs !== null && a.goneAtMs >= b.goneAtMs) ? a : b
}

/** The object version that was not found is no refuge, whatever row names it. */
function isSameVersion(lost: AuditRow['holding'], found: AuditRow['holding']): boolean {
  const { location: a } = lost
  const { location: b } = found
  if (lost.key !== found.key || a.scheme !== b.scheme || a.bucket !== b.bucket || a.endpoint !== b.endpoint) return false
  const pins = [lost.content.pin, lost.latestPin]
  return [found.content.pin, found.latestPin].every((pin) => pin === undefined || pins.includes(pin)) && (found.content.pin ?? found.latestPin) !== undefined
}

async function recordFates(db: Database, { collection }: Audited, fates: readonly (readonly [AuditRow, Fate | undefined])[], pass?: AuditPass): Promise<void> {
  if (fates.length === 0 && pass === undefined) return
  const told = fates.map(([{ holding: { path }, since }, fate]) =>
    [path, since, fate?.fate ?? null, fate?.goneAtMs ?? null, fate?.refuge?.collection ?? null, fate?.refuge?.path ?? null, fate?.refuge?.since ?? null, fate?.proof ?? null])
  const named: Named = { collection, told: JSON.stringify(told) }
  const verdicts = `SELECT value ->> 0 AS path, value ->> 1 AS since, value ->> 2 AS fate, value ->> 3 AS gone_at, value ->> 4 AS refuge, value ->> 5 AS refuge_path,
    value ->> 6 AS refuge_since, value ->> 7 AS proof FROM json_each(:told)`
  const stands = `(v.refuge IS NULL OR EXISTS (SELECT 1 FROM head r WHERE r.collection = v.refuge AND r.path = v.refuge_path AND r.since = v.refuge_since))`
  const written = (table: string, until: string): string =>
    `SELECT t.collection, t.path, t.since, ${until}, v.fate, t.pin IS NOT NULL OR t.latest_pin IS NOT NULL, v.gone_at, v.refuge, v.refuge_path, v.proof
     FROM (${verdicts}) v CROSS JOIN ${table} t ON t.collection = :collection AND t.path = v.path AND t.since = v.since WHERE v.fate IS NOT NULL AND ${stands}`
  await db.transaction(async (tx) => {
    if (told.length > 0) {
      await tx.all(`DELETE FROM fate WHERE collection = :collection AND (path, since) IN (SELECT path, since FROM (${verdicts}) WHERE fate IS NULL)`, named)
      await tx.all(`INSERT OR REPLACE INTO fate ${written('past', 't.until')}`, named)
      await tx.all(`INSERT OR REPLACE INTO fate ${written('head', 'NULL')}`, named)
    }
    if (pass !== undefined)
      await tx.all('UPDATE audit SET path = :path, since = :since WHERE collection = :collection AND begun_at = :begunAt', { collection, begunAt: pass.begunAt, ...pass.after })
  })
}

async function endAudit(db: Database, { collection, begunAt }: AuditTurn, { notes, retryAt, heads }: AuditEnd): Promise<readonly StateChange[]> {
  await db.transaction(async (tx) => {
    await tx.all(
      `UPDATE audit SET path = NULL, since = NULL, audited_at = iif(:retryAt IS NULL, begun_at, audited_at), retry_at = :retryAt, notes = :notes
       WHERE collection = :collection AND begun_at = :begunAt`,
      { collection, begunAt, retryAt: retryAt ?? null, notes: JSON.stringify(notes) },
    )
    if (!heads) await tx.all(`DELETE FROM fate WHERE collection = :collection AND until IS NULL AND (pinned OR fate = 'risk')`, { collection })
  })
  return turned(db, collection, 0)
}

/** It is reckoned beside whoever writes, and each change is answered to one who asks. */
async function turned(db: Database, collection: number, first: number): Promise<readonly StateChange[]> {
  const versions = await toldOf(db.read, collection, first)
  const states = await restorabilities(db.read, collection, versions)
  const changes = versions.flatMap(({ number, told }) => {
    const now = states.get(number)
    return now === undefined || now.state === told ? [] : [{ number, before: told, now }]
  })
  if (changes.length === 0) return []
  const written = await db.transaction((tx) => tx.all<{ number: number }>(
    `UPDATE version SET told = t.value ->> 1 FROM json_each(:told) t WHERE collection = :collection AND number = t.value ->> 0 AND told IS t.value ->> 2 RETURNING number`,
    { collection, told: JSON.stringify(changes.map(({ number, before, now }) => [number, now.state, before])) },
  ))
  const mine = new Set(written.map(({ number }) => number))
  const isNews = (before: string | null, state: string): boolean => before !== null || (state !== 'pinned' && state !== 'unpinned')
  return changes.filter(({ number, before, now }) => mine.has(number) && isNews(before, now.state)).map(({ number, before, now }) => present({ version: `v${number}`, before, now }))
}
