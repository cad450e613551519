import { request as requestPlain } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { request as requestSecure } from 'node:https'
import { digestOf } from '../../model/digest.ts'
import { VarveError } from '../../model/errors.ts'
import { isPrivate, PrivateAddress, publicOnly } from './addresses.ts'
import type { Bounds } from './config.ts'
import { HalfHead, invalid, privateFailure, Silence, webFailure } from './failures.ts'

/** What a server answered. Its body flows only when it is read: who does not read it, destroys it. */
export interface Answer {
  readonly status: number
  readonly message: IncomingMessage
  /** Names host and path that answered, after redirects, and not the query, where signatures are: equal text, same place. Fit to be kept. */
  readonly answeredBy: string
}

/** What only holds for the object that an earlier answer came from: sent there, and to no other. */
export interface Condition {
  readonly answeredBy: string
  readonly headers: Readonly<Record<string, string>>
}

const REDIRECTS = new Set([301, 302, 303, 307, 308])
const HOPS_MOST = 10
// What is stored is asked for, from where it is stored: not compressed on the way, and not as a cache remembers it.
const HEADERS = { accept: '*/*', 'accept-encoding': 'identity', 'cache-control': 'no-cache', 'user-agent': 'varve' }

/**
 * Asks for the object at one URL. Follows redirects; sends no cookies and no credentials to anybody, and connects to a private address only where the
 * URL itself names the host, or `allowPrivate` says so. What it throws names the URL that was written, and of a redirect the host alone.
 */
export class Asker {
  /** Made so far, redirects counted. */
  requests = 0
  readonly #url: URL
  readonly #place: string
  readonly #bounds: Bounds

  constructor(place: string, bounds: Bounds) {
    this.#url = new URL(place)
    this.#place = place
    this.#bounds = bounds
  }

  /** The answer that is no redirect; `more` headers go to whoever is asked. Throws LOCATION_DENIED for a redirect that is not to be followed, STORAGE_INVALID for one that leads nowhere. */
  async ask(method: 'HEAD' | 'GET', condition: Condition | undefined, signal: AbortSignal, more: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const met = new Set<string>()
    for (let at = this.#url; ; ) {
      met.add(at.href)
      const answeredBy = digestOf([at.origin, at.pathname])
      const conditional = condition?.answeredBy === answeredBy ? condition.headers : {}
      const message = await this.#once(method, at, { ...HEADERS, ...more, ...conditional }, signal)
      const status = message.statusCode ?? 0
      if (!REDIRECTS.has(status)) return { status, message, answeredBy }
      message.destroy()
      at = this.#next(at, message.headers.location)
      if (met.has(at.href)) throw invalid(this.#place, 'is redirected in a circle', 'some servers do so to who shows no cookie: open the URL without any, and see')
      if (met.size > HOPS_MOST) throw invalid(this.#place, `is redirected more than ${HOPS_MOST} times`, 'name the URL at the end of the chain')
    }
  }

  #next(from: URL, told: string | undefined): URL {
    const hint = 'open the URL and see what the server says; nothing was recorded'
    if (told === undefined || told === '') throw invalid(this.#place, 'is redirected without a word to where (no Location)', hint)
    // Header bytes arrive as Latin-1, and servers write UTF-8.
    const to = URL.parse(Buffer.from(told, 'latin1').toString('utf8'), from.href)
    if (to === null || (to.protocol !== 'https:' && to.protocol !== 'http:')) throw invalid(this.#place, 'is redirected to what is no http or https URL', hint)
    if (from.protocol === 'https:' && to.protocol === 'http:')
      throw new VarveError('LOCATION_DENIED', `${this.#place} is redirected from https to http, at ${to.host}`, { hint: 'let the server redirect to https, or write the http:// URL if that is meant' })
    to.hash = ''
    return to
  }

  /** One request and the head of its answer. */
  #once(method: string, url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<IncomingMessage> {
    const { silentMs, lookup } = this.#bounds
    const { protocol, hostname, port, pathname, search } = url
    const place = url.host === this.#url.host ? this.#place : `${this.#place}, redirected to ${url.host},`
    const free = this.#bounds.allowPrivate || this.#isOwn(url)
    if (!free && isPrivate(hostname)) throw privateFailure(this.#place, hostname)
    signal.throwIfAborted()
    this.requests++
    return new Promise((resolve, reject) => {
      // A connection of its own, straight to the host: no proxy and no socket that led elsewhere comes between what is checked and what is asked.
      const sent = (protocol === 'https:' ? requestSecure : requestPlain)({
        protocol, hostname: hostname.replace(/^\[|\]$/g, ''), port, path: pathname + search, method, headers, signal, agent: false,
        lookup: free ? lookup : publicOnly(lookup),
      })
      // Of TLS bytes came before any answer.
      const timer = setTimeout(() => sent.destroy((sent.socket?.bytesRead ?? 0) > 0 ? new HalfHead(silentMs) : new Silence(silentMs)), silentMs)
      sent.on('response', (message) => {
        clearTimeout(timer)
        // Who reads the body hears of its end; who destroys it does not care.
        message.on('error', () => undefined)
        resolve(message)
      })
      sent.on('error', (error) => {
        clearTimeout(timer)
        reject(signal.aborted ? signal.reason : webFailure(error, error instanceof PrivateAddress ? this.#place : place))
      })
      sent.end()
    })
  }

  /** True for the host that was written, which its owner may have put anywhere: on its port, or where http goes on as https. */
  #isOwn(url: URL): boolean {
    const upgraded = this.#url.protocol === 'http:' && this.#url.port === '' && url.protocol === 'https:' && url.port === ''
    return url.host === this.#url.host && (url.protocol === this.#url.protocol || upgraded)
  }
}
