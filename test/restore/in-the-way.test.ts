// long
// What lies at a destination otherwise than it is to: links where copies are wanted, folders where files are, and what belongs to somebody.
import { afterEach, describe, expect, test } from '@jest/globals'
import { chmodSync, existsSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fingerprintOf } from '../../src/model/fingerprint.ts'
import type { Progress, Step, Way } from '../../src/restore/restore.ts'
import { MNIST } from '../suite/registry-world.ts'
import { folderIn, lostOf, RestoreWorld, treeOf } from './world.ts'

let world: RestoreWorld
afterEach(() => world.close())

async function worldWith(objects: Readonly<Record<string, string>>): Promise<void> {
  world = await new RestoreWorld().open()
  await recordAlso(objects)
}

/** One more version, of exactly these. */
async function recordAlso(objects: Readonly<Record<string, string>>): Promise<void> {
  for (const path of world.memory.paths()) if (objects[path] === undefined) world.memory.remove(path)
  for (const [path, text] of Object.entries(objects)) world.memory.put(path, text)
  await world.record()
}

test('the last known copy of what is wanted, in the destination itself, is neither overwritten nor removed nor linked to', async () => {
  world = await new RestoreWorld().open()
  const from = folderIn(world, 'from')
  const write = (files: Readonly<Record<string, string>>): void => Object.entries(files).forEach(([name, text]) => writeFileSync(join(from, name), text))
  write({ a: 'one', b: 'two' })
  await world.recordFolder(from)
  write({ a: 'two', b: 'one', c: 'three' })
  await world.recordFolder(from)
  const to = world.place()
  await world.get('v1', to)
  await world.recordFolder(to, { ...MNIST, collection: 'work' })
  rmSync(from, { recursive: true })
  const before = treeOf(to)
  for (const over of [{}, { dryRun: true }, { partial: true }, { force: true, delete: true }, { as: 'symlink', delete: true }, { as: 'hardlink', force: true }] as const) {
    expect(await world.get('v0', to, over)).toMatchObject({ code: 'DESTINATION_REFUSED', message: expect.stringContaining(`is ${to}`) })
    expect(treeOf(to)).toEqual(before)
  }
  const other = world.place()
  await world.get('v0', other)
  expect(treeOf(other)).toEqual({ a: 'one', b: 'two' })
})

describe('the way', () => {
  let from: string
  async function recorded(files: Readonly<Record<string, string>>): Promise<void> {
    world = await new RestoreWorld().open()
    from = folderIn(world, 'from')
    await again(files)
  }
  async function again(files: Readonly<Record<string, string>>): Promise<void> {
    for (const name of readdirSync(from)) if (files[name] === undefined) rmSync(join(from, name))
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(from, `${name}.new`), text)
      renameSync(join(from, `${name}.new`), join(from, name))
    }
    await world.recordFolder(from)
  }
  const lies = (to: string, name: string): Way => {
    if (lstatSync(join(to, name)).isSymbolicLink()) return 'symlink'
    return existsSync(join(from, name)) && statSync(join(to, name)).ino === statSync(join(from, name)).ino ? 'hardlink' : 'copy'
  }

  const WAYS = ['copy', 'hardlink', 'symlink'] as const
  test.each(WAYS.flatMap((before) => WAYS.filter((after) => after !== before).map((after) => [before, after] as const)))('%s, then %s: what lies there in the other way is replaced, with and without its receipt', async (before, after) => {
    await recorded({ a: 'one', b: 'two' })
    const to = world.place()
    for (const forgotten of [false, true]) {
      await world.get('v0', to, { as: before })
      if (forgotten) rmSync(world.parts.memory, { recursive: true })
      expect([lies(to, 'a'), lies(to, 'b')]).toEqual([before, before])
      const { code, steps } = await world.get('v0', to, { as: after })
      expect([code, steps.map(({ action }) => action), lies(to, 'a'), lies(to, 'b')]).toEqual([undefined, Array.from({ length: 2 }, () => (after === 'copy' ? 'fetched' : 'linked')), after, after])
      expect((await world.get('v0', to, { as: after })).report).toMatchObject({ kept: 2, fetched: 0, linked: 0 })
      expect([treeOf(to), treeOf(from)]).toEqual([{ a: 'one', b: 'two' }, { a: 'one', b: 'two' }])
    }
  })

  test.each(['hardlink', 'symlink'] as const)('as %s: what moved at the source since is no file of a stranger, and with delete what went there goes', async (as) => {
    await recorded({ edited: 'one', gone: 'two', same: 'three' })
    const to = world.place()
    await world.get('v0', to, { as })
    await again({ edited: 'new', same: 'three' })
    const { code, report } = await world.get('v1', to, { as, delete: true })
    expect([code, report?.deleted, treeOf(to), lies(to, 'edited')]).toEqual([undefined, 1, { edited: 'new', same: 'three' }, as])
    expect((await world.get('v1', to)).report).toMatchObject({ fetched: 2 })
    expect([lies(to, 'edited'), lies(to, 'same')]).toEqual(['copy', 'copy'])
  })

  describe.each(['remembered', 'cut off', 'cut off over copies'] as const)('a hard link of an earlier restore, %s, that is one to another file of the source by now', (how) => {
    async function linked(): Promise<string> {
      await recorded({ a: 'one', b: 'two' })
      const to = world.place()
      if (how === 'cut off over copies') await world.get('v0', to)
      if (how === 'remembered') await world.get('v0', to, { as: 'hardlink' })
      else {
        mkdirSync(to, { recursive: true })
        for (const name of ['a', 'b']) {
          rmSync(join(to, name), { force: true })
          linkSync(join(from, name), join(to, name))
        }
      }
      for (const name of ['a', 'b']) renameSync(join(from, name), join(world.folder, `${name}-moved`))
      return to
    }
    const names = (to: string): readonly number[] => ['a', 'b'].map((name) => statSync(join(to, name)).nlink)

    test.each(['same', 'touched'] as const)('is replaced by a copy: %s', async (since) => {
      const to = await linked()
      await again({ a: 'one', b: 'two' })
      if (since === 'touched') utimesSync(join(world.folder, 'a-moved'), 1, 1)
      expect(names(to)).toEqual([2, 2])
      const dry = await world.get('v0', to, { dryRun: true })
      expect(dry.report).toMatchObject({ fetched: 2, kept: 0 })
      expect(dry.steps.map(({ words }) => words)).toEqual([expect.stringContaining('hard links'), expect.stringContaining('hard links')])
      expect((await world.get('v0', to, { delete: true })).report).toMatchObject({ fetched: 2, kept: 0 })
      expect(names(to)).toEqual([1, 1])
      writeFileSync(join(world.folder, 'a-moved'), 'new')
      expect(treeOf(to)).toEqual({ a: 'one', b: 'two' })
      expect((await world.get('v0', to)).report).toMatchObject({ fetched: 0, kept: 2 })
    })

    test('its own bytes are the source of the copy, also where nothing else has them any more', async () => {
      const to = await linked()
      chmodSync(join(to, 'a'), 0o600)
      expect(await world.get('v0', to)).toMatchObject({ report: { fetched: 2, kept: 0 } })
      expect([names(to), treeOf(to)]).toEqual([[1, 1], { a: 'one', b: 'two' }])
      expect(statSync(join(to, 'a')).mode & 0o777).toBe(0o600)
    })
  })

  test('a link that somebody else made is theirs, and other names of a copy are no links', async () => {
    await recorded({ a: 'one', b: 'two' })
    const to = world.place()
    await world.get('v0', to)
    linkSync(join(to, 'b'), join(world.folder, 'another-name'))
    expect((await world.get('v0', to)).report).toMatchObject({ kept: 2 })
    writeFileSync(join(world.folder, 'theirs'), 'one')
    rmSync(join(to, 'a'))
    symlinkSync(join(world.folder, 'theirs'), join(to, 'a'))
    for (const as of WAYS) expect(await world.get('v0', to, { as })).toMatchObject({ code: 'CONFLICT', message: expect.stringContaining(': a') })
    expect(readlinkSync(join(to, 'a'))).toBe(join(world.folder, 'theirs'))
  })

  test.each(['hardlink', 'symlink'] as const)('no %s takes the place of what it would lead to', async (as) => {
    await recorded({ a: 'one' })
    expect(await world.get('v0', from, { as })).toMatchObject({ code: 'DESTINATION_REFUSED', message: expect.stringContaining('recorded from') })
    // The same bytes were recorded from the destination, too, and are nowhere else.
    const to = folderIn(world, 'to')
    writeFileSync(join(to, 'a'), 'one')
    await world.recordFolder(to, { ...MNIST, collection: 'other' })
    rmSync(join(from, 'a'))
    await world.get('v0', to, { as })
    expect([lstatSync(join(to, 'a')).isFile(), treeOf(to)]).toEqual([true, { a: 'one' }])
  })
})

describe('an obstacle', () => {
  test('a folder that becomes a file, and the reverse: refused by name with what gets past it, then done with delete', async () => {
    await worldWith({ 'd/b': 'one', 'd/e/c': 'two', 'f': 'three' })
    await recordAlso({ 'd': 'file', 'f/g': 'four' })
    const to = world.place()
    await world.get('v0', to)
    mkdirSync(join(to, 'd', 'empty'))
    const refused = await world.get('v1', to)
    expect([refused.code, refused.losses, refused.message]).toEqual(['CONFLICT', [], `d is a folder at ${to}, where the version has a file (and 1 other like it)`])
    expect(treeOf(to)).toEqual({ 'd/b': 'one', 'd/e/c': 'two', 'f': 'three' })
    const { code, report, steps } = await world.get('v1', to, { delete: true })
    expect([code, report?.deleted, treeOf(to)]).toEqual([undefined, 4, { 'd': 'file', 'f/g': 'four' }])
    expect(steps.filter(({ action }) => action === 'deleted').map(({ path }) => path)).toEqual(['d/b', 'd/e/c', 'd/empty/', 'f'])
    expect((await world.get('v0', to, { delete: true })).code).toBeUndefined()
    expect(treeOf(to)).toEqual({ 'd/b': 'one', 'd/e/c': 'two', 'f': 'three' })
  })

  test("what is somebody's in it goes with force alone", async () => {
    await worldWith({ 'd/b': 'one' })
    await recordAlso({ d: 'file' })
    const to = world.place()
    await world.get('v0', to)
    writeFileSync(join(to, 'd', 'mine'), 'mine')
    expect(await world.get('v1', to, { delete: true })).toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('d/mine') })
    const dry = await world.get('v1', to, { dryRun: true })
    expect([dry.code, dry.steps.map(({ path, action, words }) => [path, action, words])]).toEqual(['CONFLICT', [['d', 'fetch', undefined], ['d', 'conflict', 'it is a folder, where the version has a file']]])
    expect(treeOf(to)).toEqual({ 'd/b': 'one', 'd/mine': 'mine' })
    expect((await world.get('v1', to, { force: true })).report).toMatchObject({ fetched: 1, deleted: 2 })
    expect(treeOf(to)).toEqual({ d: 'file' })
  })

  test('for what is lost nothing goes', async () => {
    world = await new RestoreWorld({ versioned: false }).open()
    await recordAlso({ a: 'one', d: 'file' })
    world.memory.remove('d')
    const to = world.place()
    mkdirSync(join(to, 'd'), { recursive: true })
    writeFileSync(join(to, 'd', 'mine'), 'mine')
    expect(lostOf(await world.get('v0', to, { force: true, partial: true }))).toEqual({ d: 'removed' })
    expect(treeOf(to)).toEqual({ 'a': 'one', 'd/mine': 'mine' })
  })

  test('nothing is written through a symbolic link: it is refused, or with force it goes, and never what it leads to', async () => {
    await worldWith({ 'd/a': 'one', 'b': 'two', 'c': 'three' })
    const [to, outside] = [world.place(), folderIn(world, 'outside')]
    mkdirSync(to)
    writeFileSync(join(outside, 'target'), 'theirs')
    symlinkSync(outside, join(to, 'd'))
    symlinkSync(join(outside, 'target'), join(to, 'b'))
    for (const more of [{}, { delete: true }]) expect(await world.get('v0', to, more)).toMatchObject({ code: 'CONFLICT', message: expect.stringContaining(`d is a symbolic link at ${to}, where the version has a folder`) })
    expect(treeOf(outside)).toEqual({ target: 'theirs' })
    expect((await world.get('v0', to, { force: true })).code).toBeUndefined()
    expect([treeOf(to), treeOf(outside), lstatSync(join(to, 'd')).isDirectory(), lstatSync(join(to, 'b')).isFile()]).toEqual([{ 'b': 'two', 'c': 'three', 'd/a': 'one' }, { target: 'theirs' }, true, true])
  })
})

describe('what goes with delete', () => {
  const deletedIn = (steps: readonly Step[]): readonly string[] => steps.filter(({ action }) => ['delete', 'deleted'].includes(action)).map(({ path }) => path)

  test('an empty folder that the version fills stays, and all else goes', async () => {
    await worldWith({ 'a': 'one', 'x/f': 'two', 'y/q': 'three', 'y/y/z/w': 'four' })
    const to = world.place()
    for (const folder of ['a0', 'x', 'y/y/z', 'y/y0', 'zold']) mkdirSync(join(to, folder), { recursive: true })
    writeFileSync(join(to, 'zz'), 'mine')
    const gone = ['a0/', 'y/y0/', 'zold/', 'zz']
    expect(deletedIn((await world.get('v0', to, { delete: true, force: true, dryRun: true })).steps)).toEqual(gone)
    const { code, report, steps } = await world.get('v0', to, { delete: true, force: true })
    expect([code, report?.deleted, deletedIn(steps)]).toEqual([undefined, 4, gone])
    expect(treeOf(to)).toEqual({ 'a': 'one', 'x/f': 'two', 'y/q': 'three', 'y/y/z/w': 'four' })
    expect(readdirSync(to)).toEqual(['a', 'x', 'y'])
    expect(readdirSync(join(to, 'y'))).toEqual(['q', 'y'])
  })

  test('what a restore left that was cut off when it had emptied a folder for a file is no hindrance', async () => {
    await worldWith({ 'x/y': 'file' })
    await recordAlso({ 'x/y/z': 'one' })
    const to = world.place()
    await world.get('v1', to)
    rmSync(join(to, 'x', 'y', 'z'))
    const { code, steps } = await world.get('v1', to, { delete: true })
    expect([code, deletedIn(steps), treeOf(to)]).toEqual([undefined, [], { 'x/y/z': 'one' }])
    rmSync(join(to, 'x', 'y', 'z'))
    expect([(await world.get('v0', to, { delete: true })).code, treeOf(to)]).toEqual([undefined, { 'x/y': 'file' }])
  })

  test('a folder that got something meanwhile, and a file that became a folder, stay and are not told; the rest goes', async () => {
    await worldWith({ a: 'one' })
    const to = world.place()
    for (const folder of ['m', 'n/o', 'z']) mkdirSync(join(to, folder), { recursive: true })
    for (const name of ['n/p', 'q']) writeFileSync(join(to, name), 'mine')
    let came = false
    const progress = ({ of }: Progress): void => {
      // Bytes come: what is there was looked at.
      if (came || of === undefined) return
      came = true
      writeFileSync(join(to, 'm', 'new'), 'new')
      rmSync(join(to, 'q'))
      mkdirSync(join(to, 'q'))
    }
    const { code, report, steps } = await world.get('v0', to, { delete: true, force: true }, { progress })
    expect([came, code, report?.deleted, deletedIn(steps)]).toEqual([true, undefined, 3, ['n/o/', 'n/p', 'z/']])
    expect([treeOf(to), readdirSync(to)]).toEqual([{ 'a': 'one', 'm/new': 'new' }, ['a', 'm', 'q']])
  })
})

test("what lies in the folder that a restore works in, and is not a restore's, stays; with delete it is told like others", async () => {
  await worldWith({ a: 'one' })
  const to = world.place()
  const room = join(to, '.varve-restore')
  mkdirSync(room, { recursive: true })
  for (const name of ['mine', 't1', 'case', 'x.part']) writeFileSync(join(room, name), name)
  writeFileSync(join(room, 'varve-7.tmp'), 'of a restore that was cut off')
  expect((await world.get('v0', to)).code).toBeUndefined()
  expect(treeOf(to)).toEqual({ '.varve-restore/case': 'case', '.varve-restore/mine': 'mine', '.varve-restore/t1': 't1', '.varve-restore/x.part': 'x.part', 'a': 'one' })
  expect(await world.get('v0', to, { delete: true })).toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('.varve-restore/mine') })
  await world.get('v0', to, { delete: true, force: true })
  expect([treeOf(to), existsSync(room)]).toEqual([{ a: 'one' }, false])
})

test('a dry run tells its plan beside what is in the way', async () => {
  await worldWith({ a: 'one', b: 'two' })
  const to = world.place()
  mkdirSync(to)
  writeFileSync(join(to, 'a'), 'mine')
  writeFileSync(join(to, 'z'), 'mine')
  const { code, steps } = await world.get('v0', to, { dryRun: true, delete: true })
  expect([code, steps.map(({ path, action }) => `${path} ${action}`)]).toEqual(['CONFLICT', ['a fetch', 'b fetch', 'a conflict', 'z conflict']])
  const forced = await world.get('v0', to, { dryRun: true, delete: true, force: true })
  expect([forced.code, forced.steps.map(({ path, action }) => `${path} ${action}`)]).toEqual([undefined, ['a fetch', 'b fetch', 'z delete']])
  expect(treeOf(to)).toEqual({ a: 'mine', z: 'mine' })
})

test('after a power cut fingerprints tell nothing of bytes: they are read once', async () => {
  await worldWith({ a: 'one', b: 'two' })
  const to = world.place()
  await world.get('v0', to)
  const receipts = readdirSync(world.parts.memory).map((name) => join(world.parts.memory, name))
  const [entries = '', folders = ''] = ['.entries', '.folders'].map((end) => receipts.find((name) => name.endsWith(end)))
  // Bytes that never came to the disk: size and times are as they were written down.
  writeFileSync(join(to, 'a'), '\0\0\0')
  const lines = readFileSync(entries, 'utf8').split('\n').map((line) => (line.startsWith('["a"') ? JSON.stringify([...(JSON.parse(line) as string[]).slice(0, 3), fingerprintOf(statSync(join(to, 'a'), { bigint: true }))]) : line))
  writeFileSync(entries, lines.join('\n'))
  expect((await world.get('v0', to)).report).toMatchObject({ fetched: 0, kept: 2 })
  writeFileSync(folders, readFileSync(folders, 'utf8').replace(/"boot":"[^"]*"/, '"boot":"before"'))
  expect((await world.get('v0', to)).report).toMatchObject({ fetched: 1, kept: 1 })
  expect(treeOf(to)).toEqual({ a: 'one', b: 'two' })
})
