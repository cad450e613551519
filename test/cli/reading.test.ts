// The verbs that read, for who may not write there: another user's folder, and a file system that nobody writes to.
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { says, site } from '../e2e/site.ts'
import type { Site } from '../e2e/site.ts'
import type { Ended } from './process.ts'

const NOBODY = 65_534
let place: Site
let data: string
beforeEach(() => {
  place = site()
  data = join(place.folder, '.varve')
  chmodSync(place.folder, 0o755)
  mkdirSync(join(place.folder, 'disk'))
  writeFileSync(join(place.folder, 'disk', 'a'), 'x')
  place.configure({ data: '.varve', watch: [{ name: 'disk', location: 'disk/', artifact: 'demo/disk', type: 'dataset', settle: '100ms', max_wait: '1s' }] })
})
afterEach(() => place.remove())

const nobody = (...words: readonly string[]): Promise<Ended> => place.run({ words, uid: NOBODY }).ended

/** Each verb that reads answers, and knows `version`. */
async function reads(version: string, run = nobody): Promise<void> {
  expect(await run('fsck')).toMatchObject({ exit: 0, stdout: 'sound\n', stderr: '' })
  const verbs = [['ls'], ['log', 'demo/disk'], ['show', 'demo/disk:latest'], ['files', 'demo/disk:latest'], ['history', 'demo/disk', 'a'], ['diff', 'demo/disk:v0', 'v0'], ['status']]
  for (const verb of verbs) {
    const { exit, stdout, stderr } = await run(...verb)
    expect({ verb, exit, stderr: stderr.replace(/^no daemon runs on .*\n/, '') }).toEqual({ verb, exit: 0, stderr: '' })
    if (['ls', 'log', 'show', 'status'].includes(verb[0] as string)) expect(stdout).toMatch(new RegExp(`\\b${version}\\b`))
  }
}

test('they read beside the daemon of another user, after it, and after it was killed; they make nothing, and nothing that writes is let through', async () => {
  let daemon = place.run()
  await says(daemon, /demo\/disk:v0 /, 30_000)
  await reads('v0')
  writeFileSync(join(place.folder, 'disk', 'a'), 'y')
  await says(daemon, /demo\/disk:v1 /, 30_000)
  await reads('v1')
  await daemon.stop()
  await reads('v1')
  expect(readdirSync(data).sort()).toEqual(['daemon.lock', 'varve.db'])
  expect(await nobody('alias', 'add', 'demo/disk:v0', 'good')).toMatchObject({ exit: 1, stderr: expect.stringMatching(/^varve: this user may not write to .*varve\.db; run it as the user who owns .*\.varve\n$/) })
  const put = ['put', 'disk/', '--name', 'demo/other', '--type', 'dataset']
  const may = (words: string, exit = 1): object => ({ exit, stdout: '', stderr: `varve: the registry cannot be used: this user may not ${words} ${data}; run it as the user who owns ${data}, give this user that right, or name another folder for data\n` })
  for (const verb of [put, ['scan', 'disk'], ['accept', 'disk'], ['run'], ['backup', '/tmp/none.db']]) expect(await nobody(...verb)).toMatchObject(may('write to'))
  chmodSync(data, 0o700)
  for (const verb of [put, ['scan', 'disk'], ['run'], ['backup', '/tmp/none.db'], ['ls'], ['alias', 'add', 'demo/disk:v0', 'good']]) expect(await nobody(...verb)).toMatchObject(may('enter'))
  for (const verb of ['status', 'fsck']) expect(await nobody(verb)).toMatchObject(may('enter', 3))
  chmodSync(data, 0o755)
  // Where it would be made.
  expect((await nobody('put', 'disk/', '--data', 'none/yet', '--name', 'demo/other', '--type', 'dataset')).stderr).toMatch(`may not write to ${place.folder};`)
  daemon = place.run()
  writeFileSync(join(place.folder, 'disk', 'a'), 'z')
  await says(daemon, /demo\/disk:v2 /, 30_000)
  await daemon.kill()
  await reads('v2')
  // What was written last is not to be had now, so nothing older is told for it.
  rmSync(join(data, 'varve.db-shm'))
  expect(await nobody('ls')).toMatchObject({ exit: 1, stdout: '', stderr: expect.stringMatching(/varve\.db-wal alone.*; have one who may write to .*\.varve run varve status there once\n$/) })
  await place.varve('status')
  await reads('v2')
  chmodSync(join(data, 'varve.db'), 0o600)
  expect(await nobody('ls')).toMatchObject({ exit: 1, stderr: expect.stringMatching(/varve\.db may not be read; give this user permission/) })
}, 180_000)

test('they read on a file system that is mounted read-only', async () => {
  mkdirSync(data)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'varve-reading', data])
  try {
    expect(await place.varve('scan', 'disk')).toMatchObject({ exit: 0 })
    execFileSync('mount', ['-o', 'remount,ro', data])
    await reads('v0', place.varve)
    expect(await place.varve('scan', 'disk')).toMatchObject({ exit: 1, stderr: expect.stringMatching(/\.varve lies on a file system that is mounted read-only; mount it writable/) })
  } finally {
    execFileSync('umount', ['-l', data])
  }
}, 120_000)
