// What makes a version of a web object, and what does not: law 4, sentence by sentence.
import { hash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { serve, tagOf, Web } from '../../fakes/web.ts'
import type { Site } from '../../laws/site.ts'
import { entryOf, newest, requestsOf, webSite } from './web.ts'

const OLD = new Date('2026-01-01T00:00:00Z')
const md5 = (text: string): string => hash('md5', text, 'base64')

let web: Web
beforeEach(async () => {
  web = await Web.start()
})
afterEach(() => web.stop())

const at = (name = 'labels.csv'): string => `${web.url}/data/${name}`
const isClean = (versions: number) => ({ versions, state: 'clean', reason: undefined })

describe('a strong ETag', () => {
  test('is what tells the bytes: recorded without quotes, with the URL as it was written', async () => {
    const site = await webSite(at('set%201/labels.csv?rev=1'))
    expect(await site.look()).toMatchObject(isClean(1))
    const tag = tagOf('one').slice(1, -1)
    expect(await entryOf(site)).toEqual({ path: 'labels.csv', reference: at('set%201/labels.csv?rev=1'), sizeBytes: 3, digest: `etag:${tag}`, etag: tag })
    expect((await newest(site)).certificate).toMatchObject({ kind: 'scan', recorded: 1, requests: 1, skipped: [] })
  })

  test('unchanged makes no version at one request without a body; another one makes one; the one of before makes one', async () => {
    const site = await webSite(at())
    await site.look()
    web.methods()
    for (let look = 0; look < 3; look++) expect(await site.look()).toMatchObject(isClean(1))
    expect(web.asked.map(({ method, headers }) => [method, headers['if-none-match']])).toEqual(Array(3).fill(['HEAD', tagOf('one')]))
    expect(await requestsOf(site)).toBe(1)
    web.put('two')
    expect(await site.look()).toMatchObject(isClean(2))
    web.put('one')
    expect(await site.look()).toMatchObject(isClean(3))
    expect((await newest(site)).changes).toMatchObject({ added: 0, modified: 1, removed: 0 })
  })

  test('that stays while Last-Modified moves is no change', async () => {
    const site = await webSite(at())
    await site.look()
    web.served.modified = new Date('2026-02-01T00:00:00Z')
    expect(await site.look()).toMatchObject(isClean(1))
    web.served.conditions = false
    expect(await site.look()).toMatchObject(isClean(1))
  })

  test('that lies about other bytes of another length is found out', async () => {
    web.served.conditions = false
    const site = await webSite(at())
    await site.look()
    web.served.body = 'one and a half'
    expect(await site.look()).toMatchObject(isClean(2))
  })

  test('that is not in quotes is one all the same', async () => {
    web.served.etag = 'abc'
    const site = await webSite(at())
    await site.look()
    expect(await entryOf(site)).toMatchObject({ digest: 'etag:abc', etag: 'abc' })
    expect(await site.look()).toMatchObject(isClean(1))
  })

  test('without a length: the length is read, once for each change', async () => {
    web.served.length = false
    const site = await webSite(at())
    expect(await site.look()).toMatchObject(isClean(1))
    expect(await entryOf(site)).toMatchObject({ sizeBytes: 3, digest: `etag:${tagOf('one').slice(1, -1)}`, checksums: { md5: md5('one') } })
    web.methods()
    expect(await site.look()).toMatchObject(isClean(1))
    expect(web.methods()).toBe('HEAD')
    web.put('four')
    expect(await site.look()).toMatchObject(isClean(2))
    expect(await entryOf(site)).toMatchObject({ sizeBytes: 4 })
  })
})

test('asked for by the path of its entry it is looked at whole, and its reference stays', async () => {
  const site = await webSite(at('labels.csv?rev=/1'))
  await site.look()
  web.put('two')
  expect(await site.look('labels.csv')).toMatchObject(isClean(2))
  expect(await entryOf(site)).toMatchObject({ path: 'labels.csv', reference: at('labels.csv?rev=/1') })
  expect(await site.look('other', 'labels.csv?rev=/1')).toMatchObject(isClean(2))
})

describe('without a strong ETag, Last-Modified and length', () => {
  test.each([['no ETag', undefined], ['a weak one', 'W/"3-1"']])('tell the bytes: %s', async (_, etag) => {
    web.served.etag = etag
    const site = await webSite(at())
    await site.look()
    const weak = etag === undefined ? {} : { etag: 'W/"3-1' }
    expect(await entryOf(site)).toEqual({ path: 'labels.csv', reference: at(), sizeBytes: 3, digest: `modified:2026-01-01T00:00:00.000Z${etag === undefined ? '' : ' W/"3-1'}`, ...weak })
    web.methods()
    expect(await site.look()).toMatchObject(isClean(1))
    // Neither is asked for by condition: a weak ETag may stay when bytes do not, and "not since" holds for what is older, too.
    expect(web.asked.map(({ method, headers }) => [method, headers['if-none-match'], headers['if-modified-since']])).toEqual([['HEAD', undefined, undefined]])
    web.served = { ...web.served, body: 'two', modified: new Date('2026-01-01T00:00:01Z') }
    expect(await site.look()).toMatchObject(isClean(2))
    // An older file put in its place.
    web.served = { ...web.served, body: 'old', modified: new Date('2020-01-01T00:00:00Z') }
    expect(await site.look()).toMatchObject(isClean(3))
    web.served = { ...web.served, body: 'longer' }
    expect(await site.look()).toMatchObject(isClean(4))
  })

  test('a weak ETag that moves within the second of Last-Modified is a change', async () => {
    web.served.etag = 'W/"3-1001"'
    const site = await webSite(at())
    await site.look()
    web.served = { ...web.served, body: 'two', etag: 'W/"3-1002"' }
    expect(await site.look()).toMatchObject(isClean(2))
  })

  test('an ETag that becomes weak or strong, goes or comes, while they stay, is no change; and the next change is one', async () => {
    const site = await webSite(at())
    await site.look()
    const strong = web.served.etag as string
    for (const etag of [`W/${strong}`, strong, undefined, strong, `W/${strong}`, undefined, `W/${strong}`, strong]) {
      web.served.etag = etag
      expect({ etag, ...(await site.look()) }).toMatchObject({ etag, ...isClean(1) })
    }
    // Back again, the strong one alone decides.
    web.served = { ...web.served, etag: `W/${strong}` }
    await site.look()
    web.served = { ...web.served, etag: strong, modified: new Date(OLD.getTime() + 60_000) }
    expect(await site.look()).toMatchObject(isClean(1))
    web.put('two')
    expect(await site.look()).toMatchObject(isClean(2))
    web.served.etag = 'W/"3-1"'
    const weak = await webSite(at())
    await weak.look()
    for (const etag of ['"3-1"', 'W/"3-1"', undefined, '"3-1"']) {
      web.served.etag = etag
      expect({ etag, ...(await weak.look()) }).toMatchObject({ etag, ...isClean(1) })
    }
    expect(await entryOf(weak)).toMatchObject({ digest: expect.stringMatching(/^modified:.* W\/"3-1$/) })
    web.served.etag = '"3-2"'
    expect(await weak.look()).toMatchObject(isClean(2))
  })
})

test.each([['nothing', undefined], ['a weak ETag alone', 'W/"x"'], ['an empty ETag', '""']])('a server that shows %s is told of, with what to do; comparing the bytes is a way on', async (_, etag) => {
  web.served = { body: 'one', etag }
  const site = await webSite(at())
  expect(await site.look()).toMatchObject({
    versions: 0, state: 'backoff', reason: expect.stringMatching(/^USAGE: .*shows neither a strong ETag nor Last-Modified/), action: expect.stringMatching(/http\.checksum: content/),
  })
  const content = await webSite(at(), { checksum: 'content' })
  expect(await content.look()).toMatchObject(isClean(1))
  expect(await entryOf(content)).toMatchObject({ digest: `md5:${md5('one')}`, sizeBytes: 3, checksums: { md5: md5('one') } })
  expect(await content.look()).toMatchObject(isClean(1))
  web.served.body = 'two'
  expect(await content.look()).toMatchObject(isClean(2))
  web.served.body = 'one'
  expect(await content.look()).toMatchObject(isClean(3))
})

describe('checksum: content', () => {
  const touched = async (): Promise<Site> => {
    const site = await webSite(at(), { checksum: 'content' })
    await site.look()
    return site
  }

  test('a touch on a server whose ETag is made of the time is no version, and the entry has the ETag that now answers; without, it is one', async () => {
    web.served = { body: 'one', etag: '"3-1"', modified: OLD }
    const [site, plain] = [await touched(), await webSite(at())]
    await plain.look()
    for (const second of [2, 3, 4]) {
      web.served = { ...web.served, etag: `"3-${second}"`, modified: new Date(OLD.getTime() + second * 1_000) }
      expect(await site.look()).toMatchObject(isClean(1))
      expect(await plain.look()).toMatchObject(isClean(second))
    }
    expect(await entryOf(site)).toMatchObject({ digest: 'etag:3-4', etag: '3-4', checksums: { md5: md5('one') } })
    web.served = { ...web.served, body: 'two', etag: '"3-5"' }
    expect(await site.look()).toMatchObject(isClean(2))
  })

  test('what is settled is not read again', async () => {
    const site = await touched()
    web.methods()
    expect(await site.look()).toMatchObject(isClean(1))
    expect(web.methods()).toBe('HEAD')
    expect(await requestsOf(site)).toBe(1)
  })

  test('bytes that change within the second of their time and ETag are found, back and forth', async () => {
    web.served = { body: 'one', etag: '"3-1"', modified: new Date() }
    const site = await touched()
    let versions = 1
    for (const body of ['two', 'one', 'six', 'one', 'two']) {
      web.served.body = body
      expect({ body, ...(await site.look()) }).toMatchObject({ body, ...isClean(++versions) })
      expect(await site.look()).toMatchObject(isClean(versions))
    }
  })

  test('turned on, or off again, for an object that did not move is no version', async () => {
    for (const etag of ['"3-1"', undefined, 'W/"x"']) {
      web.served = { body: 'one', etag, modified: OLD }
      const site = await webSite(at())
      await site.look()
      for (const checksum of [true, false, true]) {
        Object.assign(site.watch, { http: checksum ? { checksum: 'content' } : {} })
        expect({ etag, checksum, ...(await site.look()) }).toMatchObject({ etag, checksum, ...isClean(1) })
      }
      expect(await entryOf(site)).toMatchObject({ checksums: { md5: md5('one') } })
      web.served = { body: 'one', etag: etag?.replace('1', '2'), modified: new Date(OLD.getTime() + 1_000) }
      expect({ etag, ...(await site.look()) }).toMatchObject({ etag, ...isClean(1) })
    }
  })

  test('a page that is made anew for each request, with a time of now, is the same bytes', async () => {
    let second = 0
    web.answer = (request, response) => serve({ body: 'one', modified: new Date(Date.now() + ++second * 1_000) }, request, response)
    const site = await touched()
    expect(await site.look()).toMatchObject(isClean(1))
  })

  test('a file that is written while it is read is torn: looked at again, and recorded when it rests', async () => {
    let restless = 3
    web.answer = (request, response) => {
      serve(web.served, request, response)
      if (request.method === 'GET' && restless-- > 0) web.put(`edit ${restless}`)
    }
    const site = await webSite(at(), { checksum: 'content' })
    expect(await site.look()).toMatchObject(isClean(1))
    expect(await entryOf(site)).toMatchObject({ checksums: { md5: md5('edit 0') } })
  })
})

test('a look that recorded nothing leaves what was known: the change that it could not record is found by the next', async () => {
  const site = await webSite(at())
  await site.look()
  web.put('two')
  web.answer = (_, response) => void response.writeHead(503).end()
  expect(await site.look()).toMatchObject({ versions: 1, state: 'unavailable' })
  web.answer = (request, response) => serve(web.served, request, response)
  expect(await site.look()).toMatchObject(isClean(2))
})
