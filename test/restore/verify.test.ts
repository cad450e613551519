// What bytes must come to: each digest that a store records proves the right bytes and no others.
import { expect, test } from '@jest/globals'
import { createHash, hash } from 'node:crypto'
import type { Content, Holding } from '../../src/model/entry.ts'
import { parseLocation } from '../../src/model/location.ts'
import { proverOf, sealOf } from '../../src/restore/verify.ts'
import type { Proof } from '../../src/restore/verify.ts'

const MIB = 1024 * 1024
const BYTES = Buffer.from('123456789')

function holdingOf(content: Content, sizeBytes: number, uri = 's3://bucket/p/'): Holding {
  return { path: 'a', sizeBytes, content, location: parseLocation(uri, '/'), key: 'p/a' }
}

async function proves(holding: Holding, bytes: Buffer, told?: readonly number[]): Promise<readonly [Proof | undefined, boolean]> {
  const seal = sealOf(holding, false, told)
  if (seal === undefined) return [undefined, false]
  const prover = await proverOf(seal)
  // In pieces that match no part.
  for (let at = 0; at < bytes.length; at += 777_777) prover.update(bytes.subarray(at, at + 777_777))
  return [seal.by, await prover.holds()]
}

// The check values of 123456789: RFC 3720 appendix B.4 and the catalogue of parametrised CRCs; SHA and MD5 by Node itself.
test.each([
  ['md5', { digest: `etag:${hash('md5', BYTES, 'hex')}`, etag: hash('md5', BYTES, 'hex') }],
  ['md5', { digest: `md5:${hash('md5', BYTES, 'base64')}` }],
  ['md5', { digest: 'etag:CAE=', etag: 'CAE=', identity: `md5:${hash('md5', BYTES, 'base64')}` }],
  ['sha256', { digest: 'etag:x', etag: 'x', checksums: { sha256: hash('sha256', BYTES, 'base64') } }],
  ['sha1', { digest: 'etag:x', etag: 'x', checksums: { sha1: hash('sha1', BYTES, 'base64') } }],
  ['crc32', { digest: 'etag:x', etag: 'x', checksums: { crc32: Buffer.from('cbf43926', 'hex').toString('base64') } }],
  ['crc32c', { digest: 'etag:x', etag: 'x', checksums: { crc32c: Buffer.from('e3069283', 'hex').toString('base64') } }],
  ['crc64nvme', { digest: 'etag:x', etag: 'x', checksums: { crc64nvme: Buffer.from('ae8b14860a799888', 'hex').toString('base64') } }],
] as const)('%s of %j', async (by, content) => {
  expect(await proves(holdingOf(content, 9), BYTES)).toEqual([by, true])
  expect(await proves(holdingOf(content, 9), Buffer.from('123456780'))).toEqual([by, false])
})

test('an ETag proves nothing where the store says that it is no digest, nor of a web server; then nothing is left to prove by', () => {
  const etag = hash('md5', BYTES, 'hex')
  const content = { digest: `etag:${etag}`, etag }
  expect(sealOf(holdingOf(content, 9), true)).toBeUndefined()
  expect(sealOf(holdingOf(content, 9, 'https://host/a'))).toBeUndefined()
  expect(sealOf(holdingOf({ ...content, checksums: { crc32: 'AAAA' } }, 9), true)?.by).toBe('crc32')
})

test.each([[5 * MIB, 12 * MIB + 7], [8 * MIB, 16 * MIB], [8 * MIB, 17 * MIB + 1], [16 * MIB, 20 * MIB], [15 * MIB, 31 * MIB], [6_000_001, 12_000_002], [7 * MIB, 7 * MIB], [7 * MIB, 0]])('parts of %i bytes of an object of %i are found out', async (partBytes, sizeBytes) => {
  const bytes = Buffer.alloc(sizeBytes)
  for (let at = 0; at + 4 <= sizeBytes; at += 4_096) bytes.writeUInt32LE(at, at)
  const digests: Buffer[] = []
  for (let at = 0; at < Math.max(1, sizeBytes); at += partBytes) digests.push(createHash('md5').update(bytes.subarray(at, at + partBytes)).digest())
  const etag = `${createHash('md5').update(Buffer.concat(digests)).digest('hex')}-${digests.length}`
  const holding = holdingOf({ digest: `etag:${etag}`, etag }, sizeBytes)
  expect(await proves(holding, bytes)).toEqual(['parts', true])
  expect(await proves(holding, bytes, [partBytes])).toEqual(['parts', true])
  if (sizeBytes > 0) expect(await proves(holding, Buffer.concat([Buffer.from([1]), bytes.subarray(1)]))).toEqual(['parts', false])
})

test.each([[[5 * MIB, 6 * MIB]], [[6 * MIB, 5 * MIB, 1]], [[5 * MIB, 7 * MIB, 3 * MIB]], [[5 * MIB, 0]], [[5 * MIB, 6 * MIB, 0]], [[3, 1, 1, 700_000, 2]]])('parts of %j bytes are proven when they are told, and are not called wrong when they are not', async (sizes) => {
  const bytes = Buffer.alloc(sizes.reduce((sum, size) => sum + size))
  for (let at = 0; at + 4 <= bytes.length; at += 4_096) bytes.writeUInt32LE(at, at)
  let at = 0
  const digests = sizes.map((size) => createHash('md5').update(bytes.subarray(at, (at += size))).digest())
  const etag = `${createHash('md5').update(Buffer.concat(digests)).digest('hex')}-${sizes.length}`
  const holding = holdingOf({ digest: `etag:${etag}`, etag }, bytes.length)
  expect(await proves(holding, bytes, sizes)).toEqual(['parts', true])
  expect(await proves(holding, Buffer.concat([Buffer.from([1]), bytes.subarray(1)]), sizes)).toEqual(['parts', false])
  expect(await proves(holding, Buffer.concat([bytes, Buffer.from([1])]), sizes)).toEqual(['parts', false])
  const seal = sealOf(holding)
  expect(seal === undefined || seal.guessed === true).toBe(true)
  // What was recorded over all of it is sure.
  expect(sealOf(holdingOf({ digest: `etag:${etag}`, etag, checksums: { crc32: 'AAAA' } }, bytes.length))).toEqual({ by: 'crc32', value: 'AAAA' })
})
