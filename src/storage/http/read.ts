import { VarveError } from '../../model/errors.ts'
import type { Answer, Asker, Condition } from './ask.ts'
import { checkKind, digestBody } from './body.ts'
import type { Body } from './body.ts'
import type { Bounds } from './config.ts'
import { invalid, statusFailure } from './failures.ts'
import { confirms, digestOver, isSame, isSettled, isStrong, isTracked, shownOf } from './shown.ts'
import type { Known, Shown } from './shown.ts'

// A body as short as this was on its way with its head: to its end it costs no request and next to no time.
const SHORT_BYTES = 1_048_576

/** What one web object is looked at with. */
export interface Glass {
  readonly asker: Asker
  /** The URL as it was written. */
  readonly place: string
  /** The path of its entry. */
  readonly name: string
  readonly bounds: Bounds
}

/** An object as it is now; `torn` when it moved while its bytes were read. */
export type Seen = { readonly known: Known } | { readonly torn: { readonly sizeBytes: number } }

// A HEAD that says that nothing moved is believed where a GET said so within the hour: some caches keep what they answer to HEAD for themselves.
const PROVEN_MS = 3_600_000
// Where HEAD was of no use it is asked again a day later: it may have been a bad moment.
const HEAD_AGAIN_MS = 86_400_000

/**
 * Looks at the object, of which `before` is known: at the price of one small request while nothing moved. What moved is never believed of a HEAD; a GET decides,
 * and its body is read only where bytes are to be compared (`content`), where nothing else tells the length, or where it is so short that reading proves the length. Throws LOCATION_MISSING when it is not there,
 * USAGE when no change would ever show.
 */
export async function observe(glass: Glass, before: Known | undefined, nowMs: number, signal: AbortSignal): Promise<Seen> {
  // Where bytes are compared, nothing is trusted that other bytes may have shown as well.
  const trusted = before === undefined || (glass.bounds.content && (before.md5 === undefined || !before.settled)) ? undefined : before
  const proven = trusted !== undefined && nowMs >= trusted.provenMs && nowMs - trusted.provenMs < PROVEN_MS
  const head = proven && nowMs >= trusted.headFromMs ? await askHead(glass, trusted, signal) : undefined
  if (trusted !== undefined && typeof head === 'object') return { known: again(trusted, head) }
  const condition = trusted === undefined || head !== undefined ? undefined : conditionOf(trusted, trusted.settled)
  const seen = await observeByGet(glass, { before, trusted, condition }, nowMs, signal)
  const useless = head === 'refused' || (head === 'moved' && 'known' in seen && seen.same)
  return 'known' in seen && useless ? { known: { ...seen.known, headFromMs: nowMs + HEAD_AGAIN_MS } } : seen
}

/** What a HEAD shows when nothing moved. `moved` is a rumour; what is wrong when it is `refused`, or not answered at all, a GET tells. */
async function askHead(glass: Glass, trusted: Known, signal: AbortSignal): Promise<Shown | 'moved' | 'refused'> {
  let answer: Answer
  try {
    answer = await glass.asker.ask('HEAD', conditionOf(trusted, false), signal)
  } catch {
    signal.throwIfAborted()
    return 'refused'
  }
  const { status, message, answeredBy } = answer
  message.destroy()
  if (status === 304) return confirms(message.headers, trusted) ? trusted : 'moved'
  if (status !== 200) return 'refused'
  const shown = shownOf(message.headers, answeredBy)
  return unmoved(glass, trusted, shown) ? shown : 'moved'
}

/** `same`: nothing moved of what is shown. */
type SeenByGet = { readonly known: Known; readonly same: boolean } | Extract<Seen, { torn: unknown }>

interface Past {
  readonly before: Known | undefined
  readonly trusted: Known | undefined
  readonly condition: Condition | undefined
}

async function observeByGet(glass: Glass, { before, trusted, condition }: Past, nowMs: number, signal: AbortSignal): Promise<SeenByGet> {
  const { asker, place, bounds } = glass
  let answer = await asker.ask('GET', condition, signal)
  if (answer.status === 304 && trusted !== undefined && condition !== undefined) {
    answer.message.destroy()
    if (confirms(answer.message.headers, trusted)) return { known: { ...trusted, provenMs: nowMs }, same: true }
    answer = await asker.ask('GET', undefined, signal)
  }
  try {
    let shown = shownIn(glass, answer)
    if (trusted !== undefined && unmoved(glass, trusted, shown)) return { known: { ...again(trusted, shown), provenMs: nowMs }, same: true }
    if (!bounds.content && !isTracked(shown))
      throw new VarveError('USAGE', `${place} shows neither a strong ETag nor Last-Modified: its changes would not show`, {
        hint: 'set http.checksum: content, to have its bytes read at every look and compared',
      })
    let body: Body | undefined
    if (bounds.content || shown.sizeBytes === undefined) {
      const read = await readWhole(glass, answer, shown, signal)
      if (read.torn) return { torn: { sizeBytes: read.body.sizeBytes } }
      ;({ body, shown } = read)
    } else if (!(await hasLength(glass, answer, shown, signal))) return { torn: { sizeBytes: shown.sizeBytes } }
    const now = { ...shown, sizeBytes: body?.sizeBytes ?? shown.sizeBytes ?? 0 }
    const settled = isSettled(now, answer.message.headers, nowMs) || (!bounds.content && isStrong(now.etag))
    const digest = digestOver(before, now, body?.md5, bounds.content)
    const known = { ...now, digest, settled, headFromMs: before?.headFromMs ?? 0, provenMs: nowMs, ...(body !== undefined && { md5: body.md5 }) }
    return { known, same: false }
  } finally {
    answer.message.destroy()
  }
}

/** What the answer to a GET shows of the object. Throws when it is not the object that was answered. */
function shownIn({ place, name, bounds }: Glass, { status, message, answeredBy }: Answer): Shown {
  if (status !== 200) throw statusFailure(status, place)
  checkKind(message.headers, place, name, bounds)
  return shownOf(message.headers, answeredBy)
}

/**
 * Finds out whether what is new has the length that it shows: a short body is read, of a long one the last byte is asked for. A server that knows no ranges is believed.
 * False when the object moved meanwhile. Throws STORAGE_INVALID or STORAGE_UNAVAILABLE for a length that cannot be right.
 */
async function hasLength({ asker, place, bounds }: Glass, answer: Answer, { etag, sizeBytes = 0 }: Shown, signal: AbortSignal): Promise<boolean> {
  if (sizeBytes <= Math.min(SHORT_BYTES, bounds.bytesMax)) return digestBody(answer.message, place, bounds, signal).then(() => true)
  answer.message.destroy()
  const range = `bytes=${sizeBytes - 1}-${sizeBytes - 1}`
  const { status, message } = await asker.ask('GET', undefined, signal, { range })
  try {
    const told = message.headers['content-range']
    // A server may leave open how much there is in all.
    const last = `bytes ${sizeBytes - 1}-${sizeBytes - 1}/`
    if (status === 206 && (told === `${last}${sizeBytes}` || told === `${last}*`)) return (await digestBody(message, place, bounds, signal)).sizeBytes === 1
    if (status === 206 && message.headers.etag !== etag) return false
    if (status !== 206 && status !== 416) return true
    throw invalid(place, `shows a length of ${sizeBytes} bytes that cannot be right: asked for the last of them it answers ${status}${told === undefined ? '' : ` (${told})`}`, 'the server, or a cache before it, is at fault; nothing was recorded')
  } finally {
    message.destroy()
  }
}

/**
 * Reads the bytes, and asks again what is shown: a file may be written to while it is sent. What moves with every question (a page that is made anew) is read
 * a second time: the same bytes are whole.
 */
async function readWhole(glass: Glass, answer: Answer, shown: Shown, signal: AbortSignal): Promise<{ readonly body: Body; readonly shown: Shown; readonly torn: boolean }> {
  const { asker, place, bounds } = glass
  const body = await digestBody(answer.message, place, bounds, signal)
  if (shown.etag === undefined && shown.modifiedMs === undefined) return { body, shown, torn: false }
  const after = await asker.ask('GET', conditionOf(shown, false), signal)
  try {
    if (after.status === 304) return { body, shown, torn: false }
    const later = shownIn(glass, after)
    if (later.etag === shown.etag && later.modifiedMs === shown.modifiedMs && later.sizeBytes === shown.sizeBytes) return { body, shown, torn: false }
    const second = await digestBody(after.message, place, bounds, signal)
    return { body: second, shown: later, torn: second.md5 !== body.md5 }
  } finally {
    after.message.destroy()
  }
}

/**
 * By what the server may answer that nothing moved. Of a weak ETag it would say so although bytes did. `since`: also by the time, which only a GET wants, since
 * an answer to HEAD is small anyway and shows the length, too.
 */
function conditionOf({ etag, modifiedMs, answeredBy }: Shown, since: boolean): Condition | undefined {
  if (isStrong(etag)) return { answeredBy, headers: { 'if-none-match': etag } }
  if (etag !== undefined || modifiedMs === undefined || !since) return undefined
  return { answeredBy, headers: { 'if-modified-since': new Date(modifiedMs).toUTCString() } }
}

function unmoved({ bounds }: Glass, trusted: Known, shown: Shown): boolean {
  return isSame(trusted, shown) && (!bounds.content || shown.answeredBy === trusted.answeredBy)
}

/** What is known of an object that did not move, and shows itself so now. What it does not show this time is not forgotten. */
function again(before: Known, shown: Shown): Known {
  return { ...before, ...shown, sizeBytes: before.sizeBytes }
}
