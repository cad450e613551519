import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { VarveError } from '../../model/errors.ts'
import { BYTES_LEAST } from './config.ts'
import type { Bounds } from './config.ts'
import { invalid, Silence, webFailure } from './failures.ts'

// A glance at what flows: enough to see that it does.
const GLANCE_BYTES = 64 * 1024 * 1024
const NOTHING = 'nothing was recorded'

/** What was read of one. */
export interface Body {
  readonly sizeBytes: number
  /** Base64. */
  readonly md5: string
  /** False of a glance that ended before the body did. */
  readonly ended: boolean
}

/**
 * Reads a body to its end in flat memory; answers its length and MD5. Throws STORAGE_UNAVAILABLE when it breaks off or stops coming, STORAGE_INVALID
 * where its end cannot be told from its breaking off, OVERSIZE above `bytesMax`. A `glance` goes on no longer
 * than a silent body is waited for, and reads 64 MiB at the most: what still flows by then is well so far.
 */
export async function digestBody(message: IncomingMessage, place: string, bounds: Bounds, signal: AbortSignal, glance = false): Promise<Body> {
  const { headers } = message
  const told = headers['content-length']
  const oversize = (): VarveError =>
    new VarveError('OVERSIZE', `${place} has more than ${bounds.bytesMax} bytes (http.max_bytes)`, { hint: `raise http.max_bytes, if its body has an end; ${NOTHING}` })
  let sizeBytes = 0
  let lately = 0
  let enough = false
  const timer = setInterval(() => {
    if (lately < BYTES_LEAST) message.destroy(new Silence(bounds.silentMs, lately))
    enough = glance
    lately = 0
  }, bounds.silentMs)
  try {
    if (told === undefined && !/chunked/i.test(headers['transfer-encoding'] ?? ''))
      throw invalid(place, 'is sent without its length, so that its end cannot be told from a broken connection', `let the server send Content-Length; ${NOTHING}`)
    if (Number(told) > bounds.bytesMax) throw oversize()
    const hash = createHash('md5')
    for await (const chunk of message as AsyncIterable<Buffer>) {
      hash.update(chunk)
      sizeBytes += chunk.length
      lately += chunk.length
      if (sizeBytes > bounds.bytesMax) throw oversize()
      enough ||= glance && sizeBytes >= GLANCE_BYTES
      if (enough) break
    }
    return { sizeBytes, md5: hash.digest('base64'), ended: !enough }
  } catch (error) {
    signal.throwIfAborted()
    if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw webFailure(error, place)
    const of = told === undefined ? '' : ` of ${told}`
    throw new VarveError('STORAGE_UNAVAILABLE', `${place} broke off after ${sizeBytes}${of} bytes`, { cause: error, hint: 'it is tried again; check the server and the network if it lasts' })
  } finally {
    clearInterval(timer)
    message.destroy()
  }
}

// The endings of what is served as HTML for what it is. A name without any says nothing, and an error page answers for every name.
const PAGE_NAME = /\.(x?html?|xht|shtml)$/i

/** Refuses what stands in the place of the object: an error or login page with status 200, or bytes that were packed on the way. */
export function checkKind(headers: IncomingHttpHeaders, place: string, name: string, bounds: Bounds): void {
  const type = headers['content-type'] ?? ''
  if (!bounds.html && !PAGE_NAME.test(name) && /^\s*(text\/html|application\/xhtml\+xml)\b/i.test(type))
    throw invalid(place, 'is answered with an HTML page, which its name does not say: an error or a login, perhaps', `open the URL and see; if HTML is what it is, set http.html: true; ${NOTHING}`)
  const { etag = '', 'content-encoding': encoding = 'identity', 'content-length': length } = headers
  // Stored packed it has its own strong ETag and length. What is packed on the way has a weak one (nginx, Cloudflare) or one with a suffix (Apache, Jetty), or no length.
  const onTheWay = /^w\//i.test(etag) || /[-;]{1,2}(gzip|br|zstd|deflate|df)"?$/i.test(etag) || length === undefined
  if (!/^\s*(identity)?\s*$/i.test(encoding) && onTheWay)
    throw invalid(place, `is compressed on the way (${encoding}), although it was asked for as it is`, `switch compression off for it at the server or its cache; ${NOTHING}`)
}
