// needs: redis
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { start as startComponent } from '../components.ts'
import { systemClock } from '../../src/compose.ts'
import { openForReading } from '../../src/registry/open.ts'
import { until } from '../e2e/site.ts'
import { varveHere } from './here.ts'
import { ended, says, start, varve } from './process.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-redis-'))
let redis: Awaited<ReturnType<typeof startComponent>>
beforeAll(async () => {
  redis = await startComponent('redis')
}, 60_000)
afterAll(async () => {
  await redis.stop()
  rmSync(folder, { recursive: true })
})

test('a daemon that is killed in the middle of a look finds, when it starts again, what it was looking at: it waits for no lock of the dead', async () => {
  const where = join(folder, 'killed')
  mkdirSync(join(where, 'files'), { recursive: true })
  writeFileSync(join(where, 'files/one'), 'one')
  writeFileSync(join(where, 'varve.yaml'), [
    `queue: ${redis.url}`,
    'listen: off',
    'watch:',
    // A look at what is younger than 2 s rests for the settle: long enough to be killed in.
    '  - { name: one, location: files/, artifact: demo/files, type: dataset, settle: 1s, max_wait: 20s }',
  ].join('\n'))
  const first = start(where, 'run')
  const end = ended(first)
  await says(first, /^demo\/files:v0 .*\n/m, 40_000)
  writeFileSync(join(where, 'files/two'), 'two')
  const registry = await openForReading(join(where, '.varve'))
  await until(async () => (await registry.watchViews(Date.now()))[0]?.state, (state) => state === 'looking', 30_000, 10)
  await registry.close()
  first.kill('SIGKILL')
  await end
  const admin = new Redis(redis.url)
  const locks = await admin.keys('varve:*:lock')
  expect(locks).toHaveLength(1)
  await admin.pexpire(locks[0] as string, 3_600_000)
  admin.disconnect()
  const second = start(where, 'run')
  const secondEnd = ended(second)
  try {
    await says(second, /^demo\/files:v1 .*\n/m, 40_000)
  } finally {
    second.kill('SIGTERM')
    await secondEnd
  }
}, 150_000)

test('beside a daemon with Redis, scan --wait wakes it at once, and goes by its sweep when Redis is gone', async () => {
  mkdirSync(join(folder, 'files'))
  writeFileSync(join(folder, 'files/one'), 'one')
  writeFileSync(join(folder, 'varve.yaml'), [
    `queue: ${redis.url}`,
    'listen: off',
    'watch:',
    '  - { name: one, location: files/, artifact: demo/files, type: dataset, settle: 300ms, max_wait: 2s }',
  ].join('\n'))
  const daemon = start(folder, 'run')
  const end = ended(daemon)
  try {
    await says(daemon, /^demo\/files:v0 .*\n/m, 30_000)
    const startedMs = performance.now()
    expect(await varve(folder, 'scan', 'one', '--wait')).toEqual({ exit: 0, stdout: 'unchanged: demo/files:v0\n', stderr: '' })
    // The sweep alone would take up to 15 s.
    expect(performance.now() - startedMs).toBeLessThan(10_000)
    await redis.stop()
    const { exit, stdout, stderr } = await varve(folder, 'scan', 'one')
    expect(exit).toBe(0)
    expect(stderr).toMatch(/^the daemon could not be woken, and looks at its next sweep: [^\n]+\n$/)
    expect(stdout).toBe('one: the daemon looks at it when it can\n')
    // Who waits is told what the daemon says of its queue, and does not wait for ever.
    await until(async () => (await varve(folder, 'status')).stdout, (text) => text.includes('queue: Redis'), 30_000)
    let ms = 0
    const clock = { ...systemClock, monotonic: () => ms, sleep: async (more: number) => void (ms += more) }
    const waited = await varveHere(['scan', 'one', '--wait', '--config', join(folder, 'varve.yaml')], () => ({ clock }))
    expect(waited).toMatchObject({ exit: 1, stdout: '' })
    expect(waited.stderr).toMatch(/^the daemon could not be woken[^\n]+\nvarve: the daemon looked at nothing for 30 s: queue: Redis does not answer[^\n]+; nothing is lost: [^\n]+\n$/)
  } finally {
    daemon.kill('SIGTERM')
    await end
  }
  expect((await end).exit).toBe(0)
}, 90_000)
