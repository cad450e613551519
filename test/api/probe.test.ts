// What the doctor says of the listener: of a running daemon's, of a free address, of somebody else's.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from '@jest/globals'
import type { Listener } from '../../src/api/api.ts'
import { openListener } from '../../src/api/listen.ts'
import { probeListener } from '../../src/api/probe.ts'
import type { ListenerOrder } from '../../src/api/probe.ts'
import type { Check } from '../../src/daemon/daemon.ts'
import { freePort } from '../components.ts'

const { signal } = new AbortController()
const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

const nothing = (): void => undefined
const log = { info: nothing, warn: nothing, error: nothing }

/** A daemon's listener with a hook at `/hooks/minio`; answers its port. */
async function daemon(checks: readonly Check[] = [], host = '127.0.0.1'): Promise<number> {
  const hook = { path: '/hooks/minio', refusal: async () => 401, tell: async () => 200 }
  const listener: Listener = await openListener({ host, port: 0, hooks: [hook], health: { checks: async () => checks }, metrics: async () => '', log })
  closing.push(() => listener.close())
  return Number(new URL(listener.url).port)
}

async function stranger(answer: RequestListener): Promise<number> {
  const server: Server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return (server.address() as AddressInfo).port
}

async function probed(port: number, over: Partial<ListenerOrder> = {}): Promise<string> {
  const diagnoses = await probeListener({ host: '127.0.0.1', port, said: false, hooks: [], runs: true, ...over }, signal)
  return diagnoses.map(({ capability, outcome, reason, action }) => {
    expect([capability, action === undefined]).toEqual(['listener', outcome === 'works'])
    return `${outcome}: ${reason}`
  }).join()
}

test('a daemon that is ready works, wherever it listens', async () => {
  expect(await probed(await daemon(), { hooks: ['/hooks/minio'] })).toBe('works: the running daemon is ready')
  expect(await probed(await daemon([], '0.0.0.0'), { host: '0.0.0.0' })).toBe('works: the running daemon is ready')
})

test('one that is ready says what it does not hear', async () => {
  expect(await probed(await daemon([{ check: 'registry', ok: true }, { check: 'files /x/', ok: true, why: 'it is not mounted' }]))).toBe('works: the running daemon is ready; files /x/: it is not mounted')
})

test('one that is not ready says what is not', async () => {
  const port = await daemon([{ check: 'registry', ok: true }, { check: 'sqs mnist', ok: false, why: 'it has not begun to hear' }])
  expect(await probed(port)).toBe('degraded: the running daemon is not ready: sqs mnist: it has not begun to hear')
})

test('one that does not know a path of the configuration fails', async () => {
  expect(await probed(await daemon(), { hooks: ['/hooks/minio', '/hooks/new'] })).toBe('fails: the running daemon does not know /hooks/new')
})

test('without a daemon the address must be free: where nobody needs it that is only degraded', async () => {
  expect(await probed(await freePort(), { runs: false })).toBe('works: free, for no daemon runs')
  const port = await stranger((_, response) => void response.end('<html>hello'))
  expect(await probed(port, { runs: false })).toBe('degraded: another process answers there')
  expect(await probed(port, { runs: false, said: true })).toBe('fails: another process answers there')
  expect(await probed(port, { runs: false, hooks: ['/hooks/minio'] })).toBe('fails: another process answers there')
  expect(await probed(await daemon(), { runs: false })).toBe('degraded: the daemon of another data folder answers there')
})

test('a port that is another at each start cannot be asked', async () => {
  expect(await probed(0)).toBe('degraded: port 0 is another port at each start, which varve run prints: it cannot be asked')
})

test('a daemon that does not answer is said to, within a bound', async () => {
  expect(await probed(await freePort(), { said: true })).toMatch(/^fails: the running daemon does not answer: .*ECONNREFUSED/)
  expect(await probed(await stranger(nothing), { hooks: ['/hooks/minio'] })).toMatch(/^fails: the running daemon does not answer: .*timeout/)
})
