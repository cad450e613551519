// The listener as its clients meet it: real sockets on loopback.
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { Hook, Listener } from '../../src/api/api.ts'
import { openListener } from '../../src/api/listen.ts'
import type { Check } from '../../src/daemon/daemon.ts'

const open: Listener[] = []
const logged: string[] = []
afterEach(async () => {
  for (const listener of open.splice(0)) await listener.close()
  logged.splice(0)
})

const log = {
  info: () => undefined,
  warn: (_: unknown, message: string) => void logged.push(message),
  error: (_: unknown, message: string) => void logged.push(message),
}

interface Asked {
  readonly refusals: (string | undefined)[]
  readonly bodies: string[]
}

/** A hook that refuses who does not show `good`, and answers `status` to the rest. */
function hookAt(path: string, asked: Asked, status: () => Promise<number> = async () => 200): Hook {
  return {
    path,
    refusal: async (authorization) => (asked.refusals.push(authorization), authorization === 'good' ? undefined : 401),
    tell: async (body) => (asked.bodies.push(Buffer.from(body).toString()), status()),
  }
}

async function listening(hooks: readonly Hook[] = [], checks: () => Promise<readonly Check[]> = async () => [], host = '127.0.0.1'): Promise<Listener> {
  const listener = await openListener({ host, port: 0, hooks, health: { checks }, metrics: async () => 'varve_up 1\n', log })
  open.push(listener)
  return listener
}

const nobody = (): Asked => ({ refusals: [], bodies: [] })
const post = (url: string, body: string, headers: Record<string, string> = { authorization: 'good' }): Promise<Response> => fetch(url, { method: 'POST', body, headers })

/** Sends `text` as it is; answers all that came back until the other end closed. */
async function raw(url: string, text: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let answered = ''
  socket.on('data', (bytes) => (answered += String(bytes))).on('error', () => undefined)
  socket.write(text)
  await once(socket, 'close')
  return answered
}

describe('health', () => {
  test('the process is alive though what it needs is not; ready says which, and why', async () => {
    const bad: Check[] = [{ check: 'registry', ok: true }, { check: 'queue', ok: false, why: 'Redis does not answer' }]
    const { url } = await listening([], async () => bad)
    const [live, ready] = await Promise.all([fetch(`${url}/livez`), fetch(`${url}/readyz`)])
    expect([live.status, await live.json()]).toEqual([200, { alive: true }])
    expect([ready.status, ready.headers.get('content-type'), ready.headers.get('cache-control')]).toEqual([503, 'application/json', 'no-store'])
    expect(await ready.json()).toEqual({ ready: false, checks: bad })
    bad.splice(1)
    const again = await fetch(`${url}/readyz?verbose`)
    expect([again.status, await again.json()]).toEqual([200, { ready: true, checks: [{ check: 'registry', ok: true }] }])
    expect((await fetch(`${url}/readyz`, { method: 'HEAD' })).status).toBe(200)
    const metrics = await fetch(`${url}/metrics`)
    expect([metrics.status, metrics.headers.get('content-type'), await metrics.text()]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8', 'varve_up 1\n'])
  })

  test('a check that hangs hangs no other request; one that fails is an answer and a line', async () => {
    let go = (): void => undefined
    let failing = false
    const { url } = await listening([], () => (failing ? Promise.reject(new Error('it broke')) : new Promise((resolve) => (go = () => resolve([])))))
    const hanging = fetch(`${url}/readyz`)
    expect((await fetch(`${url}/livez`)).status).toBe(200)
    go()
    expect((await hanging).status).toBe(200)
    failing = true
    expect((await fetch(`${url}/readyz`)).status).toBe(500)
    expect(logged).toEqual(['a request could not be answered'])
  })
})

describe('what is not served', () => {
  test('unknown paths, wrong methods', async () => {
    const asked = nobody()
    const { url } = await listening([hookAt('/hooks/one', asked)])
    for (const path of ['/', '/livez/', '/LIVEZ', '/hooks', '/hooks/one/', '/hooks/two', '/hooks/%6fne', '//livez']) expect([path, (await fetch(url + path)).status]).toEqual([path, 404])
    for (const [method, path, allow] of [['POST', '/livez', 'GET, HEAD'], ['DELETE', '/readyz', 'GET, HEAD'], ['POST', '/metrics', 'GET, HEAD'], ['OPTIONS', '/hooks/one', 'POST'], ['GET', '/hooks/one', 'POST']] as const) {
      const answer = await fetch(url + path, { method })
      expect([method, path, answer.status, answer.headers.get('allow')]).toEqual([method, path, 405, allow])
    }
    expect(asked.refusals).toEqual([])
  })

  test.each(['evil.example', 'localhost.evil.example', 'evil.example:7373', '127.0.0.1.evil.example'])('on loopback, health for a page whose name points here: %s', async (host) => {
    const { url } = await listening()
    for (const path of ['/readyz', '/livez', '/metrics']) expect(await raw(url, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).toMatch(/^HTTP\/1\.1 421 /)
  })

  test.each(['127.0.0.1', 'localhost:1', '[::1]:7373', '10.1.2.3:80', 'Varve.LOCALHOST'])('names that nobody can point here are served: %s', async (host) => {
    const { url } = await listening()
    expect(await raw(url, `GET /livez HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).toMatch(/^HTTP\/1\.1 200 /)
  })

  test('who says no name is no browser; where all may come, any name will do', async () => {
    const { url } = await listening()
    expect(await raw(url, 'GET /livez HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /)
    const wide = await listening([], undefined, '0.0.0.0')
    expect(await raw(wide.url, 'GET /livez HTTP/1.1\r\nHost: varve.svc.cluster.local\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /)
  })
})

describe('posts', () => {
  test('what is refused is refused before its body is read, and says no why', async () => {
    const asked = nobody()
    const { url } = await listening([hookAt('/hooks/one', asked)])
    const answer = await post(`${url}/hooks/one`, 'x'.repeat(500_000), {})
    expect([answer.status, answer.headers.get('www-authenticate'), await answer.text()]).toEqual([401, 'Bearer', ''])
    expect(asked).toEqual({ refusals: [undefined], bodies: [] })
  })

  test.each([200, 400, 503])('the hook decides: %d', async (status) => {
    const asked = nobody()
    const { url } = await listening([hookAt('/hooks/one', asked, async () => status)])
    expect((await post(`${url}/hooks/one`, '{"é":1}')).status).toBe(status)
    expect(asked).toEqual({ refusals: ['good'], bodies: ['{"é":1}'] })
  })

  test('a body of a megabyte is taken whole, one byte more is not: told beforehand, or found on the way', async () => {
    const asked = nobody()
    const { url } = await listening([hookAt('/hooks/one', asked)])
    expect((await post(`${url}/hooks/one`, 'x'.repeat(1_048_576))).status).toBe(200)
    expect((await post(`${url}/hooks/one`, 'x'.repeat(1_048_577))).status).toBe(413)
    const { port } = new URL(url)
    const chunked = httpRequest({ port, host: '127.0.0.1', path: '/hooks/one', method: 'POST', headers: { authorization: 'good', 'transfer-encoding': 'chunked' } })
    for (let i = 0; i < 40; i++) chunked.write('x'.repeat(65_536))
    chunked.end()
    const [answer] = (await once(chunked, 'response')) as [{ statusCode: number; resume(): void }]
    answer.resume()
    expect(answer.statusCode).toBe(413)
    expect(asked.bodies.map((body) => body.length)).toEqual([1_048_576])
  })

  test('who asks before it sends is told to go on, but only with the token', async () => {
    const { url } = await listening([hookAt('/hooks/one', nobody())])
    const ask = (authorization: string): string => `POST /hooks/one HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n`
    expect(await raw(url, `${ask('good')}{}`)).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /)
    expect(await raw(url, ask('bad'))).toMatch(/^HTTP\/1\.1 401 /)
  })

  test('a post that breaks off is nobody\'s, and no line', async () => {
    const asked = nobody()
    const { url } = await listening([hookAt('/hooks/one', asked)])
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.write('POST /hooks/one HTTP/1.1\r\nHost: x\r\nAuthorization: good\r\nContent-Length: 10\r\n\r\n{"a"')
    while (asked.refusals.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    socket.destroy()
    expect((await fetch(`${url}/livez`)).status).toBe(200)
    expect([asked.bodies, logged]).toEqual([[], []])
  })

  test('headers without end are refused', async () => {
    const { url } = await listening()
    expect(await raw(url, `GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /)
    expect(await raw(url, 'this is no HTTP\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
  })
})

describe('the address', () => {
  test('one that is taken is refused, in words', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    await expect(openListener({ host: '127.0.0.1', port, hooks: [], health: { checks: async () => [] }, metrics: async () => '', log })).rejects.toMatchObject({
      code: 'LISTEN_REFUSED', message: `cannot listen on 127.0.0.1:${port}: another process listens there`, hint: expect.stringContaining('set listen to'),
    })
    other.close()
  })

  test('one of IPv6 is told as a URL that works', async () => {
    const { url } = await listening([], undefined, '::1')
    expect(url).toMatch(/^http:\/\/\[::1\]:\d+$/)
    expect((await fetch(`${url}/livez`)).status).toBe(200)
  })
})

test('at its end it answers what is under way, and takes nothing more', async () => {
  let mark = (): void => undefined
  const asked = nobody()
  const listener = await openListener({ host: '127.0.0.1', port: 0, health: { checks: async () => [] }, metrics: async () => '', log, hooks: [hookAt('/hooks/one', asked, () => new Promise((resolve) => (mark = () => resolve(200))))] })
  const idle: Socket = connect(Number(new URL(listener.url).port), '127.0.0.1')
  idle.on('error', () => undefined)
  await once(idle, 'connect')
  const under = post(`${listener.url}/hooks/one`, '{}')
  while (asked.bodies.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  const closing = listener.close()
  await expect(fetch(`${listener.url}/livez`)).rejects.toThrow()
  mark()
  expect((await under).status).toBe(200)
  await closing
  idle.destroy()
})

test('what is never answered does not hold the end for ever', async () => {
  const asked = nobody()
  const listener = await openListener({ host: '127.0.0.1', port: 0, health: { checks: async () => [] }, metrics: async () => '', log, hooks: [hookAt('/hooks/one', asked, () => new Promise(() => undefined))] })
  const under = post(`${listener.url}/hooks/one`, '{}').then(() => 'answered', () => 'cut off')
  while (asked.bodies.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  await listener.close()
  expect(await under).toBe('cut off')
}, 30_000)
