// Whether the bytes of versions can come back, from what is known of their rows: migrations/0004-fates.ts tells how.
import type { Loss } from '../model/errors.ts'
import type { Fate } from '../model/fate.ts'
import type { Restorability, RestorabilityState } from '../model/version.ts'
import type { Statements } from './database.ts'
import { UNKEPT } from './keeping.ts'
import { present } from './present.ts'

/** A row of `past` whose bytes lie where the next write destroys them: and a later version wrote. */
export const UNPINNED = 'pin IS NULL AND latest_pin IS NULL'

/** What must be known of a version. */
export interface Told {
  readonly number: number
  readonly entries: number
  readonly createdAt: number
}

/** Rows that share their versions and their fate. */
interface Range {
  readonly since: number
  readonly until: number | null
  readonly fate: Fate['fate']
  readonly pinned: number
  readonly count: number
  readonly goneAt: number | null
  readonly unknown: number
}

/** What the registry knows of some versions. */
export interface Known {
  readonly unpinned: string
  readonly ranges: string
  readonly open: number | null
  readonly audited_at: number | null
  readonly notes: string | null
  /** A pin of the head protects nothing: its bucket keeps no older versions. */
  readonly unkept: number
}

/** What holds of each of `versions` of a collection: costs the rows that are lost, at risk or elsewhere in any of them, once. */
export async function restorabilities(statements: Statements, collection: number, versions: readonly Told[]): Promise<ReadonlyMap<number, Restorability>> {
  const ordered = versions.toSorted((a, b) => a.number - b.number)
  const [first, last] = [ordered[0], ordered.at(-1)]
  return first === undefined || last === undefined ? new Map() : restorabilitiesOf(await knownOf(statements, collection, first.number, last.number), ordered)
}

/** What is known of the versions `first` to `last`. One question, since each costs its way to the connection and back. */
export async function knownOf(statements: Statements, collection: number, first: number, last: number): Promise<Known> {
  const range = 'since, until, fate, pinned, count(*) AS count, min(gone_at) AS gone_at, count(*) - count(gone_at) AS unknown'
  return (await statements.one<Known>(
    `SELECT (SELECT json_group_array(json_array(since, until, count)) FROM (
         SELECT since, until, count(*) AS count FROM past WHERE collection = :collection AND ${UNPINNED} AND until > :first AND since <= :last GROUP BY until, since)) AS unpinned,
       (SELECT json_group_array(json_object('since', since, 'until', until, 'fate', fate, 'pinned', pinned, 'count', count, 'goneAt', gone_at, 'unknown', unknown)) FROM (
         SELECT ${range} FROM fate WHERE collection = :collection AND until > :first AND since <= :last GROUP BY until, since, fate, pinned
         UNION ALL SELECT ${range} FROM fate WHERE collection = :collection AND until IS NULL AND since <= :last GROUP BY since, fate, pinned)) AS ranges,
       (SELECT min(since) FROM head WHERE collection = :collection AND ${UNPINNED}) AS open, a.audited_at, a.notes,
       EXISTS (SELECT 1 FROM collection c WHERE c.id = :collection AND (c.location IN (${UNKEPT}) OR EXISTS (SELECT 1 FROM place WHERE whole = c.location AND location IN (${UNKEPT})))) AS unkept
     FROM (SELECT 1) LEFT JOIN audit a ON a.collection = :collection`,
    { collection, first, last },
  )) as Known
}

/** `ordered` by their numbers: some of those that `known` is of. */
export function restorabilitiesOf(known: Known, ordered: readonly Told[]): ReadonlyMap<number, Restorability> {
  const unpinned = JSON.parse(known.unpinned) as [since: number, until: number, count: number][]
  const ranges = JSON.parse(known.ranges) as Range[]
  const numbers = ordered.map(({ number }) => number)
  const [lost, mutable, risk] = [new Steps(numbers), new Steps(numbers), new Steps(numbers)]
  const goneAt = numbers.map(() => Infinity)
  for (const [since, until, count] of unpinned) lost.add(since, until, count)
  for (const { since, until, fate, pinned, count, goneAt: gone, unknown } of ranges) {
    if (fate === 'lost') lost.add(since, until, count)
    // Told otherwise: so it is not lost.
    else if (pinned === 0 && until !== null) lost.add(since, until, -count)
    if (fate === 'mutable' || fate === 'left') mutable.add(since, until, count)
    if (fate !== 'risk' && fate !== 'fading') continue
    risk.add(since, until, count)
    if (unknown === count) continue
    for (let at = risk.from(since), end = until === null ? numbers.length : risk.from(until); at < end; at++) goneAt[at] = Math.min(goneAt[at] as number, gone ?? Infinity)
  }
  const [losts, mutables, risks] = [lost.sums(), mutable.sums(), risk.sums()]
  return new Map(ordered.map((version, at) => {
    const sum = { lost: losts[at] as number, mutable: (mutables[at] as number) > 0, risk: (risks[at] as number) > 0, goneAt: goneAt[at] as number }
    return [version.number, viewOf(version, sum, known)]
  }))
}

/** Sums over a few versions of what is there in ranges of them. */
class Steps {
  readonly #numbers: readonly number[]
  readonly #steps: number[]

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers
    this.#steps = new Array<number>(numbers.length + 1).fill(0)
  }

  add(since: number, until: number | null, count: number): void {
    const [from, end] = [this.from(since), until === null ? this.#numbers.length : this.from(until)]
    this.#steps[from] = (this.#steps[from] as number) + count
    this.#steps[end] = (this.#steps[end] as number) - count
  }

  sums(): readonly number[] {
    let sum = 0
    return this.#steps.map((step) => (sum += step))
  }

  /** The position of the first number that is not below `bound`. */
  from(bound: number): number {
    let [low, high] = [0, this.#numbers.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#numbers[middle] as number) < bound) low = middle + 1
      else high = middle
    }
    return low
  }
}

interface Sum {
  readonly lost: number
  readonly mutable: boolean
  readonly risk: boolean
  readonly goneAt: number
}

function viewOf({ number, entries, createdAt }: Told, { lost, mutable, risk, goneAt }: Sum, known: Known): Restorability {
  const unpinned = mutable || (known.open ?? Infinity) <= number || (known.unkept === 1 && entries > 0)
  const auditedAt = known.audited_at === null || known.audited_at < createdAt ? null : known.audited_at
  const notes = JSON.parse(known.notes ?? '[]') as string[]
  const state: RestorabilityState = lost >= entries && entries > 0 ? 'lost' : lost > 0 ? 'partly lost' : risk ? 'at risk' : unpinned ? 'unpinned' : 'pinned'
  return present({
    state,
    lost,
    atRiskFrom: risk && goneAt !== Infinity ? new Date(goneAt).toISOString() : null,
    auditedAt: auditedAt === null ? null : new Date(auditedAt).toISOString(),
    notes: notes.length === 0 ? null : notes,
  })
}

/** See `Catalog.losses`. */
export async function losses(statements: Statements, collection: number, number: number, limit: number): Promise<readonly Loss[]> {
  const rows = await statements.all<{ path: string; pinned: number; again: number; open: number }>(
    `SELECT path, pinned, 0 AS again, 1 AS open FROM fate WHERE collection = :collection AND until IS NULL AND since <= :number AND fate = 'lost'
     UNION ALL SELECT p.path, f.fate IS NOT NULL AS pinned,
       EXISTS (SELECT 1 FROM past n WHERE n.collection = p.collection AND n.path = p.path AND n.since = p.until)
         OR EXISTS (SELECT 1 FROM head n WHERE n.collection = p.collection AND n.path = p.path AND n.since = p.until) AS again, 0 AS open
     FROM past p LEFT JOIN fate f ON f.collection = p.collection AND f.path = p.path AND f.since = p.since
     WHERE p.collection = :collection AND p.since <= :number AND p.until > :number
       AND (f.fate = 'lost' OR (f.fate IS NULL AND p.pin IS NULL AND p.latest_pin IS NULL)) ORDER BY path LIMIT :limit`,
    { collection, number, limit },
  )
  return rows.map(({ path, pinned, again, open }): Loss => {
    if (pinned === 1) return { path, reason: 'expired', words: 'the object version that held it is gone, and no other with the same bytes is known' }
    if (open === 1) return { path, reason: 'overwritten', words: 'it was written to whenever it was read, and nothing else holds the bytes that were recorded' }
    return again === 1 ? { path, reason: 'overwritten', words: 'it was overwritten, and nothing else holds its bytes' } : { path, reason: 'removed', words: 'it was removed, and nothing else holds its bytes' }
  })
}

/** See `Catalog.versionStates`. */
export async function versionStates(statements: Statements): Promise<readonly { artifact: string; entity: string; state: RestorabilityState; versions: number }[]> {
  const collections = await statements.all<{ id: number; artifact: string; entity: string }>(
    `SELECT c.id, p.name || '/' || c.name AS artifact, e.name AS entity
     FROM collection c JOIN project p ON p.id = c.project JOIN entity e ON e.id = p.entity ORDER BY e.name, p.name, c.name`,
  )
  const counts: { artifact: string; entity: string; state: RestorabilityState; versions: number }[] = []
  for (const { id, artifact, entity } of collections) {
    const states = [...(await restorabilities(statements, id, await toldOf(statements, id))).values()].map(({ state }) => state)
    for (const [state, all] of Map.groupBy(states.sort(), (one) => one)) counts.push({ artifact, entity, state, versions: all.length })
  }
  return counts
}

/** All versions of a collection from the number `first` on. */
export function toldOf(statements: Statements, collection: number, first = 0): Promise<readonly (Told & { readonly told: RestorabilityState | null })[]> {
  return statements.all('SELECT number, entries, created_at AS createdAt, told FROM version WHERE collection = :collection AND number >= :first ORDER BY number', { collection, first })
}
