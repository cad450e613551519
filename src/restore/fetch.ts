// Bytes from a store: asked for until they are what was recorded, or surely cannot be had.
import type { Clock } from '../model/clock.ts'
import type { Holding } from '../model/entry.ts'
import { describe, isFailure } from '../model/errors.ts'
import type { LossReason } from '../model/errors.ts'
import type { Bytes, Reader } from '../storage/storage.ts'
import type { Answer, PourTask } from './local.ts'
import { isPassing, pause, TRIES } from './patience.ts'
import { storeReason } from './plan.ts'
import { wordsOf } from './readers.ts'
import type { Readers, Source } from './readers.ts'
import { etagOf, proverOf, sealOf } from './verify.ts'
import type { Proof, Seal } from './verify.ts'

/** What one piece of a large object has. */
export const PIECE_BYTES = 8 * 1024 * 1024
// Of all large objects together: a few in flight fill a fast network, and hold little memory.
const PIECES_AT_ONCE = 4
// Once that much memory was given back, glibc keeps what is, instead of giving it to the system and asking for it anew, page by page (mallopt(3), M_MMAP_THRESHOLD).
const KEPT_BYTES = 24 * 1024 * 1024

type Pour = (task: PourTask) => Promise<Answer>

/** No source gave the bytes. */
export class Unfetched extends Error {
  readonly reason: LossReason

  constructor(reason: LossReason, words: string) {
    super(words)
    this.reason = reason
  }
}

/** What came is not what was recorded. */
class Wrong extends Error {}

export interface Fetched {
  readonly source: Source
  readonly proof: Proof
}

/** Where a large object is poured to. */
export interface Pouring {
  readonly file: string
  /** What it is to become: what is said of it. */
  readonly place: string
}

export class Fetcher {
  readonly #readers: Readers
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #came: (bytes: number) => void
  /** Large objects that come. */
  #large = 0

  /** `came` is told of bytes as they come. */
  constructor(readers: Readers, clock: Clock, signal: AbortSignal, came: (bytes: number) => void) {
    this.#readers = readers
    this.#clock = clock
    this.#signal = signal
    this.#came = came
  }

  /** The bytes of an entry, whole and verified, from the first of `sources` that has them. Throws Unfetched. */
  async whole(holding: Holding, sources: readonly Source[]): Promise<Fetched & { readonly bytes: Uint8Array }> {
    return this.#fromAny(holding, sources, async (reader, source, again) => {
      const chunks: Uint8Array[] = []
      const proof = await this.#stream(reader, holding, source, again, (chunk) => void chunks.push(chunk))
      return { source, proof, bytes: chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks) }
    })
  }

  /** Reads and verifies the bytes, and keeps none. Throws Unfetched. */
  async only(holding: Holding, sources: readonly Source[]): Promise<Fetched> {
    return this.#fromAny(holding, sources, async (reader, source, again) => ({ source, proof: await this.#stream(reader, holding, source, again, () => undefined) }))
  }

  /** The same into `to.file`, in pieces at once, going on from what the file has of an earlier try. `pour` is done by one thread. Throws Unfetched. */
  async large(holding: Holding, sources: readonly Source[], to: Pouring, pour: Pour): Promise<Fetched> {
    if (this.#large++ === 0) Buffer.allocUnsafeSlow(KEPT_BYTES).buffer.transfer(0)
    try {
      return await this.#fromAny(holding, sources, async (reader, source, again) => ({ source, proof: await this.#inPieces(reader, holding, source, to, pour, !again) }))
    } finally {
      this.#large--
    }
  }

  /** What the bytes of an entry must come to, as the first of `sources` that answers tells; undefined where none does. */
  async told(holding: Holding, sources: readonly Source[]): Promise<Seal | undefined> {
    const asking = this.#fromAny(holding, sources, async (reader, { key, wanted }) => {
      const answer = await reader.open(key, { ...wanted, range: { from: 0, upTo: Math.min(1, holding.sizeBytes) } }, this.#signal)
      const seal = await this.#sealOf(answer, holding, true)
      await answer.bytes[Symbol.asyncIterator]().return?.()
      return seal
    })
    return asking.catch((error: unknown) => {
      if (error instanceof Unfetched) return undefined
      throw error
    })
  }

  /** Tries each source, and what may be a matter of the moment three times. */
  async #fromAny<T>(holding: Holding, sources: readonly Source[], read: (reader: Reader, source: Source, again: boolean) => Promise<T>): Promise<T> {
    let failed = new Unfetched('removed', `${wordsOf({ ...holding, wanted: {} })} is not there any more`)
    for (const source of sources)
      for (let tries = 1; ; tries++) {
        try {
          return await read(await this.#readers.of(source.location), source, tries > 1)
        } catch (error) {
          this.#signal.throwIfAborted()
          failed = error instanceof Unfetched ? error : unfetched(error, holding, source)
          if (!(error instanceof Wrong || isPassing(error)) || tries === TRIES) break
          await pause(tries, this.#clock, this.#signal)
        }
      }
    throw failed
  }

  /** One request, in the order of the bytes. */
  async #stream(reader: Reader, holding: Holding, source: Source, again: boolean, keep: (chunk: Uint8Array) => void): Promise<Proof> {
    const answer = await reader.open(source.key, source.wanted, this.#signal)
    const seal = await this.#sealOf(answer, holding, again)
    const prover = seal === undefined ? undefined : await proverOf(seal)
    let total = 0
    for await (const chunk of answer.bytes) {
      prover?.update(chunk)
      keep(chunk)
      total += chunk.length
      this.#came(chunk.length)
    }
    const right = prover === undefined || (await prover.holds())
    if (total !== holding.sizeBytes || !(right || (again && isByWord(seal, answer, holding)))) throw new Wrong(`of ${wordsOf(source)} other bytes came than were recorded`)
    return right ? (seal?.by ?? 'store') : 'store'
  }

  /** What the bytes of `answer` must come to. Throws Wrong when it cannot be what was recorded. `again`: what a store tells in few words did not do. */
  async #sealOf(answer: Bytes, holding: Holding, again: boolean): Promise<Seal | undefined> {
    const refuse = async (words: string): Promise<never> => {
      await answer.bytes[Symbol.asyncIterator]().return?.()
      throw new Wrong(words)
    }
    if (answer.sizeBytes !== holding.sizeBytes) return refuse(`${answer.sizeBytes} bytes are there, ${holding.sizeBytes} were recorded`)
    let seal = sealOf(holding, answer.opaque)
    const etag = etagOf(holding.content)
    if (!answer.opaque && (seal === undefined || seal.guessed === true || seal.by.startsWith('crc')) && /-\d+$/.test(etag)) {
      // The parts of another object are not those of the recorded one.
      const told = answer.content?.etag === etag ? await answer.partBytes?.(this.#signal, again) : undefined
      const checksums = told === undefined && bears(answer, holding) ? answer.content?.checksums : undefined
      seal = sealOf({ ...holding, content: { ...holding.content, checksums: { ...checksums, ...holding.content.checksums } } }, false, told)
    }
    if (seal === undefined && !bears(answer, holding)) return refuse('nothing over the bytes is recorded, and the answer does not bear what was')
    return seal
  }

  async #inPieces(reader: Reader, holding: Holding, source: Source, to: Pouring, pour: Pour, resume: boolean): Promise<Proof> {
    const first = await this.#piece(reader, source, 0, holding.sizeBytes)
    const seal = await this.#sealOf(first, holding, !resume)
    const byWord = isByWord(seal, first, holding)
    const { lengthBytes = 0 } = await pour({ kind: 'begin', ...to, resume: resume && seal !== undefined, seal })
    // More than the whole is of another file.
    const from = lengthBytes > holding.sizeBytes ? undefined : lengthBytes
    if (from === undefined) await pour({ kind: 'begin', ...to, resume: false, seal })
    if (from !== undefined && from > 0) await first.bytes[Symbol.asyncIterator]().return?.()
    this.#came(from ?? 0)
    const ahead: Promise<readonly Uint8Array<ArrayBuffer>[]>[] = []
    let next = from ?? 0
    const ask = (): void => {
      while (next < holding.sizeBytes && ahead.length < PIECES_AT_ONCE / this.#large) {
        const at = next
        next = Math.min(at + PIECE_BYTES, holding.sizeBytes)
        const piece = at === 0 ? this.#chunks(first) : this.#pieceBytes(reader, holding, source, at, byWord)
        piece.catch(() => undefined)
        ahead.push(piece)
      }
    }
    ask()
    let pouring: Promise<unknown> = Promise.resolve()
    for (let piece = ahead.shift(); piece !== undefined; piece = ahead.shift()) {
      const chunks = await piece
      await pouring
      pouring = pour({ kind: 'pour', chunks })
      pouring.catch(() => undefined)
      ask()
    }
    await pouring
    if ((await pour({ kind: 'end' })).holds === true) return seal?.by ?? 'store'
    // What was there before may be of another try, or the parts not alike that were taken to be: then all of it is fetched anew, and that is no failure of the store.
    if (from !== undefined && from > 0) return this.#inPieces(reader, holding, source, to, pour, false)
    if (byWord && !resume) return 'store'
    throw new Wrong(`of ${wordsOf(source)} other bytes came than were recorded`)
  }

  #piece(reader: Reader, source: Source, from: number, sizeBytes: number): Promise<Bytes> {
    return reader.open(source.key, { ...source.wanted, range: { from, upTo: Math.min(from + PIECE_BYTES, sizeBytes) } }, this.#signal)
  }

  /** A piece is asked for again by itself: the others need not be, and what fails of it in all the tries is not tried again as part of the whole. Throws Unfetched. */
  async #pieceBytes(reader: Reader, holding: Holding, source: Source, from: number, byWord: boolean): Promise<readonly Uint8Array<ArrayBuffer>[]> {
    for (let tries = 1; ; tries++) {
      try {
        const answer = await this.#piece(reader, source, from, holding.sizeBytes)
        if (answer.sizeBytes !== holding.sizeBytes || (byWord && !bears(answer, holding))) throw new Wrong(`${wordsOf(source)} is another object now`)
        return await this.#chunks(answer)
      } catch (error) {
        if (this.#signal.aborted || !(isFailure(error, 'STORAGE_UNAVAILABLE') || isFailure(error, 'STORAGE_INVALID'))) throw error
        if (tries === TRIES) throw unfetched(error, holding, source)
        await pause(tries, this.#clock, this.#signal)
      }
    }
  }

  /** Each in memory of its own: it is handed to another thread. */
  async #chunks(answer: Bytes): Promise<readonly Uint8Array<ArrayBuffer>[]> {
    const chunks: Uint8Array<ArrayBuffer>[] = []
    for await (const chunk of answer.bytes) {
      chunks.push(chunk.length === chunk.buffer.byteLength ? (chunk as Uint8Array<ArrayBuffer>) : new Uint8Array(chunk))
      this.#came(chunk.length)
    }
    return chunks
  }
}

/** True when the answer that bears the bytes bears what was recorded of the object: then the store says that they are those. */
function bears({ content }: Bytes, holding: Holding): boolean {
  const { content: recorded, latestPin } = holding
  if (content === undefined) return false
  if (content.pin !== undefined && (content.pin === recorded.pin || content.pin === latestPin)) return true
  return content.digest === recorded.digest || (content.etag !== undefined && content.etag === recorded.etag)
}

/** True when the store's word may do, for what is recorded over the bytes tells nothing when it does not fit: a guess that fits is a proof, one that does not is none against them. */
function isByWord(seal: Seal | undefined, answer: Bytes, holding: Holding): boolean {
  return (seal === undefined || seal.guessed === true) && bears(answer, holding)
}

function unfetched(error: unknown, holding: Holding, source: Source): Unfetched {
  const { pin, etag } = source.wanted
  const name = wordsOf(source)
  if (error instanceof Wrong) {
    // What is asked for by its pin or ETag is there: what comes of it is the store's fault, or the wire's.
    const named = pin !== undefined || (etag !== undefined && etag === holding.content.etag)
    return new Unfetched(named ? 'corrupt' : 'overwritten', named ? error.message : `${name} holds other bytes now`)
  }
  if (isFailure(error, 'NOT_FOUND')) return new Unfetched(pin === undefined ? 'removed' : 'expired', `${name} is not there any more`)
  if (isFailure(error, 'OVERTAKEN')) return new Unfetched('overwritten', `${name} holds other bytes now`)
  const reason = storeReason(error)
  if (reason === undefined) throw error
  return new Unfetched(reason, describe(error))
}
