// An exported version: a header and its entries in path order. The same as lines of JSON and as Parquet (parquet.ts).
import { identityOf } from '../model/entry.ts'
import type { Content, Holding } from '../model/entry.ts'
import { SetDigest } from '../model/digest.ts'
import { scrub, VarveError } from '../model/errors.ts'
import { comparePaths, formatReference, isWeb, keyOf, loneName, parseLocation } from '../model/location.ts'
import type { Location } from '../model/location.ts'
import type { VersionView } from '../model/version.ts'

/** The first line, or the key-value metadata `varve` of a Parquet file. */
export interface Header {
  /** What it is, and the version of this format. */
  readonly varve: 'version/1'
  readonly version: VersionView
}

/** What an export says of an entry: as `files` does, and `identity` where the set digest counts something else than `digest`. */
export interface Line {
  readonly path: string
  readonly reference: string
  readonly endpoint?: string
  readonly sizeBytes: number
  readonly digest: string
  readonly identity?: string
  readonly pin?: string
  readonly latestPin?: string
  readonly etag?: string
  readonly checksums?: Readonly<Record<string, string>>
}

/** A line that was read back: what is recorded, and where its bytes lie. */
export interface Entry {
  readonly path: string
  readonly sizeBytes: number
  readonly content: Content
  readonly latestPin?: string
  readonly location: Location
  /** The location names this very object. */
  readonly lone: boolean
}

/** Where a mistake is: `line 7`, `row 6`. */
export type At = (index: number) => string

export function lineOf({ path, sizeBytes, content, latestPin, location, key }: Holding): Line {
  const { digest, identity, pin, etag, checksums } = content
  return {
    path,
    reference: formatReference(location, key),
    ...(location.endpoint !== undefined && { endpoint: scrub(location.endpoint) }),
    sizeBytes,
    digest,
    ...(identity !== undefined && { identity }),
    ...(pin !== undefined && { pin }),
    ...(latestPin !== undefined && { latestPin }),
    ...(etag !== undefined && { etag }),
    ...(checksums !== undefined && { checksums }),
  }
}

/** Sums what goes by, to see at the end that nothing is missing. */
export class Check {
  readonly #digest = new SetDigest()
  #entries = 0
  #size = 0
  #last = ''

  get entries(): number {
    return this.#entries
  }

  /** Throws USAGE for a path that does not come after the one before. */
  add(path: string, sizeBytes: number, content: Content, where: string): void {
    if (this.#entries > 0 && comparePaths(this.#last, path) >= 0) throw wrong(where, `the path ${JSON.stringify(path)} does not come after ${JSON.stringify(this.#last)}`)
    this.#last = path
    this.#entries++
    this.#size += sizeBytes
    this.#digest.add(path, identityOf(content, sizeBytes))
  }

  /** What differs from what the version says of itself; undefined when nothing does. */
  trouble({ entries, sizeBytes, digest }: VersionView): string | undefined {
    if (this.#entries !== entries) return `it holds ${this.#entries} entries, and its version has ${entries}`
    if (this.#size !== sizeBytes) return `its entries have ${this.#size} bytes, and its version ${sizeBytes}`
    return this.#digest.toString() === digest ? undefined : `its entries have the digest ${this.#digest.toString()}, and its version ${digest}`
  }
}

export function wrong(where: string, words: string): VarveError {
  return new VarveError('USAGE', `${where}: ${words}`, { hint: 'nothing was recorded; export the version again' })
}

/** Reads a header back. Throws USAGE. */
export function parseHeader(text: string, where: string): Header {
  const header = parsed(text, where) as Partial<Header>
  const version = header.version as Partial<VersionView> | undefined
  if (header.varve !== 'version/1' || typeof version !== 'object' || version === null) throw wrong(where, 'it is no header of an exported version')
  const sound = typeof version.artifact === 'string' && typeof version.version === 'string' && typeof version.type === 'string' && typeof version.digest === 'string' &&
    isSize(version.entries) && isSize(version.sizeBytes)
  if (!sound) throw wrong(where, 'its version lacks artifact, version, type, digest, entries or sizeBytes')
  const { createdAt, description } = version as { readonly createdAt?: unknown; readonly description?: unknown }
  if (typeof createdAt !== 'string' || !isTime(createdAt)) throw wrong(where, `createdAt of its version is ${JSON.stringify(createdAt)}, which is no time`)
  if (description !== undefined && typeof description !== 'string') throw wrong(where, 'description of its version is no text')
  return header as Header
}

/** As an export writes it. */
function isTime(text: string): boolean {
  const ms = Date.parse(text)
  return !Number.isNaN(ms) && new Date(ms).toISOString() === text
}

/** The object that `text` is in JSON. Throws USAGE. */
export function parsed(text: string, where: string): object {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw wrong(where, 'it is no JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(where, 'it is no JSON object')
  return value
}

const TEXTS = ['path', 'reference', 'digest'] as const
const OPTIONAL = ['endpoint', 'identity', 'pin', 'latestPin', 'etag'] as const
const KNOWN: ReadonlySet<string> = new Set([...TEXTS, ...OPTIONAL, 'sizeBytes', 'checksums'])
const PREFIXED = ['digest', 'identity', 'pin', 'latestPin'] as const

/** Reads an entry back. Throws USAGE for what no export says. */
export function entryOf(value: object, where: string): Entry {
  const line = value as Line & Readonly<Record<string, unknown>>
  for (const key of Object.keys(line)) if (!KNOWN.has(key)) throw wrong(where, `${JSON.stringify(key)} is not known`)
  for (const key of TEXTS) if (typeof line[key] !== 'string' || line[key] === '') throw wrong(where, `${key} is no text`)
  for (const key of OPTIONAL) if (line[key] !== undefined && typeof line[key] !== 'string') throw wrong(where, `${key} is no text`)
  for (const key of PREFIXED) if (line[key] !== undefined && !/^[^:]+:/.test(line[key])) throw wrong(where, `${key} has not the form alg:value`)
  if (!isSize(line.sizeBytes)) throw wrong(where, 'sizeBytes is no size')
  const { path, reference, endpoint, sizeBytes, digest, identity, pin, latestPin, etag, checksums } = line
  if (/[\0]/.test(path) || !path.isWellFormed()) throw wrong(where, 'path holds what no path can')
  if (checksums !== undefined && !isTexts(checksums)) throw wrong(where, 'checksums is no map of texts')
  return {
    path,
    sizeBytes,
    content: { digest, ...(identity !== undefined && { identity }), ...(etag !== undefined && { etag }), ...(pin !== undefined && { pin }), ...(checksums !== undefined && { checksums }) },
    ...(latestPin !== undefined && { latestPin }),
    ...placeOf(path, reference, endpoint, where),
  }
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isTexts(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every((text) => typeof text === 'string')
}

/** The widest location under which `path` has that reference: so entries that lay together lie together again. */
function placeOf(path: string, reference: string, endpoint: string | undefined, where: string): Pick<Entry, 'location' | 'lone'> {
  let named: Location
  try {
    if (endpoint !== undefined && (!/^https?:$/.test(new URL(endpoint).protocol) || scrub(endpoint) !== endpoint)) throw new VarveError('USAGE', 'the endpoint is no plain URL')
    named = parseLocation(reference, '/')
  } catch (error) {
    throw wrong(where, error instanceof VarveError ? error.message : 'the endpoint is no URL')
  }
  const { object, ...rest } = named
  const key = object ?? named.prefix
  const base = { ...rest, ...(endpoint !== undefined && { endpoint }) }
  const found = isWeb(named) ? undefined : folderOf(base, key, path)
  const tail = loneName({ ...base, object: key })
  const at = path.endsWith(tail) ? path.slice(0, path.length - tail.length) : ''
  const place = found ?? { location: { ...base, prefix: `${key}/`, object: key, ...(at !== '' && { at }) }, lone: true }
  // Written otherwise, the same reference would come back in another text.
  if (formatReference(place.location, keyOf(place.location, path, place.lone)) !== reference) throw wrong(where, `the reference ${reference} is not written as Varve writes it`)
  return place
}

function folderOf(base: Omit<Location, 'object'>, key: string, path: string): Pick<Entry, 'location' | 'lone'> | undefined {
  for (let from = 0; ; ) {
    const rest = path.slice(from)
    const prefix = key.slice(0, key.length - rest.length)
    if (rest !== '' && key.endsWith(rest) && (prefix === '' ? base.scheme !== 'file' : prefix.endsWith('/')))
      return { location: { ...base, prefix, ...(from > 0 && { at: path.slice(0, from) }) }, lone: false }
    const slash = path.indexOf('/', from)
    if (slash < 0) return undefined
    from = slash + 1
  }
}
