import type { Content, Listed, Skip } from '../../model/entry.ts'
import { VarveError } from '../../model/errors.ts'
import { comparePaths, formatLocation } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import type { Counter } from '../bucket-store.ts'
import type { Span } from '../storage.ts'
import type { Bucket, Cursor } from './bucket.ts'
import { awsFailure, isRefused } from './failures.ts'
import type { Page, PageRow } from './page.ts'

/** The memo of a bucket whose old versions far outnumber the current ones: it is listed without them from then on. */
export const CURRENT_ONLY = 'v2-pinned'
// Above four old rows per current one a listing of versions costs more than five times the requests; a HEAD per changed key is cheaper then.
const OLD_PER_CURRENT = 4
// Pages in a row that bring nothing new before the listing counts as endless. Stores do answer empty pages, but not a hundred of them.
const IDLE_PAGES = 100
const UNPINNED = 'entries are without pins, and overwritten objects cannot be restored'

/** How pages are read: with versions and pins, or the current objects alone, then with or without content. */
type Mode = 'versions' | 'current' | 'current-unpinned'

/**
 * Lists the prefix of `location`, a span for each page. Pins come from the listing of versions; where that is refused the objects are listed
 * unpinned, with a note. `counter` goes on from what was asked before. Throws STORAGE_INVALID rather than believe a page that cannot be right.
 */
export async function* listPrefix(
  bucket: Bucket, location: Location, memo: string | undefined, counter: Counter, signal: AbortSignal,
): AsyncGenerator<Span> {
  const { prefix } = location
  const place = formatLocation(location)
  const notes: string[] = []
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  let mode: Mode = memo === CURRENT_ONLY ? 'current' : 'versions'
  const fetchPage = async (cursor: Cursor): Promise<Page> => {
    try {
      return await (mode === 'versions' ? bucket.versions(prefix, cursor, counter, either) : bucket.objects(prefix, cursor, counter, either))
    } catch (error) {
      signal.throwIfAborted()
      if (mode !== 'versions') throw awsFailure(error, place, 's3:ListBucket')
      if (cursor.next !== undefined || !isRefused(error)) throw awsFailure(error, place, 's3:ListBucketVersions')
      mode = 'current-unpinned'
      notes.push(`versions of ${place} could not be listed (s3:ListBucketVersions is not allowed, or not offered): ${UNPINNED}`)
      return fetchPage(cursor)
    }
  }
  const reader = new PageReader(prefix)
  let carried: readonly PageRow[] = []
  try {
    let page = await fetchPage({})
    for (;;) {
      const after = reader.after
      const rows = [...carried, ...reader.read(page)]
      const cursor = reader.cursor(page)
      if (cursor === undefined) {
        if (reader.itself !== undefined) notes.push(reader.itself)
        const memoNow = memo === CURRENT_ONLY || reader.crowded ? { memo: CURRENT_ONLY } : {}
        yield { ...spanOf(rows, { after }, mode, location), end: { requests: counter.requests, notes, lone: [], ...memoNow } }
        return
      }
      // The next page is on its way while this one is merged.
      const coming = fetchPage(cursor)
      coming.catch(() => undefined)
      const advanced = reader.after !== after
      if (advanced) yield spanOf(rows, { after, upTo: reader.after }, mode, location)
      carried = advanced ? [] : rows
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
  crowded = false
  /** A note on an object whose key is the prefix itself. */
  itself: string | undefined
  readonly #prefix: string
  /** Rows of the last page that brought any, by key and version: a store may repeat them. */
  #edge: ReadonlySet<string> = new Set()
  /** Where pages began since the paths last went on. */
  readonly #cursors = new Set<string>()
  #idlePages = 0

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  /** The rows that tell something new. Throws STORAGE_INVALID when they do not follow those of the page before. */
  read(page: Page): PageRow[] {
    const fresh = page.rows.filter((row) => !this.#edge.has(identify(row)))
    this.#idlePages = fresh.length > 0 ? 0 : this.#idlePages + 1
    if (fresh.length > 0) this.#edge = new Set(page.rows.map(identify))
    const current = fresh.filter((row) => row.latest && !row.marker).length
    if (fresh.length - current > OLD_PER_CURRENT * current) this.crowded = true
    return this.#ordered(fresh)
  }

  #ordered(fresh: readonly PageRow[]): PageRow[] {
    const before = this.after
    const rows: PageRow[] = []
    // Some stores write the delete markers of a page apart from its versions: each ascends for itself.
    let object = before
    let marker = before
    const present = new Set<string>()
    for (const row of fresh) {
      if (!row.key.startsWith(this.#prefix)) throw wrong(`${JSON.stringify(row.key)} does not lie under ${JSON.stringify(this.#prefix)}`)
      const path = row.key.slice(this.#prefix.length)
      const last = row.marker ? marker : object
      const order = comparePaths(path, last)
      if (order < 0 && !row.garbled) throw wrong(`it is out of order: ${JSON.stringify(row.key)} comes after ${JSON.stringify(this.#prefix + last)}`)
      if (row.latest && !row.garbled) {
        if (present.has(path)) throw wrong(`it shows two present states of ${JSON.stringify(row.key)}`)
        present.add(path)
      }
      // Older versions of a key whose present state the page before has told.
      if (path === before && before !== '') continue
      if (path === '' && row.latest && row.sizeBytes > 0)
        this.itself = `the object ${row.key} itself (${row.sizeBytes} bytes) has no name below the prefix: it is no entry`
      rows.push(row)
      if (row.garbled) continue
      if (row.marker) marker = path
      else object = path
    }
    this.after = comparePaths(object, marker) < 0 ? marker : object
    if (this.after !== before) this.#cursors.clear()
    return rows
  }

  /** Where the page after `page` begins; undefined behind the last. Throws STORAGE_INVALID for a listing that goes in circles or has no end. */
  cursor(page: Page): Cursor | undefined {
    if (!page.truncated) return undefined
    const { next, nextVersion } = page
    if (next === undefined) throw wrong('it says that more follows, but not where')
    if (this.#idlePages > IDLE_PAGES) throw wrong(`${IDLE_PAGES} pages in a row brought nothing new`)
    const cursor = JSON.stringify([next, nextVersion])
    if (this.#cursors.has(cursor)) throw wrong('it goes in circles')
    this.#cursors.add(cursor)
    return { next, ...(nextVersion === undefined ? {} : { nextVersion }) }
  }
}

function identify(row: PageRow): string {
  return `${row.versionId ?? ''} ${row.key}`
}

function spanOf(rows: readonly PageRow[], cover: { readonly after: string; readonly upTo?: string }, mode: Mode, location: Location): Span {
  const entries: Listed[] = []
  const skipped: Skip[] = []
  let last: string | undefined
  for (const row of rows) {
    const path = row.key.slice(location.prefix.length)
    if (!row.latest || row.marker || path === '' || path === last) continue
    last = path
    if (row.garbled) skipped.push({ path, reason: 'not-utf8' })
    else if (isFolderMarker(path, row.sizeBytes)) skipped.push({ path, reason: 'folder-marker' })
    else entries.push(listedOf(row, path, mode))
  }
  return { cover, seen: entries.length + skipped.length, entries: () => entries, skipped, settled: true }
}

function listedOf(row: PageRow, path: string, mode: Mode): Listed {
  const { sizeBytes, etag, versionId } = row
  const listed = { path, sizeBytes, fingerprint: fingerprintOf(row.lastModified, etag) }
  if (mode === 'current') return listed
  const content: Content = { digest: `etag:${etag}`, etag, ...pinOf(versionId) }
  return { ...listed, content }
}

/** Consoles make folders of zero-byte keys that end in a slash; one with bytes in it is an object. */
export function isFolderMarker(path: string, sizeBytes: number): boolean {
  return sizeBytes === 0 && path.endsWith('/')
}

/** `null` is the version of what was written without versioning: it can be overwritten, so it pins nothing. */
export function pinOf(versionId: string | undefined): { readonly pin?: string } {
  return versionId === undefined || versionId === 'null' ? {} : { pin: `versionId:${versionId}` }
}

const ISO_UTC = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z$/

/** The same text from a listing as from a HEAD, which tells whole seconds only. */
export function fingerprintOf(lastModified: string, etag: string): string {
  const second = ISO_UTC.exec(lastModified)?.[1] ?? new Date(lastModified).toISOString().slice(0, 19)
  return `${second} ${etag}`
}

function wrong(what: string): VarveError {
  const hint = 'nothing was recorded. If it lasts, the store is at fault'
  return new VarveError('STORAGE_INVALID', `the listing cannot be right: ${what}`, { hint })
}
