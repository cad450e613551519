import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { Found, Store } from '../../../src/storage/storage.ts'
import { FakeGcs } from '../../fakes/gcs.ts'
import type { Fault, Kind } from '../../fakes/gcs.ts'
import { scanned } from '../../suite/store.ts'
import { openAt } from './bucket.ts'

let fake: FakeGcs
const stores: Store[] = []
const signal = new AbortController().signal

beforeEach(async () => {
  fake = await FakeGcs.start()
})
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close()
  await fake.stop()
})

async function open(key = 'd/', bucket = 'fake', project?: string): Promise<Store> {
  const store = await openAt(fake.url, bucket, key, project)
  stores.push(store)
  return store
}

const scan = async (key?: string) => scanned(await open(key), signal)
const paths = async (key?: string): Promise<string[]> => [...(await scan(key)).entries.keys()]

function fill(count: number): void {
  for (let at = 0; at < count; at++) fake.put(`d/${String(at).padStart(5, '0')}`, 'x')
}

async function find(store: Store, ...asked: string[]): Promise<Found[]> {
  const all: Found[] = []
  for await (const found of store.find(asked, 0, signal)) all.push(found)
  return all
}

/** The fault at the n-th request of a kind, or at each. */
const at = (kind: Kind, fault: Fault, nth?: number) => (one: Kind, number: number): Fault | undefined => (one === kind && (nth === undefined || number === nth) ? fault : undefined)

describe('what is listed', () => {
  test('an entry has the etag, the generation as its pin, and both checksums; MD5 stands for the bytes', async () => {
    fake.put('d/a', 'hello')
    expect((await scan()).entries.get('a')).toEqual({
      path: 'a', sizeBytes: 5, fingerprint: `${fake.generationOf('d/a')} ${fake.etagOf('d/a')}`,
      content: {
        digest: `etag:${fake.etagOf('d/a')}`, etag: fake.etagOf('d/a'), pin: `generation:${fake.generationOf('d/a')}`, identity: 'md5:XUFAKrxLKna5cZ2REBfFkg==',
        checksums: { md5: 'XUFAKrxLKna5cZ2REBfFkg==', crc32c: expect.any(String) },
      },
    })
  })

  test('a composite object is known by its CRC32C, and one under a key of the customer\'s own by its generation', async () => {
    fake.put('d/a', 'hello', { composite: true })
    fake.put('d/b', 'hello', { sealed: true })
    const { entries } = await scan()
    const a = entries.get('a')?.content
    expect([a?.identity, Object.keys(a?.checksums ?? {})]).toEqual([`crc32c:${a?.checksums?.['crc32c']}`, ['crc32c']])
    expect(entries.get('b')?.content).toEqual({ digest: expect.any(String), etag: expect.any(String), pin: expect.any(String), identity: `generation:${fake.generationOf('d/b')}` })
  })

  test('metadata and storage class move the etag alone', async () => {
    fake.put('d/a', 'hello')
    const before = (await scan()).entries.get('a')
    fake.touch('d/a', 'NEARLINE')
    const after = (await scan()).entries.get('a')
    expect(after?.content).toEqual({ ...before?.content, digest: `etag:${fake.etagOf('d/a')}`, etag: fake.etagOf('d/a') })
    expect(after?.content?.etag).not.toBe(before?.content?.etag)
    expect(after?.fingerprint).not.toBe(before?.fingerprint)
  })

  test('only what is read is asked for, 5,000 a page; who pays is named where it is said', async () => {
    fill(1)
    await scan()
    expect(fake.queries[0]?.get('fields')).toBe('kind,nextPageToken,items(name,generation,size,md5Hash,crc32c,etag)')
    expect([fake.queries[0]?.get('maxResults'), fake.queries[0]?.get('userProject')]).toEqual(['5000', null])
    const store = await open('d/', 'fake', 'payer')
    await scanned(store, signal)
    await find(store, '00000')
    expect(fake.queries.slice(1).map((query) => query.get('userProject'))).toEqual(['payer', 'payer'])
  })
})

describe('requests', () => {
  test.each([0, 1, 4_999, 5_000, 5_001, 12_000])('%i objects cost a request per five thousand', async (count) => {
    fake.pageSize = 5_000
    fill(count)
    const { end, entries } = await scan()
    expect(entries.size).toBe(count)
    expect(end.requests).toBe(Math.max(1, Math.ceil(count / 5_000)))
    expect(fake.requests.length).toBe(end.requests)
  })

  test.each(['unavailable', 'throttled', 'cut'] as const)('a request that is made again for being %s counts again', async (fault) => {
    fill(1)
    fake.fault = at('list', fault, 0)
    const { end, entries } = await scan()
    expect([end.requests, entries.size]).toEqual([2, 1])
  })

  test('a lone object costs two: itself, and what lies beside', async () => {
    fake.put('d/model.bin', 'x')
    expect((await scan('d/model.bin')).end.requests).toBe(2)
    expect(fake.requests).toEqual(['get', 'list'])
  })
})

describe('a listing that cannot be right is an error, and never a short listing', () => {
  const INVALID: readonly (readonly [Fault, number, RegExp])[] = [
    ['torn', 1, /cut short/], ['short', 1, /cut short/], ['other-document', 1, /no storage#objects/], ['no-kind', 1, /no storage#objects/], ['no-list', 1, /no list/], ['not-utf8', 1, /UTF-8/],
    ['empty-token', 1, /not where/], ['descending', 1, /out of order/], ['foreign', 1, /does not lie under/], ['from-the-start', 2, /out of order/], ['again', 1, /out of order/], ['other-bucket', 1, /another bucket of "d\//],
    ['no-name', 1, /no name/], ['no-generation', 1, /no generation/], ['no-size', 1, /no size/], ['no-etag', 1, /no etag/], ['no-checksum', 1, /checksum/],
  ]
  test.each(INVALID)('%s on page %i', async (fault, page, words) => {
    fill(20)
    fake.pageSize = 5
    fake.fault = at('list', fault, page)
    await expect(scan()).rejects.toMatchObject({ code: 'STORAGE_INVALID', message: expect.stringMatching(words) })
  })

  test('one that goes in circles', async () => {
    fill(20)
    fake.pageSize = 0
    fake.fault = at('list', 'same-token')
    await expect(scan()).rejects.toMatchObject({ code: 'STORAGE_INVALID', message: expect.stringMatching(/circles/) })
    expect(fake.requests.length).toBeLessThanOrEqual(3)
  })

  test('one that has no end', async () => {
    fill(20)
    fake.pageSize = 5
    fake.fault = at('list', 'empty')
    await expect(scan()).rejects.toMatchObject({ code: 'STORAGE_INVALID', message: expect.stringMatching(/1000 pages in a row/) })
    expect(fake.requests.length).toBeLessThanOrEqual(1_002)
  })

  test('a page that breaks off is asked for again; one that always does is an error', async () => {
    fill(20)
    fake.pageSize = 5
    fake.fault = at('list', 'cut', 1)
    expect((await paths()).length).toBe(20)
    fake.fault = (_, nth) => (nth > 7 ? 'cut' : undefined)
    await expect(scan()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  })

  test('empty pages are no harm', async () => {
    fill(20)
    fake.pageSize = 5
    fake.fault = (_, nth) => (nth % 3 === 0 ? 'empty' : undefined)
    expect((await paths()).length).toBe(20)
  })

  test.each(['torn', 'short', 'other-document', 'no-kind', 'no-generation', 'no-checksum', 'not-utf8'] as const)('one object, %s', async (fault) => {
    fill(1)
    fake.fault = at('get', fault)
    await expect(find(await open(), '00000')).rejects.toMatchObject({ code: 'STORAGE_INVALID' })
  })
})

describe('failures are named', () => {
  test.each([
    ['unavailable', 'STORAGE_UNAVAILABLE', /503 backendError/, /tried again/],
    ['throttled', 'STORAGE_UNAVAILABLE', /429/, /tried again/],
    ['quota', 'STORAGE_UNAVAILABLE', /userRateLimitExceeded/, /tried again/],
    ['redirect', 'STORAGE_UNAVAILABLE', /302/, /endpoint/],
    ['denied', 'LOCATION_DENIED', /storage\.objects\.list is not allowed/, /roles\/storage\.objectViewer/],
    ['anonymous', 'CREDENTIALS', /credentials/, /GOOGLE_APPLICATION_CREDENTIALS/],
    ['requester-pays', 'LOCATION_DENIED', /pays/, /gcs\.project/],
    ['no-bucket', 'LOCATION_MISSING', /gs:\/\/fake\/d\/ is not there/, /correct the name/],
  ] as const)('%s is %s', async (fault, code, words, hint) => {
    fill(1)
    fake.fault = () => fault
    const failure = { code, message: expect.stringMatching(words), hint: expect.stringMatching(hint) }
    await expect(scan()).rejects.toMatchObject(failure)
    if (fault === 'requester-pays' || fault === 'denied' || fault === 'no-bucket' || fault === 'anonymous') await expect(find(await open(), 'never')).rejects.toMatchObject({ code })
    else await expect(find(await open(), 'never')).rejects.toMatchObject(failure)
  }, 20_000)

  test('an object that may not be read is denied, by name and permission, and never absent', async () => {
    fill(1)
    fake.fault = at('get', 'denied')
    await expect(find(await open(), '00000')).rejects.toMatchObject({ code: 'LOCATION_DENIED', message: expect.stringMatching(/gs:\/\/fake\/d\/00000 .*storage\.objects\.get/) })
  })

  test('a missing bucket is missing, also for a lone object', async () => {
    for (const prefix of ['d/', 'd']) {
      const store = await open(prefix, 'other')
      await expect(scanned(store, signal)).rejects.toMatchObject({ code: 'LOCATION_MISSING' })
      await expect(find(store, 'a')).rejects.toMatchObject({ code: 'LOCATION_MISSING' })
    }
  })

  test('nobody listening is unavailable', async () => {
    const store = await openAt('http://127.0.0.1:9', 'fake', 'd/')
    await expect(scanned(store, signal)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
    await store.close()
  }, 20_000)

  test('a redirect is not followed', async () => {
    fake.fault = at('list', 'redirect')
    await expect(scan()).rejects.toMatchObject({ message: expect.stringMatching(/302/) })
    expect(fake.requests.length).toBe(1)
  })

  test('an abort ends a request that gets no answer, at once; so does closing the store', async () => {
    fake.fault = () => 'silent'
    const stop = new AbortController()
    const scanning = scanned(await open(), stop.signal)
    setTimeout(() => stop.abort(new Error('enough')), 50)
    await expect(scanning).rejects.toThrow('enough')
    const store = await open()
    const other = scanned(store, signal)
    setTimeout(() => void store.close(), 50)
    await expect(other).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', message: expect.stringMatching(/closed/) })
  })
})

describe('a server that is silent', () => {
  test('is asked twice, and told', async () => {
    fake.fault = () => 'silent'
    const store = await openAt(fake.url, 'fake', 'd/', undefined, 200)
    stores.push(store)
    await expect(scanned(store, signal)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', message: expect.stringMatching(/does not answer \(nothing came for 0\.2 s\)/) })
    expect(fake.requests.filter((kind) => kind === 'list')).toEqual(['list', 'list'])
  })

  test('in the middle of a page is so, too', async () => {
    fill(100)
    fake.fault = at('list', 'stalled')
    const store = await openAt(fake.url, 'fake', 'd/', undefined, 200)
    stores.push(store)
    await expect(scanned(store, signal)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', message: expect.stringMatching(/came for 0\.2 s/) })
  })

  test('only for a while is believed: on a connection that died, or slow all along', async () => {
    fill(100)
    fake.fault = at('list', 'silent', 0)
    const impatient = await openAt(fake.url, 'fake', 'd/', undefined, 1_000)
    stores.push(impatient)
    expect((await scanned(impatient, signal)).entries.size).toBe(100)
    // In ten pieces, some 200 ms apart.
    fake.fault = at('list', 'slow')
    expect((await scanned(impatient, signal)).entries.size).toBe(100)
  }, 30_000)
})

describe('one object', () => {
  test('a location without a slash tracks the object of that name, by its base name', async () => {
    fake.put('d/model.bin', 'x')
    const { entries, end } = await scan('d/model.bin')
    expect([...entries.keys()]).toEqual(['model.bin'])
    expect(end).toMatchObject({ lone: [expect.any(String)], notes: [] })
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

test('folder placeholders are skipped by name; a key that ends in a slash and has bytes is an entry, and so is one without bytes that does not', async () => {
  fake.put('d/', '')
  fake.put('d/sub/', '')
  fake.put('d/odd/', 'bytes')
  fake.put('d/_SUCCESS', '')
  const { entries, skipped, end } = await scan()
  expect([...entries.keys()]).toEqual(['_SUCCESS', 'odd/'])
  expect(skipped).toEqual([{ path: 'sub/', reason: 'folder-marker' }])
  expect(end.notes).toEqual([])
  expect(await find(await open(), 'sub/')).toEqual([{ kind: 'skipped', skip: { path: 'sub/', reason: 'folder-marker' } }])
})

test('an object whose key is the prefix itself is no entry, and it says so when it has bytes', async () => {
  fake.put('d/', 'bytes')
  const { entries, end } = await scan()
  expect(entries.size).toBe(0)
  expect(end.notes.join()).toMatch(/5 bytes/)
})

test('a whole bucket is a location; the names . and .. are nowhere, and ask for nothing', async () => {
  fake.put('a', 'x')
  fake.put('b/c', 'x')
  expect(await paths('')).toEqual(['a', 'b/c'])
  fake.requests.length = 0
  expect((await find(await open(''), '.', '..', '\ud800')).map(({ kind }) => kind)).toEqual(['absent', 'absent', 'absent'])
  expect(fake.requests).toEqual(['list'])
})

test('the root is marked by the bytes of an object, whatever its metadata', async () => {
  const marked = async (): Promise<string> => {
    const { openGcsStore } = await import('../../../src/storage/gcs/store.ts')
    const store = await openGcsStore({ scheme: 'gs', endpoint: fake.url, bucket: 'fake', prefix: 'd/' }, { endpoint: fake.url }, 'MARK')
    return store.root(signal).then(({ identity }) => identity).finally(() => store.close())
  }
  await expect(marked()).rejects.toMatchObject({ code: 'LOCATION_MISSING', message: expect.stringMatching(/root marker MARK/) })
  fake.put('d/MARK', 'one')
  const one = await marked()
  fake.touch('d/MARK')
  expect(await marked()).toBe(one)
  fake.put('d/MARK', 'two')
  expect(await marked()).not.toBe(one)
})
