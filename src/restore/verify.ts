// What bytes must come to, and whether they do.
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { Hash } from 'node:crypto'
import type { Content, Holding } from '../model/entry.ts'

/** By what bytes were proven. `parts`: an S3 ETag over the MD5s of parts. `store`: nothing over the bytes is recorded that could be computed, and the answer that bore them bore the recorded pin or ETag. */
export type Proof = 'sha256' | 'md5' | 'sha1' | 'parts' | 'crc64nvme' | 'crc32c' | 'crc32' | 'store'

/** A digest that was recorded over the bytes. */
export interface Seal {
  readonly by: Exclude<Proof, 'store'>
  /** MD5 in hex, checksums in base64, of parts the ETag. */
  readonly value: string
  /** What sizes the parts may have had, the likeliest first: each from the first part on, of which the only one repeats to the end. */
  readonly partBytes?: readonly (readonly number[])[]
  /** The sizes are such as are usual, told by nobody: bytes that do not come to it may be right. */
  readonly guessed?: true
}

/**
 * What is recorded over the bytes of `holding`, the strongest first; undefined when there is nothing. `opaque`: the store says that the ETag is no digest. The ETag of a web server
 * proves nothing, whatever it looks like. `told` is what the store tells of the parts. Sizes that are guessed come last: all else tells what is wrong, too.
 */
export function sealOf(holding: Pick<Holding, 'content' | 'sizeBytes' | 'location'>, opaque = false, told?: readonly number[]): Seal | undefined {
  const { content, sizeBytes, location } = holding
  const { checksums = {} } = content
  const recorded = (by: 'sha256' | 'sha1' | 'crc64nvme' | 'crc32c' | 'crc32'): Seal | undefined => (checksums[by] === undefined ? undefined : { by, value: checksums[by] })
  const etag = location.scheme === 's3' && !opaque ? etagOf(content) : ''
  const md5 = md5Of(content) ?? (/^[0-9a-f]{32}$/.test(etag) ? etag : undefined)
  const count = /^[0-9a-f]{32}-\d+$/.test(etag) ? Number(etag.slice(33)) : 0
  const known = count === 1 ? [Math.max(1, sizeBytes)] : count > 1 ? told : undefined
  const guesses = partSizes(sizeBytes, count).map((size) => [size])
  return recorded('sha256') ?? (md5 === undefined ? undefined : { by: 'md5', value: md5 }) ?? recorded('sha1')
    ?? (known === undefined ? undefined : { by: 'parts', value: etag, partBytes: [known] }) ?? recorded('crc64nvme') ?? recorded('crc32c') ?? recorded('crc32')
    ?? (guesses.length > 0 ? { by: 'parts', value: etag, partBytes: guesses, guessed: true } : undefined)
}

/** Empty: none is recorded. */
export function etagOf({ etag, digest }: Content): string {
  return etag ?? /^etag:(.*)$/s.exec(digest)?.[1] ?? ''
}

/** An MD5 that is no ETag, in hex. */
function md5Of({ digest, identity, checksums }: Content): string | undefined {
  const base64 = [digest, identity ?? ''].find((text) => text.startsWith('md5:'))?.slice('md5:'.length) ?? checksums?.['md5']
  return base64 === undefined ? undefined : Buffer.from(base64, 'base64').toString('hex')
}

const MIB = 1024 * 1024
// What is in use: of the AWS CLI and boto3 (8), the Java and JavaScript SDKs (5, 8, 16), MinIO's client (16, 64, 128), s3cmd (15), rclone (5), Hadoop (64, 100, 128), and what people round to.
const USUAL = [8, 16, 5, 64, 15, 10, 32, 100, 128, 50, 20, 25, 6, 256, 512, 1024]
// Each is hashed in the same pass, at the speed of one alone divided by their number.
const SIZES_MOST = 8

/** The sizes of part of which `count` make up `sizeBytes`, the likeliest first. */
function partSizes(sizeBytes: number, count: number): readonly number[] {
  if (count < 2) return []
  const fits = (size: number): boolean => size > 0 && Math.ceil(sizeBytes / size) === count
  const least = Math.ceil(sizeBytes / count)
  const whole = Math.ceil(least / MIB)
  // Sizes that were computed from the object's own: the least that does, plainly or rounded up to MiB.
  const sizes = [...USUAL.map((mib) => mib * MIB), least, whole * MIB, ...USUAL.map((mega) => mega * 1e6), ...Array.from({ length: SIZES_MOST }, (_, more) => (whole + 1 + more) * MIB)]
  return [...new Set(sizes.filter(fits))].slice(0, SIZES_MOST)
}

/** What digests the bytes of an object. */
export async function proverOf(seal: Seal): Promise<Prover> {
  return new Prover(seal, await WAYS[seal.by](seal))
}

/** Digests bytes as they come. */
export class Prover {
  readonly #seal: Seal
  readonly #way: Sum

  constructor(seal: Seal, way: Sum) {
    this.#seal = seal
    this.#way = way
  }

  update(bytes: Uint8Array): void {
    this.#way.update(bytes)
  }

  /** After the last byte: whether they are what was recorded. */
  async holds(): Promise<boolean> {
    return (await this.#way.found()).includes(this.#seal.value)
  }
}

export interface Sum {
  update(bytes: Uint8Array): void
  /** What all that came is, in the notation of the seal. */
  found(): Promise<readonly string[]>
}

type Way = (seal: Seal) => Sum | Promise<Sum>

const hashed = (algorithm: string, notation: 'hex' | 'base64'): Way => () => {
  const sum = createHash(algorithm)
  return { update: (bytes) => void sum.update(bytes), found: async () => [sum.digest(notation)] }
}

// Loaded when first needed, as an SDK is.
const checked = (name: 'Crc64NvmeJs' | 'Crc32cJs'): Way => async () => {
  const sum = new (await import('@aws-sdk/checksums/crc'))[name]()
  return { update: (bytes) => sum.update(bytes), found: async () => [Buffer.from(await sum.digest()).toString('base64')] }
}

const plainCrc: Way = () => {
  let sum = 0
  const found = async (): Promise<readonly string[]> => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(sum)
    return [bytes.toString('base64')]
  }
  return { update: (bytes) => void (sum = crc32(bytes, sum)), found }
}

const inParts: Way = ({ partBytes = [] }) => {
  const sizes = partBytes.map((one) => new Parts(one))
  return { update: (bytes) => sizes.forEach((parts) => parts.update(bytes)), found: async () => sizes.map((parts) => parts.etag()) }
}

const WAYS: Readonly<Record<Seal['by'], Way>> = {
  sha256: hashed('sha256', 'base64'), sha1: hashed('sha1', 'base64'), md5: hashed('md5', 'hex'), parts: inParts,
  crc64nvme: checked('Crc64NvmeJs'), crc32c: checked('Crc32cJs'), crc32: plainCrc,
}

/** The ETag of a multipart upload: the MD5 of the MD5s of its parts, and their number. */
class Parts {
  readonly #sizes: readonly number[]
  readonly #digests: Buffer[] = []
  #part: Hash = createHash('md5')
  #filled = 0

  constructor(sizes: readonly number[]) {
    this.#sizes = sizes
  }

  update(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      while (this.#filled === this.#size()) this.#end()
      const some = bytes.subarray(at, at + this.#size() - this.#filled)
      this.#part.update(some)
      this.#filled += some.length
      at += some.length
    }
  }

  etag(): string {
    this.#end()
    // The last may be empty.
    while (this.#digests.length < this.#sizes.length) this.#end()
    return `${createHash('md5').update(Buffer.concat(this.#digests)).digest('hex')}-${this.#digests.length}`
  }

  /** Of the part that is being filled. */
  #size(): number {
    const { length } = this.#sizes
    return (length === 1 ? this.#sizes[0] : this.#sizes[this.#digests.length]) ?? Infinity
  }

  #end(): void {
    this.#digests.push(this.#part.digest())
    this.#part = createHash('md5')
    this.#filled = 0
  }
}
