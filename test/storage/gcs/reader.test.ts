import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { openGcsReader } from '../../../src/storage/gcs/reader.ts'
import type { Reader } from '../../../src/storage/storage.ts'
import { FakeGcs } from '../../fakes/gcs.ts'
import { Web } from '../../fakes/web.ts'
import { bytesOf, standing } from '../../suite/reader.ts'
import { locationAt } from './bucket.ts'

const going = new AbortController().signal
let fake: FakeGcs
let reader: Reader
beforeEach(async () => {
  fake = await FakeGcs.start()
  reader = await openGcsReader(locationAt(fake.url, 'fake', 'd/'), { endpoint: fake.url })
})
afterEach(async () => {
  await reader.close()
  await fake.stop()
})

const key = (at: number): string => `d/${String(at).padStart(5, '0')}`
const keys = (count: number): string[] => Array.from({ length: count }, (_, at) => key(at))

test('what is stored packed comes packed, as its hashes say, whole and in parts', async () => {
  const packed = gzipSync('the text '.repeat(1_000))
  fake.put('d/a', packed, { packed: true })
  const opened = await reader.open('d/a', {}, going)
  const held = (await standing(reader, ['d/a']))[0]?.held
  expect([opened.sizeBytes, held?.sizeBytes]).toEqual([packed.length, packed.length])
  expect(opened.content).toEqual(held?.content)
  expect((await bytesOf(opened)).equals(packed)).toBe(true)
  expect((await bytesOf(await reader.open('d/a', { range: { from: 3, upTo: 30 } }, going))).equals(packed.subarray(3, 30))).toBe(true)
})

test('what somebody unpacks on the way is refused', async () => {
  fake.put('d/a', gzipSync('the text'), { packed: true })
  const proxy = await Web.start()
  proxy.answer = (request, response) => {
    const { 'accept-encoding': _, host: __, ...headers } = request.headers as Record<string, string>
    // fetch would ask for it packed by itself.
    fetch(fake.url + request.url, { headers: { ...headers, 'accept-encoding': 'identity' } }).then(async (answer) => {
      response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(Buffer.from(await answer.arrayBuffer()))
    }, (error: unknown) => response.destroy(error as Error))
  }
  const behind = await openGcsReader(locationAt(proxy.url, 'fake', 'd/'), { endpoint: proxy.url })
  await expect(behind.open('d/a', {}, going)).rejects.toMatchObject({ code: 'STORAGE_INVALID', message: expect.stringContaining('unpacked') })
  await behind.close()
  await proxy.stop()
})

test('an edit of metadata moves the ETag: a generation is read all the same, and what has none is planned anew', async () => {
  fake.put('d/a', 'one')
  const [planned] = await reader.versions('d/a', going)
  fake.touch('d/a')
  const { pin, etag } = planned?.content as { pin: string; etag: string }
  expect(String(await bytesOf(await reader.open('d/a', { pin, etag }, going)))).toBe('one')
  await expect(reader.open('d/a', { etag }, going)).rejects.toMatchObject({ code: 'OVERTAKEN' })
  expect((await reader.versions('d/a', going))[0]?.content).toMatchObject({ pin, identity: planned?.content?.identity })
})

test('what is archived is at hand', async () => {
  fake.put('d/a', 'one')
  fake.touch('d/a', 'ARCHIVE')
  expect((await standing(reader, ['d/a']))[0]?.held?.archived).toBe(undefined)
  expect(String(await bytesOf(await reader.open('d/a', {}, going)))).toBe('one')
})

test('where the answer does not tell all, the object is asked for what a listing tells', async () => {
  fake.put('d/sealed', 'under a key of the customer', { sealed: true })
  const opened = await reader.open('d/sealed', {}, going)
  expect(opened.content).toEqual((await standing(reader, ['d/sealed']))[0]?.held?.content)
  await bytesOf(opened)
  for (const name of ['.', '..', '\ud800']) {
    await expect(reader.open(name, {}, going)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await standing(reader, [name])).toEqual([{ key: name }])
    expect(await reader.versions(name, going)).toEqual([])
  }
})

test('keys that lie close are pages, a few are asked for one by one', async () => {
  for (const one of keys(2_500)) fake.put(one, 'x')
  await standing(reader, keys(2_500))
  expect(fake.requests).toEqual(['get', 'list', 'list', 'list'])
  fake.requests.length = 0
  await standing(reader, keys(10))
  expect(fake.requests).toEqual(Array(10).fill('get'))
})

test('where listing is denied and nothing is absent, each is asked for', async () => {
  for (const one of keys(30)) fake.put(one, 'x')
  fake.fault = (kind) => (kind === 'list' ? 'denied' : undefined)
  expect((await standing(reader, keys(30))).every(({ held }) => held?.sizeBytes === 1)).toBe(true)
  await expect(standing(reader, [...keys(29), 'd/z'])).rejects.toMatchObject({ code: 'LOCATION_DENIED' })
})

describe('failures', () => {
  test.each([['denied', 'LOCATION_DENIED'], ['anonymous', 'CREDENTIALS'], ['unavailable', 'STORAGE_UNAVAILABLE'], ['no-bucket', 'LOCATION_MISSING'], ['redirect', 'STORAGE_UNAVAILABLE'], ['requester-pays', 'LOCATION_DENIED']] as const)('%s is %s', async (fault, code) => {
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
    fake.fault = (kind, nth) => (kind === 'media' && nth < 2 ? (nth === 0 ? 'throttled' : 'unavailable') : undefined)
    expect(String(await bytesOf(await reader.open('d/a', {}, going)))).toBe('x')
  })
})
