// Pages and objects as the JSON API writes them: `docs.cloud.google.com/storage/docs/json_api/v1/objects`. Numbers are strings.
import { VarveError } from '../../model/errors.ts'

/** An object as a listing or a GET shows it. */
export interface ObjectRow {
  readonly key: string
  readonly generation: string
  readonly sizeBytes: number
  readonly etag: string
  /** Base64. Composite objects, and those of multipart uploads, have none; those under a customer's own key have neither checksum. */
  readonly md5: string | undefined
  readonly crc32c: string | undefined
  /** The one that is answered when none is asked for: another has a time at which it was replaced or deleted. */
  readonly live: boolean
  /** When it was written, and when it ceased to be the one that is answered (wall ms), where that was asked for. */
  readonly writtenMs?: number
  readonly replacedMs?: number
}

/** A page: what it holds, and where the next begins when there is one. */
export interface Page {
  readonly rows: readonly ObjectRow[]
  readonly next: string | undefined
}

/** Reads a page of a listing of `bucket`. Throws STORAGE_INVALID for anything but one whole page: one that was cut short, is of another bucket, or another document. */
export function parsePage(text: string, bucket: string): Page {
  const page = parseDocument(text, 'storage#objects')
  const { items = [], nextPageToken: next } = page
  if (!Array.isArray(items)) throw broken('its items are no list')
  if (next !== undefined && (typeof next !== 'string' || next === '')) throw broken('it says that more follows, but not where')
  return { rows: items.map((row) => rowOf(row, bucket)), next }
}

/** Reads one object. Throws STORAGE_INVALID for anything else. */
export function parseObject(text: string, bucket: string): ObjectRow {
  return rowOf(parseDocument(text, 'storage#object'), bucket)
}

function parseDocument(text: string, kind: string): Readonly<Record<string, unknown>> {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (error) {
    throw broken('it was cut short, or is no JSON', error)
  }
  if (!isObject(document) || document['kind'] !== kind) throw broken(`it is no ${kind}`)
  return document
}

function rowOf(row: unknown, bucket: string): ObjectRow {
  if (!isObject(row)) throw broken('a row is no object')
  const { name, generation, size, etag, md5Hash, crc32c, timeCreated, timeDeleted } = row
  if (typeof name !== 'string' || name === '' || !name.isWellFormed()) throw broken('a row has no name')
  const of = `of ${JSON.stringify(name)}`
  // Google leaves it out, since it was not asked for; others show all that they have.
  if ((row['bucket'] ?? bucket) !== bucket) throw broken(`it shows another bucket ${of}`)
  if (typeof generation !== 'string' || !/^\d+$/.test(generation)) throw broken(`it shows no generation ${of}`)
  if (typeof size !== 'string' || !/^\d{1,15}$/.test(size)) throw broken(`it shows no size ${of}`)
  if (typeof etag !== 'string' || etag === '') throw broken(`it shows no etag ${of}`)
  const times = { ...(timeCreated !== undefined && { writtenMs: time(timeCreated, of) }), ...(timeDeleted !== undefined && { replacedMs: time(timeDeleted, of) }) }
  return { key: name, generation, sizeBytes: Number(size), etag, md5: checksum(md5Hash, of), crc32c: checksum(crc32c, of), live: timeDeleted === undefined, ...times }
}

function time(value: unknown, of: string): number {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
  if (Number.isNaN(ms)) throw broken(`it shows a time ${of} that is none`)
  return ms
}

function checksum(value: unknown, of: string): string | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/]+=*$/.test(value)) throw broken(`it shows a checksum ${of} that is none`)
  return value
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function broken(what: string, cause?: unknown): VarveError {
  return new VarveError('STORAGE_INVALID', `a page of the listing cannot be right: ${what}`, { cause, hint: 'nothing was recorded; it is tried again' })
}
