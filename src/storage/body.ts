// The body of an answer, as a reader hands it on: no byte more or less than was asked for, and no wait without an end.
import type { Readable } from 'node:stream'
import { VarveError } from '../model/errors.ts'
import type { Wanted } from './storage.ts'

/** So long a body may bring nothing to who waits for it: as long as the head of an answer may, and whoever restores asks three times. */
export const SILENT_MS = 30_000
// In each stretch of silence that is allowed: below 17 bytes a second nothing of use is coming, and it may never end.
const BYTES_LEAST = 1_000

/** What of a body is handed on. */
export interface Part {
  /** Bytes that come before: a server that knows no ranges sends the whole. */
  readonly skip: number
  /** Bytes that must come then. */
  readonly take: number
  /** More follows, which is nobody's: the connection is ended behind the last byte. */
  readonly more: boolean
}

type Range = NonNullable<Wanted['range']>

/** What HTTP calls a range; of an empty one nothing can be asked. */
export function rangeHeader({ from, upTo }: Range): string {
  return `bytes=${from}-${upTo - 1}`
}

/** How the wanted bytes lie in an answer that bears the whole. Throws OVERTAKEN when it has not so many. */
export function partOfWhole(sizeBytes: number, range: Range | undefined, place: string): Part {
  if (range === undefined) return { skip: 0, take: sizeBytes, more: false }
  if (range.upTo > sizeBytes) throw shorter(place, sizeBytes, range)
  return { skip: range.from, take: range.upTo - range.from, more: range.upTo < sizeBytes }
}

/** How the wanted bytes lie in an answer with this Content-Range, and the size of the whole; undefined when it bears the whole. Throws STORAGE_INVALID for another range, OVERTAKEN when there are not so many bytes. */
export function shownRange(header: string | undefined, range: Range | undefined, place: string): { readonly part: Part; readonly sizeBytes: number } | undefined {
  if (header === undefined) return undefined
  const [, from, last, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(header) ?? []
  const sizeBytes = Number(size)
  if (range !== undefined && range.upTo > sizeBytes) throw shorter(place, sizeBytes, range)
  if (range === undefined || Number(from) !== range.from || Number(last) !== range.upTo - 1)
    throw new VarveError('STORAGE_INVALID', `${place}: the store answers ${header} when it is asked for ${range === undefined ? 'the whole' : rangeHeader(range)}`, { hint: 'the store, or a cache before it, is at fault' })
  return { part: { skip: 0, take: range.upTo - range.from, more: false }, sizeBytes }
}

function shorter(place: string, sizeBytes: number, { from, upTo }: Range): VarveError {
  return new VarveError('OVERTAKEN', `${place} is not what was planned to be read: it has ${sizeBytes} bytes, and those from ${from} to ${upTo} were wanted`)
}

/**
 * Hands on `part` of what `stream` brings, and ends the stream in every case: also when nobody begins to read, but calls `return`, and when `signal` aborts. `translate` says what the
 * stream's own errors mean. Throws STORAGE_UNAVAILABLE for what is cut short or silent, STORAGE_INVALID for what is too long.
 */
export function bytesOf(stream: Readable, part: Part, place: string, translate: (error: unknown) => VarveError, signal: AbortSignal, silentMs = SILENT_MS): AsyncIterable<Uint8Array> {
  const abort = (): void => void stream.destroy(signal.reason as Error)
  const done = (): void => {
    signal.removeEventListener('abort', abort)
    stream.destroy()
  }
  signal.addEventListener('abort', abort, { once: true })
  // Who reads hears of its end; who does not, does not care.
  stream.on('error', () => undefined)
  if (signal.aborted) abort()
  const inner = handOn(stream, part, place, silentMs)
  const next = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
    try {
      const result = await inner.next()
      if (result.done === true) done()
      return result
    } catch (error) {
      done()
      signal.throwIfAborted()
      throw translated(error, place, translate)
    }
  }
  const end = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
    done()
    await inner.return(undefined)
    return { done: true, value: undefined }
  }
  return { [Symbol.asyncIterator]: () => ({ next, return: end }) }
}

async function* handOn(stream: Readable, { skip, take, more }: Part, place: string, silentMs: number): AsyncGenerator<Uint8Array, undefined> {
  const watch = new Watchdog(stream, silentMs)
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>
  const wanted = skip + take
  let came = 0
  while (!more || came < wanted) {
    const { done, value } = await watch.over(chunks.next())
    if (done === true) break
    const begins = Math.max(0, skip - came)
    came += value.length
    if (came > wanted && !more) throw new VarveError('STORAGE_INVALID', `${place} goes on after its ${wanted} bytes`, { hint: 'it is asked for again; if it lasts, the store is at fault' })
    const chunk = value.subarray(begins, value.length - Math.max(0, came - wanted))
    if (chunk.length > 0) yield chunk
  }
  if (came < wanted) throw cut(place, came, wanted)
  return undefined
}

/** Ends a stream that brings nothing to who waits. Only waiting counts: who reads slowly is not silent. */
class Watchdog {
  readonly #stream: Readable
  readonly #silentMs: number
  #waitedMs = 0
  #lately = 0

  constructor(stream: Readable, silentMs: number) {
    this.#stream = stream
    this.#silentMs = silentMs
  }

  async over(next: Promise<IteratorResult<Uint8Array>>): Promise<IteratorResult<Uint8Array>> {
    const from = performance.now()
    const timer = setTimeout(() => this.#stream.destroy(new Stalled(this.#silentMs)), this.#silentMs)
    try {
      const result = await next
      this.#lately += result.done === true ? 0 : result.value.length
      this.#waitedMs += performance.now() - from
      if (this.#waitedMs < this.#silentMs || result.done === true) return result
      if (this.#lately < BYTES_LEAST) throw new Stalled(this.#silentMs)
      this.#waitedMs = 0
      this.#lately = 0
      return result
    } finally {
      clearTimeout(timer)
    }
  }
}

class Stalled extends Error {
  constructor(ms: number) {
    super(`next to nothing came for ${ms / 1_000} s`)
  }
}

function cut(place: string, came: number, wanted: number, cause?: unknown): VarveError {
  return new VarveError('STORAGE_UNAVAILABLE', `${place} broke off${came === wanted ? '' : ` after ${came} of ${wanted} bytes`}`, { cause, hint: 'it is asked for again; check the store and the network if it lasts' })
}

function translated(error: unknown, place: string, translate: (error: unknown) => VarveError): VarveError {
  if (error instanceof Stalled) return new VarveError('STORAGE_UNAVAILABLE', `${place} is silent: ${error.message}`, { cause: error, hint: 'it is asked for again; check the store and the network if it lasts' })
  const { code } = error as NodeJS.ErrnoException
  // How Node calls a body that ends before its time.
  if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE') return cut(place, 0, 0, error)
  return translate(error)
}
