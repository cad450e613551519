// Answers that are not the object, HEADs that lie, bodies that break off or never end: none becomes a version, each has its words.
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { freePort } from '../../components.ts'
import { serve, tagOf, Web } from '../../fakes/web.ts'
import type { Answering } from '../../fakes/web.ts'
import type { Watch } from '../../../src/model/watch.ts'
import { until } from '../../e2e/site.ts'
import { scanned } from '../../suite/store.ts'
import { entryOf, newest, openWeb, requestsOf, webSite } from './web.ts'

let web: Web
beforeEach(async () => {
  web = await Web.start()
})
afterEach(() => web.stop())

const at = (name = 'labels.csv'): string => `${web.url}/${name}`
const well: Answering = (request, response) => serve(web.served, request, response)
const on = (method: string, otherwise: Answering): Answering => (request, response) => (request.method === method ? otherwise : well)(request, response)
/** Sends `block` again and again, each when the one before was taken. */
function stream(response: ServerResponse, block: Buffer, took?: (bytes: number) => void, most = Infinity): void {
  let left = most
  const more = (): void => {
    if (response.destroyed) return
    if (left <= 0) return void response.end()
    left -= block.length
    response.write(block, (error) => {
      if (error) return
      took?.(block.length)
      setImmediate(more)
    })
  }
  more()
}

const content = { checksum: 'content' } as const

describe('a status', () => {
  test.each([
    [404, 'unavailable', /labels\.csv is not there \(404\)$/], [410, 'unavailable', /is gone for good \(410\)$/],
    [401, 'backoff', /^LOCATION_DENIED: .*may not be read \(401\)$/], [403, 'backoff', /^LOCATION_DENIED: .*\(403\)$/], [407, 'backoff', /^LOCATION_DENIED/], [451, 'backoff', /^LOCATION_DENIED/],
    [408, 'unavailable', /is not served just now \(408\)$/], [425, 'unavailable', /\(425\)$/], [429, 'unavailable', /\(429\)$/], [500, 'unavailable', /\(500\)$/], [503, 'unavailable', /\(503\)$/], [504, 'unavailable', /\(504\)$/],
    [201, 'backoff', /^STORAGE_INVALID: .*\(201\)$/], [204, 'backoff', /^STORAGE_INVALID/], [206, 'backoff', /^STORAGE_INVALID/], [400, 'backoff', /^STORAGE_INVALID/], [406, 'backoff', /^STORAGE_INVALID/], [418, 'backoff', /^STORAGE_INVALID/],
  ])('%i makes no version, nor an empty one: %s, and the last one stays', async (status, state, reason) => {
    const [site, first] = [await webSite(at()), await webSite(at())]
    await site.look()
    web.answer = (_, response) => void response.writeHead(status).end()
    const words = { state, reason: expect.stringMatching(reason), action: expect.stringMatching(/./) }
    expect(await site.look()).toMatchObject({ versions: 1, ...words })
    expect(await first.look()).toMatchObject({ versions: 0, ...words })
    // A touch-up is no way round.
    expect(await site.look('labels.csv')).toMatchObject({ versions: 1, ...words })
    expect(await site.look('labels.csv', 'other')).toMatchObject({ versions: 1, ...words })
    web.answer = well
    expect(await site.look()).toMatchObject({ versions: 1, state: 'clean', reason: undefined })
    expect((await newest(site)).entries).toBe(1)
  })

  test('401 with a challenge is answered with no credentials', async () => {
    web.answer = (_, response) => void response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
    await (await webSite(at())).look()
    expect(web.asked.map(({ headers }) => headers.authorization)).toEqual([undefined])
  })
})

describe('an HTML page with status 200', () => {
  const page: Answering = (request, response) => serve({ body: '<html>Sign in', etag: '"page"', headers: { 'content-type': 'text/html; charset=utf-8' } }, request, response)

  test.each(['labels.csv', 'data', 'model.pt?download=1', 'x.html.gz'])('in the place of %s is no version, and the words say how to go on', async (name) => {
    const site = await webSite(at(name))
    await site.look()
    web.answer = page
    expect(await site.look()).toMatchObject({
      versions: 1, state: 'backoff', reason: expect.stringMatching(/^STORAGE_INVALID: .*HTML page, which its name does not say/), action: expect.stringMatching(/http\.html: true/),
    })
    Object.assign(site.watch, { http: { html: true } })
    expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
  })

  test.each(['page.html', 'PAGE.HTM', 'a.xhtml?x=1.csv', 'p.shtml'])('is what %s says it is', async (name) => {
    web.answer = page
    expect(await (await webSite(at(name))).look()).toMatchObject({ versions: 1, state: 'clean' })
  })

  test('behind a redirect to a login is no version either', async () => {
    const site = await webSite(at())
    await site.look()
    web.answer = (request, response) => (request.url === '/login' ? page(request, response) : void response.writeHead(302, { location: '/login' }).end())
    expect(await site.look()).toMatchObject({ versions: 1, reason: expect.stringMatching(/HTML page/) })
  })
})

describe('compression', () => {
  const packed = (etag: string, encoding: string, length = true): Answering => (request, response) =>
    serve({ body: 'packed', etag, length, headers: { 'content-encoding': encoding } }, request, response)

  test.each([['W/"x"', 'gzip', true], ['"x-gzip"', 'gzip', true], ['"x--gzip"', 'gzip', true], ['"x;gzip"', 'gzip', true], ['"x-br"', 'br', true], ['"x"', 'gzip', false]])(
    'on the way, ETag %s, is no version: length and ETag are of other bytes', async (etag, encoding, length) => {
      const site = await webSite(at())
      await site.look()
      web.answer = packed(etag, encoding, length)
      expect(await site.look()).toMatchObject({ versions: 1, state: 'backoff', reason: expect.stringMatching(/^STORAGE_INVALID: .*compressed on the way/), action: expect.stringMatching(/compression/) })
    })

  test('of what is stored packed is what it is: its own strong ETag and length', async () => {
    web.answer = packed('"stored"', 'gzip')
    const site = await webSite(at())
    expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
    expect(await entryOf(site)).toMatchObject({ digest: 'etag:stored', sizeBytes: 6 })
  })

  test('that is none, or an ETag that only ends so, is nothing', async () => {
    for (const [etag, encoding] of [['"x-gzip"', ''], ['"x-gzip"', 'identity']] as const) {
      web.answer = packed(etag, encoding)
      expect(await (await webSite(at())).look()).toMatchObject({ versions: 1, state: 'clean' })
    }
  })
})

describe('HEAD', () => {
  const edits = async (head: Answering, http: Watch['http'] = {}): Promise<string[]> => {
    const asked: string[] = []
    web.answer = on('HEAD', head)
    const site = await webSite(at(), http)
    const look = async (versions: number): Promise<void> => {
      expect(await site.look()).toMatchObject({ versions, state: 'clean' })
      asked.push(web.methods())
    }
    for (const versions of [1, 1, 1]) await look(versions)
    web.put('two')
    await look(2)
    await look(2)
    return asked
  }

  test('that works is one request while nothing moves, and what moved is seen by GET', async () => {
    expect(await edits(well)).toEqual(['GET', 'HEAD', 'HEAD', 'HEAD GET', 'HEAD'])
  })

  test.each([405, 501, 403, 404, 500])('refused with %i is asked once; then GETs, of which the unchanged is one small answer', async (status) => {
    expect(await edits((_, response) => void response.writeHead(status).end())).toEqual(['GET', 'HEAD GET', 'GET', 'GET', 'GET'])
  })

  test.each<[string, Answering]>([
    ['of another ETag', (_, response) => void response.writeHead(200, { etag: '"other"', 'content-length': 3 }).end()],
    ['of no length', (_, response) => void response.writeHead(200, { etag: tagOf('one'), 'content-length': 0 }).end()],
    ['of nothing', (_, response) => void response.writeHead(200).end()],
    ['of an unchanged other one', (_, response) => void response.writeHead(304, { etag: '"other"' }).end()],
    ['that breaks off', (_, response) => void response.destroy()],
  ])('that lies, %s, makes no version and hides none', async (_, head) => {
    expect(await edits(head)).toEqual(['GET', 'HEAD GET', 'GET', 'GET', 'GET'])
  })

  test('that says for ever that nothing moved is found out within the hour', async () => {
    const site = await webSite(at())
    await site.look()
    web.answer = on('HEAD', (_, response) => void response.writeHead(304).end())
    web.put('two')
    expect(await site.look()).toMatchObject({ versions: 1 })
    const later = Date.now() + 3_700_000
    const now = Date.now
    Date.now = () => later
    try {
      expect(await site.look()).toMatchObject({ versions: 2 })
    } finally {
      Date.now = now
    }
  })

  test('works no worse where conditions are not known', async () => {
    web.served.conditions = false
    expect(await edits(well)).toEqual(['GET', 'HEAD', 'HEAD', 'HEAD GET', 'HEAD'])
  })

  test('refused, with Last-Modified alone: GETs by If-Modified-Since, believed where the time is shown', async () => {
    web.served.etag = undefined
    expect(await edits((_, response) => void response.writeHead(405).end())).toEqual(['GET', 'HEAD GET', 'GET', 'GET', 'GET'])
    // A server that calls "not modified" what is older than was asked, and does not show the time.
    web.served = { body: 'one', modified: new Date('2026-01-01T00:00:00Z') }
    const silent: Answering = (request, response) => {
      if (request.headers['if-modified-since'] === undefined || request.method !== 'GET') return void response.writeHead(request.method === 'HEAD' ? 405 : 200, { 'content-length': 3, 'last-modified': web.served.modified?.toUTCString() }).end(request.method === 'HEAD' ? undefined : 'one')
      response.writeHead(304).end()
    }
    web.answer = silent
    const site = await webSite(at())
    for (const versions of [1, 1, 1]) expect(await site.look()).toMatchObject({ versions, state: 'clean' })
    web.served.modified = new Date('2020-01-01T00:00:00Z')
    expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
  })

  test('is not worth a body: what is dropped of a large one is a fraction of it', async () => {
    let taken = 0
    web.answer = (request, response) => {
      if (request.method === 'HEAD') return void response.writeHead(405).end()
      response.writeHead(200, { etag: '"large"', 'content-length': 1e9 })
      stream(response, Buffer.alloc(1_000_000), (bytes) => (taken += bytes))
    }
    const site = await webSite(at())
    for (const versions of [1, 1, 1]) expect(await site.look()).toMatchObject({ versions, state: 'clean' })
    expect(await entryOf(site)).toMatchObject({ sizeBytes: 1e9 })
    // One more when it is new: whether it has a last byte.
    expect(web.methods()).toBe('GET GET HEAD GET GET')
    expect(await requestsOf(site)).toBe(1)
    expect(taken).toBeLessThan(1e8)
  })
})

describe('a length that lies', () => {
  const told = (sizeBytes: number, body: string, ranged: Answering = (_, response) => void response.writeHead(416).end()): Answering => (request, response) => {
    if (request.headers.range !== undefined) return ranged(request, response)
    response.writeHead(200, { 'content-length': sizeBytes, etag: '"new"' })
    if (request.method === 'HEAD') return void response.end()
    response.write(body, () => response.destroy())
  }
  const part = (range: string, etag = '"new"', body = 'x'): Answering => (_, response) => void response.writeHead(206, { 'content-range': range, etag, 'content-length': 1 }).end(body)

  test.each<[string, Answering, string, RegExp]>([
    ['of a short body', told(1_000, 'three'), 'unavailable', /broke off after 5 of 1000 bytes/],
    ['of no body', told(1_000, ''), 'unavailable', /broke off after 0 of 1000 bytes/],
    ['of a long body, which has no byte there', told(2e6, 'three'), 'backoff', /^STORAGE_INVALID: .*shows a length of 2000000 bytes that cannot be right: asked for the last of them it answers 416$/],
    ['of a long body, which has another length', told(2e6, 'three', part('bytes 1999999-1999999/3000000')), 'backoff', /^STORAGE_INVALID: .*answers 206 \(bytes 1999999-1999999\/3000000\)/],
    ['of a long body, which is cut before its last byte', told(2e6, 'three', (_, response) => {
      response.writeHead(206, { 'content-range': 'bytes 1999999-1999999/2000000', etag: '"new"', 'content-length': 1 }).flushHeaders()
      response.destroy()
    }), 'unavailable', /broke off after 0 of 1 bytes/],
  ])('%s, is no version, though its ETag tells of a change', async (_, answer, state, reason) => {
    const [site, first] = [await webSite(at()), await webSite(at())]
    await site.look()
    web.answer = answer
    const words = { state, reason: expect.stringMatching(reason), action: expect.stringMatching(/./) }
    expect(await site.look()).toMatchObject({ versions: 1, ...words })
    expect(await first.look()).toMatchObject({ versions: 0, ...words })
    web.answer = well
    web.put('two')
    expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
  })

  test('not, where the range that is answered leaves the whole open', async () => {
    web.answer = told(2e6, 'three', part('bytes 1999999-1999999/*'))
    expect(await (await webSite(at())).look()).toMatchObject({ versions: 1, state: 'clean' })
  })

  test('not, though it is long, is proven by one byte, once for each change; a server without ranges is believed', async () => {
    web.served = { body: Buffer.alloc(2e6), etag: '"a"', ranges: {} }
    const site = await webSite(at())
    expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
    expect(web.asked.map(({ headers }) => headers.range)).toEqual([undefined, 'bytes=1999999-1999999'])
    web.methods()
    expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
    expect(web.methods()).toBe('HEAD')
    web.served = { body: Buffer.alloc(2e6), etag: '"b"' }
    expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
  })

  test('only because the object moved while it was asked for is looked at again', async () => {
    let ranged = 0
    web.answer = told(2e6, 'three', (request, response) => {
      ranged++
      web.answer = well
      part('bytes 1999999-1999999/3000000', '"newer"')(request, response)
    })
    const site = await webSite(at())
    expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
    expect([ranged, (await entryOf(site)).sizeBytes]).toEqual([1, 3])
  })
})

describe('a body that is read', () => {
  const cut = (told: number, sent: string): Answering => (_, response) => {
    response.writeHead(200, { 'content-length': told, etag: '"cut"' })
    response.write(sent, () => response.destroy())
  }

  test.each<[string, Answering, string, RegExp]>([
    ['breaks off before its length', cut(1_000, 'one'), 'unavailable', /broke off after 3 of 1000 bytes/],
    ['breaks off within its chunks', (_, response) => {
      response.writeHead(200, { etag: '"cut"' })
      response.write('one', () => response.destroy())
    }, 'unavailable', /broke off after 3 bytes/],
    ['never ends', (_, response) => {
      response.writeHead(200, { etag: '"endless"' })
      stream(response, Buffer.alloc(10_000))
    }, 'oversize', /has more than 100000 bytes \(http\.max_bytes\)/],
    ['is told to be too long', (_, response) => {
      response.writeHead(200, { etag: '"long"', 'content-length': 100_001 })
      response.write('x')
    }, 'oversize', /has more than 100000 bytes/],
    ['stops coming', (_, response) => {
      response.writeHead(200, { etag: '"stops"', 'content-length': 10_000 })
      response.write('one')
    }, 'unavailable', /only trickles: 3 bytes came in 0\.4 s, and fewer than 1000 are as good as none/],
    ['does not begin', (_, response) => {
      response.writeHead(200, { etag: '"none"', 'content-length': 10_000 })
      response.flushHeaders()
    }, 'unavailable', /is silent: nothing came for 0\.4 s/],
    ['drips', (_, response) => {
      response.writeHead(200, { etag: '"drips"' })
      const drip = setInterval(() => response.write('x'), 20)
      response.on('close', () => clearInterval(drip))
    }, 'unavailable', /only trickles: \d+ bytes came in 0\.4 s/],
  ])('and %s is no version', async (_, answer, state, reason) => {
    const site = await webSite(at(), { ...content, bytesMax: 100_000 }, { silentMs: 400 })
    await site.look()
    web.answer = on('GET', answer)
    web.put('two')
    expect(await site.look()).toMatchObject({ versions: 1, state, reason: expect.stringMatching(reason), action: expect.stringMatching(/./) })
    web.answer = well
    expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
  })

  test('without an end, where its length must be read, is no version without `content` either', async () => {
    web.answer = (_, response) => {
      response.writeHead(200, { etag: '"endless"' })
      stream(response, Buffer.alloc(10_000))
    }
    expect(await (await webSite(at(), { bytesMax: 100_000 })).look()).toMatchObject({ versions: 0, state: 'oversize', action: expect.stringMatching(/raise http\.max_bytes/) })
  })

  test('of exactly the most bytes is taken, and read in flat memory', async () => {
    const bytes = 300_000_000
    web.answer = (_, response) => {
      response.writeHead(200, { 'content-length': bytes })
      stream(response, Buffer.alloc(1_000_000), undefined, bytes)
    }
    const site = await webSite(at(), { ...content, bytesMax: bytes })
    const before = process.memoryUsage().rss
    expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
    expect(await entryOf(site)).toMatchObject({ sizeBytes: bytes })
    expect(process.memoryUsage().rss - before).toBeLessThan(150_000_000)
  })

  test('ends with its connection when the look is stopped', async () => {
    const stop = new AbortController()
    let closed = false
    web.answer = (_, response) => {
      response.on('close', () => (closed = true))
      response.writeHead(200, { etag: '"x"', 'content-length': 1_000 })
      response.write('x', () => setTimeout(() => stop.abort(), 50))
    }
    const store = await openWeb(at(), content)
    await expect(scanned(store, stop.signal)).rejects.toMatchObject({ name: 'AbortError' })
    await until(() => closed, Boolean, 10_000)
    await store.close()
  })

  test('of no bytes is an object', async () => {
    web.served = { body: '', etag: '"empty"' }
    const site = await webSite(at(), content)
    expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
    expect(await entryOf(site)).toMatchObject({ sizeBytes: 0, checksums: { md5: '1B2M2Y8AsgTpgAmY7PhCfg==' } })
  })
})

describe('what is not HTTP as it should be', () => {
  let sockets: Socket[] = []
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy()
  })

  const raw = async (text: string, end = true): Promise<{ url: string; stop: () => Promise<void> }> => {
    const server = createServer((socket) => {
      sockets.push(socket)
      socket.on('error', () => undefined)
      socket.once('data', () => (end ? socket.end(text) : socket.write(text)))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    return {
      url: `http://127.0.0.1:${port}/a.csv`,
      stop: async () => {
        for (const socket of sockets) socket.destroy()
        server.close()
        await once(server, 'close')
      },
    }
  }

  test.each([
    ['another protocol', '220 ftp ready\r\n', true, 'backoff', /^STORAGE_INVALID: .*does not answer in HTTP\/1\.1 \(HPE_/],
    ['nothing', '', true, 'unavailable', /does not answer \(ECONNRESET\)/],
    ['silence', '', false, 'unavailable', /is silent: nothing came/],
    ['half a head', 'HTTP/1.1 200 OK\r\nETag: "x', false, 'unavailable', /does not answer: no whole head of an answer came within 0\.4 s/],
    ['two lengths', 'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nfour', true, 'backoff', /^STORAGE_INVALID: .*HPE_/],
    ['a length that is none', 'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: -3\r\n\r\nfour', true, 'backoff', /^STORAGE_INVALID: .*HPE_/],
    ['a head without end', `HTTP/1.1 200 OK\r\n${'X-Fill: fill\r\n'.repeat(10_000)}`, false, 'backoff', /^STORAGE_INVALID: .*HPE_HEADER_OVERFLOW/],
    ['a body whose end is that of the connection', 'HTTP/1.0 200 OK\r\nETag: "x"\r\n\r\nfour', true, 'backoff', /^STORAGE_INVALID: .*without its length/],
    ['chunks that are none', 'HTTP/1.1 200 OK\r\nETag: "x"\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', true, 'unavailable', /broke off after 0 bytes/],
  ])('%s is no version', async (_, text, end, state, reason) => {
    const server = await raw(text, end)
    const site = await webSite(server.url, content, { silentMs: 400 })
    expect(await site.look()).toMatchObject({ versions: 0, state, reason: expect.stringMatching(reason), action: expect.stringMatching(/./) })
    await server.stop()
  })

  test('nobody at the port, or no host of that name, is unavailable', async () => {
    const port = await freePort()
    expect(await (await webSite(`http://127.0.0.1:${port}/a.csv`)).look()).toMatchObject({ versions: 0, state: 'unavailable', reason: expect.stringMatching(/does not answer \(ECONNREFUSED\)/) })
    const unknown = Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' })
    expect(await (await webSite('http://nowhere.test/a.csv', {}, { lookup: (_, __, answer) => answer(unknown, []) })).look())
      .toMatchObject({ versions: 0, state: 'unavailable', reason: expect.stringMatching(/no host of that name is known/), action: expect.stringMatching(/correct the host/) })
  })
})
