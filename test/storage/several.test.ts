// Several locations in one artifact: files and buckets side by side, each in its own part of the paths.
import { mkdtempSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { turn } from '../../src/daemon/turn.ts'
import { router } from '../../src/daemon/router.ts'
import { parseLocation } from '../../src/model/location.ts'
import type { Location } from '../../src/model/location.ts'
import type { VersionView } from '../../src/model/version.ts'
import type { Watch } from '../../src/model/watch.ts'
import { inlineQueue } from '../../src/queue/inline.ts'
import { openRegistryIn } from '../../src/registry/open.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { openStore } from '../../src/storage/open.ts'
import { FakeS3 } from '../fakes/s3.ts'
import { entriesOf, lookPartsOf, MNIST, realClock, versionsOf } from '../laws/world.ts'
import type { PartsRefit } from '../laws/site.ts'
import { all, watchOf } from '../suite/registry-world.ts'
import { useKeys } from './s3/bucket.ts'

useKeys()
const going = new AbortController().signal
const clock = realClock(60_000)
let s3: FakeS3
let folder: string
let registry: Registry
let database: DatabaseSync
beforeEach(async () => {
  s3 = await FakeS3.start()
  folder = mkdtempSync(join(tmpdir(), 'varve-several-'))
  for (const name of ['val/deep', 'test']) mkdirSync(join(folder, name), { recursive: true })
  writeFileSync(join(folder, 'val', 'a'), 'val a')
  writeFileSync(join(folder, 'val', 'deep', 'b'), 'val b')
  writeFileSync(join(folder, 'test', 'a'), 'test a')
  s3.put('t/a', 'train a')
  s3.put('t/d/b', 'train b')
  s3.put('one.csv', 'one')
  database = new DatabaseSync(':memory:')
  registry = await openRegistryIn(database)
})
afterEach(async () => {
  rmSync(folder, { recursive: true })
  await s3.stop()
})

const bucket = (key: string, at: string): Location => ({ ...parseLocation(`s3://fake/${key}`, '/'), endpoint: s3.url, at })
const files = (name: string, at: string): Location => ({ ...parseLocation(`${join(folder, name)}/`, '/'), at })

function watching(...locations: readonly Location[]): Watch {
  return watchOf({ locations: locations as [Location, ...Location[]], s3: { endpoint: s3.url, region: 'us-east-1' }, settleMs: 1 })
}

const three = (): Watch => watching(bucket('t/', 'train/'), files('val', 'val/'), bucket('one.csv', 'labels/'), files('test', 'z/'))

async function look(watch: Watch, paths: readonly string[] = ['*'], refit: PartsRefit = (parts) => parts): Promise<VersionView | undefined> {
  await registry.enroll([watch], clock.now())
  await registry.request(paths.map((path) => ({ watch: watch.name, path, cause: 'cli' })), clock.now())
  await turn(refit(lookPartsOf(registry, clock, openStore)), watch, going)
  return (await versionsOf(registry)).at(-1)
}

async function lines(version?: string): Promise<string[]> {
  return (await entriesOf(registry, version)).map(({ path, reference }) => `${path} <- ${reference.replace(folder, '')}`)
}

async function state(): Promise<string> {
  const row = await registry.watchRow('mnist')
  return `${row?.state}: ${row?.reason ?? ''}`
}

const WHOLE = [
  'labels/one.csv <- s3://fake/one.csv', 'train/a <- s3://fake/t/a', 'train/d/b <- s3://fake/t/d/b', 'val/a <- file:///val/a', 'val/deep/b <- file:///val/deep/b', 'z/a <- file:///test/a',
]

test('each stands at its own place, refers to where it lies, and the whole is consistent', async () => {
  const version = await look(three())
  expect(await lines()).toEqual(WHOLE)
  expect(version).toMatchObject({ entries: 6, certificate: { kind: 'scan', consistent: true, seen: 6, filtered: 0 } })
  await look(three())
  expect(await versionsOf(registry)).toHaveLength(1)
})

test('a change in one is a change of that alone, by scan and by name; the same path elsewhere is another', async () => {
  await look(three())
  s3.put('t/a', 'train a changed')
  writeFileSync(join(folder, 'val', 'new'), 'new')
  rmSync(join(folder, 'test', 'a'))
  expect((await look(three()))?.changes).toMatchObject({ added: 1, modified: 1, removed: 1, moved: 0 })
  s3.put('t/x', 'x')
  s3.remove('t/d/b')
  writeFileSync(join(folder, 'val', 'deep', 'b'), 'val b changed')
  const touched = await look(three(), ['train/x', 'train/d/b', 'val/deep/b', 'labels/none', 'nowhere/a'])
  expect(touched).toMatchObject({ changes: { added: 1, modified: 1, removed: 1, moved: 0 }, certificate: { kind: 'touch-up' } })
  expect(await lines()).toEqual(['labels/one.csv <- s3://fake/one.csv', 'train/a <- s3://fake/t/a', 'train/x <- s3://fake/t/x', 'val/a <- file:///val/a', 'val/deep/b <- file:///val/deep/b', 'val/new <- file:///val/new'])
  await look(three())
  expect(await versionsOf(registry)).toHaveLength(3)
})

test('where one is not there, or is cut short, nothing is recorded', async () => {
  await look(three())
  writeFileSync(join(folder, 'val', 'new'), 'new')
  renameSync(join(folder, 'test'), join(folder, 'away'))
  await look(three())
  expect(await state()).toMatch(/^unavailable: .*test/)
  renameSync(join(folder, 'away'), join(folder, 'test'))
  s3.fault = (kind) => (kind === 'versions' ? 'unavailable' : undefined)
  await look(three())
  expect(await state()).toMatch(/^unavailable: s3:\/\/fake\/t\//)
  s3.fault = () => undefined
  expect(await versionsOf(registry)).toHaveLength(1)
  expect((await look(three()))?.changes).toMatchObject({ added: 1, removed: 0 })
})

test('a place that is added, moved or taken out changes what stands there, and nothing else', async () => {
  await look(watching(bucket('t/', 'train/'), files('val', 'val/')))
  expect((await look(three()))?.changes).toMatchObject({ added: 2, modified: 0, removed: 0 })
  expect((await look(watching(bucket('t/', 'learn/'), files('val', 'val/'), bucket('one.csv', 'labels/'), files('test', 'z/'))))?.changes)
    .toMatchObject({ added: 0, modified: 0, removed: 0, moved: 2 })
  expect((await look(watching(files('val', 'val/'), files('test', 'z/'))))?.changes).toMatchObject({ added: 0, modified: 0, removed: 3 })
  expect(await lines()).toEqual(['val/a <- file:///val/a', 'val/deep/b <- file:///val/deep/b', 'z/a <- file:///test/a'])
  // Alone, its paths are its own.
  const { at: _, ...alone } = files('val', 'val/')
  await look(watching(alone))
  expect(await lines()).toEqual(['a <- file:///val/a', 'deep/b <- file:///val/deep/b'])
  expect(await lines('v1')).toEqual(WHOLE)
})

test('the same path from another bucket is modified', async () => {
  await look(three())
  s3.put('t2/a', 'train a')
  s3.put('t2/d/b', 'train b')
  const moved = await look(watching(bucket('t2/', 'train/'), files('val', 'val/'), bucket('one.csv', 'labels/'), files('test', 'z/')))
  expect(moved?.changes).toMatchObject({ added: 0, modified: 2, removed: 0, moved: 0 })
})

test('what is skipped is named at its place, and inherited', async () => {
  s3.put('t/folder/', '')
  expect((await look(three()))?.certificate.skipped).toEqual([{ path: 'train/folder/', reason: 'folder-marker' }])
  writeFileSync(join(folder, 'val', 'new'), 'new')
  expect((await look(three(), ['val/new']))?.certificate.skipped).toEqual([{ path: 'train/folder/', reason: 'folder-marker' }])
  s3.remove('t/folder/')
  writeFileSync(join(folder, 'val', 'newer'), 'newer')
  expect((await look(three()))?.certificate.skipped).toEqual([])
})

test('filters and the number of objects are of the artifact', async () => {
  const watch = { ...three(), exclude: ['val/**', '**/*.csv'] }
  expect((await look(watch))?.certificate).toMatchObject({ recorded: 3, filtered: 3 })
  await look({ ...watch, exclude: [], entriesMax: 5 })
  expect(await state()).toMatch(/^oversize: more than 5 entries/)
})

test('a hint goes to the place that covers it, under its path in the artifact', async () => {
  const watch = three()
  await registry.enroll([watch], clock.now())
  const emit = router({ registry, queue: inlineQueue(clock), clock, log: lookPartsOf(registry, clock, openStore).log, watches: [watch] })
  database.exec('DELETE FROM request')
  await emit([
    { scheme: 's3', bucket: 'fake', key: 't/d/b', whole: false }, { scheme: 's3', bucket: 'fake', key: 'one.csv', whole: false },
    { scheme: 'file', bucket: '', key: join(folder, 'val', 'deep', 'b'), whole: false }, { scheme: 's3', bucket: 'fake', key: 'other', whole: false },
  ])
  expect(database.prepare('SELECT path FROM request ORDER BY path').all().map((row) => row['path'])).toEqual(['labels/one.csv', 'train/d/b', 'val/deep/b'])
})

describe('a listing that is not whole', () => {
  test.each([0, 1, 2, 3])('of place %i is no version', async (cut) => {
    await look(three())
    writeFileSync(join(folder, 'val', 'new'), 'new')
    let nth = 0
    const watch = three()
    const parts = lookPartsOf(registry, clock, (one, memo) => openStore(one, memo))
    const { openSeveral } = await import('../../src/storage/several.ts')
    const opened = await registry.enroll([watch], clock.now()).then(() => ({
      ...parts,
      openStore: () => openSeveral(watch.locations, undefined, async (location) => {
        const own = nth++
        const store = await openStore({ ...watch, locations: [location] }, undefined)
        return own !== cut ? store : { ...wrapped(store), async *scan(startMs, signal) {
          for await (const span of store.scan(startMs, signal)) {
            const { end: _, ...rest } = { ...span, entries: () => span.entries(), skipped: span.skipped, cover: span.cover, seen: span.seen, settled: span.settled }
            yield rest
          }
        } }
      }),
    }))
    await registry.request([{ watch: 'mnist', path: '*', cause: 'cli' }], clock.now())
    await turn(opened, watch, going)
    expect(await state()).toMatch(/STORAGE_INVALID: the listing of .* ended before its end/)
    expect(await versionsOf(registry)).toHaveLength(1)
  })
})

function wrapped(store: Awaited<ReturnType<typeof openStore>>): Awaited<ReturnType<typeof openStore>> {
  return {
    root: (signal) => store.root(signal), scan: (startMs, signal) => store.scan(startMs, signal), find: (paths, startMs, signal) => store.find(paths, startMs, signal),
    inspect: (listed, startMs, signal) => store.inspect(listed, startMs, signal), close: () => store.close(),
  }
}

test('the catalogue knows them all', async () => {
  await look(three())
  expect((await registry.watchViews(clock.now()))[0]?.location).toBe(`s3://fake/t/ at train/, file://${folder}/val/ at val/, s3://fake/one.csv at labels/, file://${folder}/test/ at z/`)
  expect((await registry.history(MNIST, 'labels/one.csv')).map(({ change }) => change)).toEqual(['added'])
  expect((await all(registry.versions(MNIST))).length).toBe(1)
})
