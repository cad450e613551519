import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { Found, Store } from '../../../src/storage/storage.ts'
import { FakeS3 } from '../../fakes/s3.ts'
import type { Fault, Kind } from '../../fakes/s3.ts'
import { scanned } from '../../suite/store.ts'
import { openAt } from './bucket.ts'

let fake: FakeS3
const stores: Store[] = []
const signal = new AbortController().signal

beforeEach(async () => {
  fake = await FakeS3.start()
})
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close()
  await fake.stop()
})

async function open(key = 'd/', memo?: string, bucket = 'fake'): Promise<Store> {
  const store = await openAt(fake.url, bucket, key, memo)
  stores.push(store)
  return store
}

const scan = async (key?: string, memo?: string) => scanned(await open(key, memo), signal)
const paths = async (key?: string, memo?: string): Promise<string[]> => [...(await scan(key, memo)).entries.keys()]

function fill(count: number): void {
  for (let at = 0; at < count; at++) fake.put(`d/${String(at).padStart(4, '0')}`, 'x')
}

async function find(store: Store, ...asked: string[]): Promise<Found[]> {
  const all: Found[] = []
  for await (const found of store.find(asked, 0, signal)) all.push(found)
  return all
}

/** The fault at the n-th request of a kind, or at each. */
const at = (kind: Kind, fault: Fault, nth?: number) => (one: Kind, number: number): Fault | undefined => (one === kind && (nth === undefined || number === nth) ? fault : undefined)

describe('versions', () => {
  test('the current version is listed with its pin; deleted keys are not, undeleted ones are', async () => {
    fake.put('d/a', 'one')
    fake.put('d/a', 'two')
    fake.put('d/b', 'gone')
    fake.remove('d/b')
    fake.put('d/c', 'back')
    fake.remove('d/c')
    fake.put('d/c', 'again')
    const { entries } = await scan()
    expect([...entries.values()].map(({ path, content }) => [path, content?.pin])).toEqual([['a', 'versionId:v2'], ['c', 'versionId:v7']])
  })

  test('a key whose versions fill pages is listed once, wherever a page ends', async () => {
    for (const key of ['d/a', 'd/b', 'd/c']) for (let times = 0; times < 5; times++) fake.put(key, `${times}`)
    fake.remove('d/b')
    for (fake.pageSize = 1; fake.pageSize <= 17; fake.pageSize++) expect(await paths()).toEqual(['a', 'c'])
  })

  test('what was written without versions has no pin', async () => {
    fake.versioned = false
    fake.put('d/a', 'x')
    expect((await scan()).entries.get('a')?.content).toEqual({ digest: expect.stringMatching(/^etag:[0-9a-f]{32}$/), etag: expect.any(String) })
  })

  test.each(['denied', 'not-offered'] as const)('where listing them is %s, objects are listed unpinned, and it says so', async (fault) => {
    fill(3)
    fake.fault = at('versions', fault)
    const { entries, end } = await scan()
    expect([...entries.values()].map(({ content }) => content?.pin)).toEqual([undefined, undefined, undefined])
    expect(end.notes.join()).toMatch(/s3:ListBucketVersions/)
    expect(end.requests).toBe(fault === 'denied' ? 2 : fake.requests.length)
  })

  test('where a page shows more than four old ones per current one, later scans list without them, and take changed keys whole', async () => {
    for (let times = 0; times < 6; times++) fake.put('d/a', `${times}`)
    const first = await scan()
    expect(first.end.memo).toBe('v2-pinned')
    fake.put('d/b', 'new')
    fake.requests.length = 0
    const second = await scan('d/', first.end.memo)
    expect(fake.requests).toEqual(['objects'])
    expect(second.end.memo).toBe('v2-pinned')
    expect(second.entries.get('a')).toEqual({ path: 'a', sizeBytes: 1, fingerprint: first.entries.get('a')?.fingerprint })
    const [found] = await find(await open('d/', 'v2-pinned'), 'b')
    expect(found).toMatchObject({ kind: 'entry', listed: { content: { pin: 'versionId:v7' } } })
  })

  test('five versions, four of them old, are not too many', async () => {
    for (let times = 0; times < 5; times++) fake.put('d/a', `${times}`)
    expect((await scan()).end.memo).toBeUndefined()
  })
})

describe('requests', () => {
  test.each([0, 1, 999, 1_000, 1_001, 3_500])('%i objects cost at most a request per thousand and one', async (count) => {
    fill(count)
    const { end, entries } = await scan()
    expect(entries.size).toBe(count)
    expect(end.requests).toBeLessThanOrEqual(Math.ceil(count / 1_000) + 1)
    expect(fake.requests.length).toBe(end.requests)
  })

  test('a request that is made again counts again', async () => {
    fill(1)
    fake.fault = at('versions', 'unavailable', 0)
    expect((await scan()).end.requests).toBe(2)
  })
})

describe('a listing that cannot be right is an error, and never a short listing', () => {
  const STORAGE_INVALID: readonly (readonly [Fault, number, RegExp])[] = [
    ['torn', 1, /cut short/], ['other-document', 1, /no List/], ['without-token', 1, /not where/], ['descending', 1, /out of order/], ['foreign', 1, /does not lie under/],
    ['from-the-start', 2, /out of order/], ['other-bucket', 1, /of the bucket "other", not of "fake"/], ['twice', 1, /two present states of "d\//],
    ['hushed', 1, /nothing follows, and also where/], ['short', 1, /counts 5 rows and shows 4/],
  ]
  for (const memo of [undefined, 'v2-pinned'])
    test.each(STORAGE_INVALID)(`%s on page %i (${memo ?? 'versions'})`, async (fault, page, words) => {
      fill(20)
      fake.pageSize = 5
      fake.fault = at(memo === undefined ? 'versions' : 'objects', fault, page)
      await expect(scan('d/', memo)).rejects.toMatchObject({ code: 'STORAGE_INVALID', message: expect.stringMatching(words) })
    })

  test('one that goes in circles', async () => {
    fill(20)
    fake.pageSize = 5
    fake.fault = at('objects', 'same-token')
    await expect(scan('d/', 'v2-pinned')).rejects.toMatchObject({ code: 'STORAGE_INVALID', message: expect.stringMatching(/circles|out of order/) })
  })

  test('one that has no end', async () => {
    fill(20)
    fake.pageSize = 5
    fake.fault = (kind, nth) => (kind === 'objects' && nth > 0 ? 'empty' : undefined)
    await expect(scan('d/', 'v2-pinned')).rejects.toMatchObject({ code: 'STORAGE_INVALID', message: expect.stringMatching(/nothing new/) })
  }, 20_000)

  test('a page that breaks off is asked for again; one that always does is an error', async () => {
    fill(20)
    fake.pageSize = 5
    fake.fault = at('versions', 'cut', 1)
    expect((await paths()).length).toBe(20)
    fake.fault = (kind, nth) => (kind === 'versions' && nth > 7 ? 'cut' : undefined)
    await expect(scan()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  })

  test('empty pages, repeated rows and wrong counts are no harm', async () => {
    fill(20)
    fake.pageSize = 5
    fake.fault = (kind, nth) => (kind === 'head' ? undefined : nth % 3 === 1 ? 'empty' : 'repeat')
    expect((await paths()).length).toBe(20)
    expect((await paths('d/', 'v2-pinned')).length).toBe(20)
  })
})

describe('failures are named', () => {
  test.each([
    ['unavailable', 'STORAGE_UNAVAILABLE', /SlowDown|503/],
    ['denied', 'LOCATION_DENIED', /s3:ListBucket /],
    ['expired', 'CREDENTIALS', /ExpiredToken/],
    ['elsewhere', 'LOCATION_MISSING', /region/],
  ] as const)('%s is %s', async (fault, code, words) => {
    fill(1)
    fake.fault = () => fault
    for (const act of [async () => find(await open(), 'never'), () => scan()] as const) await expect(act()).rejects.toMatchObject({ code, message: expect.stringMatching(words) })
  }, 20_000)

  test('an object that may not be read is denied, by name, and never absent', async () => {
    fill(1)
    fake.fault = at('head', 'denied')
    await expect(find(await open(), '0000')).rejects.toMatchObject({ code: 'LOCATION_DENIED', message: expect.stringMatching(/d\/0000.*s3:GetObject/) })
  })

  test('a missing bucket is missing, also for a lone object', async () => {
    for (const prefix of ['d/', 'd']) {
      const store = await open(prefix, undefined, 'other')
      await expect(scanned(store, signal)).rejects.toMatchObject({ code: 'LOCATION_MISSING' })
      await expect(find(store, 'a')).rejects.toMatchObject({ code: 'LOCATION_MISSING' })
    }
  })

  test('nobody listening is unavailable', async () => {
    const store = await openAt('http://127.0.0.1:9', 'fake', 'd/')
    await expect(scanned(store, signal)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
    await store.close()
  }, 20_000)

  test('an abort ends a request that gets no answer, at once', async () => {
    fake.fault = () => 'silent'
    const stop = new AbortController()
    const scanning = scanned(await open(), stop.signal)
    setTimeout(() => stop.abort(new Error('enough')), 50)
    await expect(scanning).rejects.toThrow('enough')
  })
})

describe('one object', () => {
  test('a location without a slash tracks the object of that name, by its base name', async () => {
    fake.put('d/model.bin', 'x')
    const { entries, end } = await scan('d/model.bin')
    expect([...entries.keys()]).toEqual(['model.bin'])
    expect(end).toMatchObject({ lone: ['model.bin'], notes: [] })
    expect(await find(await open('d/model.bin'), 'model.bin', 'else')).toMatchObject([{ kind: 'entry' }, { kind: 'absent' }])
  })

  test('without such an object it is a prefix that ends at a slash', async () => {
    fake.put('mnist/a', 'x')
    fake.put('mnist2/b', 'x')
    const { entries, end } = await scan('mnist')
    expect([...entries.keys()]).toEqual(['a'])
    expect(end.lone).toEqual([])
  })

  test('where both are there the object is tracked, and it says so', async () => {
    fake.put('both', 'x')
    fake.put('both/child', 'x')
    const { entries, end } = await scan('both')
    expect([...entries.keys()]).toEqual(['both'])
    expect(end.notes.join()).toMatch(/the object is what is tracked/)
    expect(await find(await open('both'), 'child')).toEqual([{ kind: 'absent', path: 'child' }])
  })
})

test('folder markers are skipped by name; a key that ends in a slash and has bytes is an entry', async () => {
  fake.put('d/', '')
  fake.put('d/sub/', '')
  fake.put('d/odd/', 'bytes')
  const { entries, skipped } = await scan()
  expect([...entries.keys()]).toEqual(['odd/'])
  expect(skipped).toEqual([{ path: 'sub/', reason: 'folder-marker' }])
  expect(await find(await open(), 'sub/')).toEqual([{ kind: 'skipped', skip: { path: 'sub/', reason: 'folder-marker' } }])
})

test('an object whose key is the prefix itself is no entry, and it says so when it has bytes', async () => {
  fake.put('d/', 'bytes')
  const { entries, end } = await scan()
  expect(entries.size).toBe(0)
  expect(end.notes.join()).toMatch(/5 bytes/)
})

test('where a listing shows nothing, what may hide all of it is named: an object of the name of a folder above, or one that was deleted', async () => {
  fake.hides = true
  for (const key of ['t/mp/deep/a', 't/mp', 'mpx']) fake.put(key, 'x')
  const notes = async (key: string): Promise<string> => {
    expect((await scan(key)).seen).toBe(0)
    return ((await (await open(key)).whyEmpty?.(signal)) ?? []).join('\n')
  }
  expect(await notes('t/mp/deep/')).toMatch(/^the object t\/mp may hide what lies under t\/mp\/: .*$/)
  fake.remove('t/mp')
  expect(await notes('t/mp/deep/')).toMatch(/^the deleted object t\/mp may hide /)
  expect(await notes('nothing/here/')).toBe('')
})

test('a key that is not UTF-8 is named, with its bytes', async () => {
  fill(1)
  fake.fault = at('versions', 'garbled')
  const { skipped, seen } = await scan('')
  expect([skipped, seen]).toEqual([[{ path: '%FFd/0000', reason: 'not-utf8' }], 1])
})

test('a whole bucket is a location', async () => {
  fake.put('a', 'x')
  fake.put('b/c', 'x')
  expect(await paths('')).toEqual(['a', 'b/c'])
})

test('a HEAD tells the checksums of the whole object', async () => {
  fake.put('d/a', 'x')
  expect(await find(await open(), 'a')).toMatchObject([{ kind: 'entry', listed: { content: { checksums: { sha256: 'LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=' } } } }])
})
