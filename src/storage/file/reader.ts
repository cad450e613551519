import { constants } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { VarveError } from '../../model/errors.ts'
import { formatReference } from '../../model/location.ts'
import type { Bytes, Held, Reader, Standing, Wanted } from '../storage.ts'
import { FIELDS, kindOfStat, listedOf, OUTCOMES, racyFromNs } from './block.ts'
import { closed, fileFailure, noFile, pieceFailure } from './failures.ts'
import type { FarHands, Hands } from './hands.ts'
import { mountWords, Shores } from './mounts.ts'
import type { Mount } from './mounts.ts'
import { handsIn, PATIENCE } from './outpost.ts'
import type { Patience } from './outpost.ts'
import type { Piece, Read } from './pack.ts'
import { Pool } from './pool.ts'
import { GUARD_MS, unlessAborted } from './store.ts'

const WORKERS_MOST = 2
// Some 5 ms of work at 10 µs each.
const PATHS_PER_TASK = 512
// Larger reads are split by the kernel anyway.
const CHUNK_BYTES = 256 * 1024
// Of a far file: beside it the four calls that open and close it anew for each piece do not count.
const PIECE_BYTES = 1024 * 1024
// A FIFO that took the file's place a moment ago must not hang us.
const READING = constants.O_RDONLY | constants.O_NONBLOCK

/** Opens the files of this machine, by absolute path. Asks no file system yet. */
export async function openFileReader(patience: Patience = PATIENCE): Promise<Reader> {
  return new FileReader(patience)
}

class FileReader implements Reader {
  readonly #patience: Patience
  readonly #pool: Pool
  readonly #far = new Map<string, FarHands>()
  readonly #closing = new AbortController()
  readonly #shores = new Shores()

  constructor(patience: Patience) {
    this.#patience = patience
    this.#pool = new Pool(Math.min(WORKERS_MOST, availableParallelism()), patience)
  }

  async *standing(keys: readonly string[], signal: AbortSignal): AsyncGenerator<Standing> {
    let at = 0
    const next = (): Promise<readonly Standing[]> | undefined => {
      const batch = keys.slice(at, (at += PATHS_PER_TASK))
      return batch.length === 0 ? undefined : this.#standing(batch, signal)
    }
    // In their order, and one batch on its way while another is taken.
    for (let going = next(), coming = next(); going !== undefined; going = coming, coming = next()) {
      coming?.catch(() => undefined)
      yield* await going
    }
  }

  async versions(key: string, signal: AbortSignal): Promise<readonly Held[]> {
    const [standing] = await this.#standing([key], signal)
    if (standing?.failed !== undefined) throw standing.failed
    return standing?.held === undefined ? [] : [standing.held]
  }

  async open(key: string, { range }: Wanted, signal: AbortSignal): Promise<Bytes> {
    const either = AbortSignal.any([signal, this.#closing.signal])
    either.throwIfAborted()
    const place = formatReference({ scheme: 'file', bucket: '', prefix: '/' }, key)
    if (key.includes('\0')) throw noFile(place)
    const far = this.#shores.farOf(key)
    const file = far === undefined ? await openNear(key) : await this.#openFar(far, key, range, either)
    const { from, upTo } = range ?? { from: 0, upTo: file.size }
    if (upTo > file.size) {
      await file.close()
      throw new VarveError('OVERTAKEN', `${place} is not what was planned to be read: it has ${file.size} bytes, and those from ${from} to ${upTo} were wanted`)
    }
    return { sizeBytes: file.size, opaque: false, bytes: bytesOf(file, from, upTo, place, either) }
  }

  async close(): Promise<void> {
    this.#closing.abort(closed())
    await Promise.all([this.#pool.close(), ...[...this.#far.values()].map((hands) => hands.close())])
  }

  /** What stands at some paths, in their order. Where a mount hangs, its own paths fail. */
  async #standing(paths: readonly string[], signal: AbortSignal): Promise<readonly Standing[]> {
    const answers = new Map<string, Standing>()
    const groups = Map.groupBy(paths.filter((path) => !path.includes('\0')), (path) => this.#shores.farOf(path))
    await Promise.all([...groups].map(async ([far, own]) => {
      const hands = far === undefined ? this.#pool : this.#handsIn(far)
      const racyFrom = racyFromNs(Date.now(), GUARD_MS)
      try {
        const read = await unlessAborted(hands.stand({ kind: 'stand', paths: own.join('\0') }), signal)
        for (const [index, key] of own.entries()) answers.set(key, await standingOf(key, read, index, racyFrom, hands))
      } catch (error) {
        signal.throwIfAborted()
        this.#closing.signal.throwIfAborted()
        for (const key of own) answers.set(key, { key, failed: fileFailure(error, key) })
      }
    }))
    return paths.map((key) => answers.get(key) ?? { key })
  }

  async #openFar(mount: Mount, path: string, range: Wanted['range'], signal: AbortSignal): Promise<Opened> {
    const hands = this.#handsIn(mount)
    const from = range?.from ?? 0
    const piece = (at: number, length: number): Promise<Piece> => unlessAborted(hands.piece({ kind: 'piece', path, from: at, length }), signal)
    const first = await piece(from, Math.min(PIECE_BYTES, (range?.upTo ?? Infinity) - from))
    return beyond(first, from, piece, path)
  }

  #handsIn(mount: Mount): FarHands {
    const key = `${mount.id} ${mountWords(mount)}`
    const hands = this.#far.get(key) ?? handsIn(mount, this.#patience)
    this.#far.set(key, hands)
    return hands
  }
}

async function standingOf(key: string, read: Read, index: number, racyFrom: bigint, hands: Hands): Promise<Standing> {
  const outcome = OUTCOMES[read.outcomes[index] as number]
  if (outcome === 'read') {
    const { sizeBytes, fingerprint } = listedOf(key, read.numbers, index * FIELDS, racyFrom)
    return { key, held: { sizeBytes, current: true, ...(fingerprint !== undefined && { fingerprint }) } }
  }
  // Of what is no file, or is not there, nothing can be had.
  if (outcome !== 'unreadable' && outcome !== 'torn') return { key }
  const failed = await hands.stat({ kind: 'stat', path: key }).then(() => new VarveError('STORAGE_UNAVAILABLE', `${key} could not be looked at just now`), (error: unknown) => fileFailure(error, key))
  return { key, failed }
}

/** A file that is read from. */
interface Opened {
  readonly size: number
  /** Some bytes from `at` on, at most `most`; none where it ends. */
  read(at: number, most: number): Promise<Uint8Array>
  close(): Promise<void>
}

function near(handle: FileHandle, size: number, path: string): Opened {
  return {
    size,
    read: async (at, most) => {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(Math.min(CHUNK_BYTES, most)), 0, Math.min(CHUNK_BYTES, most), at).catch((error: unknown) => {
        throw pieceFailure(error, path)
      })
      return buffer.subarray(0, bytesRead)
    },
    close: () => handle.close(),
  }
}

async function openNear(path: string): Promise<Opened> {
  let handle: FileHandle | undefined
  try {
    // Opening may do something to what is no file: a tape winds back.
    if (!(await stat(path)).isFile()) throw noFile(path)
    handle = await open(path, READING)
    const seen = await handle.stat({ bigint: true })
    if (kindOfStat(seen) !== undefined) throw noFile(path)
    return near(handle, Number(seen.size), path)
  } catch (error) {
    await handle?.close()
    throw pieceFailure(error, path)
  }
}

/** Piece by piece, the next of them on its way while one is taken. */
function beyond(first: Piece, from: number, ask: (at: number, length: number) => Promise<Piece>, path: string): Opened {
  let ahead: { readonly at: number; readonly piece: Promise<Piece> } | undefined = { at: from, piece: Promise.resolve(first) }
  return {
    size: first.size,
    read: async (at, most) => {
      const piece = await (ahead?.at === at ? ahead.piece : ask(at, Math.min(PIECE_BYTES, most)))
      if (piece.fingerprint !== first.fingerprint || piece.size !== first.size) throw new VarveError('OVERTAKEN', `${path} was changed while it was read`)
      const next = at + piece.bytes.length
      const left = most - piece.bytes.length
      ahead = left > 0 && piece.bytes.length > 0 ? { at: next, piece: ask(next, Math.min(PIECE_BYTES, left)) } : undefined
      ahead?.piece.catch(() => undefined)
      return piece.bytes
    },
    close: async () => undefined,
  }
}

function bytesOf(file: Opened, from: number, upTo: number, place: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
  let at = from
  let ended = false
  const end = async (): Promise<{ readonly done: true; readonly value: undefined }> => {
    signal.removeEventListener('abort', abort)
    if (!ended) {
      ended = true
      await file.close()
    }
    return { done: true, value: undefined }
  }
  const abort = (): void => void end()
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  const next = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
    signal.throwIfAborted()
    if (ended || at >= upTo) return end()
    try {
      const bytes = await unlessAborted(file.read(at, upTo - at), signal)
      if (bytes.length === 0) throw new VarveError('STORAGE_UNAVAILABLE', `${place} ends after ${at - from} of ${upTo - from} bytes: it was cut short while it was read`)
      at += bytes.length
      return { done: false, value: bytes }
    } catch (error) {
      await end()
      throw error
    }
  }
  return { [Symbol.asyncIterator]: () => ({ next, return: end }) }
}
