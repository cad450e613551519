import { lookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import type { HttpAccess } from '../../model/watch.ts'

/** How far to go with one web object. */
export interface Bounds {
  readonly allowPrivate: boolean
  /** Whether the bytes are read and digested when what the server shows has moved, and HTML is taken whatever the name says. */
  readonly content: boolean
  readonly html: boolean
  /** A body with more bytes than this is not read to its end. */
  readonly bytesMax: number
  /** How long an answer may take to begin, and the stretch in which a body must bring `BYTES_LEAST`. */
  readonly silentMs: number
  readonly lookup: LookupFunction
}

/** Of `max_bytes`: a body without an end is given up after two minutes at 100 MB/s, and few files are larger. */
export const BYTES_MAX = 10_000_000_000
// As with S3: what says nothing for so long is dead.
const SILENT_MS = 30_000
/** In each stretch of silence that is allowed: below 33 bytes a second nothing of use is coming, and it may never end. */
export const BYTES_LEAST = 1_000

/** The bounds that the watch and the machine give. */
export function boundsOf(access: HttpAccess): Bounds {
  return {
    allowPrivate: access.allowPrivate ?? false,
    content: access.checksum === 'content',
    html: access.html ?? false,
    bytesMax: access.bytesMax ?? BYTES_MAX,
    silentMs: SILENT_MS,
    lookup,
  }
}
