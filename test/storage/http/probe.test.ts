// What the doctor says of a web object.
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { parseLocation } from '../../../src/model/location.ts'
import type { Diagnosis } from '../../../src/model/probe.ts'
import type { HttpAccess } from '../../../src/model/watch.ts'
import { probeWeb } from '../../../src/storage/http/probe.ts'
import { Web } from '../../fakes/web.ts'
import { freePort } from '../../components.ts'
import { realClock } from '../../laws/world.ts'
import { watchOf } from '../../suite/registry-world.ts'
import { diagnosisOf, MEANS, outcomesOf } from '../probing.ts'

const { signal } = new AbortController()
let web: Web
beforeEach(async () => {
  web = await Web.start()
})
afterEach(() => web.stop())

function probe(http: HttpAccess = {}, url = `${web.url}/labels.csv`, means = MEANS): Promise<readonly Diagnosis[]> {
  const location = parseLocation(url, '/')
  return probeWeb(watchOf({ locations: [location], http }), location, means, signal)
}

test('one with an ETag works, at two questions', async () => {
  expect(outcomesOf(await probe())).toEqual(['read works', 'track works', 'head works'])
  expect(web.methods()).toBe('GET HEAD')
})

test('how much its changes show depends on what the server shows, and on what the watch wants', async () => {
  const track = async (http?: HttpAccess): Promise<string | undefined> => outcomesOf(await probe(http))[1]
  const { etag, ...untagged } = web.served
  web.served = untagged
  expect([await track(), await track({ checksum: 'content' })]).toEqual(['track degraded', 'track works'])
  web.served = { ...untagged, modified: undefined }
  expect([await track(), await track({ checksum: 'content' })]).toEqual(['track fails', 'track degraded'])
  expect(diagnosisOf(await probe(), 'track')?.action).toContain('set http.checksum: content')
  expect(etag).toBeDefined()
})

test('a HEAD that is refused, or tells otherwise, costs a GET at each look', async () => {
  const answer = web.answer
  web.answer = (request, response) => (request.method === 'HEAD' ? void response.writeHead(405).end() : answer(request, response))
  expect(diagnosisOf(await probe(), 'head')).toMatchObject({ outcome: 'degraded', reason: 'HEAD is answered 405: a GET is asked at each look' })
  web.answer = (request, response) => (request.method === 'HEAD' ? void response.writeHead(200, { etag: '"other"' }).end() : answer(request, response))
  expect(diagnosisOf(await probe(), 'head')).toMatchObject({ outcome: 'degraded', reason: expect.stringContaining('otherwise than GET') })
})

test('what is larger than may be read fails before it is read', async () => {
  web.put('x'.repeat(2_000))
  expect(outcomesOf(await probe({ checksum: 'content', bytesMax: 1_000 }))).toContain('size fails')
  expect(outcomesOf(await probe({ bytesMax: 1_000 }))).not.toContain('size fails')
})

test.each<[string, number, string, Record<string, string>, RegExp]>([
  ['is not there', 404, '', {}, /is not there \(404\)/], ['is denied', 403, '', {}, /may not be read \(403\)/], ['is ill', 503, '', {}, /is not served just now/],
  ['is a login page', 200, '<html>', { 'content-type': 'text/html' }, /HTML/i], ['is moved to nowhere', 302, '', {}, /redirected without a word/],
])('one that %s fails', async (_, status, body, headers, words) => {
  web.answer = (_request, response) => void response.writeHead(status, headers).end(body)
  const diagnoses = await probe()
  expect(outcomesOf(diagnoses)).toEqual(['read fails'])
  expect(diagnoses[0]).toMatchObject({ reason: expect.stringMatching(words), action: expect.any(String) })
})

test('one that is not reached, or never answers, ends with words', async () => {
  expect(await probe({}, `http://127.0.0.1:${await freePort()}/x`)).toMatchObject([{ outcome: 'fails', reason: expect.stringContaining('does not answer'), action: 'check the server and the network if it lasts' }])
  web.answer = () => undefined
  expect(await probe({}, `${web.url}/x`, { clock: realClock(), boundMs: 300 })).toMatchObject([{ outcome: 'fails', reason: 'no answer within 0.3 s' }])
})
