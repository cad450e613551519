// What the doctor says of a web object.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { parseLocation } from '../../../src/model/location.ts'
import type { Diagnosis } from '../../../src/model/probe.ts'
import type { HttpAccess } from '../../../src/model/watch.ts'
import { probeWeb } from '../../../src/storage/http/probe.ts'
import type { Bounds } from '../../../src/storage/http/config.ts'
import { Web } from '../../fakes/web.ts'
import type { Answering } from '../../fakes/web.ts'
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

function probe(http: HttpAccess = {}, url = `${web.url}/labels.csv`, means = MEANS, over: Partial<Bounds> = {}): Promise<readonly Diagnosis[]> {
  const location = parseLocation(url, '/')
  return probeWeb(watchOf({ locations: [location], http }), location, means, signal, over)
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

describe('a body that a look would read is read, and', () => {
  const SHORT = { silentMs: 1_000, bytesMax: 1e15 }
  const drip = (text: string, everyMs: number, headers: Record<string, string | number> = {}) => (request: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(200, { etag: '"x"', ...headers })
    if (request.method === 'HEAD') return void response.end()
    const timer = setInterval(() => response.write(text), everyMs)
    response.on('close', () => clearInterval(timer))
    response.write(text)
  }
  const broken: Answering = (request, response) => {
    response.writeHead(200, { etag: '"x"', 'content-length': 1_000 })
    if (request.method === 'HEAD') response.end()
    else response.write('one', () => response.destroy())
  }

  test.each<[string, Answering, RegExp, string]>([
    ['broken off', broken, /broke off after 3 of 1000 bytes/, 'check the server and the network if it lasts'],
    ['trickling', drip('x', 50, { 'content-length': 10_000 }), /only trickles: \d+ bytes came in 1 s/, 'check the server and the network if it lasts'],
  ])('%s it fails, as a look does', async (_, answer, reason, action) => {
    web.answer = answer
    expect(diagnosisOf(await probe({ checksum: 'content' }, undefined, undefined, SHORT), 'read')).toMatchObject({ outcome: 'fails', reason: expect.stringMatching(reason), action })
  })

  test('without an end it fails where it is too large, and is degraded where that is not seen in the time', async () => {
    web.answer = drip('x'.repeat(1_000), 20)
    // Nothing but the body tells the length, so it is read without `content`, too.
    for (const http of [{ checksum: 'content' } as const, {}]) {
      expect(diagnosisOf(await probe(http, undefined, undefined, { ...SHORT, bytesMax: 2_500 }), 'read')).toMatchObject({ outcome: 'fails', reason: expect.stringContaining('has more than 2500 bytes'), action: 'raise http.max_bytes, if its body has an end' })
      expect(diagnosisOf(await probe(http, undefined, undefined, SHORT), 'read')).toMatchObject({ outcome: 'degraded', reason: expect.stringMatching(/^\d+ bytes were read, and no end of them is told/), action: expect.any(String) })
    }
  })

  test('whole, or long and on its way, it works; and one that no look reads is not read', async () => {
    expect(diagnosisOf(await probe({ checksum: 'content' }), 'read')).toMatchObject({ outcome: 'works', reason: '3 bytes, to their end' })
    web.answer = drip('x'.repeat(1_000), 20, { 'content-length': 1e9 })
    expect(diagnosisOf(await probe({ checksum: 'content' }, undefined, undefined, SHORT), 'read')).toMatchObject({ outcome: 'works', reason: expect.stringMatching(/^\d+ of 1000000000 bytes were read; the rest was not read$/) })
    web.answer = broken
    expect(diagnosisOf(await probe(), 'read')).toEqual({ capability: 'read', outcome: 'works', reason: 'the head of its answer only: a look reads no more of it than proves its length' })
  })
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
