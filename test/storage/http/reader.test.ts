import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { parseLocation } from '../../../src/model/location.ts'
import type { HttpAccess } from '../../../src/model/watch.ts'
import { openHttpReader } from '../../../src/storage/http/reader.ts'
import type { Reader } from '../../../src/storage/storage.ts'
import { serve, tagOf, Web } from '../../fakes/web.ts'
import { bytesOf, standing } from '../../suite/reader.ts'
import { openWeb } from './web.ts'

const going = new AbortController().signal
let web: Web
let other: Web
let reader: Reader
beforeEach(async () => {
  web = await Web.start()
  other = await Web.start()
  reader = await at('/a.csv')
})
afterEach(async () => {
  await reader.close()
  await web.stop()
  await other.stop()
})

const at = (path: string, access: HttpAccess = {}): Promise<Reader> => openHttpReader(parseLocation(web.url + path, '/'), access)
const strong = (body: string): string => tagOf(body).replaceAll('"', '')

test('what stands is told as a look records it', async () => {
  for (const served of [web.served, { ...web.served, etag: 'W/"weak"' }, { ...web.served, etag: undefined }]) {
    web.served = served
    const store = await openWeb(`${web.url}/a.csv`)
    const listed = []
    for await (const span of store.scan(0, going)) listed.push(...span.entries())
    expect((await standing(reader, ['/a.csv']))[0]?.held).toEqual({ sizeBytes: 3, current: true, content: listed[0]?.content })
    const opened = await reader.open('/a.csv', {}, going)
    expect(opened.content).toEqual(listed[0]?.content)
    expect(String(await bytesOf(opened))).toBe('one')
  }
})

describe('a condition on the ETag', () => {
  test('a strong one is sent, as it was before it was recorded, and a weak one only compared', async () => {
    await bytesOf(await reader.open('/a.csv', { etag: strong('one') }, going))
    web.served = { ...web.served, etag: 'W/"weak"' }
    await bytesOf(await reader.open('/a.csv', { etag: 'W/"weak' }, going))
    expect(web.asked.map(({ headers }) => headers['if-match'])).toEqual([tagOf('one'), undefined])
    await expect(reader.open('/a.csv', { etag: 'W/"other' }, going)).rejects.toMatchObject({ code: 'OVERTAKEN' })
  })

  test('holds also where the server knows none, or shows none any more', async () => {
    web.put('two')
    await expect(reader.open('/a.csv', { etag: strong('one') }, going)).rejects.toMatchObject({ code: 'OVERTAKEN' })
    await expect(reader.open('/a.csv', { etag: strong('one'), range: { from: 0, upTo: 1 } }, going)).rejects.toMatchObject({ code: 'OVERTAKEN' })
    web.served = { ...web.served, etag: undefined }
    await expect(reader.open('/a.csv', { etag: strong('two') }, going)).rejects.toMatchObject({ code: 'OVERTAKEN' })
  })
})

test('a page in the place of the object is refused, and so is what is packed on the way', async () => {
  web.served = { ...web.served, headers: { 'content-type': 'text/html' } }
  await expect(reader.open('/a.csv', {}, going)).rejects.toMatchObject({ code: 'STORAGE_INVALID' })
  const html = await at('/a.csv', { html: true })
  expect(String(await bytesOf(await html.open('/a.csv', {}, going)))).toBe('one')
  web.served = { ...web.served, etag: 'W/"x"', headers: { 'content-encoding': 'gzip' } }
  await expect(reader.open('/a.csv', {}, going)).rejects.toMatchObject({ code: 'STORAGE_INVALID' })
})

test('a redirect is followed with range and condition, but not to a private address of another host', async () => {
  web.answer = (request, response) => {
    if (request.url === '/a.csv') response.writeHead(302, { location: '/b.csv' }).end()
    else serve({ ...web.served, ranges: {} }, request, response)
  }
  expect(String(await bytesOf(await reader.open('/a.csv', { etag: strong('one'), range: { from: 1, upTo: 3 } }, going)))).toBe('ne')
  web.answer = (_, response) => void response.writeHead(302, { location: `${other.url}/a.csv` }).end()
  await expect(reader.open('/a.csv', {}, going)).rejects.toMatchObject({ code: 'LOCATION_DENIED' })
  await expect(standing(reader, ['/a.csv'])).rejects.toMatchObject({ code: 'LOCATION_DENIED' })
  expect(other.connections).toBe(0)
})

test.each([[410, 'NOT_FOUND'], [403, 'LOCATION_DENIED'], [503, 'STORAGE_UNAVAILABLE'], [418, 'STORAGE_INVALID'], [204, 'STORAGE_INVALID']] as const)('%s is %s', async (status, code) => {
  web.answer = (_, response) => void response.writeHead(status).end()
  await expect(reader.open('/a.csv', {}, going)).rejects.toMatchObject({ code })
  if (code === 'NOT_FOUND') expect(await reader.versions('/a.csv', going)).toEqual([])
  else await expect(reader.versions('/a.csv', going)).rejects.toMatchObject({ code })
})

test('what is sent without its length and without its end is refused', async () => {
  web.answer = (_, response) => {
    response.useChunkedEncodingByDefault = false
    response.writeHead(200, { connection: 'close' }).end('one')
  }
  await expect(reader.open('/a.csv', {}, going)).rejects.toMatchObject({ code: 'STORAGE_INVALID' })
})
