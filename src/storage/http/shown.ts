// What a server shows of an object, and what of it can be believed.
import type { IncomingHttpHeaders } from 'node:http'
import type { Listed } from '../../model/entry.ts'

/** What one answer shows. */
export interface Shown {
  /** As it was sent: `"abc"`, `W/"abc"`. */
  readonly etag?: string
  readonly modifiedMs?: number
  /** Absent where the server does not say: its length is only known by reading. */
  readonly sizeBytes?: number
  readonly answeredBy: string
}

/** An object as a look left it; kept between looks as the store's memo. */
export interface Known extends Shown {
  readonly sizeBytes: number
  readonly digest: string
  /** Of the bytes, base64; absent where they were not read. */
  readonly md5?: string
  /** False where the bytes were read so soon after Last-Modified that another change may show the same time, and the same ETag where that is made of it. */
  readonly settled: boolean
  /** When a HEAD may be asked, wall time: put off where one was refused, or told otherwise than GET. */
  readonly headFromMs: number
  /** When a GET last said what is known, wall time. */
  readonly provenMs: number
}

// Last-Modified counts seconds, and the clock that it is of may be another than that of Date: RFC 7232 §2.2.2 takes a minute for sure.
const SETTLED_MS = 60_000

/** Reads the validators of an answer. */
export function shownOf(headers: IncomingHttpHeaders, answeredBy: string): Shown {
  const { etag = '' } = headers
  const modifiedMs = Date.parse(headers['last-modified'] ?? '')
  const length = headers['content-length'] ?? ''
  return {
    answeredBy,
    ...(tagOf(etag) !== '' && { etag }),
    ...(!Number.isNaN(modifiedMs) && { modifiedMs }),
    ...(/^\d{1,15}$/.test(length) && { sizeBytes: Number(length) }),
  }
}

/** True when a change from now on shows another Last-Modified: the shown one is old enough. */
export function isSettled({ modifiedMs }: Shown, headers: IncomingHttpHeaders, nowMs: number): boolean {
  const date = Date.parse(headers.date ?? '')
  return modifiedMs === undefined || (Number.isNaN(date) ? nowMs : date) - modifiedMs >= SETTLED_MS
}

function isWeak(etag: string): boolean {
  return /^w\//i.test(etag)
}

/** True for an ETag that is never the same for other bytes, as the standard has it. */
export function isStrong(etag: string | undefined): etag is string {
  return etag !== undefined && !isWeak(etag)
}

/** Without W/ and quotes. */
export function tagOf(etag: string): string {
  return strip(etag.replace(/^w\//i, ''))
}

/** Quotes off both ends, and nothing else: what the stock wandb client compares, `W/"abc` of a weak one. */
function strip(etag: string): string {
  return etag.replace(/^"+|"+$/g, '')
}

/** True where changes show: a strong ETag promises other bytes another one, and where there is none Last-Modified and length must do. */
export function isTracked({ etag, modifiedMs }: Shown): boolean {
  return isStrong(etag) || modifiedMs !== undefined
}

/**
 * The same object as before, as far as the server shows: two strong ETags decide alone. A weak one promises nothing of the bytes, but when it moves something
 * did: so without two strong ones Last-Modified and length must be equal, and no tag may speak against it. Apache calls the ETag of a young file weak, proxies
 * that of a file which they compress for others: a tag that only became weak or strong, came or went, is no change.
 */
export function isSame(before: Known, now: Shown): boolean {
  if (now.sizeBytes !== undefined && now.sizeBytes !== before.sizeBytes) return false
  const tagged = before.etag !== undefined && now.etag !== undefined
  const agree = !tagged || tagOf(before.etag) === tagOf(now.etag)
  if (isStrong(before.etag) && isStrong(now.etag)) return agree
  return agree && now.modifiedMs !== undefined && now.modifiedMs === before.modifiedMs && (now.sizeBytes !== undefined || before.settled)
}

/** What a 304 that `headers` came with confirms: what was asked by If-Modified-Since many servers answer for anything older, too, so the time must be shown. */
export function confirms(headers: IncomingHttpHeaders, before: Known): boolean {
  const now = shownOf(headers, before.answeredBy)
  if (now.etag !== undefined && before.etag !== undefined && tagOf(now.etag) !== tagOf(before.etag)) return false
  return isStrong(before.etag) || (now.modifiedMs !== undefined && now.modifiedMs === before.modifiedMs)
}

/**
 * The digest of an object of which `now` is shown, and `md5` where its bytes were read. The digest of before stays where the object is the same and no MD5 that
 * both have says so: then it alone lets the rows compare equal. Where other bytes show what was shown before, that has lied, and their MD5 stands for them.
 */
export function digestOver(before: Known | undefined, now: Shown & { readonly sizeBytes: number }, md5: string | undefined, content: boolean): string {
  const own = ownDigest(now, content ? md5 : undefined)
  if (before === undefined) return own
  if (md5 === undefined || before.md5 === undefined) return isSame(before, now) ? before.digest : own
  return md5 !== before.md5 && own === before.digest ? `md5:${md5}` : own
}

/** By strong ETag, else by the bytes, else by Last-Modified and whatever a weak ETag adds to its seconds; the length is always part of what is compared. */
function ownDigest({ etag, modifiedMs }: Shown, md5: string | undefined): string {
  if (isStrong(etag)) return `etag:${strip(etag)}`
  if (md5 !== undefined) return `md5:${md5}`
  return `modified:${new Date(modifiedMs ?? 0).toISOString()}${etag === undefined ? '' : ` ${strip(etag)}`}`
}

/** The entry of an object. It has no fingerprint while other bytes may come to show the same. */
export function listedOf(path: string, { sizeBytes, digest, etag, modifiedMs, md5, settled }: Known): Listed {
  const content = { digest, ...(etag !== undefined && { etag: strip(etag) }), ...(md5 !== undefined && { checksums: { md5 } }) }
  if (md5 !== undefined && !settled) return { path, sizeBytes, content }
  // With the MD5: a row that does not know it must learn it, though nothing moved.
  return { path, sizeBytes, content, fingerprint: `${sizeBytes} ${modifiedMs ?? ''} ${etag ?? ''} ${md5 ?? ''}` }
}

/** The memo that an earlier look left; undefined for one of another object, or of a Varve that wrote it otherwise. */
export function readMemo(memo: string | undefined, place: string): Known | undefined {
  if (memo === undefined) return undefined
  try {
    const { format, of, known } = JSON.parse(memo) as { format?: number; of?: string; known?: Known }
    return format === FORMAT && of === place ? known : undefined
  } catch {
    return undefined
  }
}

export function writeMemo(known: Known, place: string): string {
  return JSON.stringify({ format: FORMAT, of: place, known })
}

const FORMAT = 1
