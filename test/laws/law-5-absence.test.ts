// long
// Law 5. Absence is not emptiness. An unmounted, denied, truncated or half-read prefix never becomes a version.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, renameSync, rmSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Memory } from '../../src/storage/memory.ts'
import { FakeGcs } from '../fakes/gcs.ts'
import type { Fault as GcsFault } from '../fakes/gcs.ts'
import { FakeS3 } from '../fakes/s3.ts'
import type { Fault, Kind } from '../fakes/s3.ts'
import { useKeys } from '../storage/s3/bucket.ts'
import { fell, tree } from '../storage/file/tree.ts'
import { law } from './law.ts'
import { fileSite, gcsSite, s3Site, siteOf } from './site.ts'
import type { PartsRefit } from './site.ts'
import { entriesOf, storesWith } from './world.ts'

const mounted: string[] = []
afterEach(() => {
  for (const point of mounted.splice(0).reverse()) execFileSync('umount', ['-l', point])
  fell()
})

function mount(point: string, ...options: readonly string[]): void {
  execFileSync('mount', [...options, point])
  mounted.push(point)
}

function unmount(point: string): void {
  execFileSync('umount', [point])
  mounted.splice(mounted.indexOf(point), 1)
}

/** Two disks, a folder where either can be mounted, and a file that the mount hides. */
function disks(): { readonly root: string; readonly data: string } {
  const root = tree({ 'mnt/data/README': 'mount the disk here' })
  for (const disk of ['one', 'two']) {
    mkdirSync(root + disk)
    mount(root + disk, '-t', 'tmpfs', `varve-disk-${disk}`)
    mkdirSync(`${root}${disk}/data`)
    for (const file of ['a', 'b', 'c']) writeFileSync(`${root}${disk}/data/${file}`, `${file} of ${disk}`)
  }
  mount(`${root}mnt`, '--bind', `${root}one`)
  return { root, data: `${root}mnt/data/` }
}

law<PartsRefit>('what is not mounted, or is another disk, is no version', async (plant) => {
  const { root, data } = disks()
  const site = await fileSite(data, {}, plant)
  expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
  unmount(`${root}mnt`)
  expect(await site.look()).toMatchObject({
    versions: 1, state: 'unavailable', reason: expect.stringMatching(/varve-disk-one.*what lies there now is/), action: expect.stringMatching(/mount it again.*varve accept mnist/),
  })
  // A touch-up is no way round.
  expect(await site.look('a', 'README')).toMatchObject({ versions: 1, state: 'unavailable' })
  mount(`${root}mnt`, '--bind', `${root}two`)
  expect(await site.look()).toMatchObject({ versions: 1, state: 'held', reason: expect.stringMatching(/varve-disk-one.*varve-disk-two/), action: expect.stringMatching(/varve accept mnist/) })
  expect(await site.look('a')).toMatchObject({ versions: 1, state: 'held' })
  unmount(`${root}mnt`)
  rmSync(`${root}mnt/data`, { recursive: true })
  expect(await site.look()).toMatchObject({ versions: 1, state: 'unavailable', reason: expect.stringMatching(/is not there/) })
  mount(`${root}mnt`, '--bind', `${root}one`)
  expect(await site.look()).toMatchObject({ versions: 1, state: 'clean', reason: undefined })
}, { 'a root that is whatever lies there': storesWith(() => ({ root: async () => ({ identity: 'x', words: 'x', mount: 'x', network: false }) })) })

test('another disk under the same device name is held until a person says so; the one of before, mounted again, is the same', async () => {
  const root = tree({ 'mnt/under': '' })
  const image = `${root}image`
  writeFileSync(image, '')
  truncateSync(image, 8_000_000)
  const device = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim()
  const made = (at: number, text: string): void => {
    execFileSync('mkfs.ext4', ['-q', '-F', device], { env: { ...process.env, E2FSPROGS_FAKE_TIME: String(at) } })
    mount(`${root}mnt`, device)
    for (const file of ['a', 'b', 'c']) writeFileSync(`${root}mnt/${file}`, text)
  }
  try {
    made(1_000_000_000, 'one')
    const site = await fileSite(`${root}mnt/`)
    expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
    unmount(`${root}mnt`)
    mount(`${root}mnt`, device)
    expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
    unmount(`${root}mnt`)
    made(1_100_000_000, 'two')
    expect(await site.look()).toMatchObject({ versions: 1, state: 'held', reason: expect.stringMatching(/made 2001-09-09T01:46:40.*made 2004-11-09T11:33:20/), action: expect.stringMatching(/varve accept mnist/) })
    await site.accept()
    expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
  } finally {
    if (mounted.includes(`${root}mnt`)) unmount(`${root}mnt`)
    execFileSync('losetup', ['--detach', device])
  }
})

test('what goes with a disk that was mounted below the root is not gone, until a person says so', async () => {
  const root = tree({ 'data/a': 'x', 'data/disk/under': '', 'one/b': 'x', 'one/c': 'x', 'two/d': 'x' })
  mount(`${root}data/disk`, '--bind', `${root}one`)
  const site = await fileSite(`${root}data/`)
  expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
  unmount(`${root}data/disk`)
  for (const paths of [[], ['disk/b'], []]) expect(await site.look(...paths)).toMatchObject({ versions: 1, state: 'unavailable', reason: expect.stringMatching(/^disk is not mounted: it was .*one/) })
  mount(`${root}data/disk`, '--bind', `${root}one`)
  expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
  unmount(`${root}data/disk`)
  mount(`${root}data/disk`, '--bind', `${root}two`)
  expect(await site.look()).toMatchObject({ versions: 1, state: 'held', reason: expect.stringMatching(/^another disk is mounted at disk: it was .*one, now it is .*two$/) })
  unmount(`${root}data/disk`)
  expect(await site.look()).toMatchObject({ versions: 1, state: 'unavailable' })
  await site.accept()
  expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
  // What was said to be gone is a folder like any other.
  unlinkSync(`${root}data/disk/under`)
  expect(await site.look()).toMatchObject({ versions: 3, state: 'clean' })
})

test('what tells a root from another of its name counts from the first look on that knew it', async () => {
  const memory = new Memory()
  for (const path of ['a', 'b', 'c']) memory.put(path, path)
  const site = await siteOf({}, async () => memory.open())
  const is = (...finer: readonly (string | null)[]): void => {
    memory.root = { identity: 'one', words: 'one', mount: 'memory', network: false, ...(finer.length > 0 && { finer }) }
  }
  is()
  expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
  for (const known of [[null, 'x'], [null, null], [], ['y', 'x']]) {
    is(...known)
    expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
  }
  is('y', 'z')
  expect(await site.look()).toMatchObject({ versions: 1, state: 'held', reason: 'another root is in its place: it was one, y, x, now it is one, y, z' })
})

test('two roots are told apart in words, though they lie in one file system at one place', async () => {
  const memory = new Memory()
  memory.put('a', 'x')
  const site = await siteOf({}, async () => memory.open())
  const is = (identity: string): void => {
    memory.root = { identity, words: 'ext4 /dev/sda at /', mount: '/', network: false }
  }
  is('ext4 /dev/sda /one')
  expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
  is('ext4 /dev/sda /two')
  const [one, two] = ['one', 'two'].map((name) => `ext4 /dev/sda at /, ext4 /dev/sda /${name}`)
  expect(await site.look()).toMatchObject({ versions: 1, state: 'held', reason: `another root is in its place: it was ${one}, now it is ${two}` })
})

test('another root with most of it gone: who says so twice, in between looks by the clock, comes to an end', async () => {
  const memory = new Memory()
  for (let at = 0; at < 30; at++) memory.put(`f${at}`, 'x')
  const site = await siteOf({}, async () => memory.open())
  memory.root = { identity: 'one', words: 'one', mount: 'memory', network: false }
  expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
  memory.root = { identity: 'two', words: 'two', mount: 'memory', network: false }
  for (let at = 0; at < 29; at++) memory.remove(`f${at}`)
  for (const reason of [/another root/, /29 of 30/]) {
    for (let looks = 0; looks < 2; looks++) expect(await site.look()).toMatchObject({ versions: 1, state: 'held', reason: expect.stringMatching(reason) })
    await site.accept()
  }
  expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
})

test('a disk that is not mounted stays what the words say, whatever was accepted meanwhile', async () => {
  const { root, data } = disks()
  const site = await fileSite(data)
  await site.look()
  unmount(`${root}mnt`)
  unlinkSync(`${data}README`)
  expect(await site.look()).toMatchObject({ versions: 1, state: 'unavailable', reason: expect.stringMatching(/^the root is gone: it was .*varve-disk-one/) })
  await site.accept()
  for (let looks = 0; looks < 2; looks++)
    expect(await site.look()).toMatchObject({
      versions: 1, state: 'held', reason: expect.stringMatching(/^the root is gone: it was .*varve-disk-one.*, what lies there now is .*, and all 3 entries are gone$/), action: expect.stringMatching(/^mount it again; .*varve accept mnist$/),
    })
  mount(`${root}mnt`, '--bind', `${root}one`)
  expect(await site.look()).toMatchObject({ versions: 1, state: 'clean', reason: undefined })
})

test('another disk in its place is taken when a person says so', async () => {
  const { root, data } = disks()
  const site = await fileSite(data)
  await site.look()
  unmount(`${root}mnt`)
  mount(`${root}mnt`, '--bind', `${root}two`)
  await site.look()
  await site.accept()
  expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
  expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
})

test('a root marker that is gone, or is another one, is no version', async () => {
  const root = tree({ '.dataset-id': 'one', 'a': 'x', 'b': 'y' })
  const site = await fileSite(root, { guard: { removedShareMax: 1, rootMarker: '.dataset-id' } })
  await site.look()
  unlinkSync(`${root}.dataset-id`)
  unlinkSync(`${root}b`)
  expect(await site.look()).toMatchObject({ versions: 1, state: 'unavailable', reason: expect.stringMatching(/\.dataset-id is not there/) })
  writeFileSync(`${root}.dataset-id`, 'two')
  expect(await site.look()).toMatchObject({ versions: 1, state: 'held', reason: expect.stringMatching(/"one".*"two"/) })
})

law<PartsRefit>('a root that goes, or is another, while it is looked at, is no version', async (plant) => {
  for (const after of [undefined, { identity: 'other', words: 'other', mount: 'memory', network: false }]) {
    const memory = new Memory({ pageSize: 2 })
    for (const path of ['a', 'b', 'c', 'd']) memory.put(path, path)
    const site = await siteOf({}, async () => memory.open(), plant)
    await site.look()
    memory.put('a', 'A')
    memory.remove('d')
    memory.beforePage = (page) => {
      if (page === 1) memory.root = after
      return undefined
    }
    expect(await site.look()).toMatchObject({ versions: 1, state: 'unavailable' })
  }
}, { 'a root that is asked for only once': onceRooted() })

function onceRooted(): PartsRefit {
  return storesWith((store) => {
    const once = store.root(new AbortController().signal)
    return {
      root: () => once,
      async *scan(startMs, signal) {
        try {
          yield* store.scan(startMs, signal)
        } catch {
          yield { cover: { after: 'b' }, seen: 0, entries: () => [], skipped: [], settled: true, end: { requests: 0, notes: [], lone: [] } }
        }
      },
    }
  })
}

law<PartsRefit>('a listing that is cut short, at whatever page, is no version', async (plant) => {
  for (const cut of [0, 1, 2, 3, 4, 5]) {
    for (const how of ['ends', 'fails'] as const) {
      const memory = new Memory({ pageSize: 3 })
      for (let i = 0; i < 18; i++) memory.put(`p${String(i).padStart(2, '0')}`, 'x')
      const site = await siteOf({ guard: { removedShareMax: 1 } }, async () => memory.open(), plant)
      await site.look()
      memory.put('p00', 'y')
      memory.beforePage = (page) => {
        if (page !== cut) return undefined
        if (how === 'ends') return 'cut'
        throw Object.assign(new Error('connection reset'), { code: 'ECONNRESET' })
      }
      const looked = await site.look()
      expect({ cut, how, versions: looked.versions, good: looked.state === 'clean' }).toEqual({ cut, how, versions: 1, good: false })
      memory.beforePage = () => undefined
      expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
    }
  }
}, {
  'a truncated listing taken for the whole': storesWith((store) => ({
    async *scan(startMs, signal) {
      let after = ''
      for await (const span of store.scan(startMs, signal)) {
        yield span
        if (span.end !== undefined) return
        after = 'upTo' in span.cover ? (span.cover.upTo ?? '') : ''
      }
      yield { cover: { after }, seen: 0, entries: () => [], skipped: [], settled: true, end: { requests: 0, notes: [], lone: [] } }
    },
  })),
})

test('spans that leave a gap, come twice, go back, or go on behind the end are no version', async () => {
  const twist: Record<string, (spans: readonly unknown[]) => readonly unknown[]> = {
    'a gap': (spans) => spans.filter((_, at) => at !== 1),
    twice: (spans) => [spans[0], ...spans],
    backwards: (spans) => [spans[1], spans[0], ...spans.slice(2)],
    'behind the end': (spans) => [...spans, spans[0]],
    nothing: () => [],
  }
  for (const [name, go] of Object.entries(twist)) {
    const memory = new Memory({ pageSize: 2 })
    for (const path of ['a', 'b', 'c', 'd', 'e', 'f']) memory.put(path, path)
    const twisted = storesWith((store) => ({
      async *scan(startMs, signal) {
        const spans = []
        for await (const span of store.scan(startMs, signal)) spans.push(span)
        yield* go(spans) as typeof spans
      },
    }))
    const site = await siteOf({}, async () => memory.open(), twisted)
    expect({ name, ...(await site.look()) }).toMatchObject({ name, versions: 0, state: 'backoff', reason: expect.stringMatching(/^STORAGE_INVALID/) })
  }
})

law<PartsRefit>('from some to none is held at any number, until a person says so', async (plant) => {
  for (const count of [1, 2, 30]) {
    const root = tree(Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, 'x'])))
    const site = await fileSite(root, { guard: { removedShareMax: 1 } }, plant)
    await site.look()
    for (let i = 0; i < count; i++) unlinkSync(`${root}f${i}`)
    expect(await site.look()).toMatchObject({ versions: 1, state: 'held', reason: expect.stringMatching(count === 1 ? /the only entry is gone/ : new RegExp(`all ${count} entries are gone`)) })
    await site.accept()
    expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
  }
}, {
  'a consent that nobody gave': (parts) => ({
    ...parts,
    registry: {
      ...parts.registry,
      removedBeyondAccepted: async () => [],
      begin: async (...args) => {
        const looking = await parts.registry.begin(...args)
        return looking === undefined ? undefined : { ...looking, accepted: {} }
      },
    },
  }),
})

law<PartsRefit>('more than guard.max_removed is held; what only moved does not count', async (plant) => {
  const root = tree(Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`f${i}`, `bytes ${i}`])))
  const site = await fileSite(root, {}, plant)
  await site.look()
  mkdirSync(`${root}moved`)
  for (let i = 0; i < 38; i++) renameSync(`${root}f${i}`, `${root}moved/f${i}`)
  expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
  for (let i = 0; i < 38; i++) unlinkSync(`${root}moved/f${i}`)
  expect(await site.look()).toMatchObject({ versions: 2, state: 'held', reason: expect.stringMatching(/38 of 40 entries are gone.*50 %/) })
  // It keeps looking, and leaves `held` by itself when they are back.
  for (let i = 0; i < 38; i++) writeFileSync(`${root}moved/f${i}`, `bytes ${i}`)
  expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
}, { 'a guard that lets all through': storesWith((_, watch) => Object.assign(watch.guard as { removedShareMax: number }, { removedShareMax: 1 }) && {}) })

interface Told {
  readonly act: string
  readonly strict: Record<string, unknown>
  readonly lenient: Record<string, unknown>
}

law<'silent'>('what may not be read is no version, or is named where the watch says so', async (plant) => {
  const script = join(import.meta.dirname, 'denied.ts')
  const text = execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', script, plant ?? 'plain'], { uid: 65_534, gid: 65_534, cwd: '/', encoding: 'utf8', timeout: 50_000 })
  const told = new Map((JSON.parse(text) as Told[]).map((one) => [one.act, one]))
  const all = ['a', 'open/b', 'shut/c', 'shut/deep/d']
  for (const [act, { strict }] of told) {
    const fine = act === 'nothing' || act.endsWith('mended')
    // The content of one file changed on the way: the only change there was.
    const versions = act === 'a file that changed, mended' ? 2 : 1
    expect({ act, versions: strict['versions'], state: strict['state'] === 'clean', paths: strict['paths'] }).toEqual({ act, versions, state: fine, paths: all })
  }
  expect(told.get('a directory')?.strict).toMatchObject({ code: 'UNREADABLE', reason: expect.stringMatching(/shut\/ cannot be read/), action: expect.stringMatching(/exclude it|on_unreadable/) })
  expect(told.get('the root')).toMatchObject({ strict: { code: 'LOCATION_DENIED' }, lenient: { code: 'LOCATION_DENIED', versions: expect.any(Number) } })
  expect(told.get('a file that changed')?.strict).toMatchObject({ code: 'UNREADABLE', reason: expect.stringMatching(/open\/b cannot be read/) })
  const named = Array.from({ length: 20 }, (_, i) => `open/f${i + 10} (unreadable)`).join(', ')
  expect(told.get('more than are named')?.strict).toMatchObject({ reason: `UNREADABLE: 25 paths cannot be read: ${named} and 5 more`, action: expect.stringMatching(/exclude them/) })
  expect(told.get('a directory')?.lenient).toMatchObject({ state: 'clean', paths: ['a', 'open/b'], skipped: [{ path: 'shut/', reason: 'unreadable-directory' }] })
  // No plain removal: the version says what it could not read.
  const unread = (path: string): unknown => [`could not be read, and counts as removed until it can: ${path}`]
  expect(told.get('a directory')?.lenient).toMatchObject({ notes: unread('shut/') })
  expect(told.get('a file that changed')?.lenient).toMatchObject({ notes: unread('open/b') })
  for (const act of ['nothing', 'a directory, mended', 'more than are named']) expect(told.get(act)?.lenient).toMatchObject({ notes: [] })
  expect(told.get('a file that changed')?.lenient).toMatchObject({ state: 'clean', paths: ['a', 'shut/c', 'shut/deep/d'], skipped: [{ path: 'open/b', reason: 'unreadable' }] })
  expect(told.get('a file that changed, mended')?.lenient).toMatchObject({ state: 'clean', paths: all, skipped: [] })
}, { 'what cannot be read left out without a word': 'silent' })

test('a location that is not there, or no folder any more, is no version', async () => {
  const root = tree({ 'data/a': 'x', 'data/b': 'y' })
  const site = await fileSite(`${root}data/`)
  await site.look()
  renameSync(`${root}data`, `${root}elsewhere`)
  expect(await site.look()).toMatchObject({ versions: 1, state: 'unavailable', reason: expect.stringMatching(/is not there/) })
  writeFileSync(`${root}data`, 'a file')
  expect(await site.look()).toMatchObject({ versions: 1 })
  unlinkSync(`${root}data`)
  mkdirSync(`${root}data`)
  expect(await site.look()).toMatchObject({ versions: 1, state: 'held' })
  chmodSync(`${root}data`, 0o755)
})

test('a first look that finds nothing makes no version', async () => {
  const root = tree()
  const site = await fileSite(root)
  expect(await site.look()).toMatchObject({ versions: 0, state: 'empty' })
  writeFileSync(`${root}a`, '')
  expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
})

describe('S3', () => {
  let fake: FakeS3
  beforeAll(async () => {
    useKeys()
    fake = await FakeS3.start()
    fake.pageSize = 3
    for (let i = 0; i < 10; i++) fake.put(`p/${i}`, 'x')
  })
  afterAll(() => fake.stop())
  const others: FakeS3[] = []
  afterEach(async () => {
    fake.fault = () => undefined
    for (const other of others.splice(0)) await other.stop()
  })
  let edits = 0

  async function another(hides: boolean): Promise<FakeS3> {
    const other = await FakeS3.start()
    other.hides = hides
    others.push(other)
    return other
  }

  const faults: readonly (readonly [Fault, string])[] = [
    ['unavailable', 'unavailable'], ['denied', 'backoff'], ['expired', 'backoff'], ['elsewhere', 'unavailable'], ['cut', 'unavailable'], ['torn', 'backoff'], ['without-token', 'backoff'],
    ['descending', 'backoff'], ['foreign', 'backoff'], ['from-the-start', 'backoff'], ['other-bucket', 'backoff'], ['twice', 'backoff'],
  ]
  test.each(faults)('a listing that meets `%s` half-way is no version: %s', async (fault, state) => {
    const site = await s3Site(fake.url, 'p/', { guard: { removedShareMax: 1 } })
    await site.look()
    fake.put('p/0', `edit ${++edits}`)
    let pages = 0
    fake.fault = (kind: Kind) => (kind !== 'head' && ++pages > 1 ? fault : undefined)
    expect(await site.look()).toMatchObject({ versions: 1, state })
    fake.fault = () => undefined
    expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
    expect(await entriesOf(site.registry)).toHaveLength(10)
  }, 60_000)

  law<PartsRefit>('a tree that an object, or a delete marker, of its name hides from the listing is no version without it', async (plant) => {
    const hiding = await another(true)
    for (const exclude of [[], ['t/mp']]) {
      const prefix = `${exclude.length}/`
      for (let i = 0; i < 30; i++) hiding.put(`${prefix}k${i}`, 'x')
      for (const path of ['t/mp/a', 't/mp/deep/b', 't/mp2']) hiding.put(prefix + path, 'x')
      const site = await s3Site(hiding.url, prefix, { exclude }, plant)
      expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
      hiding.put(`${prefix}t/mp`, 'x')
      const reason = expect.stringMatching(/object t\/mp hides what lies under t\/mp\/ .*: t\/mp\/a is there/)
      expect(await site.look()).toMatchObject({ versions: 1, state: 'held', reason, action: expect.stringMatching(/delete t\/mp with all its versions/) })
      hiding.remove(`${prefix}t/mp`)
      expect(await site.look()).toMatchObject({ versions: 1, state: 'held', reason: expect.stringMatching(/deleted object t\/mp hides/) })
      hiding.erase(`${prefix}t/mp`)
      expect(await site.look()).toMatchObject({ versions: 1, state: 'clean', reason: undefined })
      // What really went, went.
      hiding.remove(`${prefix}t/mp/a`)
      expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
    }
  }, { 'removals that nobody asks about': storesWith(() => ({ async *find(paths) { for (const path of paths) yield { kind: 'absent', path } } })) })

  test('a hinted key that is there, and that the listing lacks, counts as one that it lost', async () => {
    const hiding = await another(true)
    for (const key of ['p/a', 'p/t/mp']) hiding.put(key, 'x')
    const site = await s3Site(hiding.url, 'p/')
    expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
    hiding.put('p/t/mp/new', 'x')
    expect(await site.look('*', 't/mp/new')).toMatchObject({ versions: 1, state: 'held', reason: expect.stringMatching(/object t\/mp hides .*: t\/mp\/new is there/) })
    hiding.erase('p/t/mp')
    expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
    expect((await entriesOf(site.registry)).map(({ path }) => path)).toEqual(['a', 't/mp/new'])
  })

  test('who may only list still sees removals, but not under an object that may hide them', async () => {
    const listed = await another(false)
    for (const key of ['p/a', 'p/t/x', 'p/t/y', 'p/t/mp', 'p/t/mp/x']) listed.put(key, 'x')
    listed.fault = (kind: Kind) => (kind === 'head' ? 'denied' : undefined)
    const site = await s3Site(listed.url, 'p/')
    await site.look()
    listed.remove('p/t/x')
    expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
    listed.remove('p/t/mp/x')
    expect(await site.look()).toMatchObject({ versions: 2, state: 'backoff', reason: expect.stringMatching(/^LOCATION_DENIED: .*s3:GetObject/) })
  })

  test('what new filters leave out is removed, though it is there when asked for by name', async () => {
    const plain = await another(false)
    for (const key of ['p/a', 'p/t/mp', 'p/t/mp/x']) plain.put(key, 'x')
    const site = await s3Site(plain.url, 'p/')
    await site.look()
    Object.assign(site.watch, { exclude: ['t/mp/**'] })
    expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
  })

  test('a location without a slash that becomes an object lets go of nothing under it, until a person says so', async () => {
    for (const [count, hides] of [[5, false], [30, false], [30, true]] as const) {
      const plain = await another(hides)
      for (let i = 0; i < count; i++) plain.put(`data/${i}`, 'x')
      const site = await s3Site(plain.url, 'data')
      expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
      plain.put('data', 'an object')
      const held = {
        versions: 1, state: 'held', reason: expect.stringMatching(new RegExp(`^an object s3://fake/data stands beside s3://fake/data/ now.*: ${count} recorded entries under it`)),
        action: expect.stringMatching(/^write the location as s3:\/\/fake\/data\/ to go on .*varve accept mnist$/),
      }
      expect(await site.look()).toMatchObject(held)
      // A hint of what lies under it is no way round.
      expect(await site.look('3')).toMatchObject(held)
      plain.erase('data')
      expect(await site.look()).toMatchObject({ versions: 1, state: 'clean', reason: undefined })
      plain.put('data', 'an object')
      expect(await site.look()).toMatchObject(held)
      await site.accept()
      expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
      expect((await entriesOf(site.registry)).map(({ path }) => path)).toEqual(['data'])
    }
  })

  test('a bucket that is gone is no version', async () => {
    const site = await s3Site(fake.url, 'p/')
    await site.look()
    const location = { ...site.watch.locations[0], bucket: 'gone-away' }
    const away = await siteOf({ locations: [location], s3: site.watch.s3, events: { kind: 'sqs', url: 'none' } }, async (watch, memo) => (await import('../../src/storage/s3/store.ts')).openS3Store(watch.locations[0], watch.s3, memo))
    expect(await away.look()).toMatchObject({ versions: 0, state: 'unavailable', reason: expect.stringMatching(/gone-away/) })
  })
})

describe('GCS', () => {
  let fake: FakeGcs
  beforeAll(async () => {
    fake = await FakeGcs.start()
    fake.pageSize = 3
    for (let i = 0; i < 10; i++) fake.put(`p/${i}`, 'x')
  })
  afterAll(() => fake.stop())
  afterEach(() => void (fake.fault = () => undefined))
  let edits = 0

  const faults: readonly (readonly [GcsFault, string])[] = [
    ['unavailable', 'unavailable'], ['throttled', 'unavailable'], ['quota', 'unavailable'], ['denied', 'backoff'], ['anonymous', 'backoff'], ['requester-pays', 'backoff'], ['no-bucket', 'unavailable'],
    ['redirect', 'unavailable'], ['cut', 'unavailable'], ['torn', 'backoff'], ['short', 'backoff'], ['other-document', 'backoff'], ['no-kind', 'backoff'], ['empty-token', 'backoff'],
    ['descending', 'backoff'], ['foreign', 'backoff'], ['from-the-start', 'backoff'], ['again', 'backoff'], ['no-generation', 'backoff'], ['other-bucket', 'backoff'],
  ]
  test.each(faults)('a listing that meets `%s` half-way is no version: %s', async (fault, state) => {
    const site = await gcsSite(fake.url, 'p/', { guard: { removedShareMax: 1 } })
    await site.look()
    fake.put('p/0', `edit ${++edits}`)
    let pages = 0
    fake.fault = (kind) => (kind === 'list' && ++pages > 1 ? fault : undefined)
    expect(await site.look()).toMatchObject({ versions: 1, state })
    fake.fault = () => undefined
    expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
    expect(await entriesOf(site.registry)).toHaveLength(10)
  }, 60_000)

  test('a hinted object is not gone because the bucket is, or may not be read', async () => {
    const site = await gcsSite(fake.url, 'p/')
    await site.look()
    for (const fault of ['no-bucket', 'denied', 'anonymous', 'throttled'] as const) {
      fake.fault = () => fault
      expect(await site.look('0')).toMatchObject({ versions: 1, state: expect.stringMatching(/unavailable|backoff/) })
    }
    fake.fault = () => undefined
    expect(await entriesOf(site.registry)).toHaveLength(10)
  }, 60_000)

  test('a bucket that is gone is no version', async () => {
    const site = await gcsSite(fake.url, 'p/')
    const { openGcsStore } = await import('../../src/storage/gcs/store.ts')
    const away = await siteOf({ locations: [{ ...site.watch.locations[0], bucket: 'gone-away' }], gcs: site.watch.gcs, events: { kind: 'pubsub', subscription: 'none' } }, (watch) => openGcsStore(watch.locations[0], watch.gcs))
    expect(await away.look()).toMatchObject({ versions: 0, state: 'unavailable', reason: expect.stringMatching(/gone-away/) })
  })
})
