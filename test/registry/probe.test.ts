import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { probeData } from '../../src/registry/probe.ts'

const NOBODY = 65_534
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-data-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** What a user without any rights is told. */
function asNobody(...folders: readonly string[]): unknown[] {
  const text = `
    const { probeData } = await import(${JSON.stringify(new URL('../../src/registry/probe.ts', import.meta.url).href)})
    process.stdout.write(JSON.stringify((await Promise.all(process.argv.slice(1).map(probeData))).flat()))`
  const words = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', text, ...folders]
  return JSON.parse(execFileSync(process.execPath, words, { uid: NOBODY, gid: NOBODY, cwd: '/', encoding: 'utf8', timeout: 60_000 })) as unknown[]
}

test('a data folder that is there, or can be made, works; nothing is made', async () => {
  const free = { capability: 'data', outcome: 'works', reason: expect.stringMatching(/^[\d.]+ MB are free at /) }
  expect(await probeData(folder)).toEqual([free])
  expect(await probeData(join(folder, 'not/yet'))).toEqual([{ ...free, reason: expect.stringContaining(`at ${folder}`) }])
  expect(readdirSync(folder)).toEqual([])
})

test('one that may not be written, or made, fails, and so does a database of somebody else', () => {
  chmodSync(folder, 0o755)
  mkdirSync(join(folder, 'open'))
  chmodSync(join(folder, 'open'), 0o777)
  writeFileSync(join(folder, 'open/varve.db'), '')
  writeFileSync(join(folder, 'a-file'), '')
  const denied = (path: string): object => ({ capability: 'data', outcome: 'fails', reason: `${path} may not be written`, action: expect.stringContaining('permission') })
  expect(asNobody(folder, join(folder, 'not/yet'), join(folder, 'open'), join(folder, 'a-file'))).toEqual([
    denied(folder), denied(folder), denied(join(folder, 'open/varve.db')),
    { capability: 'data', outcome: 'fails', reason: `${join(folder, 'a-file')} is no folder`, action: 'set data to a folder' },
  ])
})

test('on a disk that is nearly full it is degraded, on a full one it fails', () => {
  const room = (size: string, filled: string): unknown => {
    const text = `mount -t tmpfs -o size=${size} tmpfs ${folder} && head -c ${filled} /dev/zero > ${folder}/fill; exec "$@"`
    const ask = `const { probeData } = await import(${JSON.stringify(new URL('../../src/registry/probe.ts', import.meta.url).href)}); process.stdout.write(JSON.stringify(await probeData(${JSON.stringify(folder)})))`
    // A mount namespace of its own: this machine's mounts stay as they are.
    return JSON.parse(execFileSync('unshare', ['--mount', 'sh', '-c', text, 'sh', process.execPath, '--disable-warning=ExperimentalWarning', '--input-type=module', '-e', ask], { encoding: 'utf8', timeout: 60_000, stdio: ['ignore', 'pipe', 'ignore'] }))
  }
  expect(room('8M', '4M')).toMatchObject([{ outcome: 'degraded', reason: expect.stringContaining('soon nothing may be recorded') }])
  expect(room('1M', '4M')).toMatchObject([{ outcome: 'fails', reason: expect.stringContaining('nothing can be recorded') }])
})
