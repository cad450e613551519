import { VarveError } from '../../model/errors.ts'
import { formatLocation, loneName } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import type { Content } from '../../model/entry.ts'
import type { HttpAccess } from '../../model/watch.ts'
import { bytesOf, partOfWhole, rangeHeader, shownRange } from '../body.ts'
import type { Bytes, Held, Reader, Standing, Wanted } from '../storage.ts'
import { Asker } from './ask.ts'
import type { Answer } from './ask.ts'
import { checkKind, digestBody } from './body.ts'
import { boundsOf } from './config.ts'
import type { Bounds } from './config.ts'
import { openFailure, webFailure } from './failures.ts'
import { digestOver, isStrong, listedOf, shownOf, tagOf } from './shown.ts'

/** Opens the bytes of one object of a web server: its key is path and query as they were written. It has no pins; asks nothing yet. */
export async function openHttpReader(location: Location, access: HttpAccess, over: Partial<Bounds> = {}): Promise<Reader> {
  return new HttpReader(location, { ...boundsOf(access), ...over })
}

class HttpReader implements Reader {
  readonly #location: Location
  readonly #place: string
  readonly #bounds: Bounds
  readonly #asker: Asker
  readonly #closing = new AbortController()

  constructor(location: Location, bounds: Bounds) {
    this.#location = location
    this.#place = formatLocation(location)
    this.#bounds = bounds
    this.#asker = new Asker(this.#place, bounds)
  }

  async *standing(keys: readonly string[], signal: AbortSignal): AsyncGenerator<Standing> {
    for (const key of keys) {
      const [held] = await this.versions(key, signal)
      yield held === undefined ? { key } : { key, held }
    }
  }

  async versions(key: string, signal: AbortSignal): Promise<readonly Held[]> {
    if (key !== this.#location.object) return []
    const either = AbortSignal.any([signal, this.#closing.signal])
    // What a HEAD tells is not always what a GET brings.
    const answer = await this.#asker.ask('GET', undefined, either)
    try {
      if (answer.status === 404 || answer.status === 410) return []
      const sizeBytes = await this.#sizeOf(answer, either)
      return [{ sizeBytes, content: contentOf(answer, sizeBytes), current: true }]
    } finally {
      answer.message.destroy()
    }
  }

  async open(key: string, { etag, range }: Wanted, signal: AbortSignal): Promise<Bytes> {
    const place = this.#place
    if (key !== this.#location.object) throw new VarveError('NOT_FOUND', `${place} is the only object that is read here`)
    const either = AbortSignal.any([signal, this.#closing.signal])
    // A weak ETag is no condition for bytes.
    const strong = etag === undefined || /^w\//i.test(etag) ? undefined : `"${etag}"`
    const ranged = range === undefined || range.from >= range.upTo ? {} : { range: rangeHeader(range), ...(strong !== undefined && { 'if-range': strong }) }
    const ask = (): Promise<Answer> => this.#asker.ask('GET', undefined, either, { ...ranged, ...(strong !== undefined && { 'if-match': strong }) })
    let answer = await ask()
    try {
      this.#check(answer, etag)
      const shown = shownRange(answer.message.headers['content-range'], range, place)
      let sizeBytes = shown?.sizeBytes
      if (sizeBytes === undefined) {
        const told = shownOf(answer.message.headers, '').sizeBytes
        sizeBytes = told ?? (await this.#sizeOf(answer, either))
        // Where only reading tells the length, it is read once for that.
        if (told === undefined) answer = await ask()
        if (told === undefined) this.#check(answer, etag)
      }
      const part = shown?.part ?? partOfWhole(sizeBytes, range, place)
      const bytes = bytesOf(answer.message, part, place, (error) => webFailure(error, place), either, this.#bounds.silentMs)
      return { sizeBytes, content: contentOf(answer, sizeBytes), opaque: false, bytes }
    } catch (error) {
      answer.message.destroy()
      throw error
    }
  }

  async close(): Promise<void> {
    // Each request has a connection of its own, which ends with it.
    this.#closing.abort(new VarveError('STORAGE_UNAVAILABLE', 'the store was closed while it was read'))
  }

  /** Throws when the answer does not bear the bytes of the object that is wanted. */
  #check({ status, message }: Answer, etag: string | undefined): void {
    if (status !== 200 && status !== 206) throw openFailure(status, this.#place)
    checkKind(message.headers, this.#place, loneName(this.#location), this.#bounds)
    // Servers that know no conditions answer whatever stands there.
    if (etag !== undefined && tagOf(message.headers.etag ?? '') !== tagOf(etag))
      throw new VarveError('OVERTAKEN', `${this.#place} is not what was planned to be read: its ETag is ${message.headers.etag ?? 'not shown'}`)
  }

  async #sizeOf(answer: Answer, signal: AbortSignal): Promise<number> {
    this.#check(answer, undefined)
    const told = shownOf(answer.message.headers, answer.answeredBy).sizeBytes
    return told ?? (await digestBody(answer.message, this.#place, this.#bounds, signal)).sizeBytes
  }
}

function contentOf({ message, answeredBy }: Answer, sizeBytes: number): Content {
  const shown = { ...shownOf(message.headers, answeredBy), sizeBytes }
  const known = { ...shown, digest: digestOver(undefined, shown, undefined, false), settled: isStrong(shown.etag), headFromMs: 0, provenMs: 0 }
  return listedOf('', known).content as Content
}
