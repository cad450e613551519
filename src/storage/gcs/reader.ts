import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Content } from '../../model/entry.ts'
import { isFailure, VarveError } from '../../model/errors.ts'
import { formatLocation, formatReference } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import type { GcsAccess } from '../../model/watch.ts'
import { bytesOf, partOfWhole, rangeHeader, shownRange } from '../body.ts'
import { standingOf } from '../standing.ts'
import type { Shown } from '../standing.ts'
import type { Bytes, Held, Reader, Standing, Wanted } from '../storage.ts'
import { Bucket } from './bucket.ts'
import { connectGcs } from './config.ts'
import { gcsFailure, openFailure, Refusal } from './failures.ts'
import { listedOf } from './list.ts'
import type { ObjectRow } from './page.ts'
import { explain } from './read.ts'

const PAGE = 1_000
// Few keys have more generations than this, and what follows belongs to longer keys.
const GENERATIONS_PAGE = 100

/** Opens the bytes of a bucket of GCS, or of what speaks its JSON API. Asks it nothing yet. What is archived there answers as quickly as all else. */
export async function openGcsReader(location: Location, access: GcsAccess, silentMs?: number): Promise<Reader> {
  return new GcsReader(location, new Bucket(await connectGcs(formatLocation(location), access), location.bucket, access.project), silentMs)
}

class GcsReader implements Reader {
  readonly #location: Location
  readonly #bucket: Bucket
  readonly #silentMs: number | undefined
  readonly #closing = new AbortController()
  /** It was allowed to be listed: what is absent is so within a bucket that is there. */
  #there = false

  constructor(location: Location, bucket: Bucket, silentMs: number | undefined) {
    this.#location = location
    this.#bucket = bucket
    this.#silentMs = silentMs
  }

  standing(keys: readonly string[], signal: AbortSignal): AsyncIterable<Standing> {
    return standingOf(keys, { page: (prefix, after, either) => this.#page(prefix, after, either), one: (key, either) => this.#one(key, either) }, signal)
  }

  async versions(key: string, signal: AbortSignal): Promise<readonly Held[]> {
    if (isNoName(key)) return []
    const met: ObjectRow[] = []
    const tokens = new Set<string>()
    try {
      for (let token: string | undefined; ; ) {
        const { rows, next } = await this.#bucket.page({ prefix: key, token, versions: true }, GENERATIONS_PAGE, { requests: 0 }, signal)
        met.push(...rows.filter((row) => row.key === key))
        if (next === undefined || rows.some((row) => row.key !== key) || tokens.has(next)) break
        tokens.add(next)
        token = next
      }
    } catch (error) {
      signal.throwIfAborted()
      throw gcsFailure(error, formatReference(this.#location, key), 'storage.objects.list')
    }
    return met.sort((a, b) => Number(BigInt(b.generation) - BigInt(a.generation))).map(heldOf)
  }

  async open(key: string, wanted: Wanted, signal: AbortSignal): Promise<Bytes> {
    const { range } = wanted
    const place = formatReference(this.#location, key)
    if (isNoName(key)) throw new VarveError('NOT_FOUND', `${place} is not there`)
    const pin = wanted.pin?.replace(/^generation:/, '')
    const either = AbortSignal.any([signal, this.#closing.signal])
    const header = range !== undefined && range.from < range.upTo ? rangeHeader(range) : undefined
    const message = await this.#told(key, pin, either, () => this.#bucket.media(key, pin, header, either))
    try {
      const { headers } = message
      const generation = headerOf(headers, 'x-goog-generation') ?? pin
      const row = (wanted.etag !== undefined && pin === undefined && headers.etag !== wanted.etag) || generation === undefined || !isTold(headers)
        ? await this.#told(key, pin, either, () => this.#bucket.get(key, { requests: 0 }, either, generation))
        : undefined
      // The generation that answered, where it says so, is the one whose ETag this is.
      if (row !== undefined && wanted.etag !== undefined && pin === undefined && row.etag !== wanted.etag) throw new VarveError('OVERTAKEN', `${place} is not what was planned to be read: its ETag is ${row.etag}`)
      const shown = shownRange(headers['content-range'], range, place)
      const sizeBytes = shown?.sizeBytes ?? row?.sizeBytes ?? Number(headerOf(headers, 'x-goog-stored-content-length') ?? headers['content-length'])
      checkPacking(headers, place)
      const part = shown?.part ?? partOfWhole(sizeBytes, range, place)
      const content = row === undefined ? contentOf(headers, generation as string) : (heldOf(row).content as Content)
      return { sizeBytes, content, opaque: false, bytes: bytesOf(message, part, place, (error) => gcsFailure(error, place, 'storage.objects.get'), either, this.#silentMs) }
    } catch (error) {
      message.destroy()
      throw error
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new VarveError('STORAGE_UNAVAILABLE', 'the store was closed while it was read'))
    this.#bucket.close()
  }

  async #page(prefix: string, after: string, signal: AbortSignal): Promise<Shown | undefined> {
    try {
      const { rows, next } = await this.#bucket.page({ prefix, from: after }, PAGE, { requests: 0 }, signal)
      this.#there = true
      const held = new Map(rows.map((row) => [row.key, heldOf(row)]))
      return next === undefined ? { rows: held } : { rows: held, edge: rows.at(-1)?.key ?? after }
    } catch (error) {
      signal.throwIfAborted()
      const failure = gcsFailure(error, formatReference(this.#location, prefix), 'storage.objects.list')
      if (isFailure(failure, 'LOCATION_DENIED')) return undefined
      throw failure
    }
  }

  async #one(key: string, signal: AbortSignal): Promise<Standing> {
    if (isNoName(key)) return { key }
    try {
      return { key, held: heldOf(await this.#bucket.get(key, { requests: 0 }, signal)) }
    } catch (error) {
      const failure = await this.#failure(error, key, false, signal)
      if (failure.code === 'NOT_FOUND') return { key }
      // The bucket may be listed: this object alone is denied.
      if (error instanceof Refusal && error.status === 403 && failure.code === 'LOCATION_DENIED') return { key, failed: failure }
      throw failure
    }
  }

  /** What went wrong with one object. Throws what is wrong with the bucket: an answer about an object does not say whether that is there, nor who is denied what; a listing does. */
  async #failure(error: unknown, key: string, pinned: boolean, signal: AbortSignal): Promise<VarveError> {
    signal.throwIfAborted()
    const status = error instanceof Refusal ? error.status : 0
    if (status === 403 || (status === 404 && !this.#there)) {
      await explain(this.#bucket, this.#location, signal)
      this.#there = true
    }
    return openFailure(error, formatReference(this.#location, key), pinned)
  }

  async #told<T>(key: string, pin: string | undefined, signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      throw await this.#failure(error, key, pin !== undefined, signal)
    }
  }
}

/** GCS has no such names, and in a URL they would name something else. */
function isNoName(key: string): boolean {
  return key === '.' || key === '..' || key === '' || !key.isWellFormed()
}

function heldOf(row: ObjectRow): Held {
  return { sizeBytes: row.sizeBytes, content: listedOf(row, row.key).content as Content, current: row.live }
}

function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(',') : value
}

/** What `x-goog-hash` says, by algorithm; each may have a header of its own. */
function hashesOf(headers: IncomingHttpHeaders): ReadonlyMap<string, string> {
  return new Map((headerOf(headers, 'x-goog-hash') ?? '').split(',').map((one) => one.trim()).filter((one) => one !== '').map((one) => {
    const equals = one.indexOf('=')
    return [one.slice(0, equals), one.slice(equals + 1)] as const
  }))
}

/** The head of the answer tells what a listing tells. */
function isTold(headers: IncomingHttpHeaders): boolean {
  return headers.etag !== undefined && hashesOf(headers).size > 0 && (headerOf(headers, 'x-goog-stored-content-length') ?? headers['content-length']) !== undefined
}

function contentOf(headers: IncomingHttpHeaders, generation: string): Content {
  const hashes = hashesOf(headers)
  const row = { key: '', generation, sizeBytes: 0, etag: (headers.etag ?? '').replaceAll('"', ''), md5: hashes.get('md5'), crc32c: hashes.get('crc32c'), live: true }
  return listedOf(row, '').content as Content
}

/** Throws STORAGE_INVALID for what was stored packed, and unpacked on the way: its bytes are not those that were recorded. */
function checkPacking(headers: IncomingMessage['headers'], place: string): void {
  const stored = headerOf(headers, 'x-goog-stored-content-encoding')
  if (stored === 'gzip' && headers['content-encoding'] !== 'gzip')
    throw new VarveError('STORAGE_INVALID', `${place} is unpacked on the way, although it was asked for as it is stored`, { hint: 'see whether a proxy before the store does so' })
}
