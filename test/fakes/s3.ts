import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { comparePaths } from '../../src/model/location.ts'
import { sendBytes } from './body.ts'
import type { Spoil } from './body.ts'
import { loopback } from './loopback.ts'
import type { Loopback } from './loopback.ts'

/** What a request can meet. The first six are failures that S3 knows; the others are listings that must not be believed. */
export type Fault =
  | 'unavailable' | 'denied' | 'expired' | 'not-offered' | 'elsewhere' | 'silent'
  | 'cut' | 'torn' | 'other-document' | 'without-token' | 'descending' | 'foreign' | 'from-the-start' | 'same-token' | 'empty' | 'repeat' | 'garbled' | 'other-bucket' | 'twice' | 'hushed' | 'short'

export type Kind = 'versions' | 'objects' | 'head' | 'bucket' | 'versioning' | 'notification' | 'get'

interface Version {
  readonly key: string
  readonly id: string
  readonly marker: boolean
  readonly latest: boolean
  readonly bytes: Buffer
  readonly etag: string
  readonly writtenMs: number
  readonly how: How
}

/** What else an object has. */
export interface How {
  readonly storageClass?: string
  /** The tier of an INTELLIGENT_TIERING object that is archived. */
  readonly tier?: string
  /** A copy of what is archived lies ready. */
  readonly restored?: boolean
  readonly encryption?: string
  readonly partBytes?: number | readonly number[]
}

const FROZEN = ['GLACIER', 'DEEP_ARCHIVE']
const RESTORED = 'ongoing-request="false", expiry-date="Fri, 01 Jan 2027 00:00:00 GMT"'

/** A small S3 of one bucket, `fake`, that lists, answers HEADs and GETs, and misbehaves on demand. It keeps every key as it is. */
export class FakeS3 {
  versioned = true
  pageSize = 1_000
  /** False: keys stand in the XML raw, whatever was asked. */
  encodes = true
  /** What its checksums are said to be over; not every store says. */
  checksumType: 'FULL_OBJECT' | 'COMPOSITE' | 'untold' = 'FULL_OBJECT'
  /** True: as MinIO does, listings show nothing under `p/` while a key `p` has a version or a delete marker. */
  hides = false
  /** What the n-th request of a kind (from 0) meets. */
  fault: (kind: Kind, nth: number) => Fault | undefined = () => undefined
  /** How far its clock is ahead. */
  aheadMs = 0
  /** What becomes of the bytes of an object. */
  spoil: (key: string) => Spoil | undefined = () => undefined
  /** What an error says besides its code. */
  message = ''
  /** What it says of the notifications of the bucket: XML. */
  notifications = ''
  /** Every request that came in, in order; and the access key that signed it. */
  readonly requests: Kind[] = []
  readonly keyIds: string[] = []
  /** Whose requests are answered. */
  admits: (keyId: string) => boolean = () => true
  readonly #at: Loopback
  readonly #keys = new Map<string, Version[]>()
  #writes = 0
  #tokens = 0
  #clockMs = Date.UTC(2026, 0, 1)

  private constructor(at: Loopback) {
    this.#at = at
  }

  static async start(): Promise<FakeS3> {
    const fake: FakeS3 = new FakeS3(await loopback((request, response) => fake.#answer(request, response)))
    return fake
  }

  get url(): string {
    return this.#at.url
  }

  stop(): Promise<void> {
    return this.#at.stop()
  }

  /** Writes an object; its ETag is the MD5 of its bytes, or another, as after an upload in parts. */
  put(key: string, bytes: string | Buffer, etag: string = createHash('md5').update(bytes).digest('hex'), how: How = {}): void {
    this.#write(key, false, Buffer.from(bytes), etag, how)
  }

  remove(key: string): void {
    if (this.versioned) this.#write(key, true, Buffer.alloc(0), '')
    else this.#keys.delete(key)
  }

  /** With all its versions. */
  erase(key: string): void {
    this.#keys.delete(key)
  }

  #write(key: string, marker: boolean, bytes: Buffer, etag: string, how: How = {}): void {
    const older = this.versioned ? (this.#keys.get(key) ?? []).map((version) => ({ ...version, latest: false })) : []
    const id = this.versioned ? `v${++this.#writes}` : 'null'
    // A second passes between any two writes, since that is all that a HEAD tells.
    this.#keys.set(key, [{ key, id, marker, latest: true, bytes, etag, writtenMs: (this.#clockMs += 1_000), how }, ...older])
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url as string, this.url)
    const [, bucket = '', ...rest] = (request.url as string).split('?')[0]!.split('/')
    const key = decodeURIComponent(rest.join('/'))
    const kind = kindOf(request, key, url.searchParams)
    response.setHeader('date', new Date(Date.now() + this.aheadMs).toUTCString())
    const nth = this.requests.filter((one) => one === kind).length
    this.requests.push(kind)
    const keyId = keyIdOf(request) ?? ''
    this.keyIds.push(keyId)
    if (!this.admits(keyId)) return fail(request, response, 403, 'InvalidAccessKeyId')
    const fault = this.fault(kind, nth)
    if (fault === 'silent') return
    const failure = fault === undefined ? undefined : FAILURES[fault]
    if (failure !== undefined) return fail(request, response, ...failure, this.message)
    if (bucket !== 'fake') return fail(request, response, 404, 'NoSuchBucket')
    if (kind === 'bucket') return void response.writeHead(200).end()
    if (kind === 'head') return this.#head(key, url.searchParams, request, response)
    if (kind === 'get') return this.#get(key, url.searchParams.get('versionId'), request, response)
    if (kind === 'versioning') return void response.end(`<VersioningConfiguration>${this.versioned ? '<Status>Enabled</Status>' : ''}</VersioningConfiguration>`)
    if (kind === 'notification') return void response.end(`<NotificationConfiguration>${this.notifications}</NotificationConfiguration>`)
    const page = this.#page(kind, url.searchParams, fault)
    if (fault !== 'cut') return void response.writeHead(200, { 'content-type': 'application/xml' }).end(fault === 'torn' ? page.slice(0, page.length / 2) : page)
    response.writeHead(200, { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(page) })
    response.write(page.slice(0, page.length / 2), () => response.destroy())
  }

  #head(key: string, query: URLSearchParams, request: IncomingMessage, response: ServerResponse): void {
    const version = this.#version(key, query.get('versionId'))
    if (version === undefined || version.marker) return void response.writeHead(404, version === undefined ? {} : { 'x-amz-delete-marker': 'true' }).end()
    const { etag, bytes, how: { partBytes } } = version
    if (mismatches(request, etag)) return fail(request, response, 412, 'PreconditionFailed')
    const parts = /-(\d+)$/.exec(etag)?.[1]
    const number = Number(query.get('partNumber'))
    const length = typeof partBytes === 'number' ? Math.min(partBytes, bytes.length - (number - 1) * partBytes) : partBytes?.[number - 1]
    const part = number > 0 && length !== undefined && length >= 0 ? { 'content-length': `${length}`, ...(parts !== undefined && { 'x-amz-mp-parts-count': parts }) } : {}
    response.writeHead(200, { ...this.#shown(version, request), 'content-length': `${bytes.length}`, ...part }).end()
  }

  #get(key: string, id: string | null, request: IncomingMessage, response: ServerResponse): void {
    const version = this.#version(key, id)
    if (version === undefined) return fail(request, response, 404, id === null ? 'NoSuchKey' : 'NoSuchVersion')
    if (version.marker) return fail(request, response, id === null ? 404 : 405, id === null ? 'NoSuchKey' : 'MethodNotAllowed')
    const { etag, bytes, how: { storageClass = '', tier, restored = false } } = version
    if (mismatches(request, etag)) return fail(request, response, 412, 'PreconditionFailed')
    if (!restored && (tier !== undefined || FROZEN.includes(storageClass))) return fail(request, response, 403, 'InvalidObjectState')
    const headers = this.#shown(version, request)
    if (!sendBytes(response, { bytes, headers, range: request.headers.range, spoil: this.spoil(key) })) fail(request, response, 416, 'InvalidRange')
  }

  #version(key: string, id: string | null): Version | undefined {
    const versions = this.#keys.get(key)
    return id === null ? versions?.[0] : versions?.find((one) => one.id === id)
  }

  #shown({ etag, id, bytes, writtenMs, how: { storageClass, tier, restored, encryption } }: Version, request: IncomingMessage): Record<string, string> {
    const summed = request.headers['x-amz-checksum-mode'] === 'ENABLED'
    return {
      etag: `"${etag}"`, 'last-modified': new Date(writtenMs).toUTCString(),
      ...(this.versioned && { 'x-amz-version-id': id }),
      ...(summed && { 'x-amz-checksum-sha256': createHash('sha256').update(bytes).digest('base64'), ...(this.checksumType !== 'untold' && { 'x-amz-checksum-type': this.checksumType }) }),
      ...(storageClass !== undefined && { 'x-amz-storage-class': storageClass }), ...(tier !== undefined && { 'x-amz-archive-status': tier }),
      ...(restored === true && { 'x-amz-restore': RESTORED }), ...(encryption !== undefined && { 'x-amz-server-side-encryption': encryption }),
    }
  }

  #page(kind: 'versions' | 'objects', query: URLSearchParams, fault: Fault | undefined): string {
    const rows = this.#rows(kind, query.get('prefix') ?? '')
    const from = fault === 'from-the-start' ? 0 : this.#position(kind, rows, query, query.get('start-after') ?? '')
    const size = Math.min(this.pageSize, Number(query.get('max-keys') ?? 1_000))
    const begin = fault === 'repeat' ? Math.max(0, from - 2) : from
    const end = fault === 'empty' ? from : from + size
    let page = rows.slice(begin, end)
    if (fault === 'descending') page = page.reverse()
    if (fault === 'foreign') page = page.map((row) => ({ ...row, key: `elsewhere/${row.key}` }))
    // Two answers to what is there now.
    if (fault === 'twice') page = page.flatMap((row) => (row.latest ? [row, { ...row, id: `${row.id}x`, marker: false }] : [row]))
    const truncated = end < rows.length
    const token = fault === 'same-token' ? 'same' : `${end}.${++this.#tokens}`
    const last = rows[Math.max(0, end - 1)]
    const root = kind === 'versions' ? 'ListVersionsResult' : 'ListBucketResult'
    const next = !truncated || fault === 'without-token' ? ''
      : kind === 'objects' ? `<NextContinuationToken>${token}</NextContinuationToken>`
        : `<NextKeyMarker>${this.#written(last?.key ?? '')}</NextKeyMarker><NextVersionIdMarker>${token}</NextVersionIdMarker>`
    const name = fault === 'other-document' ? 'Html' : root
    if (fault === 'short') page.pop()
    const body = page.map((row) => this.#row(kind, row, fault)).join('')
    const encoding = this.encodes ? '<EncodingType>url</EncodingType>' : ''
    // Some stores count too few.
    const count = fault === 'short' ? page.length + 1 : 0
    return `<?xml version="1.0" encoding="UTF-8"?>\n<${name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>${fault === 'other-bucket' ? 'other' : 'fake'}</Name><KeyCount>${count}</KeyCount><IsTruncated>${truncated && fault !== 'hushed'}</IsTruncated>${next}${body}${encoding}</${name}>`
  }

  #rows(kind: 'versions' | 'objects', prefix: string): Version[] {
    const keys = [...this.#keys.keys()].filter((key) => key.startsWith(prefix) && !this.#isHidden(key)).sort(comparePaths)
    const rows = keys.flatMap((key) => this.#keys.get(key) as Version[])
    return kind === 'versions' ? rows : rows.filter((row) => row.latest && !row.marker)
  }

  #isHidden(key: string): boolean {
    return this.hides && [...this.#keys.keys()].some((hider) => key.startsWith(`${hider}/`))
  }

  /** The row at which the page begins. Tokens are positions, with a number behind that makes each a new one. */
  #position(kind: 'versions' | 'objects', rows: readonly Version[], query: URLSearchParams, after: string): number {
    const token = query.get(kind === 'objects' ? 'continuation-token' : 'version-id-marker')
    if (token === null) return after === '' ? 0 : rows.filter(({ key }) => comparePaths(key, after) <= 0).length
    const marker = query.get('key-marker')
    const position = Number.parseInt(token, 10)
    if (Number.isNaN(position)) return 0
    if (kind === 'versions' && position > 0 && rows[position - 1]?.key !== marker) throw new Error(`the key marker came back as ${JSON.stringify(marker)}`)
    return position
  }

  #row(kind: 'versions' | 'objects', row: Version, fault: Fault | undefined): string {
    const key = `<Key>${fault === 'garbled' ? '%FF' : ''}${this.#written(row.key)}</Key><LastModified>${new Date(row.writtenMs).toISOString()}</LastModified>`
    const state = kind === 'versions' ? `<VersionId>${row.id}</VersionId><IsLatest>${row.latest}</IsLatest>` : ''
    const owner = '<Owner><ID>1</ID><DisplayName>fake</DisplayName></Owner>'
    if (row.marker) return `<DeleteMarker>${key}${state}${owner}</DeleteMarker>`
    const name = kind === 'versions' ? 'Version' : 'Contents'
    const { storageClass = 'STANDARD', restored = false } = row.how
    const ready = restored ? '<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress><RestoreExpiryDate>2027-01-01T00:00:00.000Z</RestoreExpiryDate></RestoreStatus>' : ''
    return `<${name}>${key}<ETag>&quot;${row.etag}&quot;</ETag><Size>${row.bytes.length}</Size>${state}${owner}<StorageClass>${storageClass}</StorageClass>${ready}</${name}>`
  }

  #written(key: string): string {
    if (this.encodes) return encodeURIComponent(key).replaceAll('%20', '+').replaceAll('%2F', '/')
    return key.replace(/[&<>\u0000-\u001f]/g, (character) => `&#${character.codePointAt(0)};`)
  }
}

function mismatches({ headers }: IncomingMessage, etag: string): boolean {
  return headers['if-match'] !== undefined && headers['if-match'] !== `"${etag}"`
}

function kindOf(request: IncomingMessage, key: string, query: URLSearchParams): Kind {
  if (request.method === 'HEAD') return key === '' ? 'bucket' : 'head'
  if (key !== '') return 'get'
  return (['versions', 'versioning', 'notification'] as const).find((one) => query.has(one)) ?? 'objects'
}

/** The access key in the signature of a request. */
export function keyIdOf(request: IncomingMessage): string | undefined {
  return /Credential=([^/]+)\//.exec(request.headers.authorization ?? '')?.[1]
}

const FAILURES: Readonly<Partial<Record<Fault, [number, string]>>> = {
  unavailable: [503, 'SlowDown'],
  denied: [403, 'AccessDenied'],
  expired: [400, 'ExpiredToken'],
  'not-offered': [501, 'NotImplemented'],
  elsewhere: [301, 'PermanentRedirect'],
}

function fail(request: IncomingMessage, response: ServerResponse, status: number, code: string, message = ''): void {
  response.writeHead(status, { 'content-type': 'application/xml', ...(status === 301 && { 'x-amz-bucket-region': 'eu-west-1' }) })
  response.end(request.method === 'HEAD' ? undefined : `<Error><Code>${code}</Code><Message>${message || `${code} it is`}</Message></Error>`)
}
