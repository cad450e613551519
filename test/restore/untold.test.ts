// Multipart objects of a store that does not tell its parts: bytes that no guess fits are never called wrong while the store says that they are those.
import { expect, test } from '@jest/globals'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { Content, Holding } from '../../src/model/entry.ts'
import { parseLocation } from '../../src/model/location.ts'
import { Fetcher } from '../../src/restore/fetch.ts'
import { perform } from '../../src/restore/local.ts'
import { Readers } from '../../src/restore/readers.ts'
import type { Source } from '../../src/restore/readers.ts'
import type { Reader } from '../../src/storage/storage.ts'
import { realClock } from '../laws/world.ts'

const MIB = 1024 * 1024
const location = parseLocation('s3://bucket/p/', '/')
const BYTES = Buffer.alloc(18 * MIB + 5)
for (let at = 0; at + 4 <= BYTES.length; at += 4_096) BYTES.writeUInt32LE(at, at)

function etagOf(sizes: readonly number[]): string {
  let at = 0
  const digests = sizes.map((size) => createHash('md5').update(BYTES.subarray(at, (at += size))).digest())
  return `${createHash('md5').update(Buffer.concat(digests)).digest('hex')}-${sizes.length}`
}

function crcOf(bytes: Buffer): string {
  const crc = Buffer.alloc(4)
  crc.writeUInt32BE(crc32(bytes))
  return crc.toString('base64')
}

interface Store {
  readonly content: Content
  /** By the number of the answer. */
  readonly bytes?: (nth: number) => Buffer
  readonly partBytes?: (each: boolean) => readonly number[]
}

function fetcherOf({ content, bytes = () => BYTES, partBytes }: Store): Fetcher {
  let answers = 0
  const reader: Pick<Reader, 'open' | 'close'> = {
    async open(_, { range }) {
      const part = bytes(answers++).subarray(range?.from, range?.upTo)
      const { checksums, ...bare } = content
      return {
        sizeBytes: BYTES.length, opaque: false, content: range === undefined && checksums !== undefined ? { ...bare, checksums } : bare,
        bytes: (async function* () { yield new Uint8Array(part) })(),
        ...(partBytes !== undefined && { partBytes: async (_going: AbortSignal, each: boolean) => partBytes(each) }),
      }
    },
    async close() {},
  }
  const clock = { ...realClock(), sleep: async () => undefined }
  return new Fetcher(new Readers(async () => reader as Reader, async () => undefined), clock, new AbortController().signal, () => undefined)
}

const source: Source = { location, key: 'p/a', wanted: {}, local: false }
const UNEQUAL = etagOf([5 * MIB, 6 * MIB, 7 * MIB + 5])
const contentOf = (etag: string): Content => ({ digest: `etag:${etag}`, etag })
const holdingOf = (etag: string): Holding => ({ path: 'a', sizeBytes: BYTES.length, content: contentOf(etag), location, key: 'p/a' })
const spoiled = Buffer.concat([Buffer.from([1]), BYTES.subarray(1)])

/** By one request, and in pieces that go on from what a file has. */
async function proofsOf(store: Store, holding: Holding, left = Buffer.alloc(0)): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'varve-untold-'))
  const file = join(folder, 'part')
  const wordOf = (error: unknown): string => (error as { reason: string }).reason
  try {
    writeFileSync(file, left)
    const only = await fetcherOf(store).only(holding, [source]).then(({ proof }) => proof, wordOf)
    const large = await fetcherOf(store).large(holding, [source], { file, place: file }, perform).then(({ proof }) => proof, wordOf)
    if (large !== 'overwritten') expect(readFileSync(file).equals(BYTES)).toBe(true)
    return [only, large]
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('by the word of the store where it bears the recorded ETag, and nothing tells more', async () => {
  expect(await proofsOf({ content: contentOf(UNEQUAL) }, holdingOf(UNEQUAL))).toEqual(['store', 'store'])
  // What an earlier try left is no word of the store.
  expect(await proofsOf({ content: contentOf(UNEQUAL) }, holdingOf(UNEQUAL), spoiled.subarray(0, 9 * MIB))).toEqual(['store', 'store'])
  expect(await proofsOf({ content: contentOf('other-3') }, holdingOf(UNEQUAL))).toEqual(['overwritten', 'overwritten'])
})

test('by a guess that fits, though the first answer was damaged on its way', async () => {
  const even = etagOf([8 * MIB, 8 * MIB, 2 * MIB + 5])
  expect(await proofsOf({ content: contentOf(even), bytes: (nth) => (nth === 0 ? spoiled : BYTES) }, holdingOf(even))).toEqual(['parts', 'parts'])
})

test('by a checksum over the whole that the answer carries', async () => {
  const content = { ...contentOf(UNEQUAL), checksums: { crc32: crcOf(BYTES) } }
  expect((await proofsOf({ content }, holdingOf(UNEQUAL)))[0]).toBe('crc32')
  await expect(fetcherOf({ content, bytes: () => spoiled }).only(holdingOf(UNEQUAL), [source])).rejects.toMatchObject({ reason: 'overwritten' })
})

test('parts that were taken to be alike and are not are asked for one by one, also when a file goes on from an earlier try', async () => {
  const sizes = [5 * MIB, 6 * MIB, 4 * MIB, 3 * MIB + 5]
  const etag = etagOf(sizes)
  const partBytes = (each: boolean): readonly number[] => (each ? sizes : [5 * MIB])
  for (const left of [Buffer.alloc(0), BYTES.subarray(0, 11 * MIB)]) expect(await proofsOf({ content: contentOf(etag), partBytes }, holdingOf(etag), left)).toEqual(['parts', 'parts'])
  expect(await proofsOf({ content: contentOf(etag), partBytes, bytes: () => spoiled }, holdingOf(etag))).toEqual(['overwritten', 'overwritten'])
})
