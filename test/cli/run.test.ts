// long
// The daemon as people start it: real processes, a real folder.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { systemClock } from '../../src/compose.ts'
import { site, until } from '../e2e/site.ts'
import { varveHere } from './here.ts'
import { ended, says, start, startWith, varve } from './process.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-run-'))
  mkdirSync(join(folder, 'files'))
  writeFileSync(join(folder, 'files/one'), 'one')
  writeFileSync(join(folder, 'quickstart.yaml'), [
    'data: .varve',
    'listen: off',
    'watch:',
    '  - { name: quick, location: files/, artifact: demo/files, type: dataset, settle: 300ms, max_wait: 2s, poll: 1s }',
  ].join('\n'))
})
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL')
  rmSync(folder, { recursive: true })
})

// A test that fails must leave no daemon behind.
const started: ChildProcess[] = []
function begin(...words: readonly string[]): ChildProcess {
  const child = start(folder, ...words)
  started.push(child)
  return child
}

test('run prints what it watches, what to try, each version within two seconds, and ends with 0 at SIGTERM', async () => {
  const daemon = begin('run', '--config', 'quickstart.yaml')
  const end = ended(daemon)
  const opening = await says(daemon, /^demo\/files:v0 .*\n/m, 10_000)
  expect(opening).toContain('quick: file://')
  expect(opening).toContain('-> demo/files (dataset)')
  expect(opening).toContain('demo/files:v0  +1 ~0 -0  (3 B added, config)')
  const tries = opening.split('\n').filter((line) => line.startsWith('  npm run -s varve -- '))
  expect(tries.length).toBeGreaterThanOrEqual(3)
  const changed = says(daemon, /^demo\/files:v1 {2}\+1 ~0 -0 {2}\(5 B added, (hint|interval)\)\n/m, 5_000)
  writeFileSync(join(folder, 'files/two'), 'two\n\n')
  const writtenMs = performance.now()
  await changed
  expect(performance.now() - writtenMs).toBeLessThan(2_000)
  for (const line of tries) {
    const words = line.replace('  npm run -s varve -- ', '').split(' ')
    expect([0, 1]).toContain((await varve(folder, ...words)).exit)
  }
  daemon.kill('SIGTERM')
  expect(await end).toMatchObject({ exit: 0, stderr: '' })
  const again = begin('run', '--config', 'quickstart.yaml')
  const ending = ended(again)
  expect(await says(again, /status\n/, 10_000)).toContain('; now at v1\n')
  again.kill('SIGTERM')
  expect((await ending).exit).toBe(0)
}, 40_000)

test('told to stop in the middle of a big look it ends with 0, at once when it is told twice; the next start records it', async () => {
  for (let n = 0; n < 8_000; n++) writeFileSync(join(folder, 'files', `${n}`), `${n}`)
  for (const times of [1, 2]) {
    const daemon = begin('run', '--config', 'quickstart.yaml')
    const end = ended(daemon)
    await says(daemon, /status\n/, 30_000)
    for (let n = 0; n < times; n++) {
      daemon.kill('SIGTERM')
      // One that is not yet taken and another are one signal.
      await setTimeout(5)
    }
    expect(await end).toMatchObject({ exit: 0, stderr: '' })
  }
  const again = begin('run', '--config', 'quickstart.yaml')
  const ending = ended(again)
  await says(again, /^demo\/files:v0 {2}\+8,?001 |; now at v0\n/m, 60_000)
  again.kill('SIGTERM')
  expect((await ending).exit).toBe(0)
}, 120_000)

test('beside a running daemon, scan asks it and waits; a second daemon is refused', async () => {
  const daemon = begin('run', '--config', 'quickstart.yaml')
  const end = ended(daemon)
  await says(daemon, /^demo\/files:v0 .*\n/m, 10_000)
  const common = ['--config', 'quickstart.yaml'] as const
  expect(await varve(folder, 'scan', 'quick', '--wait', ...common)).toEqual({ exit: 0, stdout: 'unchanged: demo/files:v0\n', stderr: '' })
  expect(await varve(folder, 'scan', 'quick', ...common)).toEqual({ exit: 0, stdout: 'quick: the daemon looks at it now\n', stderr: '' })
  expect(await varve(folder, 'scan', 'quikc', ...common)).toMatchObject({ exit: 1, stdout: '', stderr: expect.stringContaining('there is: quick') })
  expect(await varve(folder, 'accept', 'quick', ...common)).toMatchObject({ exit: 1, stdout: '', stderr: expect.stringMatching(/^varve: [^\n]+\n$/) })
  expect(await varve(folder, 'run', ...common)).toMatchObject({ exit: 1, stderr: expect.stringMatching(/^varve: [^\n]+\n$/) })
  expect(await varve(folder, 'status', ...common)).toMatchObject({ exit: 0, stderr: '' })
  daemon.kill('SIGINT')
  expect(await end).toMatchObject({ exit: 0 })
}, 40_000)

test('a daemon that hangs, or is killed, keeps nobody waiting for ever', async () => {
  const common = ['scan', 'quick', '--wait', '--config', join(folder, 'quickstart.yaml')] as const
  const daemon = begin('run', '--config', 'quickstart.yaml')
  await says(daemon, /^demo\/files:v0 .*\n/m, 10_000)
  daemon.kill('SIGSTOP')
  // Time that passes as fast as it is waited for.
  let ms = 0
  const clock = { ...systemClock, monotonic: () => ms, sleep: async (more: number) => void (ms += more) }
  expect(await varveHere(common, () => ({ clock }))).toEqual({
    exit: 1, stdout: '', stderr: 'varve: the daemon looked at nothing for 30 s, and does not say why; it hangs, perhaps: end it and start it again; what was asked for is not forgotten\n',
  })
  const asked = JSON.parse((await varve(folder, 'status', '--json', '--config', 'quickstart.yaml')).stdout) as { generation: number }
  const scan = ended(begin(...common))
  await until(async () => JSON.parse((await varve(folder, 'status', '--json', '--config', 'quickstart.yaml')).stdout) as typeof asked, ({ generation }) => generation > asked.generation, 20_000)
  daemon.kill('SIGKILL')
  expect(await scan).toEqual({ exit: 1, stdout: '', stderr: 'varve: the daemon ended before it had looked at quick; ask again: where no daemon runs it is looked at here\n' })
  expect(await varve(folder, ...common)).toEqual({ exit: 0, stdout: 'unchanged: demo/files:v0\n', stderr: '' })
}, 90_000)

test.each([['run'], ['scan', 'disk']])('of a %s that was killed while it looked, status does not say that it looks', async (...words) => {
  const place = site()
  try {
    mkdirSync(join(place.folder, 'disk'))
    writeFileSync(join(place.folder, 'disk/one'), 'one')
    place.configure({ data: '.varve', watch: [{ name: 'disk', location: 'disk/', artifact: 'demo/disk', type: 'dataset' }] })
    await place.run({ words, crashAt: 'mid-hash:1' }).ended
    expect(await place.varve('status')).toMatchObject({ stdout: expect.stringMatching(/^disk +demo\/disk +dirty /m) })
    expect(await place.varve('status', '--data', '.varve')).toMatchObject({ stdout: expect.stringMatching(/^disk +demo\/disk +dirty /m) })
  } finally {
    await place.remove()
  }
}, 60_000)

test('what a guard holds, accept lets through: without a daemon in this process', async () => {
  const common = ['--config', 'quickstart.yaml'] as const
  expect(await varve(folder, 'scan', 'quick', ...common)).toMatchObject({ exit: 0, stdout: 'demo/files:v0\n' })
  rmSync(join(folder, 'files/one'))
  const held = await varve(folder, 'scan', 'quick', ...common)
  expect(held).toMatchObject({ exit: 1, stdout: '', stderr: expect.stringMatching(/^varve: quick is held: .*varve accept quick\n$/) })
  expect((await varve(folder, 'status', ...common)).stdout).toContain('to do:')
  expect(await varve(folder, 'accept', 'quick', ...common)).toEqual({ exit: 0, stdout: 'demo/files:v1\n', stderr: 'demo/files: v0 is lost (1 entry); see varve log\n' })
  expect((await varve(folder, 'status', ...common)).exit).toBe(0)
}, 40_000)

test('a reader who has seen enough ends a listing quietly', async () => {
  for (let i = 0; i < 3_000; i++) writeFileSync(join(folder, `files/${String(i).padStart(80, '0')}`), String(i))
  await varve(folder, 'put', 'files/', '--name', 'a/b', '--type', 't')
  const child = begin('files', 'a/b')
  child.stdout?.once('data', () => child.stdout?.destroy())
  const { exit, stderr } = await ended(child)
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
}, 40_000)

test.each([['SIGINT', 130], ['SIGTERM', 143]] as const)('a put that is interrupted by %s exits with %d and records nothing', async (signal, exit) => {
  // A store that takes the question and never answers.
  const silent = createServer(() => undefined).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const keys = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b', AWS_REGION: 'us-east-1' }
  const endpoint = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
  const child = startWith({ ...keys, AWS_ENDPOINT_URL_S3: endpoint }, folder, 'put', 's3://bucket/', '--name', 'a/b', '--type', 't')
  started.push(child)
  const end = ended(child)
  await once(silent, 'request')
  child.kill(signal)
  expect(await end).toEqual({ exit, stdout: '', stderr: '' })
  silent.closeAllConnections()
  silent.close()
  expect((await varve(folder, 'log', 'a/b', '--json')).stdout).toBe('')
}, 40_000)
