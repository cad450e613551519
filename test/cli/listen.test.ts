// long
// Where the daemon listens, and what happens when it cannot: real processes.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { ended, says, start, varve } from './process.ts'

let folder: string
let child: ChildProcess | undefined
let taken: Server | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-listen-'))
  mkdirSync(join(folder, 'files'))
  writeFileSync(join(folder, 'files/one'), 'one')
})
afterEach(async () => {
  child?.kill('SIGKILL')
  taken?.close()
  taken = undefined
  rmSync(folder, { recursive: true })
})

const FILES = '{ name: files, location: files/, artifact: demo/files, type: dataset, settle: 300ms, poll: 1d }'
const UNMOUNTED = '{ name: unmounted, location: mount/, artifact: demo/unmounted, type: dataset, settle: 300ms, poll: 1d }'
const HOOK = '{ name: hook, location: s3://b-1/x/, artifact: demo/x, type: dataset, s3: { endpoint: "http://127.0.0.1:1", region: us-east-1 }, events: { webhook: { path: /hooks/x, token_file: token } } }'

function configure(listen: string | undefined, ...watches: readonly string[]): void {
  writeFileSync(join(folder, 'varve.yaml'), [...(listen === undefined ? [] : [`listen: "${listen}"`]), 'watch:', ...watches.map((watch) => `  - ${watch}`)].join('\n'))
}

/** Has the port for this test alone: another may have it for a moment. */
async function take(port: number): Promise<number> {
  for (;;) {
    const server = createServer().listen(port, '127.0.0.1')
    const got = await once(server, 'listening').then(() => true, () => false)
    if (got) return (taken = server, (server.address() as AddressInfo).port)
    await sleep(100)
  }
}

test('where the default port is taken and nobody is to post, one warning says so, and the daemon works', async () => {
  await take(7373)
  configure(undefined, FILES)
  child = start(folder, 'run')
  const end = ended(child)
  const said = await says(child, /demo\/files:v0 /, 60_000)
  expect(said).not.toContain('listening')
  child.kill('SIGTERM')
  const { exit, stderr } = await end
  expect(exit).toBe(0)
  expect(stderr.trimEnd().split('\n').map((line) => JSON.parse(line) as unknown)).toEqual([expect.objectContaining({
    level: 'warn', error: 'cannot listen on 127.0.0.1:7373: another process listens there', msg: expect.stringContaining('set listen to a free address, or to off'),
  })])
}, 180_000)

test('where the operator said the address, or somebody is to post, it is a refusal with what to do', async () => {
  writeFileSync(join(folder, 'token'), 'secret-token')
  const port = await take(0)
  configure(`127.0.0.1:${port}`, FILES)
  const words = (at: number): object => ({ exit: 1, stdout: '', stderr: `varve: cannot listen on 127.0.0.1:${at}: another process listens there; set listen to another address, such as 127.0.0.1:7374, or to off\n` })
  expect(await varve(folder, 'run')).toEqual(words(port))
  taken?.close()
  await take(7373)
  configure(undefined, FILES, HOOK)
  expect(await varve(folder, 'run')).toEqual(words(7373))
}, 180_000)

test('an address that is not this machine\'s is refused', async () => {
  configure('192.0.2.1:80', FILES)
  expect(await varve(folder, 'run')).toMatchObject({ exit: 1, stdout: '', stderr: expect.stringMatching(/^varve: cannot listen on 192\.0\.2\.1:80: .*EADDRNOTAVAIL.*; set listen to [^\n]+\n$/) })
}, 180_000)

test('a webhook without a token is refused before anything is watched, as `check` says it', async () => {
  configure('127.0.0.1:0', HOOK)
  const refusal = (why: string): object => ({
    exit: 78, stdout: '',
    stderr: `varve: ${join(folder, 'varve.yaml')}:3:${4 + HOOK.indexOf(' token }') + 2}: \`token_file\`: the token file ${join(folder, 'token')} ${why}; write one into it, such as the output of: openssl rand -hex 32\n`,
  })
  for (const verb of ['run', 'check']) expect(await varve(folder, verb)).toEqual(refusal('cannot be read (ENOENT)'))
  // Who only asks what happened may not be allowed to read it.
  expect(await varve(folder, 'status')).toMatchObject({ exit: expect.not.stringMatching('78'), stderr: expect.stringContaining('no registry in') })
  writeFileSync(join(folder, 'token'), '\n')
  expect(await varve(folder, 'run')).toEqual(refusal('is empty'))
}, 180_000)

test('ready is said once all sources were tried, though the mount of one was never there, and to nobody when nothing listens', async () => {
  writeFileSync(join(folder, 'token'), 'secret-token')
  configure('127.0.0.1:0', FILES, UNMOUNTED, HOOK)
  child = start(folder, 'run')
  const end = ended(child)
  const url = / listening on (http:\S+)/.exec(await says(child, /listening on http:\S+\n/, 60_000))?.[1] as string
  const ready = async (): Promise<Response> => fetch(`${url}/readyz`)
  let answer = await ready()
  for (let tries = 0; answer.status !== 200 && tries < 1_000; tries++) {
    await sleep(50)
    answer = await ready()
  }
  const [well, unmounted] = [['registry', 'queue', `files ${join(folder, 'files')}/`, 'webhook /hooks/x'].map((check) => ({ check, ok: true })), `files ${join(folder, 'mount')}/`]
  expect(await answer.json()).toEqual({ ready: true, checks: [...well.slice(0, 3), { check: unmounted, ok: true, why: expect.stringMatching(/./) }, ...well.slice(3)] })
  const post = (authorization: string): Promise<Response> => fetch(`${url}/hooks/x`, { method: 'POST', headers: { authorization }, body: JSON.stringify({ Records: [{ s3: { bucket: { name: 'b-1' }, object: { key: 'x/a' } } }] }) })
  expect([(await post('Bearer secret-token')).status, (await post('Bearer other')).status]).toEqual([200, 401])
  child.kill('SIGTERM')
  const { exit, stderr } = await end
  expect([exit, stderr.includes('secret-token')]).toEqual([0, false])
}, 180_000)
