import { scrub } from '../model/errors.ts'
import { formatReference, keyOf } from '../model/location.ts'
import type { Location } from '../model/location.ts'
import type { Certificate, Changes, EntryView, Restorability, VersionView } from '../model/version.ts'
import type { Cause } from '../model/watch.ts'
import type { Statements } from './database.ts'
import { storedLocation } from './places.ts'
import { present } from './present.ts'
import { knownOf, restorabilitiesOf } from './restorability.ts'
import type { Known } from './restorability.ts'
import { contentOf } from './rows.ts'

interface Stored {
  readonly number: number
  readonly artifact: string
  readonly entity: string
  readonly type: string
  readonly head: number
  readonly aliases: string
  readonly digest: string
  readonly created_at: number
  readonly entries: number
  readonly size: number
  readonly cause: Cause
  readonly changes: string
  readonly run: string
  readonly description: string | null
  readonly certificate: string
}

const STORED = `SELECT v.number, p.name || '/' || c.name AS artifact, e.name AS entity, c.type, c.head, v.digest, v.created_at, v.entries, v.size, v.cause, v.changes,
    r.name AS run, v.description, v.certificate,
    (SELECT json_group_array(a.name ORDER BY a.name) FROM alias a WHERE a.collection = v.collection AND a.number = v.number) AS aliases
  FROM version v JOIN collection c ON c.id = v.collection JOIN project p ON p.id = c.project JOIN entity e ON e.id = p.entity JOIN run r ON r.id = v.run
  WHERE v.collection = :collection`

/** One version, or undefined when there is no such number. */
export async function versionAt(statements: Statements, collection: number, number: number): Promise<VersionView | undefined> {
  const [stored, known] = await Promise.all([statements.one<Stored>(`${STORED} AND v.number = :number`, { collection, number }), knownOf(statements, collection, number, number)])
  return stored === undefined ? undefined : viewsOf(known, [stored])[0]
}

/** At most `limit` versions below the number `before`, newest first. */
export async function versionsBefore(statements: Statements, collection: number, before: number, limit: number): Promise<readonly VersionView[]> {
  const stored = await statements.all<Stored>(`${STORED} AND v.number < :before ORDER BY v.number DESC LIMIT :limit`, { collection, before, limit })
  const [last, first] = [stored[0], stored.at(-1)]
  return first === undefined || last === undefined ? [] : viewsOf(await knownOf(statements, collection, first.number, last.number), stored)
}

/** Of `stored`, newest first. */
function viewsOf(known: Known, stored: readonly Stored[]): readonly VersionView[] {
  const restorabilities = restorabilitiesOf(known, stored.map(({ number, entries, created_at: createdAt }) => ({ number, entries, createdAt })).toReversed())
  return stored.map((one) => viewOf(one, restorabilities.get(one.number) as Restorability))
}

function viewOf(stored: Stored, restorability: Restorability): VersionView {
  const { number, head, created_at: createdAt, size, aliases, changes, certificate, ...rest } = stored
  return present({
    ...rest,
    version: `v${number}`,
    index: number,
    aliases: [...(number === head ? ['latest'] : []), ...(JSON.parse(aliases) as string[])],
    createdAt: new Date(createdAt).toISOString(),
    sizeBytes: size,
    changes: JSON.parse(changes) as Changes,
    certificate: JSON.parse(certificate) as Certificate,
    restorability,
  })
}

/** What an entry is made of, in the order of `ENTRY_TUPLE`. */
export type EntryTuple = readonly [
  path: string, size: number, digest: string, etag: string | null, pin: string | null, latestPin: string | null, checksums: string | null, location: number, lone: number,
]

export const ENTRY_COLUMNS = 'path, size, digest, etag, pin, latest_pin, checksums, location, lone'
export const ENTRY_TUPLE = `json_array(${ENTRY_COLUMNS})`

/** Makes entries of tuples. Locations are few and never change, so each is read once. */
export class Entries {
  readonly #read: Statements
  readonly #locations = new Map<number, Location>()

  constructor(read: Statements) {
    this.#read = read
  }

  async views(tuples: readonly EntryTuple[]): Promise<readonly EntryView[]> {
    for (const [, , , , , , , id] of tuples) if (!this.#locations.has(id)) this.#locations.set(id, await this.#location(id))
    return tuples.map((tuple) => this.#view(tuple))
  }

  #view([path, sizeBytes, digest, etag, pin, latestPin, checksums, id, lone]: EntryTuple): EntryView {
    const location = this.#locations.get(id) as Location
    const endpoint = location.endpoint ?? null
    const reference = formatReference(location, keyOf(location, path, lone === 1))
    return present({ path, reference, endpoint, sizeBytes, latestPin, ...contentOf(digest, etag, pin, checksums) })
  }

  async #location(id: number): Promise<Location> {
    const location = await storedLocation(this.#read, id)
    return location.endpoint === undefined ? location : { ...location, endpoint: scrub(location.endpoint) }
  }
}
