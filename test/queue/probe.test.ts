// needs: redis
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { probeRedis } from '../../src/queue/probe.ts'
import { freePort, start } from '../components.ts'

const { signal } = new AbortController()
let running: Awaited<ReturnType<typeof start>>
beforeAll(async () => {
  running = await start('redis')
}, 60_000)
afterAll(() => running.stop())

/** Gives the server orders, as its owner. */
async function order(...orders: readonly (readonly [string, ...string[]])[]): Promise<void> {
  const redis = new Redis(running.url)
  for (const [command, ...words] of orders) await redis.call(command, ...words)
  await redis.quit()
}

test('a Redis that is set up well works', async () => {
  expect(await probeRedis(running.url, signal)).toEqual([{ capability: 'redis', outcome: 'works', reason: expect.any(String) }])
})

test('one that drops what it holds, or forgets it, is degraded', async () => {
  await order(['config', 'set', 'maxmemory-policy', 'allkeys-lru'], ['config', 'set', 'appendonly', 'no'])
  expect(await probeRedis(running.url, signal)).toEqual([{ capability: 'redis', outcome: 'degraded', reason: expect.stringMatching(/allkeys-lru.*appendonly/) }])
  await order(['config', 'set', 'maxmemory-policy', 'noeviction'], ['config', 'set', 'appendonly', 'yes'])
})

test('one whose INFO is denied is degraded, with the permission', async () => {
  await order(['acl', 'setuser', 'limited', 'on', '>secret', '~*', '&*', '+@all', '-info'])
  expect(await probeRedis(running.url.replace('//', '//limited:secret@'), signal)).toEqual([{ capability: 'redis', outcome: 'degraded', reason: expect.stringContaining('INFO is denied'), action: expect.any(String), permission: '+info' }])
})

test('one that refuses the user fails, without its password being shown', async () => {
  const diagnoses = await probeRedis(running.url.replace('//', '//limited:wrong-secret@'), signal)
  expect(diagnoses).toEqual([{ capability: 'redis', outcome: 'fails', reason: expect.stringContaining('refuses'), action: 'correct user and password in the URL of queue' }])
  expect(JSON.stringify(diagnoses)).not.toContain('secret')
})

test('one that is not there, or hangs, fails within its bound', async () => {
  expect(await probeRedis(`redis://127.0.0.1:${await freePort()}/0`, signal)).toMatchObject([{ outcome: 'fails', reason: expect.stringContaining('does not answer') }])
  running.pause()
  try {
    expect(await probeRedis(running.url, signal)).toMatchObject([{ outcome: 'fails', reason: expect.stringContaining('does not answer') }])
  } finally {
    running.resume()
  }
})
