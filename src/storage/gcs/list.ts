import type { Content, Listed, Skip } from '../../model/entry.ts'
import { VarveError } from '../../model/errors.ts'
import { comparePaths, formatLocation } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import type { Counter } from '../bucket-store.ts'
import type { Span } from '../storage.ts'
import type { Bucket } from './bucket.ts'
import { gcsFailure } from './failures.ts'
import type { ObjectRow, Page } from './page.ts'

// The most that GCS gives. A page is one request that is paid for, whatever it holds.
const PAGE = 5_000
// Pages in a row that bring nothing before the listing counts as endless. GCS answers empty ones where much was deleted.
const IDLE_PAGES = 1_000

/**
 * Lists the prefix of `location`, a span for each page. `counter` goes on from what was asked before. Throws STORAGE_INVALID rather than believe
 * a page that cannot follow the one before.
 */
export async function* listPrefix(bucket: Bucket, location: Location, counter: Counter, signal: AbortSignal): AsyncGenerator<Span> {
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  const fetchPage = async (token: string | undefined): Promise<Page> => {
    try {
      return await bucket.list(location.prefix, token, PAGE, counter, either)
    } catch (error) {
      signal.throwIfAborted()
      throw gcsFailure(error, formatLocation(location), 'storage.objects.list')
    }
  }
  const reader = new PageReader(location)
  try {
    let page = await fetchPage(undefined)
    for (;;) {
      const after = reader.after
      const rows = reader.read(page)
      if (page.next === undefined) {
        const notes = reader.itself === undefined ? [] : [reader.itself]
        yield { ...rows, cover: { after }, end: { requests: counter.requests, notes, lone: [] } }
        return
      }
      reader.goOn(page.next)
      // The next page is on its way while this one is merged.
      const coming = fetchPage(page.next)
      coming.catch(() => undefined)
      if (reader.after !== after) yield { ...rows, cover: { after, upTo: reader.after } }
      page = await coming
    }
  } finally {
    stop.abort()
  }
}

/** Reads page after page, and believes none that does not follow the one before. */
class PageReader {
  /** The last path that was met. */
  after = ''
  /** A note on an object whose key is the prefix itself. */
  itself: string | undefined
  readonly #location: Location
  #met = false
  /** Where pages began since the paths last went on. */
  readonly #tokens = new Set<string>()

  constructor(location: Location) {
    this.#location = location
  }

  /** What a page tells. Throws STORAGE_INVALID when it does not follow. */
  read(page: Page): Pick<Span, 'seen' | 'entries' | 'skipped' | 'settled'> {
    const { prefix } = this.#location
    const before = this.after
    const entries: Listed[] = []
    const skipped: Skip[] = []
    for (const row of page.rows) {
      if (!row.key.startsWith(prefix)) throw wrong(`${JSON.stringify(row.key)} does not lie under ${JSON.stringify(prefix)}`)
      const path = row.key.slice(prefix.length)
      if (this.#met && comparePaths(path, this.after) <= 0)
        throw wrong(`it is out of order: ${JSON.stringify(row.key)} comes after ${JSON.stringify(prefix + this.after)}`)
      this.#met = true
      this.after = path
      if (path === '') this.itself = row.sizeBytes === 0 ? undefined : `the object ${row.key} itself (${row.sizeBytes} bytes) has no name below the prefix: it is no entry`
      else if (isFolderMarker(path, row.sizeBytes)) skipped.push({ path, reason: 'folder-marker' })
      else entries.push(listedOf(row, path))
    }
    if (this.after !== before) this.#tokens.clear()
    return { seen: entries.length + skipped.length, entries: () => entries, skipped, settled: true }
  }

  /** Throws STORAGE_INVALID for a listing that goes in circles or has no end. */
  goOn(token: string): void {
    if (this.#tokens.has(token)) throw wrong('it goes in circles')
    if (this.#tokens.size >= IDLE_PAGES) throw wrong(`${IDLE_PAGES} pages in a row brought nothing new`)
    this.#tokens.add(token)
  }
}

/** An object as the look takes it: its content is told by every answer, so that nothing is ever inspected. */
export function listedOf(row: ObjectRow, path: string): Listed {
  const { etag, generation, sizeBytes, md5, crc32c } = row
  // MD5 first: it decides where both sides carry it.
  const checksums = { ...(md5 === undefined ? {} : { md5 }), ...(crc32c === undefined ? {} : { crc32c }) }
  const identity = md5 !== undefined ? `md5:${md5}` : crc32c !== undefined ? `crc32c:${crc32c}` : `generation:${generation}`
  const content: Content = {
    digest: `etag:${etag}`, identity, etag, pin: `generation:${generation}`, ...(md5 === undefined && crc32c === undefined ? {} : { checksums }),
  }
  return { path, sizeBytes, fingerprint: `${generation} ${etag}`, content }
}

/** Consoles make folders of zero-byte keys that end in a slash; one with bytes in it is an object. */
export function isFolderMarker(path: string, sizeBytes: number): boolean {
  return sizeBytes === 0 && path.endsWith('/')
}

function wrong(what: string): VarveError {
  const hint = 'nothing was recorded; it is tried again. If it lasts, the store is at fault'
  return new VarveError('STORAGE_INVALID', `the listing cannot be right: ${what}`, { hint })
}
