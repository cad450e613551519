// What `varve doctor` asks of a web object: of its bytes none is read, unless a look reads them.
import type { IncomingHttpHeaders } from 'node:http'
import { isFailure } from '../../model/errors.ts'
import { formatLocation, loneName } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import { degraded, fails, works } from '../../model/probe.ts'
import type { Diagnosis } from '../../model/probe.ts'
import type { Watch } from '../../model/watch.ts'
import { actionOf, within } from '../probe.ts'
import type { Means } from '../probe.ts'
import { Asker } from './ask.ts'
import type { Answer } from './ask.ts'
import { checkKind, digestBody } from './body.ts'
import { boundsOf } from './config.ts'
import type { Bounds } from './config.ts'
import { statusFailure, webFailure } from './failures.ts'
import { isSame, isStrong, isTracked, shownOf } from './shown.ts'
import type { Known, Shown } from './shown.ts'

/** Asks whether the object can be read, by how much its changes show, and at what price. Never throws but for `signal`. */
export async function probeWeb(watch: Watch, location: Location, means: Means, signal: AbortSignal, over: Partial<Bounds> = {}): Promise<readonly Diagnosis[]> {
  const place = formatLocation(location)
  const bounds = { ...boundsOf(watch.http), ...over }
  const asker = new Asker(place, bounds)
  const ask = async (method: 'HEAD' | 'GET'): Promise<Answer> => {
    const answer = await within(means, signal, (late) => asker.ask(method, undefined, late))
    answer.message.destroy()
    return answer
  }
  try {
    const { status, message: { headers }, answeredBy } = await ask('GET')
    if (status !== 200) throw statusFailure(status, place)
    checkKind(headers, place, loneName(location), bounds)
    const shown = shownOf(headers, answeredBy)
    const tooLarge = sizing(headers, bounds)
    const bytes = needsBody(shown, bounds)
    const read = bytes && tooLarge.length === 0 ? await reading(asker, place, bounds, signal) : works('read', `the head of its answer only${bytes ? '' : ': a look reads no more of it than proves its length'}`)
    return [read, tracking(shown, bounds, watch), ...tooLarge, await heading(ask, shown, signal)]
  } catch (error) {
    signal.throwIfAborted()
    const failure = webFailure(error, place)
    return [fails('read', { reason: failure.message, action: actionOf(failure) })]
  }
}

/** True where a look reads the bytes: to compare them, or since nothing else tells the length. */
function needsBody(shown: Shown, { content }: Bounds): boolean {
  return content || (isTracked(shown) && shown.sizeBytes === undefined)
}

/** Reads the body as a look does, for a while. It has bounds of its own, and takes as long as one needs that is as good as silent. Throws what a look throws. */
async function reading(asker: Asker, place: string, bounds: Bounds, signal: AbortSignal): Promise<Diagnosis> {
  const { status, message } = await asker.ask('GET', undefined, signal)
  try {
    if (status !== 200) throw statusFailure(status, place)
    const { sizeBytes, ended } = await digestBody(message, place, bounds, signal, true)
    if (ended) return works('read', `${sizeBytes} bytes, to their end`)
    const told = message.headers['content-length']
    const soFar = `${sizeBytes}${told === undefined ? '' : ` of ${told}`} bytes were read`
    if (told !== undefined) return works('read', `${soFar}; the rest was not read`)
    return degraded('read', { reason: `${soFar}, and no end of them is told: a look gives up after ${bounds.bytesMax} (http.max_bytes)`, action: 'see that its body has an end, or let the server send Content-Length' })
  } finally {
    message.destroy()
  }
}

function tracking({ etag, modifiedMs }: Shown, { content }: Bounds, { pollMs }: Watch): Diagnosis {
  if (isStrong(etag)) return works('track', content ? 'by its bytes, read when its ETag moves' : 'by its ETag')
  if (content && modifiedMs !== undefined) return works('track', 'by its bytes, read when Last-Modified or length move')
  if (content) return degraded('track', { reason: `the server shows neither a strong ETag nor Last-Modified: the whole is read every ${pollMs / 1_000} s`, action: 'let the server show an ETag' })
  if (modifiedMs === undefined)
    return fails('track', { reason: 'the server shows neither a strong ETag nor Last-Modified: its changes would not show', action: 'set http.checksum: content, to have its bytes read at every look and compared' })
  return degraded('track', {
    reason: 'by Last-Modified and length alone: a second change in the same second, of the same length, does not show', action: 'let the server show a strong ETag, or set http.checksum: content',
  })
}

function sizing(headers: IncomingHttpHeaders, { content, bytesMax }: Bounds): Diagnosis[] {
  const sizeBytes = Number(headers['content-length'])
  if (!content || !(sizeBytes > bytesMax)) return []
  return [fails('size', { reason: `it has ${sizeBytes} bytes, more than ${bytesMax} (http.max_bytes)`, action: 'raise http.max_bytes' })]
}

/** A HEAD that tells what GET tells is all that is asked while nothing moves. */
async function heading(ask: (method: 'HEAD') => Promise<Answer>, shown: Shown, signal: AbortSignal): Promise<Diagnosis> {
  try {
    const { status, message, answeredBy } = await ask('HEAD')
    const known: Known = { ...shown, sizeBytes: shown.sizeBytes ?? 0, digest: '', settled: true, headFromMs: 0, provenMs: 0 }
    if (status === 200 && isSame(known, shownOf(message.headers, answeredBy))) return works('head')
    return degraded('head', { reason: `HEAD is answered ${status === 200 ? 'otherwise than GET' : String(status)}: a GET is asked at each look` })
  } catch (error) {
    signal.throwIfAborted()
    return degraded('head', { reason: `HEAD is not answered${isFailure(error) ? ` (${error.message})` : ''}: a GET is asked at each look` })
  }
}
