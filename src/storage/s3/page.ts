// Pages of listings, read from the XML as it came. The SDK's own parser costs eight times as much, and a page is what a scan consists of.
import { VarveError } from '../../model/errors.ts'

/** One row of a page: an object, one of its versions, or a delete marker. */
export interface PageRow {
  readonly key: string
  /** True where the key's bytes are not UTF-8, or the store could not write them: `key` then shows them as well as it can. */
  readonly garbled: boolean
  /** A delete marker: nothing lies there. */
  readonly marker: boolean
  /** The key's present state, not an older one. */
  readonly latest: boolean
  readonly versionId: string | undefined
  readonly sizeBytes: number
  /** Without quotes; empty for markers. */
  readonly etag: string
  /** As the store writes it: ISO 8601. */
  readonly lastModified: string
  /** Absent where the store does not say. */
  readonly storageClass: string | undefined
  /** A copy of what is archived lies ready for a while; only where it was asked for. */
  readonly restored: boolean
}

/** A page: what it holds, and where the next begins when there is one. */
export interface Page {
  readonly rows: readonly PageRow[]
  readonly truncated: boolean
  /** KeyMarker or ContinuationToken of the next page, exactly as it must be given back. */
  readonly next: string | undefined
  readonly nextVersion: string | undefined
}

type Root = 'ListVersionsResult' | 'ListBucketResult'

const ROWS = new Set(['Contents', 'Version', 'DeleteMarker'])

/** Reads a page of a listing of `bucket`. Throws STORAGE_INVALID for anything but one whole page: one that was cut short, is of another bucket, or another document. */
export function parsePage(xml: string, root: Root, bucket: string): Page {
  const opening = new RegExp(`^\\s*(?:<\\?xml[^>]*\\?>\\s*)?<${root}(?:\\s[^>]*)?>`).exec(xml)
  if (opening === null) throw broken(`it is no ${root}`)
  const rows: string[] = []
  const texts = new Map<string, string>()
  let prefixes = 0
  let at = opening[0].length
  for (;;) {
    const start = xml.indexOf('<', at)
    const stop = xml.indexOf('>', start)
    if (start < 0 || stop < 0) throw broken('it was cut short')
    const tag = xml.slice(start + 1, stop)
    if (tag === `/${root}`) break
    at = stop + 1
    if (tag.endsWith('/')) continue
    const name = /^[^\s]*/.exec(tag)?.[0] as string
    const end = xml.indexOf(`</${name}>`, at)
    if (end < 0) throw broken('it was cut short')
    if (ROWS.has(name)) rows.push(xml.slice(start, end))
    else if (name === 'CommonPrefixes') prefixes++
    else texts.set(name, unescapeXml(xml.slice(at, end)))
    at = end + name.length + 3
  }
  const name = texts.get('Name') || bucket
  // Of an alias of an access point it may be the bucket behind it.
  if (name !== bucket && !bucket.endsWith('-s3alias')) throw broken(`it is of the bucket ${JSON.stringify(name)}, not of ${JSON.stringify(bucket)}`)
  // What is counted and not shown is lost. Stores that count too few lose nothing.
  const counted = Number(texts.get('KeyCount') || 0)
  if (counted > rows.length + prefixes) throw broken(`it counts ${counted} rows and shows ${rows.length}`)
  return assemble(rows, texts, root)
}

function assemble(rows: readonly string[], texts: ReadonlyMap<string, string>, root: Root): Page {
  const encoded = texts.get('EncodingType') === 'url'
  const versions = root === 'ListVersionsResult'
  const truncated = texts.get('IsTruncated')
  if (truncated !== 'true' && truncated !== 'false') throw broken('it does not say whether it is truncated')
  const marker = texts.get(versions ? 'NextKeyMarker' : 'NextContinuationToken') || undefined
  // Behind the last page nothing follows: one of the two is a lie, and rows may be lost by it. An empty marker is none.
  if (truncated === 'false' && marker !== undefined) throw broken('it says that nothing follows, and also where that begins')
  return {
    rows: rows.map((row) => parseRow(row, encoded, versions)),
    truncated: truncated === 'true',
    next: marker !== undefined && versions && encoded ? decodeKey(marker).key : marker,
    nextVersion: texts.get('NextVersionIdMarker') || undefined,
  }
}

function parseRow(row: string, encoded: boolean, versions: boolean): PageRow {
  const marker = row.startsWith('<DeleteMarker')
  const written = field(row, 'Key')
  const lastModified = field(row, 'LastModified')
  const latest = versions ? field(row, 'IsLatest') : 'true'
  if (written === undefined || lastModified === undefined || (latest !== 'true' && latest !== 'false'))
    throw broken(`a row lacks its key, time or state: ${row.slice(0, 300)}`)
  const { key, garbled } = encoded ? decodeKey(written) : { key: written, garbled: written.includes('\ufffd') }
  const etag = marker ? '' : (field(row, 'ETag') ?? '').replaceAll('"', '')
  const size = marker ? '0' : (field(row, 'Size') ?? '')
  if (!/^\d+$/.test(size) || !Number.isSafeInteger(Number(size))) throw broken(`it shows no size for ${JSON.stringify(key)}`)
  if (etag === '' && !marker) throw broken(`it shows no ETag for ${JSON.stringify(key)}`)
  const versionId = field(row, 'VersionId') || undefined
  const storageClass = field(row, 'StorageClass')
  return { key, garbled, marker, latest: latest === 'true', versionId, sizeBytes: Number(size), etag, lastModified, storageClass, restored: row.includes('<RestoreExpiryDate>') }
}

function field(row: string, name: string): string | undefined {
  const start = row.indexOf(`<${name}>`)
  if (start < 0) return undefined
  const from = start + name.length + 2
  const end = row.indexOf(`</${name}>`, from)
  return end < 0 ? undefined : unescapeXml(row.slice(from, end))
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** Replaces the entities that XML knows by what they stand for. */
export function unescapeXml(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&(?:#(\d+|x[0-9a-f]+)|(\w+));/gi, (whole, number: string | undefined, name: string | undefined) => {
    if (number === undefined) return NAMED[name as string] ?? whole
    const code = Number(/^x/i.test(number) ? `0${number}` : number)
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })
}

/** Decodes `EncodingType=url`: `+` is a space, then percent. Bytes that are not UTF-8 stay `%XX`. */
export function decodeKey(text: string): { readonly key: string; readonly garbled: boolean } {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  if (!spaced.includes('%')) return { key: spaced, garbled: false }
  try {
    return { key: decodeURIComponent(spaced), garbled: false }
  } catch {
    const key = spaced.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
      try {
        return decodeURIComponent(run)
      } catch {
        return run
      }
    })
    return { key, garbled: true }
  }
}

function broken(what: string): VarveError {
  return new VarveError('STORAGE_INVALID', `a page of the listing cannot be right: ${what}`, { hint: 'nothing was recorded' })
}
