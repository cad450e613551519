import { byteDigests } from '../model/entry.ts'
import type { Holding } from '../model/entry.ts'
import { bucketIdentity, keyOf } from '../model/location.ts'
import type { Location } from '../model/location.ts'
import type { Statements } from './database.ts'
import { storedLocation } from './places.ts'
import { present } from './present.ts'
import { contentOf } from './rows.ts'

/** What a holding is made of, in the order of `HOLDING_TUPLE`. */
export type HoldingTuple = readonly [
  path: string, size: number, digest: string, identity: string, etag: string | null, pin: string | null, latestPin: string | null, checksums: string | null,
  fingerprint: string | null, location: number, lone: number,
]

export const HOLDING_COLUMNS = 'path, size, digest, identity, etag, pin, latest_pin, checksums, fingerprint, location, lone'
export const PAST_COLUMNS = HOLDING_COLUMNS.replace('fingerprint', 'NULL AS fingerprint')
export const HOLDING_TUPLE = `json_array(${HOLDING_COLUMNS})`
/** Before a statement that asks for rows that carry one of `:texts`. */
export const WANTED = 'WITH wanted(text) AS MATERIALIZED (SELECT DISTINCT value FROM json_each(:texts))'
// An identity ends with the size; to put the size behind each text instead would be to go through all of them for each row.
export const CARRIES = `(digest IN (SELECT text FROM wanted) OR substr(identity, 1, length(identity) - length(size) - 1) IN (SELECT text FROM wanted)
  OR (checksums IS NOT NULL AND EXISTS (SELECT 1 FROM json_each(checksums) c WHERE c.key || ':' || c.value IN (SELECT text FROM wanted))))`
const PAGE = 5_000
const PLACES_MOST = 16

/** Makes holdings of rows. Locations are few and never change, so each is read once. */
export class Holdings {
  readonly #read: Statements
  readonly #locations = new Map<number, Location>()

  constructor(read: Statements) {
    this.#read = read
  }

  /** Pages in path order of the version `number`, of the rows that `where` takes. */
  async *of(collection: number, number: number, path: string | undefined): AsyncGenerator<readonly Holding[]> {
    const under = path === undefined || path.endsWith('/') ? (path ?? '') : `${path}/`
    const where = path === undefined ? 'true' : '(path = :path OR (path > :under AND path < :end))'
    const bounds = path === undefined ? {} : { path, under, end: `${under.slice(0, -1)}0` }
    for (let after = '', more = true; more; ) {
      const row: { page: string } | undefined = await this.#read.one(
        `SELECT json_group_array(${HOLDING_TUPLE}) AS page FROM (
           SELECT ${HOLDING_COLUMNS} FROM head WHERE collection = :collection AND since <= :number AND path > :after AND ${where}
           UNION ALL SELECT ${PAST_COLUMNS} FROM past WHERE collection = :collection AND since <= :number AND until > :number AND path > :after AND ${where}
           ORDER BY path LIMIT :limit)`,
        { collection, number, after, ...bounds, limit: PAGE },
      )
      const tuples = JSON.parse(row?.page ?? '[]') as HoldingTuple[]
      if (tuples.length > 0) yield await this.made(tuples)
      more = tuples.length === PAGE
      after = tuples.at(-1)?.[0] ?? ''
    }
  }

  /** See `Catalog.sameContent`. */
  async same(wanted: readonly Holding[]): Promise<ReadonlyMap<string, readonly Holding[]>> {
    const byDigest = new Map<string, Holding[]>()
    for (const one of wanted)
      for (const name of namesOf(one)) byDigest.set(name, [...(byDigest.get(name) ?? []), one])
    const places = new Map<string, Holding[]>()
    for (const row of await this.#rowsWith([...byDigest.keys()]))
      for (const one of new Set(namesOf(row).flatMap((name) => byDigest.get(name) ?? []))) {
        const found = places.get(one.path) ?? []
        if (found.length < PLACES_MOST && ![one, ...found].some((other) => isSamePlace(other, row))) places.set(one.path, [...found, row])
      }
    return places
  }

  /** Rows that may carry one of these digests, current ones first; of a content that a million rows have (nothing at all, say) a few. No index serves this question, since it is rare and each commit would pay for one. */
  async #rowsWith(names: readonly string[]): Promise<readonly Holding[]> {
    const rows = await this.#read.all<{ tuple: string }>(
      `${WANTED} SELECT ${HOLDING_TUPLE} AS tuple FROM (
         SELECT *, row_number() OVER (PARTITION BY digest, size ORDER BY gone) AS turn FROM (
           SELECT ${HOLDING_COLUMNS}, 0 AS gone FROM head WHERE ${CARRIES}
           UNION ALL SELECT ${PAST_COLUMNS}, 1 AS gone FROM past WHERE ${CARRIES} GROUP BY location, path, pin, digest, size))
       WHERE turn <= ${2 * PLACES_MOST} ORDER BY gone`,
      { texts: textsOf(names) },
    )
    return this.made(rows.map(({ tuple }) => JSON.parse(tuple) as HoldingTuple))
  }

  /** Of tuples, in their order. */
  async made(tuples: readonly HoldingTuple[]): Promise<readonly Holding[]> {
    for (const tuple of tuples) if (!this.#locations.has(tuple[9])) this.#locations.set(tuple[9], await storedLocation(this.#read, tuple[9]))
    return tuples.map(([path, sizeBytes, digest, identity, etag, pin, latestPin, checksums, fingerprint, id, lone]) => {
      const location = this.#locations.get(id) as Location
      // The identity that a row was made with stands for its bytes also where its digest moves with more than them.
      const stands = identity === `${digest} ${sizeBytes}` ? null : identity.slice(0, identity.lastIndexOf(' '))
      const content = present({ ...contentOf(digest, etag, pin, checksums), identity: stands })
      return present({ path, sizeBytes, content, latestPin, fingerprint, location, key: keyOf(location, path, lone === 1) })
    })
  }
}

/** `algorithm:value size` of each digest over the bytes. */
export function namesOf({ content, sizeBytes }: Holding): string[] {
  return [...byteDigests(content)].map(([algorithm, value]) => `${algorithm}:${value} ${sizeBytes}`)
}

/** As `:texts`: each of `names` in all the ways in which rows write it. */
export function textsOf(names: readonly string[]): string {
  return JSON.stringify(names.flatMap(notations))
}

function notations(name: string): string[] {
  const text = name.slice(0, name.lastIndexOf(' '))
  const value = text.slice(text.indexOf(':') + 1)
  if (text.startsWith('md5:')) return [`etag:${value}`, `md5:${Buffer.from(value, 'hex').toString('base64')}`]
  return [text.startsWith('multipart:') ? `etag:${value}` : text]
}

function isSamePlace(a: Holding, b: Holding): boolean {
  return a.key === b.key && a.content.pin === b.content.pin && bucketIdentity(a.location) === bucketIdentity(b.location)
}
