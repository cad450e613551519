import { isUtf8 } from 'node:buffer'
import { request as requestPlain } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { request as requestSecure } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { VarveError } from '../../model/errors.ts'
import type { Counter } from '../bucket-store.ts'
import type { Gate } from './config.ts'
import { Refusal } from './failures.ts'
import { parseObject, parsePage } from './page.ts'
import type { ObjectRow, Page } from './page.ts'

// Three tries ride out a single dropped connection or a busy second; what lasts is the daemon's to retry.
const RETRY_MS = [100, 500]
const PASSING = new Set([408, 429, 500, 502, 503, 504])
// As with S3 and HTTP: what says nothing for so long is dead. A page of 5,000 objects takes some seconds at the worst.
const SILENT_MS = 30_000
/** In each stretch of silence that is allowed: below 33 bytes a second no page comes to an end. */
const BYTES_LEAST = 1_000
// A connection may have died unheard, so who is silent is asked once more, on another: a dead endpoint is told after a minute.
const SILENCES_MOST = 2
// 5,000 rows of 1,024-byte names, each byte escaped, are below 40 MB; what goes on for longer is no page.
const BYTES_MOST = 64 * 1024 * 1024
const ROW = 'name,generation,size,md5Hash,crc32c,etag'

/** Where a listing begins, and whether it shows old generations. */
export interface Asked {
  readonly prefix: string
  readonly token?: string | undefined
  /** The first name that is shown. */
  readonly from?: string
  readonly versions?: true
}

/**
 * The few questions that are ever asked of a bucket. The client library's own listing makes an object of many fields of each row, cannot be
 * aborted, does not tell its requests, and replaces what looks like a template in a key: so its credentials are used, and its JSON is read here.
 */
export class Bucket {
  readonly #gate: Gate
  readonly #name: string
  readonly #project: string | undefined
  readonly #silentMs: number
  readonly #closing = new AbortController()

  /** `project` pays for the requests, where it is said. */
  constructor(gate: Gate, name: string, project: string | undefined, silentMs = SILENT_MS) {
    this.#gate = gate
    this.#name = name
    this.#project = project
    this.#silentMs = silentMs
  }

  /** A page of the objects under `prefix` as they are now, at most `most`. Throws STORAGE_INVALID for a page that is not whole. */
  async list(prefix: string, token: string | undefined, most: number, counter: Counter, signal: AbortSignal): Promise<Page> {
    return this.page({ prefix, token }, most, counter, signal)
  }

  /** The same from a name on, or with old generations. */
  async page({ prefix, token, from, versions }: Asked, most: number, counter: Counter, signal: AbortSignal): Promise<Page> {
    const fields = `kind,nextPageToken,items(${ROW}${versions === true ? ',timeCreated,timeDeleted' : ''})`
    const place = { ...(token !== undefined && { pageToken: token }), ...(from !== undefined && { startOffset: from }), ...(versions === true && { versions: 'true' }) }
    return parsePage(await this.#text('/o', { prefix, maxResults: `${most}`, fields, ...place }, counter, signal), this.#name)
  }

  async get(key: string, counter: Counter, signal: AbortSignal, generation?: string): Promise<ObjectRow> {
    return parseObject(await this.#text(pathOf(key), { fields: `kind,${ROW}`, ...(generation !== undefined && { generation }) }, counter, signal), this.#name)
  }

  /** What the bucket says of itself: its own document where `path` is empty. Throws STORAGE_INVALID for what is no JSON. */
  async about(path: '' | '/notificationConfigs', query: Readonly<Record<string, string>>, counter: Counter, signal: AbortSignal): Promise<object> {
    const text = await this.#text(path, query, counter, signal)
    try {
      return JSON.parse(text) as object
    } catch (error) {
      throw new VarveError('STORAGE_INVALID', 'what should be JSON is none', { cause: error })
    }
  }

  /** An answer with the bytes as they are stored, packed ones too: its head has come, and whoever does not read its body destroys it. */
  async media(key: string, generation: string | undefined, range: string | undefined, signal: AbortSignal): Promise<IncomingMessage> {
    const query = { alt: 'media', ...(generation !== undefined && { generation }) }
    return this.#ask(pathOf(key), query, signal, { requests: 0 }, (url, headers, bound) => bytesAt(url, { ...Object.fromEntries(headers), 'accept-encoding': 'gzip', ...(range !== undefined && { range }) }, this.#silentMs, bound))
  }

  close(): void {
    this.#closing.abort(new Error('the store was closed'))
  }

  #text(path: string, query: Readonly<Record<string, string>>, counter: Counter, signal: AbortSignal): Promise<string> {
    return this.#ask(path, query, signal, counter, (url, headers, bound) => answerOf(url, headers, this.#silentMs, bound))
  }

  async #ask<T>(path: string, query: Readonly<Record<string, string>>, signal: AbortSignal, counter: Counter, send: (url: string, headers: Headers, bound: AbortSignal) => Promise<T>): Promise<T> {
    const paid = this.#project === undefined ? query : { ...query, userProject: this.#project }
    const url = `${this.#gate.endpoint}/storage/v1/b/${encodeURIComponent(this.#name)}${path}?${new URLSearchParams(paid).toString()}`
    const either = AbortSignal.any([signal, this.#closing.signal])
    let silences = 0
    for (let tries = 0; ; tries++) {
      const headers = await this.#gate.headers(url, either)
      either.throwIfAborted()
      try {
        counter.requests++
        return await send(url, headers, either)
      } catch (error) {
        either.throwIfAborted()
        const wait = RETRY_MS[tries]
        if (error instanceof Silence && ++silences >= SILENCES_MOST) throw error
        if (wait === undefined || error instanceof VarveError || (error instanceof Refusal && !PASSING.has(error.status))) throw error
        await sleep(wait, undefined, { signal: either })
      }
    }
  }
}

function pathOf(key: string): string {
  return `/o/${encodeURIComponent(key)}`
}

/** An answer, or its body, did not come in time. */
class Silence extends Error {
  constructor(ms: number, bytes = 0) {
    super(`${bytes === 0 ? 'nothing' : `no more than ${bytes} bytes`} came for ${ms / 1_000} s`)
  }
}

/** An answer with status 200 or 206, by Node itself: fetch unpacks what is stored packed, and its bytes would be others. Each has a connection of its own, which ends with it. */
function bytesAt(url: string, headers: Readonly<Record<string, string>>, silentMs: number, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(signal.aborted ? signal.reason : error)
    const sent = (url.startsWith('https:') ? requestSecure : requestPlain)(url, { headers, signal, agent: false })
    const timer = setTimeout(() => sent.destroy(new Silence(silentMs)), silentMs)
    sent.on('response', (message) => {
      clearTimeout(timer)
      message.on('error', () => undefined)
      const status = message.statusCode ?? 0
      if (status === 200 || status === 206) return resolve(message)
      bodyOf(message).then((body) => refusalOf(status, body), () => new Refusal(status, '', '')).then(fail)
    })
    sent.on('error', (error) => {
      clearTimeout(timer)
      fail(error)
    })
    sent.end()
  })
}

/** The body of an answer with status 200, as long as it goes on coming. A redirect is no answer: requests go where the configuration says alone. */
async function answerOf(url: string, headers: Headers, silentMs: number, signal: AbortSignal): Promise<string> {
  const silent = new AbortController()
  let lately: number | undefined
  const timer = setInterval(() => {
    if ((lately ?? 0) < BYTES_LEAST) silent.abort(new Silence(silentMs, lately))
    lately = 0
  }, silentMs)
  try {
    const response = await fetch(url, { headers, signal: AbortSignal.any([signal, silent.signal]), redirect: 'manual' })
    lately = BYTES_LEAST
    const body = await bodyOf(response.body ?? [], (bytes) => (lately = (lately ?? 0) + bytes))
    if (response.status !== 200) throw refusalOf(response.status, body)
    if (!isUtf8(body)) throw broken('it is not UTF-8')
    return body.toString('utf8')
  } catch (error) {
    throw silent.signal.aborted ? silent.signal.reason : error
  } finally {
    clearInterval(timer)
  }
}

async function bodyOf(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, came: (bytes: number) => void = () => undefined): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    came(chunk.length)
    size += chunk.length
    if (size > BYTES_MOST) throw broken(`it has more than ${BYTES_MOST} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}

/** What a failure says of itself, where it speaks as the JSON API does. */
function refusalOf(status: number, body: Buffer): Refusal {
  try {
    const { error } = JSON.parse(body.toString('utf8')) as { error?: { message?: unknown; errors?: { reason?: unknown }[] } }
    const reason = error?.errors?.[0]?.reason
    return new Refusal(status, typeof reason === 'string' ? reason : '', typeof error?.message === 'string' ? error.message.slice(0, 500) : '')
  } catch {
    return new Refusal(status, '', '')
  }
}

function broken(what: string): VarveError {
  return new VarveError('STORAGE_INVALID', `an answer of the store cannot be right: ${what}`, { hint: 'nothing was recorded; it is tried again' })
}
