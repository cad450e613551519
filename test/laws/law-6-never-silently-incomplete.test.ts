// Law 6. Every object under the prefix is in the version, or in its certificate with the reason. Above `max_objects` the scan fails: it never truncates.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Server } from 'node:net'
import { percented } from '../../src/storage/file/pack.ts'
import { Memory } from '../../src/storage/memory.ts'
import { FakeS3 } from '../fakes/s3.ts'
import { fell, tree } from '../storage/file/tree.ts'
import { useKeys } from '../storage/s3/bucket.ts'
import { law } from './law.ts'
import { fileSite, listing, s3Site, siteOf } from './site.ts'
import type { PartsRefit, Site } from './site.ts'
import { entriesOf, storesWith, versionsOf } from './world.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
  fell()
})

/** A tree with one of each oddity. */
async function oddities(): Promise<string> {
  const root = tree({
    'plain': 'x', 'none': '', 'sub/deep/plain': 'x', ' spaced name ': 'x', 'a#b?c%20d+e&f': 'x', 'line\nbreak': 'x', 'emoji 🦕': 'x', 'é': 'x', 'e\u0301': 'x', '\u{10fffd}': 'x', '\uffee': 'x',
    '*': 'x', 'sub/*': 'x', '-rf': 'x', '...': 'x', '.hidden': 'x', 'sub.': 'x', 'sub0': 'x', 'back\\slash': 'x',
    'lost+found/x': 'x', '.snapshot/x': 'x', '.zfs/x': 'x', '.nfs0001': 'x',
  })
  symlinkSync('plain', `${root}link`)
  symlinkSync('sub', `${root}link-to-folder`)
  symlinkSync('nowhere', `${root}dangling`)
  symlinkSync('loop', `${root}loop`)
  execFileSync('mkfifo', [`${root}fifo`])
  execFileSync('mknod', [`${root}device`, 'c', '1', '3'])
  const server = createServer().listen(`${root}socket`)
  servers.push(server)
  await new Promise((resolve) => server.once('listening', resolve))
  writeFileSync(Buffer.concat([Buffer.from(`${root}sub/bad`), Buffer.from([0xff, 0xfe])]), 'x')
  mkdirSync(`${root}hollow`)
  return root
}

/** Every name below `root` that is no folder, as an independent walk finds it; a folder that is left out counts as one. */
function everything(root: string, within: Buffer = Buffer.alloc(0)): string[] {
  return readdirSync(Buffer.concat([Buffer.from(root), within]), { withFileTypes: true, encoding: 'buffer' }).flatMap((one) => {
    const path = Buffer.concat([within, one.name])
    const leftOut = ['lost+found', '.snapshot', '.zfs'].includes(one.name.toString())
    return one.isDirectory() && !leftOut ? everything(root, Buffer.concat([path, Buffer.from('/')])) : [percented(path)]
  })
}

async function accounted(site: Site): Promise<{ readonly entries: readonly string[]; readonly skipped: Readonly<Record<string, string>> }> {
  const head = (await versionsOf(site.registry)).at(-1)
  const entries = (await entriesOf(site.registry)).map(({ path }) => path)
  return { entries, skipped: Object.fromEntries((head?.certificate.skipped ?? []).map(({ path, reason }) => [path, reason])) }
}

const dropping = (keep: (path: string) => boolean): PartsRefit => listing((span) => ({ entries: () => [...span.entries()].filter(({ path }) => keep(path)) }))

law<PartsRefit>('every object of a tree of oddities is an entry, or named with the reason', async (plant) => {
  const root = await oddities()
  const site = await fileSite(root, {}, plant)
  expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
  const { entries, skipped } = await accounted(site)
  expect([...entries, ...Object.keys(skipped)].sort()).toEqual(everything(root).sort())
  expect(skipped).toEqual({
    '.nfs0001': 'left-out', '.snapshot': 'left-out', '.zfs': 'left-out', 'lost+found': 'left-out', 'dangling': 'dangling-symlink', 'device': 'device', 'fifo': 'fifo',
    'link-to-folder': 'symlink-directory', 'loop': 'loop', 'socket': 'socket', 'sub/bad%FF%FE': 'not-utf8',
  })
  // And so in the next version, which looked at one path alone.
  writeFileSync(`${root}plain`, 'changed')
  expect(await site.look('plain')).toMatchObject({ versions: 2, state: 'clean' })
  expect((await accounted(site)).skipped).toEqual(skipped)
  // What is gone is named no more, though what is left stays so.
  unlinkSync(`${root}fifo`)
  writeFileSync(`${root}plain`, 'changed again')
  expect(await site.look()).toMatchObject({ versions: 3, state: 'clean' })
  const { fifo, ...rest } = skipped
  expect([fifo, (await accounted(site)).skipped]).toEqual(['fifo', rest])
  const [, , third] = await versionsOf(site.registry)
  expect(third?.certificate).toMatchObject({ recorded: entries.length, seen: entries.length + Object.keys(rest).length, filtered: 0 })
}, {
  'skipped things that nobody hears of': listing(() => ({ skipped: [] })),
  'a name that is not passed on': dropping((path) => path !== 'emoji 🦕'),
  'names that are made nicer': listing((span) => ({ entries: () => [...span.entries()].map((listed) => ({ ...listed, path: listed.path.normalize('NFC') })).filter(({ path }, at, all) => all.findIndex((one) => one.path === path) === at).sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path))) })),
})

law<PartsRefit>('above max_objects nothing is recorded, and the last version stays: by scans and by touch-ups', async (plant) => {
  for (const entriesMax of [1, 5, 6]) {
    const root = tree(Object.fromEntries(Array.from({ length: entriesMax }, (_, i) => [`f${i}`, `x${i}`])))
    const site = await fileSite(root, { entriesMax }, plant)
    expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
    writeFileSync(`${root}one-more`, 'x')
    for (const paths of [[], ['one-more'], []]) {
      expect({ entriesMax, paths, ...(await site.look(...paths)) }).toMatchObject({
        versions: 1, state: 'oversize', reason: expect.stringMatching(new RegExp(`more than ${entriesMax} (entry|entries) \\(max_objects\\)`)), action: expect.stringMatching(/raise max_objects .*or narrow/),
      })
    }
    unlinkSync(`${root}f0`)
    expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
    expect((await entriesOf(site.registry)).map(({ path }) => path)).toContain('one-more')
  }
}, {
  'a listing that stops at the bound': storesWith((store, watch) => ({
    async *scan(startMs, signal) {
      for await (const span of store.scan(startMs, signal)) {
        const { cover, seen, skipped, settled, end } = span
        yield { cover, seen, skipped, settled, entries: () => [...span.entries()].slice(0, watch.entriesMax), ...(end !== undefined && { end }) }
      }
    },
  })),
})

test('what filters leave out does not count towards max_objects, and is counted', async () => {
  const root = tree({ 'a.png': 'x', 'b.png': 'x', 'c.txt': 'x', 'sub/d.txt': 'x' })
  const site = await fileSite(root, { entriesMax: 2, include: ['**/*.png'] })
  expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
  expect((await versionsOf(site.registry))[0]?.certificate).toMatchObject({ recorded: 2, filtered: 2, seen: 4 })
})

test('what was unreadable before, and is so again, stays named, however many files are read beside it', async () => {
  // Enough of them that some are read while the listing still goes on.
  const memory = new Memory({ contentListed: false, pageSize: 100_000 })
  memory.put('a-locked', 'x')
  let files = 0
  const more = (count: number): void => {
    for (let i = 0; i < count; i++) memory.put(`f${String(files++).padStart(6, '0')}`, 'x')
  }
  const locked = storesWith((store) => ({
    async *inspect(listed, startMs, signal) {
      for await (const found of store.inspect(listed, startMs, signal))
        yield found.kind === 'entry' && found.listed.path === 'a-locked' ? { kind: 'skipped', skip: { path: 'a-locked', reason: 'unreadable' } } : found
    },
  }))
  const site = await siteOf({ entriesMax: 100_000, onUnreadable: 'skip' }, async () => memory.open(), locked)
  for (const count of [1, 3_000, 8_000]) {
    more(count)
    await site.look()
    expect((await accounted(site)).skipped).toEqual({ 'a-locked': 'unreadable' })
  }
}, 60_000)

test('what was skipped for a moment only is not named', async () => {
  const root = tree({ a: 'x' })
  execFileSync('mkfifo', [`${root}fifo`])
  let passes = 0
  const site = await fileSite(root, {}, storesWith((store) => ({
    async *scan(startMs, signal) {
      if (++passes === 2) unlinkSync(`${root}fifo`)
      yield* store.scan(startMs, signal)
    },
  })))
  await site.look()
  expect([passes > 1, (await accounted(site)).skipped]).toEqual([true, {}])
})

describe('S3', () => {
  let fake: FakeS3
  beforeAll(async () => {
    useKeys()
    fake = await FakeS3.start()
  })
  afterAll(() => fake.stop())

  law<PartsRefit>('every key is an entry, or named with the reason', async (plant) => {
    const keys = ['plain', 'none', 'a#b', 'a?b', 'a%20b', 'a+b', 'a b', 'a//b', 'line\nbreak', 'emoji 🦕', 'e\u0301', 'é', '/', '//x', 'folder/', 'folder/x', 'full/', '.', '..', 'a/../b', '.nfs1', 'lost+found/x', '\u{10fffd}', '\uffee']
    for (const versioned of [true, false]) {
      for (const pageSize of [1_000, 1]) {
        fake.versioned = versioned
        fake.pageSize = pageSize
        const prefix = `${versioned} ${pageSize}/`
        for (const key of keys) fake.put(prefix + key, key === 'none' || key === 'folder/' ? '' : 'x')
        const site = await s3Site(fake.url, prefix, {}, plant)
        expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
        const { entries, skipped } = await accounted(site)
        expect([...entries, ...Object.keys(skipped)].sort()).toEqual([...keys].sort())
        expect(skipped).toEqual({ 'folder/': 'folder-marker' })
      }
    }
  }, { 'a key that is not passed on': dropping((path) => path !== 'a//b'), 'skipped things that nobody hears of': listing(() => ({ skipped: [] })) })

  test('above max_objects a look stops asking: it does not list a million keys to say no', async () => {
    fake.versioned = true
    fake.pageSize = 10
    for (let i = 0; i < 200; i++) fake.put(`many/${i}`, 'x')
    const site = await s3Site(fake.url, 'many/', { entriesMax: 15 })
    const before = fake.requests.length
    expect(await site.look()).toMatchObject({ versions: 0, state: 'oversize' })
    expect(fake.requests.length - before).toBeLessThan(8)
  })
})
