// What a file server can do to those who look at it, done by a FUSE daemon of ours: slow, hung, stale, broken and cut short.
// needs: slow-fs
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { parseLocation } from '../../../src/model/location.ts'
import { heldBy } from '../../../src/storage/file/mounts.ts'
import { fileSource } from '../../../src/storage/file/notifications.ts'
import { openFileStore } from '../../../src/storage/file/store.ts'
import type { Hint, Store } from '../../../src/storage/storage.ts'
import { ended } from '../../cli/process.ts'
import { ERRNO, outposts, slowly } from './slow.ts'
import type { Slow } from './slow.ts'
import { fell, gather, going, later, pass, tree, using } from './tree.ts'

jest.setTimeout(60_000)
// Long beside a process that starts on a busy machine, short beside a test.
const SILENCE_MS = 4_000

let slow: Slow
const stores: Store[] = []
beforeEach(async () => {
  slow = await slowly()
  for (const folder of ['a', 'b/deep']) mkdirSync(slow.behind + folder, { recursive: true })
  for (const file of ['a/one', 'a/two', 'a/three', 'b/four', 'b/deep/five', 'six']) writeFileSync(slow.behind + file, file)
})
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close()
  for (const point of mounted.splice(0)) execFileSync('umount', ['-l', point])
  await slow.stop()
  fell()
  // What hung dies with what it hung in.
  await until(() => outposts().length === 0)
})

const mounted: string[] = []

async function open(path: string = slow.root): Promise<Store> {
  const store = await openFileStore(parseLocation(path, '/'), { clockSlackMs: 0, patience: { silenceMs: SILENCE_MS, lingerMs: 0 } })
  stores.push(store)
  return store
}

async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 30_000
  while (!holds()) {
    if (performance.now() > end) throw new Error('it did not come to hold within 30 s')
    await delay(20)
  }
}

const paths = (listed: readonly { readonly path: string }[]): readonly string[] => listed.map(({ path }) => path).sort()
const ALL = ['a/one', 'a/three', 'a/two', 'b/deep/five', 'b/four', 'six']
const isUnavailable = (words: string): object => ({ code: 'STORAGE_UNAVAILABLE', message: expect.stringContaining(words) })

test('a mount that may hang is looked at by a process of its own, which all stores on it share and which ends with the last', async () => {
  const [one, other] = [await open(), await open(`${slow.root}b/`)]
  expect(await one.root(going)).toMatchObject({ network: true, words: `fuse.slow slow at ${slow.root.slice(0, -1)}`, mount: slow.root.slice(0, -1) })
  expect(paths((await pass(one)).entries)).toEqual(ALL)
  expect(paths((await pass(other)).entries)).toEqual(['deep/five', 'four'])
  expect(outposts().length).toBe(1)
  await one.close()
  expect((await gather(other.find(['four'], later(), going)))).toMatchObject([{ kind: 'entry', listed: { path: 'four' } }])
  await other.close()
  await until(() => outposts().length === 0)
})

describe('a server that answers nothing more', () => {
  test('hangs nothing else; after the silence it is unavailable, in words that name the mount and what to do; when it is back the next try works', async () => {
    const store = await open()
    await store.root(going)
    slow.pause()
    const scan = pass(store)
    scan.catch(() => undefined)
    // More at once than this process has threads for calls to the system.
    const asked = Array.from({ length: 8 }, () => store.root(going))
    for (const one of asked) one.catch(() => undefined)
    await stat('/')
    const local = tree({ near: 'x' })
    expect(paths((await using(local, (near) => pass(near))).entries)).toEqual(['near'])
    await expect(scan).rejects.toMatchObject({ ...isUnavailable(`fuse.slow slow at ${slow.root.slice(0, -1)} has not answered for 4 s`), hint: expect.stringContaining(`umount -f -l ${slow.root.slice(0, -1)}`) })
    for (const one of asked) await expect(one).rejects.toMatchObject(isUnavailable('has not answered'))
    await store.close()
    slow.resume()
    expect(paths((await pass(await open())).entries)).toEqual(ALL)
  })

  test('a call that no signal ends keeps its process, but not us; the processes that hang so are few, and when they are freed it goes on', async () => {
    await slow.fail('opendir', 'a', ERRNO.hang)
    for (let hung = 1; hung <= 2; hung++) {
      await expect(pass(await open())).rejects.toMatchObject(isUnavailable('has not answered for 4 s'))
      expect(outposts().length).toBe(hung)
    }
    const asked = performance.now()
    await expect((await open()).root(going)).rejects.toMatchObject({ ...isUnavailable('2 processes hang in it'), hint: expect.stringContaining('then these end') })
    expect(performance.now() - asked).toBeLessThan(SILENCE_MS)
    expect(outposts().length).toBe(2)
    await slow.mend()
    await until(() => outposts().length === 0)
    expect(paths((await pass(await open())).entries)).toEqual(ALL)
  })

  test('one hung file is found out although all the others answer, whoever looks at them', async () => {
    await slow.fail('read', 'a/two', ERRNO.hang)
    const [store, other] = [await open(), await open(`${slow.root}b/`)]
    const { entries } = await pass(store)
    let found = false
    const hung = gather(store.inspect(entries, later(), going)).finally(() => (found = true))
    hung.catch(() => undefined)
    while (!found) await pass(other).catch(() => undefined)
    await expect(hung).rejects.toMatchObject(isUnavailable('has not answered for 4 s'))
  })

  test('whoever is told to stop stops, and a process that has nothing else to do ends', async () => {
    await slow.fail('getattr', '.', ERRNO.hang)
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', `
      import { openFileStore } from ${JSON.stringify(new URL('../../../src/storage/file/store.ts', import.meta.url).href)}
      const store = await openFileStore({ scheme: 'file', bucket: '', prefix: ${JSON.stringify(slow.root)} }, { clockSlackMs: 0 })
      const stop = new AbortController()
      process.on('SIGTERM', () => stop.abort(new Error('stopped')))
      const root = store.root(stop.signal).then(() => 'root', (error) => error.message)
      console.log(await root)
      await store.close()
    `])
    const end = ended(child)
    await until(() => outposts(child.pid).length === 1)
    child.kill('SIGTERM')
    expect(await end).toMatchObject({ exit: 0, stdout: 'stopped\n' })
    await slow.mend()
  })
})

describe('a server that fails', () => {
  const trouble = ['EIO', 'ETIMEDOUT', 'EREMOTEIO', 'ESTALE'] as const

  test.each(trouble)('%s of a name, a folder or a file is never its absence: the look is unavailable', async (name) => {
    const store = await open()
    const { entries } = await pass(store)
    for (const [op, path] of [['lookup', 'a/one'], ['getattr', 'a/one'], ['lookup', 'b'], ['opendir', 'b/deep'], ['readdir', 'a'], ['opendir', '.']] as const) {
      await slow.fail(op, path, ERRNO[name])
      await expect(pass(store)).rejects.toMatchObject({ ...isUnavailable('does not answer'), hint: expect.any(String) })
      await slow.mend()
    }
    for (const op of ['lookup', 'open'] as const) {
      await slow.fail(op, 'a/one', ERRNO[name])
      for (const found of [store.inspect(entries, later(), going), store.find(['a/one', 'a/two'], later(), going)])
        await expect(gather(found)).rejects.toMatchObject(isUnavailable('does not answer'))
      await slow.mend()
    }
    await slow.fail('lookup', 'a', ERRNO[name])
    await expect(gather(store.find(['a/one'], later(), going))).rejects.toMatchObject(isUnavailable('does not answer'))
    await slow.mend()
    expect(paths((await pass(store)).entries)).toEqual(ALL)
  })

  test('while it fails a location without a slash is still a folder, and nothing in it is absent', async () => {
    const store = await open(slow.root.slice(0, -1))
    await slow.fail('getattr', '.', ERRNO.EIO)
    await expect(gather(store.find(['six'], later(), going))).rejects.toMatchObject(isUnavailable('does not answer'))
    await slow.mend()
    expect(await gather(store.find(['six'], later(), going))).toMatchObject([{ kind: 'entry' }])
  })

  test('what is stale for a moment is looked up anew within the look', async () => {
    const store = await open()
    // The kernel tries once more by itself.
    for (const [op, path] of [['lookup', 'a/one'], ['opendir', 'b/deep'], ['lookup', 'b'], ['opendir', '.']] as const) {
      await slow.fail(op, path, ERRNO.ESTALE, 3)
      expect(paths((await pass(store)).entries)).toEqual(ALL)
    }
    await slow.fail('open', 'a/two', ERRNO.ESTALE, 3)
    expect(await gather(store.find(['a/two'], later(), going))).toMatchObject([{ kind: 'entry', listed: { path: 'a/two' } }])
    await slow.fail('getattr', '.', ERRNO.ESTALE, 2)
    expect(await store.root(going)).toMatchObject({ network: true })
  })

  test('a file that becomes stale while it is read is torn, and never absent', async () => {
    const store = await open()
    const { entries } = await pass(store)
    await slow.fail('read', 'a/one', ERRNO.ESTALE)
    expect((await gather(store.inspect(entries, later(), going))).filter(({ kind }) => kind !== 'entry')).toEqual([{ kind: 'torn', path: 'a/one' }])
  })

  test('a file that was written by another since the walk is read as it is now, not as it was seen', async () => {
    writeFileSync(`${slow.behind}large`, 'x'.repeat(3_000_000))
    const store = await open()
    const { entries } = await pass(store)
    const large = entries.filter(({ path }) => path === 'large')
    writeFileSync(`${slow.behind}large`, 'y'.repeat(3_000_000))
    expect(await gather(store.inspect(large, later(), going))).toEqual(await gather(store.find(['large'], later(), going)))
  })
})

test('what only looks local and is slow is found out by its first calls, and looked at in the same wide way', async () => {
  await slow.stop()
  slow = await slowly('2ms')
  for (let i = 0; i < 300; i++) writeFileSync(`${slow.behind}f${i}`, '')
  const folders = tree({ 'upper/x': '', 'work/x': '', 'merged/x': '', 'lower/x': '' })
  execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', `lowerdir=${folders}upper:${slow.root}`, `${folders}merged`])
  mounted.push(`${folders}merged`)
  const store = await open(`${folders}merged/`)
  const { entries } = await pass(store)
  expect(entries.length).toBe(301)
  expect(outposts().length).toBe(1)
  expect((await gather(store.inspect(entries, later(), going))).filter(({ kind }) => kind === 'entry').length).toBe(301)
})

test('a link from a local folder to where calls hang is followed by the outpost alone', async () => {
  const local = tree({ 'd/near': 'x' })
  symlinkSync(`${slow.root}six`, `${local}d/link`)
  const store = await open(local)
  expect(paths((await pass(store)).entries)).toEqual(['d/link', 'd/near'])
  expect(outposts().length).toBe(1)
  await store.close()
  slow.pause()
  await expect(pass(await open(local))).rejects.toMatchObject(isUnavailable(`fuse.slow slow at ${slow.root.slice(0, -1)}`))
  slow.resume()
})

test('the table of mounts tells what holds a path without asking it, behind links and above it too', () => {
  const local = tree({ 'd/x': '' })
  symlinkSync(slow.root, `${local}d/link`)
  slow.pause()
  const point = slow.root.slice(0, -1)
  for (const path of [slow.root, `${slow.root}a/b/c`, point, `${local}d/link/a`, `${local}d/../d/link`, `${local}d/link/../..`])
    expect([path, heldBy(path).far?.point]).toEqual([path, point])
  expect(heldBy(point.slice(0, point.lastIndexOf('/'))).far?.point).toBe(point)
  expect(heldBy(local).far).toBeUndefined()
  slow.resume()
})

test('no watcher touches a mount that may hang, or a folder above one: it is only walked', async () => {
  slow.pause()
  const point = slow.root.slice(0, -1)
  for (const path of [slow.root, `${point.slice(0, point.lastIndexOf('/'))}/`]) {
    const source = fileSource(parseLocation(path, '/'), { now: Date.now, monotonic: () => performance.now(), sleep: (ms, signal) => delay(ms, undefined, signal && { signal }).catch(() => undefined), random: () => 0.5 })
    const stop = new AbortController()
    const heard: Hint[] = []
    let limits: string | undefined
    const listening = source.listen(async (hints) => void heard.push(...hints), stop.signal, (told) => (limits = told.limits))
    await until(() => heard.length > 0)
    expect(limits).toBe('nothing is heard on a network mount: it is walked')
    expect(heard).toEqual([{ scheme: 'file', bucket: '', key: path, whole: true }])
    stop.abort()
    await listening
  }
  slow.resume()
})
