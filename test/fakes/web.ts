// A web server of one object, which behaves as it is told: well, until a test says otherwise.
import { hash } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { sendBytes } from './body.ts'
import type { Spoil } from './body.ts'
import { loopback } from './loopback.ts'
import type { Loopback } from './loopback.ts'

/** What was asked of it. */
export interface Asked {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
}

export type Answering = (request: IncomingMessage, response: ServerResponse) => void

/** What there is, and which of it is shown. */
export interface Served {
  body: string | Buffer
  /** The ETag; without one, none is shown. */
  etag?: string | undefined
  modified?: Date | undefined
  /** Further headers. */
  headers?: Record<string, string>
  /** False: chunked. */
  length?: boolean
  /** False: conditional requests are answered as if they were none. */
  conditions?: boolean
  /** What becomes of the bytes. Also: ranges and If-Match are known. */
  ranges?: { readonly spoil?: Spoil | undefined }
}

// Long enough ago that nothing is young.
const OLD = new Date('2026-01-01T00:00:00Z')

/** `"md5"` of the body: as S3 and many frameworks make it. */
export function tagOf(body: string | Buffer): string {
  return `"${hash('md5', body, 'hex')}"`
}

export class Web {
  readonly url: string
  readonly port: number
  readonly asked: Asked[] = []
  /** Connections that were made. */
  connections = 0
  served: Served = { body: 'one', etag: tagOf('one'), modified: OLD }
  /** Goes before what is served, where it answers. */
  answer: Answering = (request, response) => serve(this.served, request, response)
  readonly #at: Loopback

  private constructor(at: Loopback) {
    this.#at = at
    this.port = at.port
    this.url = at.url
  }

  static async start(): Promise<Web> {
    const web: Web = new Web(await loopback((request, response) => {
      web.asked.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers })
      web.answer(request, response)
    }, () => void web.connections++))
    return web
  }

  /** Puts other bytes there; the ETag is that of their content, and the time a second later. */
  put(body: string | Buffer): void {
    const { etag, modified } = this.served
    this.served = { ...this.served, body, etag: etag === undefined ? undefined : tagOf(body), modified: modified === undefined ? undefined : new Date(modified.getTime() + 1_000) }
  }

  /** The methods that were asked since the last time: `HEAD GET`. */
  methods(): string {
    return this.asked.splice(0).map(({ method }) => method).join(' ')
  }

  stop(): Promise<void> {
    return this.#at.stop()
  }
}

/** Answers as a good server does. */
export function serve(served: Served, request: IncomingMessage, response: ServerResponse): void {
  const { body, etag, modified, headers = {}, length = true, conditions = true } = served
  const shown = { ...(etag !== undefined && { etag }), ...(modified !== undefined && { 'last-modified': modified.toUTCString() }) }
  if (conditions && isUnmodified(served, request)) {
    response.writeHead(304, shown).end()
    return
  }
  if (served.ranges !== undefined) return sendRange(served, shown, request, response)
  response.writeHead(200, { 'content-type': 'text/csv', ...(length && { 'content-length': Buffer.byteLength(body) }), ...shown, ...headers })
  if (request.method === 'HEAD') response.end()
  else if (length) response.end(body)
  else {
    response.write(body)
    response.end()
  }
}

function sendRange({ body, etag, ranges }: Served, shown: Readonly<Record<string, string>>, request: IncomingMessage, response: ServerResponse): void {
  const { 'if-match': match, 'if-range': unless, range } = request.headers
  if (match !== undefined && match !== etag) return void response.writeHead(412).end()
  const whole = unless !== undefined && unless !== etag
  const sent = sendBytes(response, { bytes: typeof body === 'string' ? Buffer.from(body) : body, range: whole ? undefined : range, spoil: ranges?.spoil, headers: { 'content-type': 'application/octet-stream', ...shown } })
  if (!sent) response.writeHead(416).end()
}

/** By ETag, compared weakly, else by a time that is no earlier: RFC 9110 §13.1. */
function isUnmodified({ etag, modified }: Served, { headers }: IncomingMessage): boolean {
  const asked = headers['if-none-match']
  if (asked !== undefined) return etag !== undefined && asked.replace(/^W\//, '') === etag.replace(/^W\//, '')
  const since = Date.parse(headers['if-modified-since'] ?? '')
  return modified !== undefined && !Number.isNaN(since) && Math.floor(modified.getTime() / 1_000) * 1_000 <= since
}
