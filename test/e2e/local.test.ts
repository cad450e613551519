// long
// Folders that people unmount, exchange, empty, forbid and fill: real mounts (this machine's root makes them), the real daemon.
import { execFileSync } from 'node:child_process'
import { appendFileSync, chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { says, site, until } from './site.ts'
import type { Site } from './site.ts'

const ART = 'demo/disk'
const NOBODY = 65_534
let place: Site
let disk: string
beforeEach(() => {
  place = site()
  disk = join(place.folder, 'disk')
  mkdirSync(disk)
  configure()
})
afterEach(async () => {
  for (const mounted of [...mounts]) unmount(mounted)
  await place.remove()
})

const mounts: string[] = []
function mount(name: string, at: string, options = 'size=16m'): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, name, at])
  mounts.push(at)
}

function unmount(at: string): void {
  // Lazily: the daemon may hold it for a moment, as it would hold any disk.
  execFileSync('umount', ['-l', at])
  const last = mounts.lastIndexOf(at)
  if (last >= 0) mounts.splice(last, 1)
}

function configure(more: object = {}): void {
  place.configure({
    data: '.varve', watch: [{ name: 'disk', location: 'disk/', artifact: ART, type: 'dataset', settle: '200ms', max_wait: '2s', poll: '1s', ...more }],
  })
}

function fill(count: number, text = 'file'): void {
  mkdirSync(join(disk, 'd'), { recursive: true })
  for (let i = 0; i < count; i++) writeFileSync(join(disk, 'd', `f${String(i).padStart(3, '0')}`), `${text} ${i}`)
}

const versions = async (): Promise<number> => (await place.log(ART)).length
const isClean = (status: { readonly state: string }): boolean => status.state === 'clean'

test('an unmounted disk is unavailable and makes no version; mounted again it goes on', async () => {
  mount('varve-a', disk)
  fill(30)
  const daemon = place.run()
  await says(daemon, /demo\/disk:v0 /, 15_000)
  unmount(disk)
  const gone = await until(() => place.status(), ({ state }) => state === 'unavailable', 15_000)
  expect(gone).toMatchObject({ head: 'v0', reason: expect.stringContaining('tmpfs varve-a'), action: expect.stringContaining('varve accept disk') })
  expect((await place.varve('status')).exit).toBe(1)
  await says(daemon, /disk is unavailable: .*the root is gone.*mount it again/, 1_000)
  // What is written beneath, where the disk was, is not its content.
  writeFileSync(join(disk, 'stray'), 'x')
  await sleep(2_500)
  expect(await versions()).toBe(1)
  rmSync(join(disk, 'stray'))
  mount('varve-a', disk)
  fill(31)
  await says(daemon, /demo\/disk:v1 {2}\+1 ~0 -0 /, 25_000)
  expect(await daemon.stop()).toMatchObject({ exit: 0 })
}, 90_000)

test('another disk in its place is held until a person accepts it', async () => {
  mount('varve-a', disk)
  fill(30)
  const daemon = place.run()
  await says(daemon, /demo\/disk:v0 /, 15_000)
  mount('varve-b', disk)
  fill(30, 'other')
  const held = await until(() => place.status(), ({ state }) => state === 'held', 15_000)
  expect(held.reason).toMatch(/another root is in its place: it was tmpfs varve-a at .*, now it is tmpfs varve-b/)
  expect(held.action).toContain('varve accept disk')
  expect(await versions()).toBe(1)
  const accepted = await place.varve('accept', 'disk', '--wait')
  expect(accepted).toEqual({ exit: 0, stdout: 'demo/disk:v1\n', stderr: '' })
  expect((await place.log(ART))[0]).toMatchObject({ version: 'v1', changes: { added: 0, modified: 30, removed: 0 } })
  expect(isClean(await until(() => place.status(), isClean, 5_000))).toBe(true)
}, 60_000)

test('the disk of before in its place again ends the doubt without a word', async () => {
  mount('varve-a', disk)
  fill(30)
  const daemon = place.run()
  await says(daemon, /demo\/disk:v0 /, 15_000)
  mount('varve-b', disk)
  fill(30, 'other')
  await until(() => place.status(), ({ state }) => state === 'held', 15_000)
  unmount(disk)
  await until(() => place.status(), isClean, 20_000)
  expect(await versions()).toBe(1)
}, 60_000)

test('an emptied mount point and one from which 95 % are gone are held; what comes back ends it, accept records it', async () => {
  mount('varve-a', disk)
  fill(100)
  const daemon = place.run()
  await says(daemon, /demo\/disk:v0 /, 15_000)
  const kept = mkdtempSync(join(tmpdir(), 'varve-kept-'))
  cpSync(disk, kept, { recursive: true })
  for (const name of readdirSync(disk)) rmSync(join(disk, name), { recursive: true })
  const emptied = await until(() => place.status(), ({ state }) => state === 'held', 15_000)
  expect(emptied).toMatchObject({ head: 'v0', reason: 'all 100 entries are gone', action: expect.stringContaining('varve accept disk') })
  expect(emptied.heldDigest).toMatch(/^varve1:[0-9a-f]{64}$/)
  cpSync(kept, disk, { recursive: true })
  rmSync(kept, { recursive: true })
  await until(() => place.status(), isClean, 20_000)
  expect(await versions()).toBe(1)
  for (let i = 5; i < 100; i++) rmSync(join(disk, 'd', `f${String(i).padStart(3, '0')}`))
  const thinned = await until(() => place.status(), ({ state }) => state === 'held', 15_000)
  expect(thinned.reason).toBe('95 of 100 entries are gone, more than guard.max_removed (50 %)')
  expect(await versions()).toBe(1)
  expect(await place.varve('accept', 'disk', '--wait')).toMatchObject({ exit: 0, stdout: 'demo/disk:v1\n' })
  expect((await place.log(ART))[0]).toMatchObject({ entries: 5, changes: { removed: 95 } })
}, 90_000)

test('a folder, and a file, that may not be read any more: no version, and the words say so', async () => {
  chmodSync(place.folder, 0o755)
  mkdirSync(join(place.folder, '.varve'))
  chownSync(join(place.folder, '.varve'), NOBODY, NOBODY)
  fill(30)
  const daemon = place.run({ uid: NOBODY })
  await says(daemon, /demo\/disk:v0 /, 15_000)
  chmodSync(disk, 0)
  const denied = await until(() => place.status(), ({ state }) => state === 'backoff', 40_000)
  expect(denied.reason).toMatch(/^LOCATION_DENIED: .*disk/)
  expect(denied.action).toMatch(/./)
  chmodSync(disk, 0o755)
  expect(await place.varve('scan', 'disk', '--wait')).toMatchObject({ exit: 0, stdout: 'unchanged: demo/disk:v0\n' })
  chmodSync(join(disk, 'd', 'f003'), 0)
  const unreadable = await until(() => place.status(), ({ state, reason }) => state === 'backoff' && reason?.includes('f003') === true, 40_000)
  expect(unreadable.reason).toMatch(/^UNREADABLE: /)
  chmodSync(join(disk, 'd', 'f003'), 0o644)
  await until(() => place.status(), isClean, 15_000)
  expect(await versions()).toBe(1)
}, 90_000)

test('a file that grows without end: no version before max_wait, then one that names it', async () => {
  configure({ max_wait: '4s' })
  fill(3)
  const daemon = place.run()
  await says(daemon, /demo\/disk:v0 /, 15_000)
  const startedMs = performance.now()
  writeFileSync(join(disk, 'd', 'still'), 'still')
  // Reading it takes many times as long as it rests between two writes.
  writeFileSync(join(disk, 'd', 'growing'), Buffer.alloc(64_000_000))
  const growing = setInterval(() => appendFileSync(join(disk, 'd', 'growing'), 'more\n'), 5)
  try {
    await says(daemon, /demo\/disk:v1 /, 20_000)
    expect(performance.now() - startedMs).toBeGreaterThan(3_900)
    const v1 = (await place.log(ART)).find(({ version }) => version === 'v1')
    expect(v1?.certificate).toMatchObject({ changedUnderLook: ['d/growing'], consistent: false })
    expect((await place.files(`${ART}:v1`)).map(({ path }) => path)).toContain('d/still')
  } finally {
    clearInterval(growing)
  }
  await until(() => place.status(), isClean, 20_000)
  const [last] = await place.log(ART)
  expect(last?.certificate.changedUnderLook).toEqual([])
  expect((await place.files(`${ART}:latest`)).map(({ path }) => path)).toContain('d/growing')
}, 90_000)

test('what a file held that never stops growing is lost, by the words of log, show and fsck, though the newest version keeps its entry', async () => {
  fill(3)
  // Reading it takes many times as long as it rests between two writes.
  writeFileSync(join(disk, 'd', 'growing'), Buffer.alloc(64_000_000))
  const daemon = place.run()
  await says(daemon, /demo\/disk:v0 /, 30_000)
  const growing = setInterval(() => appendFileSync(join(disk, 'd', 'growing'), 'more\n'), 5)
  try {
    writeFileSync(join(disk, 'd', 'still'), 'still')
    await says(daemon, /demo\/disk:v1 /, 30_000)
    const torn = await until(async () => (await place.log(ART)).find(({ restorability, certificate }) => certificate.changedUnderLook.length > 0 && restorability.state === 'partly lost'), (one) => one !== undefined, 40_000)
    expect(torn).toMatchObject({ restorability: { lost: 1 }, certificate: { consistent: false } })
    const { stdout } = await place.varve('show', `${ART}:${torn?.version}`)
    expect(stdout).toMatch(/^restorable +partly lost: 1 of \d/m)
    expect(stdout).toMatch(/^lost +d\/growing: it was /m)
    expect(stdout).toMatch(/^consistent +not shown: each entry was there at some instant of the look, but for what moved under it/m)
    expect(await place.varve('fsck')).toMatchObject({ exit: 0 })
  } finally {
    clearInterval(growing)
  }
}, 120_000)
