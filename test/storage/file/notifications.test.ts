import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, expect, jest, test } from '@jest/globals'
import type { Clock } from '../../../src/model/clock.ts'
import { parseLocation } from '../../../src/model/location.ts'
import { fileSource } from '../../../src/storage/file/notifications.ts'
import type { Hint } from '../../../src/storage/storage.ts'
import { fell, tree } from './tree.ts'

afterEach(fell)
jest.setTimeout(30_000)

// Five seconds of the source pass in 50 ms.
const clock: Clock = {
  now: Date.now,
  monotonic: () => performance.now(),
  sleep: (ms, signal) => delay(ms / 100, undefined, signal === undefined ? {} : { signal }).catch(() => undefined),
  random: () => 0.5,
}

interface Ear {
  /** What it says that it does not hear. */
  readonly limits: () => string | undefined
  readonly heard: Hint[]
  readonly listening: Promise<void>
  stop(): Promise<void>
}

/** Listens until `use` is done; begins when the first whole hint was heard. */
async function hearing(path: string, use: (ear: Ear) => Promise<void>, emit?: (hints: readonly Hint[]) => Promise<void>): Promise<void> {
  const source = fileSource(parseLocation(path, '/'), clock)
  const end = new AbortController()
  const heard: Hint[] = []
  let limits: string | undefined
  const take = async (hints: readonly Hint[]): Promise<void> => {
    await emit?.(hints)
    heard.push(...hints)
  }
  const listening = source.listen(take, end.signal, (told) => (limits = told.limits))
  const ended = listening.then(() => undefined, () => undefined)
  try {
    await Promise.race([until(() => heard.some(({ whole }) => whole)), listening])
    await use({ limits: () => limits, heard, listening, stop: () => (end.abort(), listening) })
  } finally {
    end.abort()
    await ended
  }
}

async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 20_000
  while (!holds()) {
    if (performance.now() > end) throw new Error('it did not come to hold within 20 s')
    await delay(10)
  }
}

const keys = (hints: readonly Hint[], whole: boolean): readonly string[] => [...new Set(hints.filter((hint) => hint.whole === whole).map(({ key }) => key))].sort()

test('whoever begins to hear asks for the whole, and hears what comes, changes and goes after', async () => {
  const root = tree({ 'a/old': 'x', 'a/gone': 'y' })
  await hearing(root, async ({ heard, stop, limits }) => {
    expect(heard).toEqual([{ scheme: 'file', bucket: '', key: root, whole: true }])
    expect(limits()).toBeUndefined()
    writeFileSync(`${root}a/old`, 'changed')
    writeFileSync(`${root}a/new name #%20`, 'new')
    rmSync(`${root}a/gone`)
    await until(() => keys(heard, false).length === 3)
    expect(keys(heard, false)).toEqual([`${root}a/gone`, `${root}a/new name #%20`, `${root}a/old`])
    await expect(stop()).resolves.toBeUndefined()
  })
})

test('a folder that comes or goes is a hint for all that lies in it', async () => {
  const root = tree({ 'a/b/file': 'x' })
  await hearing(root, async ({ heard }) => {
    mkdirSync(`${root}new`)
    renameSync(`${root}a/b`, `${root}moved`)
    await until(() => [`${root}a/b/`, `${root}moved/`, `${root}new/`].every((key) => keys(heard, true).includes(key)))
    writeFileSync(`${root}moved/file`, 'again')
    await until(() => keys(heard, false).includes(`${root}moved/file`))
  })
})

test('it costs one watch for each folder, not one for each file, and none when it has ended', async () => {
  const root = tree(Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`d${index % 5}/f${index}`, ''])))
  const before = watches()
  await hearing(root, async () => {
    expect(watches() - before).toBeGreaterThanOrEqual(6)
    expect(watches() - before).toBeLessThanOrEqual(12)
  })
  expect(watches()).toBe(before)
})

function watches(): number {
  return readdirSync('/proc/self/fdinfo').reduce((sum, fd) => {
    try {
      return sum + readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').split('\n').filter((line) => line.startsWith('inotify ')).length
    } catch {
      // The descriptor of the listing itself is closed by now.
      return sum
    }
  }, 0)
}

test('changes that come faster than they are taken become one hint for the whole', async () => {
  const root = tree({ 'a/first': '' })
  let slow = false
  await hearing(root, async ({ heard }) => {
    heard.length = 0
    slow = true
    for (let index = 0; index < 3_000; index++) writeFileSync(`${root}a/f${index}`, '')
    await until(() => keys(heard, true).includes(root))
    expect(heard.length).toBeLessThan(3_000)
  }, () => (slow ? delay(1_000) : Promise.resolve()))
})

test('a folder of more files than a watcher may keep in memory is only walked', async () => {
  const root = tree()
  execFileSync('sh', ['-c', 'seq 50001 | xargs touch'], { cwd: root })
  const before = watches()
  await hearing(root, async ({ heard, limits }) => {
    expect(limits()).toBe('too many entries to watch: it is walked')
    expect(heard).toEqual([{ scheme: 'file', bucket: '', key: root, whole: true }])
    expect(watches()).toBe(before)
  })
})

test('a tree beyond the bounds is heard as deep as they allow, and it says so', async () => {
  const root = tree(Object.fromEntries(Array.from({ length: 2_100 }, (_, index) => [`top${index % 10}/d${index}/f`, ''])))
  await hearing(root, async ({ heard, limits }) => {
    expect(limits()).toBe('too many entries to watch: of folders 2 levels are heard, what lies deeper is walked')
    writeFileSync(`${root}top3/file`, 'x')
    await until(() => keys(heard, false).includes(`${root}top3/file`))
  })
})

test('of a lone object its own changes are heard, and none beside it', async () => {
  const root = tree({ one: 'x', other: 'y', 'dir/z': '' })
  await hearing(`${root}one`, async ({ heard }) => {
    expect(keys(heard, true)).toEqual([`${root}one/`])
    writeFileSync(`${root}other`, 'z')
    writeFileSync(`${root}dir/z`, 'z')
    // Of two changes within a moment the watcher may tell one: what it did not is found by the walk.
    for (let tries = 0; tries < 20 && !keys(heard, false).includes(`${root}one`); tries++) {
      writeFileSync(`${root}next`, `${tries}`)
      renameSync(`${root}next`, `${root}one`)
      await delay(1_100)
    }
    await until(() => keys(heard, false).includes(`${root}one`))
    expect(keys(heard, false)).toEqual([`${root}one`])
  })
})

test('what is left out of a walk is not heard either', async () => {
  const root = tree({ 'a/first': '', '.snapshot/x': '' })
  await hearing(root, async ({ heard }) => {
    heard.length = 0
    writeFileSync(`${root}.snapshot/x`, 'changed')
    writeFileSync(`${root}a/.nfs000123`, '')
    writeFileSync(`${root}a/heard`, '')
    await until(() => heard.length > 0)
    await delay(100)
    expect(keys(heard, false)).toEqual([`${root}a/heard`])
  })
})

test('hints that could not be taken end the listening, so that it begins anew with the whole', async () => {
  const root = tree({ first: '' })
  let full = false
  const emit = (): Promise<void> => (full ? Promise.reject(new Error('the disk is full')) : Promise.resolve())
  await hearing(root, async ({ listening }) => {
    full = true
    writeFileSync(`${root}second`, '')
    await expect(listening).rejects.toThrow('the disk is full')
  }, emit)
})

test('what is mounted over, or unmounted, ends the listening: the watcher is deaf to it', async () => {
  const root = tree({ 'mnt/under': '' })
  try {
    await hearing(`${root}mnt/`, async ({ listening }) => {
      execFileSync('mount', ['-t', 'tmpfs', 'varve-disk', `${root}mnt`])
      await expect(listening).rejects.toMatchObject({ code: 'LOCATION_MISSING', message: expect.stringContaining('varve-disk') })
    })
    await hearing(`${root}mnt/`, async ({ listening }) => {
      execFileSync('umount', ['-l', `${root}mnt`])
      await expect(listening).rejects.toMatchObject({ code: 'LOCATION_MISSING' })
    })
  } finally {
    if (readFileSync('/proc/self/mountinfo', 'utf8').includes(`${root}mnt`)) execFileSync('umount', ['-l', `${root}mnt`])
  }
})

test('where nothing can be heard, the whole is asked for once, and nothing is watched', async () => {
  const before = watches()
  await hearing('/proc/sys/kernel/', async ({ heard, limits, stop }) => {
    expect(limits()).toBe('nothing is heard on a network mount: it is walked')
    expect(heard).toEqual([{ scheme: 'file', bucket: '', key: '/proc/sys/kernel/', whole: true }])
    expect(watches()).toBe(before)
    await expect(stop()).resolves.toBeUndefined()
  })
})

test('a location that is not there cannot be listened to', async () => {
  const root = tree()
  const source = fileSource(parseLocation(`${root}gone/`, '/'), clock)
  await expect(source.listen(() => Promise.resolve(), new AbortController().signal)).rejects.toMatchObject({ code: 'LOCATION_MISSING' })
})
