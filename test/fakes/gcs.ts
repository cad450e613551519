import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { crc32, gunzipSync } from 'node:zlib'
import { comparePaths } from '../../src/model/location.ts'
import { sendBytes } from './body.ts'
import type { Spoil } from './body.ts'
import { loopback } from './loopback.ts'
import type { Loopback } from './loopback.ts'

/** What a request can meet. The first are failures that GCS knows; the others are answers that must not be believed. */
export type Fault =
  | 'unavailable' | 'throttled' | 'quota' | 'denied' | 'anonymous' | 'requester-pays' | 'no-bucket' | 'redirect' | 'silent' | 'stalled' | 'slow'
  | 'cut' | 'torn' | 'short' | 'other-document' | 'no-kind' | 'no-list' | 'not-utf8' | 'empty-token' | 'descending' | 'foreign' | 'from-the-start' | 'again' | 'same-token' | 'other-bucket'
  | 'empty' | 'no-name' | 'no-generation' | 'no-size' | 'no-etag' | 'no-checksum'

export type Kind = 'list' | 'get' | 'media' | 'about' | 'notified'

interface Held {
  readonly key: string
  readonly bytes: Buffer
  readonly generation: number
  metageneration: number
  storageClass: string
  /** Made of parts: without MD5. */
  readonly composite: boolean
  /** Under a key of the customer's own: without any checksum. */
  readonly sealed: boolean
  /** Stored packed: unpacked for whoever does not say that he takes it as it is. */
  readonly packed: boolean
}

/** A small GCS of one bucket, `fake`, by its JSON API: etags move with metadata as Google's do. It keeps every key as it is, and misbehaves on demand. */
export class FakeGcs {
  pageSize = 1_000
  /** What the n-th request of a kind (from 0) meets. */
  fault: (kind: Kind, nth: number) => Fault | undefined = () => undefined
  versioned = false
  /** What it says of the notifications of the bucket. */
  notifications: readonly unknown[] = []
  /** What becomes of the bytes of an object. */
  spoil: (key: string) => Spoil | undefined = () => undefined
  /** Every request that came in, in order, and the query of each. */
  readonly requests: Kind[] = []
  readonly queries: URLSearchParams[] = []
  readonly #at: Loopback
  readonly #objects = new Map<string, Held>()
  /** Old generations, where they are kept, newest first. */
  readonly #past = new Map<string, Held[]>()
  #generations = 1_700_000_000_000_000
  #tokens = 0

  private constructor(at: Loopback) {
    this.#at = at
  }

  static async start(): Promise<FakeGcs> {
    const fake: FakeGcs = new FakeGcs(await loopback((request, response) => fake.#answer(request, response)))
    return fake
  }

  get url(): string {
    return this.#at.url
  }

  stop(): Promise<void> {
    return this.#at.stop()
  }

  put(key: string, bytes: string | Buffer, how: { readonly composite?: boolean; readonly sealed?: boolean; readonly packed?: boolean } = {}): void {
    const { composite = false, sealed = false, packed = false } = how
    this.remove(key)
    this.#objects.set(key, { key, bytes: Buffer.from(bytes), generation: ++this.#generations, metageneration: 1, storageClass: 'STANDARD', composite, sealed, packed })
  }

  remove(key: string): void {
    const held = this.#objects.get(key)
    if (held !== undefined && this.versioned) this.#past.set(key, [held, ...(this.#past.get(key) ?? [])])
    this.#objects.delete(key)
  }

  /** An edit of metadata, or another storage class: the etag moves, and nothing else that content is known by. */
  touch(key: string, storageClass?: string): void {
    const held = this.#objects.get(key) as Held
    held.metageneration++
    if (storageClass !== undefined) held.storageClass = storageClass
  }

  etagOf(key: string): string {
    return etagOf(this.#objects.get(key) as Held)
  }

  generationOf(key: string): number {
    return (this.#objects.get(key) as Held).generation
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = request.url as string
    const query = new URLSearchParams(url.split('?')[1] ?? '')
    const [, bucket = '', key] = /^\/storage\/v1\/b\/([^/?]*)(?:\/o(?:\/([^?]*))?|\/notificationConfigs)?(?:\?|$)/.exec(url) ?? []
    const kind: Kind = /\/notificationConfigs(\?|$)/.test(url) ? 'notified' : !/^\/storage\/v1\/b\/[^/?]*\/o/.test(url) ? 'about' : key === undefined ? 'list' : query.get('alt') === 'media' ? 'media' : 'get'
    const nth = this.requests.filter((one) => one === kind).length
    this.requests.push(kind)
    this.queries.push(query)
    const fault = this.fault(kind, nth)
    if (fault === 'silent') return
    if (fault === 'redirect') return void response.writeHead(302, { location: 'http://127.0.0.1:9/elsewhere' }).end()
    const failure = fault === undefined ? undefined : FAILURES[fault]
    if (failure !== undefined) return fail(response, ...failure)
    if (bucket !== 'fake') return fail(response, 404, 'notFound', 'The specified bucket does not exist.')
    if (kind === 'about') return send(response, Buffer.from(JSON.stringify({ kind: 'storage#bucket', ...(this.versioned && { versioning: { enabled: true } }) })), fault)
    if (kind === 'notified') return send(response, Buffer.from(JSON.stringify({ kind: 'storage#notifications', items: this.notifications })), fault)
    if (kind === 'media') return this.#media(decodeURIComponent(key as string), query, request, response)
    const document = key === undefined ? this.#page(query, fault) : this.#object(decodeURIComponent(key), query, fault)
    if (document === undefined) return fail(response, 404, 'notFound', `No such object: fake/${key}`)
    send(response, Buffer.from(JSON.stringify(document)), fault)
  }

  #held(key: string, query: URLSearchParams): Held | undefined {
    const generation = query.get('generation')
    const live = this.#objects.get(key)
    return generation === null ? live : [...(live === undefined ? [] : [live]), ...(this.#past.get(key) ?? [])].find((one) => `${one.generation}` === generation)
  }

  #media(key: string, query: URLSearchParams, request: IncomingMessage, response: ServerResponse): void {
    const held = this.#held(key, query)
    if (held === undefined) return fail(response, 404, 'notFound', `No such object: fake/${key}`)
    const row = rowOf(held, undefined)
    const asItIs = held.packed && /gzip/.test(String(request.headers['accept-encoding'] ?? ''))
    const sums = [['crc32c', row['crc32c']], ['md5', row['md5Hash']]].flatMap(([name, sum]) => (sum === undefined ? [] : [`${String(name)}=${String(sum)}`])).join(',')
    const headers = {
      etag: etagOf(held), 'x-goog-generation': `${held.generation}`, 'x-goog-stored-content-length': `${held.bytes.length}`,
      'x-goog-stored-content-encoding': held.packed ? 'gzip' : 'identity', ...(sums !== '' && { 'x-goog-hash': sums }), ...(asItIs && { 'content-encoding': 'gzip' }),
    }
    const bytes = held.packed && !asItIs ? gunzipSync(held.bytes) : held.bytes
    if (!sendBytes(response, { bytes, headers, range: request.headers.range, spoil: this.spoil(key) })) fail(response, 416, 'requestedRangeNotSatisfiable', 'The range is not there.')
  }

  #object(key: string, query: URLSearchParams, fault: Fault | undefined): unknown {
    const held = this.#held(key, query)
    if (held === undefined) return undefined
    return { ...rowOf(held, fault), kind: fault === 'no-kind' ? undefined : fault === 'other-document' ? 'storage#bucket' : 'storage#object' }
  }

  #page(query: URLSearchParams, fault: Fault | undefined): unknown {
    const prefix = query.get('prefix') ?? ''
    const offset = query.get('startOffset') ?? ''
    const past = query.get('versions') === 'true' ? [...this.#past.values()].flat().map((held) => ({ ...held, gone: true })) : []
    const rows = [...past, ...this.#objects.values()]
      .filter(({ key }) => key.startsWith(prefix) && comparePaths(key, offset) >= 0)
      .sort((a, b) => comparePaths(a.key, b.key) || a.generation - b.generation)
    const from = fault === 'from-the-start' ? 0 : Number.parseInt(query.get('pageToken') ?? '0', 10)
    const size = Math.min(this.pageSize, Number(query.get('maxResults') ?? 1_000))
    const end = fault === 'empty' ? from : from + size
    let page = rows.slice(fault === 'again' ? Math.max(0, from - 1) : from, end)
    if (fault === 'descending') page = page.reverse()
    if (fault === 'foreign') page = page.map((row) => ({ ...row, key: `elsewhere/${row.key}` }))
    // Tokens are positions, with a number behind that makes each a new one.
    const token = fault === 'empty-token' ? '' : fault === 'same-token' ? `${end}.same` : `${end}.${++this.#tokens}`
    const items = fault === 'no-list' ? { items: { 0: 'no list' } } : page.length === 0 ? {} : { items: page.map((row) => rowOf(row, fault)) }
    const kind = fault === 'no-kind' ? {} : { kind: fault === 'other-document' ? 'storage#buckets' : 'storage#objects' }
    return { ...kind, ...(end < rows.length ? { nextPageToken: token } : {}), ...items }
  }
}

function rowOf(held: Held, fault: Fault | undefined): Record<string, unknown> {
  const { key, bytes, generation, metageneration, storageClass, composite, sealed } = held
  const row: Record<string, unknown> = {
    ...('gone' in held && { timeDeleted: '2026-01-01T00:00:00.000Z' }),
    kind: 'storage#object', name: key, generation: `${generation}`, metageneration: `${metageneration}`, size: `${bytes.length}`, storageClass, etag: etagOf(held),
    ...(sealed ? {} : { crc32c: crc32cOf(bytes) }), ...(sealed || composite ? {} : { md5Hash: createHash('md5').update(bytes).digest('base64') }),
  }
  if (fault === 'other-bucket') row['bucket'] = 'other'
  if (fault === 'no-checksum') row['md5Hash'] = 7
  for (const name of ['name', 'generation', 'size', 'etag']) if (fault === `no-${name}`) delete row[name]
  return row
}

/** Like Google's, over generation and metageneration alone. */
function etagOf({ generation, metageneration }: Held): string {
  return Buffer.from(`${generation}.${metageneration}`).toString('base64')
}

/** It stands for CRC32C: only that it tells bytes apart counts here. */
function crc32cOf(bytes: Buffer): string {
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(bytes))
  return sum.toString('base64')
}

const FAILURES: Readonly<Partial<Record<Fault, [number, string, string]>>> = {
  unavailable: [503, 'backendError', 'We encountered an internal error. Please try again.'],
  throttled: [429, 'rateLimitExceeded', 'The rate of requests is too high.'],
  quota: [403, 'userRateLimitExceeded', 'The quota is used up.'],
  denied: [403, 'forbidden', 'reader@example.iam.gserviceaccount.com does not have storage.objects access to the Google Cloud Storage object.'],
  anonymous: [401, 'required', 'Anonymous caller does not have storage.objects.list access to the Google Cloud Storage bucket.'],
  'requester-pays': [400, 'required', 'Bucket is a requester pays bucket but no user project provided.'],
  'no-bucket': [404, 'notFound', 'The specified bucket does not exist.'],
}

function fail(response: ServerResponse, code: number, reason: string, message: string): void {
  response.writeHead(code, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ error: { code, message, errors: [{ message, domain: 'global', reason }] } }))
}

/** In ten pieces. */
function sendSlowly(response: ServerResponse, body: Buffer, from = 0): void {
  if (from >= body.length) return void response.end()
  const upTo = from + Math.ceil(body.length / 10)
  response.write(body.subarray(from, upTo))
  setTimeout(() => sendSlowly(response, body, upTo), 200)
}

function send(response: ServerResponse, body: Buffer, fault: Fault | undefined): void {
  const headers = { 'content-type': 'application/json; charset=UTF-8' }
  const half = body.subarray(0, body.length / 2)
  if (fault === 'stalled') return void response.writeHead(200, headers).write(half)
  if (fault === 'slow') return void sendSlowly(response.writeHead(200, headers), body)
  if (fault === 'torn') return void response.writeHead(200, headers).end(half)
  if (fault === 'not-utf8') return void response.writeHead(200, headers).end(Buffer.concat([body.subarray(0, -1), Buffer.from(',"x":"\xff"}', 'latin1')]))
  // The length lies: one says more than comes, the other less.
  if (fault === 'short') return void response.writeHead(200, { ...headers, 'content-length': half.length, connection: 'close' }).end(half)
  if (fault !== 'cut') return void response.writeHead(200, headers).end(body)
  response.writeHead(200, { ...headers, 'content-length': body.length })
  response.write(half, () => response.destroy())
}
