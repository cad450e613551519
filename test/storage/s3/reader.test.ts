import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { openS3Reader } from '../../../src/storage/s3/reader.ts'
import type { Reader } from '../../../src/storage/storage.ts'
import { FakeS3 } from '../../fakes/s3.ts'
import type { How, Kind } from '../../fakes/s3.ts'
import { bytesOf, standing } from '../../suite/reader.ts'
import { locationAt, useKeys } from './bucket.ts'

const going = new AbortController().signal
let fake: FakeS3
let reader: Reader
beforeEach(async () => {
  useKeys()
  fake = await FakeS3.start()
  reader = await openS3Reader(locationAt(fake.url, 'fake', 'd/'), { endpoint: fake.url, region: 'us-east-1' })
})
afterEach(async () => {
  await reader.close()
  await fake.stop()
})

const key = (at: number): string => `d/${String(at).padStart(5, '0')}`
const keys = (count: number, every = 1): string[] => Array.from({ length: count }, (_, at) => key(at * every))
const asked = (kind: Kind): number => fake.requests.filter((one) => one === kind).length

describe('the costs of what stands', () => {
  test('a few keys are a HEAD each, and no listing', async () => {
    for (const one of keys(15)) fake.put(one, 'x')
    await standing(reader, keys(15))
    expect(fake.requests).toEqual(Array(15).fill('head'))
  })

  test('keys that lie close are pages, behind a first HEAD', async () => {
    for (const one of keys(2_500)) fake.put(one, 'x')
    expect((await standing(reader, keys(2_500))).every(({ held }) => held?.sizeBytes === 1)).toBe(true)
    expect([asked('head'), asked('objects')]).toEqual([1, 3])
  })

  test('keys that lie far apart are a HEAD each, but for few pages that find that out', async () => {
    for (const one of keys(12_000)) fake.put(one, 'x')
    expect((await standing(reader, keys(120, 100))).every(({ held }) => held?.sizeBytes === 1)).toBe(true)
    expect(asked('objects')).toBeLessThanOrEqual(3)
    expect(asked('head')).toBeLessThanOrEqual(120)
  })

  test('a stretch that lies close is found behind one that does not', async () => {
    for (const one of keys(7_000)) fake.put(one, 'x')
    const wanted = [...keys(30, 100), ...keys(7_000).slice(3_000)]
    expect((await standing(reader, wanted)).map((one) => one.key)).toEqual(wanted)
    expect(asked('objects')).toBeLessThanOrEqual(7)
    expect(asked('head')).toBeLessThanOrEqual(100)
  })

  test('where listing is not allowed, and nothing is absent, all goes by HEAD', async () => {
    for (const one of keys(40)) fake.put(one, 'x')
    fake.fault = (kind) => (kind === 'objects' ? 'denied' : undefined)
    expect((await standing(reader, keys(40))).every(({ held }) => held?.sizeBytes === 1)).toBe(true)
  })

  test('where listing is not allowed nothing is called absent', async () => {
    fake.fault = (kind) => (kind === 'objects' ? 'denied' : undefined)
    await expect(standing(reader, keys(40))).rejects.toMatchObject({ code: 'LOCATION_DENIED' })
  })
})

test('what a listing hides is found by its name', async () => {
  fake.hides = true
  fake.put('d/p', 'x')
  for (const one of keys(40)) fake.put(one.replace('d/', 'd/p/'), 'yy')
  const wanted = ['d/p', ...keys(40).map((one) => one.replace('d/', 'd/p/'))]
  expect((await standing(reader, wanted)).map(({ held }) => held?.sizeBytes)).toEqual([1, ...Array(40).fill(2)])
  expect(await reader.versions('d/p/00001', going)).toMatchObject([{ sizeBytes: 2, current: true }])
})

test('one object that may not be read is told for itself', async () => {
  for (const one of keys(3)) fake.put(one, 'x')
  // The second HEAD, and the same without checksums.
  fake.fault = (kind, nth) => (kind === 'head' && (nth === 1 || nth === 3) ? 'denied' : undefined)
  const met = await standing(reader, keys(3))
  expect(met.filter(({ failed }) => failed !== undefined).map(({ failed }) => failed?.code)).toEqual(['LOCATION_DENIED'])
  expect(met.filter(({ held }) => held !== undefined).length).toBe(2)
})

describe('archived', () => {
  const cases: readonly [string, How, string | undefined][] = [
    ['GLACIER', { storageClass: 'GLACIER' }, 'GLACIER'],
    ['DEEP_ARCHIVE', { storageClass: 'DEEP_ARCHIVE' }, 'DEEP_ARCHIVE'],
    ['GLACIER, restored', { storageClass: 'GLACIER', restored: true }, undefined],
    ['GLACIER_IR', { storageClass: 'GLACIER_IR' }, undefined],
    ['a tier of another store', { storageClass: 'COLDTIER' }, undefined],
    ['INTELLIGENT_TIERING', { storageClass: 'INTELLIGENT_TIERING' }, undefined],
    ['INTELLIGENT_TIERING in its archive', { storageClass: 'INTELLIGENT_TIERING', tier: 'ARCHIVE_ACCESS' }, 'ARCHIVE_ACCESS'],
  ]

  test.each(cases)('%s is told by a listing, by name, by its versions and when it is opened', async (_, how, archived) => {
    for (const one of keys(40)) fake.put(one, 'bytes', undefined, how)
    const met = await standing(reader, keys(40))
    expect(met.map(({ held }) => held?.archived)).toEqual(Array(40).fill(archived))
    expect((await standing(reader, [key(7)]))[0]?.held?.archived).toBe(archived)
    fake.put(key(7), 'now')
    const versions = await reader.versions(key(7), going)
    expect(versions.map((one) => [one.current, one.archived])).toEqual([[true, undefined], [false, archived]])
    const opened = reader.open(key(7), { pin: versions[1]?.content?.pin as string }, going)
    if (archived !== undefined) await expect(opened).rejects.toMatchObject({ code: 'ARCHIVED' })
    else expect(String(await bytesOf(await opened))).toBe('bytes')
  })
})

test('the bytes under a delete marker come by their pin, and the marker itself is nothing', async () => {
  fake.put('d/a', 'one')
  fake.remove('d/a')
  expect(String(await bytesOf(await reader.open('d/a', { pin: 'versionId:v1' }, going)))).toBe('one')
  for (const pin of ['versionId:v2', 'versionId:never']) await expect(reader.open('d/a', { pin }, going)).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

test('an ETag over what a key encrypts is opaque; one under the keys of the store is not', async () => {
  const kinds = ['aws:kms', 'aws:kms:dsse', 'AES256', undefined]
  const opaque = []
  for (const encryption of kinds) {
    fake.put('d/a', 'x', undefined, encryption === undefined ? {} : { encryption })
    const opened = await reader.open('d/a', {}, going)
    opaque.push(opened.opaque)
    await bytesOf(opened)
  }
  expect(opaque).toEqual([true, true, false, false])
})

test('checksums over the whole object are told, and not looked at here; those over parts, and of a range, are not told', async () => {
  fake.put('d/a', 'x')
  fake.spoil = () => 'flip'
  const opened = await reader.open('d/a', {}, going)
  expect(opened.content?.checksums).toEqual({ sha256: expect.any(String) })
  expect(String(await bytesOf(opened))).toBe('y')
  const part = await reader.open('d/a', { range: { from: 0, upTo: 1 } }, going)
  expect(part.content?.checksums).toBe(undefined)
  await bytesOf(part)
  fake.checksumType = 'COMPOSITE'
  const composite = await reader.open('d/a', {}, going)
  expect(composite.content?.checksums).toBe(undefined)
  await bytesOf(composite)
})

test('the sizes of parts are told where they make up the whole, in as many parts as the ETag says', async () => {
  const tell = async (etag: string, partBytes: number | readonly number[], each = false): Promise<readonly number[] | undefined> => {
    fake.put('d/a', randomBytes(25), etag, { partBytes })
    const opened = await reader.open('d/a', {}, going)
    await bytesOf(opened)
    return opened.partBytes?.(going, each)
  }
  expect(await tell(`${'a'.repeat(32)}-3`, 10)).toEqual([10])
  expect(await tell(`${'a'.repeat(32)}-1`, 25)).toEqual([25])
  // It answers with the whole, whatever the number: that tells nothing.
  expect(await tell(`${'a'.repeat(32)}-3`, 25)).toBe(undefined)
  expect(await tell('a'.repeat(32), 10)).toBe(undefined)
  const of = (sizes: readonly number[], each = false): ReturnType<typeof tell> => tell(`${'a'.repeat(32)}-${sizes.length}`, sizes, each)
  for (const sizes of [[10, 15], [15, 9, 1], [9, 9, 7], [9, 7, 9], [25 - 7, 7, 0], [1, ...Array<number>(24).fill(1)]]) {
    const told = sizes.slice(1, -1).every((size) => size === sizes[0]) && (sizes[0] as number) >= (sizes.at(-1) as number) && sizes.at(-1) !== 0 ? sizes.slice(0, 1) : sizes
    expect(await of(sizes)).toEqual(told)
  }
  // What looks alike by the first and the last is found out when each is asked for.
  expect([await of([7, 9, 5, 4]), await of([7, 9, 5, 4], true), await of([7, 7, 7, 4], true)]).toEqual([[7], [7, 9, 5, 4], [7]])
  // Too little, too much, and one that is not told.
  for (const sizes of [[10, 14], [10, 16], [9, 9]]) expect(await tell(`${'a'.repeat(32)}-3`, sizes)).toBe(undefined)
})

describe('failures', () => {
  test.each([['denied', 'LOCATION_DENIED'], ['expired', 'CREDENTIALS'], ['unavailable', 'STORAGE_UNAVAILABLE'], ['elsewhere', 'LOCATION_MISSING']] as const)('%s is %s', async (fault, code) => {
    fake.put('d/a', 'x')
    fake.fault = () => fault
    // Of one key a store that does not answer is told; what ails the whole of it is thrown.
    const stand = async (): Promise<void> => {
      for (const { failed } of await standing(reader, ['d/a'])) if (failed !== undefined) throw failed
    }
    for (const ask of [() => reader.open('d/a', {}, going), () => reader.versions('d/a', going), stand]) await expect(ask()).rejects.toMatchObject({ code })
  })

  test('a store that is busy for a moment is asked again', async () => {
    fake.put('d/a', 'x')
    fake.fault = (kind, nth) => (kind === 'get' && nth === 0 ? 'unavailable' : undefined)
    expect(String(await bytesOf(await reader.open('d/a', {}, going)))).toBe('x')
  })
})

test('what was written before versions is named null once it is no more the current one', async () => {
  fake.versioned = false
  fake.put('d/a', 'old')
  fake.versioned = true
  fake.put('d/a', 'new')
  const versions = await reader.versions('d/a', going)
  expect(versions.map(({ content, current }) => [content?.pin, current])).toEqual([['versionId:v1', true], ['versionId:null', false]])
  expect(String(await bytesOf(await reader.open('d/a', { pin: 'versionId:null', etag: versions[1]?.content?.etag as string }, going)))).toBe('old')
})
