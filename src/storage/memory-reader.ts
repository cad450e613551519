import { Readable } from 'node:stream'
import type { Content } from '../model/entry.ts'
import { VarveError } from '../model/errors.ts'
import { bytesOf, partOfWhole } from './body.ts'
import type { Bytes, Held, Reader, Wanted } from './storage.ts'

/** One object version; without bytes it is a delete marker. */
export interface Kept {
  readonly bytes?: Buffer
  readonly content?: Content
  readonly fingerprint?: string
  readonly archived?: string
}

/** What a memory shows its readers. */
export interface Shelf {
  /** The object versions of a key, newest first. */
  kept(key: string): readonly Kept[]
  /** Throws when the root is gone. */
  root(signal: AbortSignal): void
  served(key: string, bytes: Uint8Array): Uint8Array
}

// Small, so that bytes come in more than one piece.
const CHUNK_BYTES = 64 * 1024

/** A reader of what lies in a memory. */
export function memoryReader(shelf: Shelf): Reader {
  const closing = new AbortController()
  const versions = (key: string): readonly Held[] => shelf.kept(key).flatMap((kept, at) => (kept.bytes === undefined ? [] : [heldOf(kept, at === 0)]))
  return {
    async *standing(keys, signal) {
      for (const key of keys) {
        shelf.root(signal)
        const held = versions(key).find(({ current }) => current)
        yield held === undefined ? { key } : { key, held }
      }
    },
    versions: async (key, signal) => {
      shelf.root(signal)
      return versions(key)
    },
    open: async (key, wanted, signal) => {
      shelf.root(signal)
      return openAt(shelf, key, wanted, AbortSignal.any([signal, closing.signal]))
    },
    close: async () => closing.abort(new VarveError('STORAGE_UNAVAILABLE', 'the store was closed while it was read')),
  }
}

/** Without a content where only the bytes tell (files). */
function heldOf({ bytes, content, fingerprint, archived }: Kept, current: boolean): Held {
  const sizeBytes = bytes?.length ?? 0
  const shown = content?.etag === undefined ? { ...(fingerprint !== undefined && { fingerprint }) } : { content }
  return { sizeBytes, current, ...shown, ...(archived !== undefined && { archived }) }
}

function openAt(shelf: Shelf, key: string, { pin, etag, range }: Wanted, signal: AbortSignal): Bytes {
  const all = shelf.kept(key)
  const kept = pin === undefined ? all[0] : all.find(({ content }) => content?.pin === pin)
  if (kept?.bytes === undefined) throw new VarveError('NOT_FOUND', `${key} is not there`)
  if (kept.archived !== undefined) throw new VarveError('ARCHIVED', `${key} is archived`)
  if (etag !== undefined && kept.content?.etag !== etag) throw new VarveError('OVERTAKEN', `${key} is not what was planned to be read`)
  const sizeBytes = kept.bytes.length
  const { skip, take } = partOfWhole(sizeBytes, range, key)
  const bytes = shelf.served(key, kept.bytes).subarray(skip, range === undefined ? undefined : range.upTo)
  const chunks = Array.from({ length: Math.ceil(bytes.length / CHUNK_BYTES) }, (_, at) => bytes.slice(at * CHUNK_BYTES, (at + 1) * CHUNK_BYTES))
  const translate = (error: unknown): VarveError => new VarveError('STORAGE_UNAVAILABLE', `${key} broke off`, { cause: error })
  const content = kept.content?.etag === undefined ? {} : { content: kept.content }
  return { sizeBytes, opaque: false, ...content, bytes: bytesOf(Readable.from(chunks), { skip: 0, take, more: false }, key, translate, signal) }
}
