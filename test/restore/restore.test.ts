// long
// Law 9, told over a memory: what comes back is exact, what cannot is said by path and reason, and nothing is left half-written.
import { afterEach, describe, expect, test } from '@jest/globals'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MNIST } from '../suite/registry-world.ts'
import { NAMES, NASTIER } from '../suite/names.ts'
import { folderIn, lostOf, RestoreWorld, treeOf } from './world.ts'

const OTHER = { ...MNIST, collection: 'other' }

let world: RestoreWorld
afterEach(() => world.close())

async function worldWith(objects: Readonly<Record<string, string>>, versioned = true): Promise<RestoreWorld> {
  world = await new RestoreWorld({ versioned }).open()
  for (const [path, text] of Object.entries(objects)) world.memory.put(path, text)
  await world.record()
  return world
}

/** The pin of what lies at a path of the first version. */
async function pinOf(path: string): Promise<string> {
  for await (const page of world.registry.holdings(MNIST, 'v0', path)) return (page[0]?.content.pin ?? '').replace(/^$/, 'none')
  return 'none'
}

describe('where bytes come from', () => {
  test('the pin: what was overwritten, deleted or hidden by a delete marker since comes back as it was', async () => {
    await worldWith({ 'a': 'one', 'd/b': 'two', 'd/c': 'three' })
    world.memory.put('a', 'other')
    world.memory.remove('d/b')
    const to = world.place()
    const { report, steps } = await world.get('v0', to)
    expect(report).toMatchObject({ entries: 3, fetched: 3, fetchedBytes: 11, kept: 0 })
    expect(treeOf(to)).toEqual({ 'a': 'one', 'd/b': 'two', 'd/c': 'three' })
    expect(steps.map(({ path, action, from, proof }) => [path, action, from, proof])).toEqual([['a', 'fetched', 's3://bucket/p/a', 'md5'], ['d/b', 'fetched', 's3://bucket/p/d/b', 'md5'], ['d/c', 'fetched', 's3://bucket/p/d/c', 'md5']])
  })

  test('without versions, what was overwritten or deleted is lost, by name and reason, and nothing is written', async () => {
    await worldWith({ a: 'one', b: 'two', c: 'three' }, false)
    world.memory.put('a', 'other')
    world.memory.remove('b')
    const to = world.place()
    const { code, losses, steps } = await world.get('v0', to)
    expect([code, lostOf({ losses }), existsSync(to)]).toEqual(['LOST', { a: 'overwritten', b: 'removed' }, false])
    expect(steps.filter(({ action }) => action === 'lost').map(({ path }) => path)).toEqual(['a', 'b'])
    const partial = await world.get('v0', to, { partial: true })
    expect([partial.code, lostOf(partial), treeOf(to)]).toEqual(['LOST', { a: 'overwritten', b: 'removed' }, { c: 'three' }])
  })

  test('an expired pin is lost, unless the same bytes lie elsewhere: another version of the key, another entry, another artifact, a local copy', async () => {
    await worldWith({ a: 'same', b: 'other key', c: 'elsewhere', d: 'on disk', e: 'gone', f: 'gone, too' })
    const copies = folderIn(world, 'copies')
    writeFileSync(join(copies, 'copy'), 'on disk')
    await world.recordFolder(copies, OTHER)
    // Written again with the same bytes; and in another entry.
    world.memory.put('a', 'same')
    world.memory.put('z', 'other key')
    world.memory.put('y', 'elsewhere')
    await world.record({ ...MNIST, collection: 'third' })
    for (const path of ['b', 'c', 'd', 'e']) world.memory.put(path, 'changed')
    world.memory.remove('f')
    for (const path of ['a', 'b', 'c', 'd', 'e', 'f']) world.memory.expire(path, await pinOf(path))
    expect(lostOf(await world.get('v0', world.place()))).toEqual({ e: 'expired', f: 'removed' })
    const to = world.place()
    const { steps } = await world.get('v0', to, { partial: true })
    expect(treeOf(to)).toEqual({ a: 'same', b: 'other key', c: 'elsewhere', d: 'on disk' })
    expect(Object.fromEntries(steps.map(({ path, from = '' }) => [path, from.replace(/^.*\//, '')]))).toEqual({ a: 'a', b: 'z', c: 'y', d: 'copy', e: '', f: '' })
  })

  test('what is archived is said to be', async () => {
    await worldWith({ a: 'one', b: 'two' })
    world.memory.archive('a', 'GLACIER')
    const { losses } = await world.get('v0', world.place())
    expect(losses).toEqual([{ path: 'a', reason: 'archived', words: 's3://bucket/p/a lies in GLACIER, and must be thawed first' }])
    world.memory.archive('a')
    expect((await world.get('v0', world.place())).code).toBeUndefined()
  })

  test('a store that cannot be reached is no proof of loss, and is said as such', async () => {
    await worldWith({ a: 'one' })
    world.memory.root = undefined
    expect(lostOf(await world.get('v0', world.place()))).toEqual({ a: 'unreachable' })
  })
})

describe('bytes are verified as they come', () => {
  const bad: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = {
    'a flipped byte': (bytes) => bytes.map((byte, at) => (at === 1 ? byte ^ 1 : byte)),
    'an early end': (bytes) => bytes.subarray(0, 1),
    'too much': (bytes) => Buffer.concat([bytes, Buffer.from('x')]),
  }
  test.each(Object.keys(bad))('%s: once, it is asked for again; always, it is lost, and the rest is in place', async (what) => {
    await worldWith({ a: 'one', b: 'two' })
    const spoil = bad[what] as (bytes: Uint8Array) => Uint8Array
    let times = 1
    world.memory.served = (path, bytes) => (path === 'a' && times-- > 0 ? spoil(bytes) : bytes)
    const to = world.place()
    expect((await world.get('v0', to)).code).toBeUndefined()
    expect([treeOf(to), world.waits.length]).toEqual([{ a: 'one', b: 'two' }, 1])
    times = Infinity
    const other = world.place()
    const { code, losses } = await world.get('v0', other)
    expect([code, losses[0]?.path, ['corrupt', 'unreachable']]).toEqual(['LOST', 'a', expect.arrayContaining([losses[0]?.reason])])
    expect(treeOf(other)).toEqual({ b: 'two' })
    expect(world.waits.length).toBe(3)
  })

  test('what changes between the plan and the read is not taken for what was planned', async () => {
    await worldWith({ a: 'one', b: 'two' }, false)
    const reader = world.memory.reader('p/')
    const to = world.place()
    const { losses } = await world.get('v0', to, {}, {
      openReader: async () => ({
        standing: (keys, stop) => reader.standing(keys, stop), versions: (key, stop) => reader.versions(key, stop), close: async () => undefined,
        open: (key, wanted, stop) => {
          if (key === 'p/a') world.memory.put('a', 'new')
          return reader.open(key, wanted, stop)
        },
      }),
    })
    expect([lostOf({ losses }), treeOf(to)]).toEqual([{ a: 'overwritten' }, { b: 'two' }])
  })

  test('large objects come in pieces, and a spoiled piece spoils nothing else', async () => {
    const large = Buffer.alloc(40 * 1024 * 1024)
    for (let at = 0; at < large.length; at += 4) large.writeUInt32LE(at * 2_654_435_761 % 2 ** 32, at)
    world = await new RestoreWorld().open()
    world.memory.put('large', large)
    await world.record()
    let times = 1
    world.memory.served = (_path, bytes) => (times-- === 0 ? bytes.map((byte, at) => (at === 20_000_000 ? byte ^ 1 : byte)) : bytes)
    const to = world.place()
    expect((await world.get('v0', to)).report).toMatchObject({ fetched: 1 })
    expect(readFileSync(join(to, 'large')).equals(large)).toBe(true)
    expect(readdirSync(to)).toEqual(['large'])
  })
})

describe('the destination', () => {
  test('what is in place is verified and left; what was touched is verified by its bytes; what holds others is refused by name', async () => {
    await worldWith({ a: 'one', b: 'two', c: 'three' })
    const to = world.place()
    await world.get('v0', to)
    expect((await world.get('v0', to)).report).toMatchObject({ fetched: 0, kept: 3 })
    utimesSync(join(to, 'a'), 1, 1)
    expect((await world.get('v0', to)).report).toMatchObject({ fetched: 0, kept: 3 })
    rmSync(join(to, 'b'))
    writeFileSync(join(to, 'c'), 'mine!')
    const refused = await world.get('v0', to)
    expect([refused.code, refused.message]).toEqual(['CONFLICT', expect.stringContaining('c')])
    expect(treeOf(to)).toEqual({ a: 'one', c: 'mine!' })
    expect((await world.get('v0', to, { force: true })).report).toMatchObject({ fetched: 2, kept: 1 })
    expect(treeOf(to)).toEqual({ a: 'one', b: 'two', c: 'three' })
  })

  test('of what nobody touched no store is asked and no byte read; deep reads what is in place', async () => {
    await worldWith({ a: 'one' })
    const to = world.place()
    await world.get('v0', to)
    const deaf = { openReader: async () => Promise.reject(new Error('a store was asked')) }
    expect((await world.get('v0', to, {}, deaf)).report).toMatchObject({ kept: 1 })
    expect((await world.get('v0', to, { deep: true }, deaf)).report).toMatchObject({ kept: 1 })
    writeFileSync(join(to, 'a'), 'onE')
    expect((await world.get('v0', to, { deep: true })).code).toBe('CONFLICT')
  })

  test('a switch of version that was cut off, and another version then: what either put there goes, what somebody edited does not', async () => {
    await worldWith({ a: 'a0', b: 'b0', c: 'c0', d: 'd0' })
    for (const [path, text] of Object.entries({ a: 'a1', b: 'b1', c: 'c1', x: 'x1' })) world.memory.put(path, text)
    await world.record()
    for (const path of ['a', 'b', 'c', 'd']) world.memory.put(path, `${path}2`)
    world.memory.remove('x')
    await world.record()
    const reader = world.memory.reader('p/')
    const cutOff = async (to: string): Promise<void> => {
      await expect(world.get('v1', to, {}, { openReader: async () => ({
        standing: (keys, stop) => reader.standing(keys, stop), versions: (key, stop) => reader.versions(key, stop), close: async () => undefined,
        open: async (key, wanted, stop) => {
          if (key !== 'p/c') return reader.open(key, wanted, stop)
          while (!['a1', 'b1', 'x1'].every((text) => Object.values(treeOf(to) ?? {}).includes(text))) await sleep(5)
          throw new Error('cut off')
        },
      }) })).rejects.toThrow('cut off')
    }
    for (const before of [true, false]) {
      const to = world.place()
      if (before) await world.get('v0', to)
      await cutOff(to)
      expect(treeOf(to)).toMatchObject({ a: 'a1', b: 'b1', x: 'x1' })
      writeFileSync(join(to, 'b'), 'mine')
      for (const over of [{}, { delete: true }]) expect(await world.get('v2', to, over)).toMatchObject({ code: 'CONFLICT', message: expect.stringMatching(/^1 file at .*: b$/) })
      writeFileSync(join(to, 'b'), 'b1')
      expect((await world.get('v2', to, { delete: true })).report).toMatchObject({ fetched: 4, deleted: 1 })
      expect(treeOf(to)).toEqual({ a: 'a2', b: 'b2', c: 'c2', d: 'd2' })
      // It came to its end: what was begun before counts no more.
      writeFileSync(join(to, 'a'), 'a1')
      expect((await world.get('v2', to)).code).toBe('CONFLICT')
    }
  })

  test('what an earlier restore put there is known also where the last one brought but a part, or left what its version does not have', async () => {
    await worldWith({ a: 'a0', b: 'b0', x: 'x0' })
    for (const path of ['a', 'b']) world.memory.put(path, `${path}1`)
    world.memory.remove('x')
    await world.record()
    const to = world.place()
    await world.get('v0', to)
    await world.get('v1', to, { path: 'a' })
    expect((await world.get('v1', to)).report).toMatchObject({ fetched: 1, kept: 1 })
    expect(treeOf(to)).toEqual({ a: 'a1', b: 'b1', x: 'x0' })
    expect((await world.get('v1', to, { delete: true })).report).toMatchObject({ kept: 2, deleted: 1 })
    writeFileSync(join(to, 'x'), 'x0')
    expect((await world.get('v1', to, { delete: true })).code).toBe('CONFLICT')
  })

  test('another version over what a restore left needs no force, and with delete leaves exactly that version', async () => {
    await worldWith({ 'a': 'one', 'd/b': 'two', 'same': 's' })
    world.memory.put('a', 'new')
    world.memory.remove('d/b')
    await world.record()
    const to = world.place()
    await world.get('v0', to)
    expect((await world.get('v1', to)).report).toMatchObject({ fetched: 1, kept: 1 })
    expect(treeOf(to)).toEqual({ 'a': 'new', 'd/b': 'two', 'same': 's' })
    writeFileSync(join(to, 'mine'), 'mine')
    expect(await world.get('v1', to, { delete: true })).toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('mine') })
    rmSync(join(to, 'mine'))
    // Put there by the first restore: its receipt went with the second, so it is nobody's.
    const { steps } = await world.get('v1', to, { delete: true, force: true })
    expect(steps.filter(({ action }) => action === 'deleted').map(({ path }) => path)).toEqual(['d/b'])
    expect([treeOf(to), existsSync(join(to, 'd'))]).toEqual([{ a: 'new', same: 's' }, false])
  })

  test('delete removes a link, never what it leads to', async () => {
    await worldWith({ a: 'one' })
    const [to, outside] = [world.place(), folderIn(world, 'outside')]
    writeFileSync(join(outside, 'precious'), 'p')
    mkdirSync(to)
    symlinkSync(outside, join(to, 'link'))
    expect((await world.get('v0', to, { delete: true })).code).toBe('CONFLICT')
    await world.get('v0', to, { delete: true, force: true })
    expect([treeOf(to), treeOf(outside)]).toEqual([{ a: 'one' }, { precious: 'p' }])
  })

  test('a dry run writes nothing at all, and says what would be done', async () => {
    await worldWith({ a: 'one', b: 'two' })
    const to = world.place()
    const { report, steps } = await world.get('v0', to, { dryRun: true })
    expect([report?.entries, steps.map(({ path, action }) => `${path} ${action}`), existsSync(to), existsSync(world.parts.memory)]).toEqual([2, ['a fetch', 'b fetch'], false, false])
  })

  test('a part of a version: a path, and globs', async () => {
    await worldWith({ 'a': '1', 'd/b': '2', 'd/e/c': '3', 'd-': '4' })
    const to = world.place()
    await world.get('v0', to, { path: 'd' })
    expect(treeOf(to)).toEqual({ 'd/b': '2', 'd/e/c': '3' })
    const globbed = world.place()
    await world.get('v0', globbed, { takes: (path) => path.endsWith('c') })
    expect(treeOf(globbed)).toEqual({ 'd/e/c': '3' })
    expect(await world.get('v0', world.place(), { path: 'nothing' })).toMatchObject({ code: 'NOT_FOUND' })
  })

  test('when nothing at all comes to a new destination, the losses are told all the same', async () => {
    await worldWith({ a: 'one', b: 'two' }, false)
    world.memory.put('a', 'other')
    const to = world.place()
    const told = await world.get('v0', to, { path: 'a', partial: true })
    expect([told.code, lostOf(told), treeOf(to)]).toEqual(['LOST', { a: 'overwritten' }, undefined])
  })

  test("Varve's own data is no destination, nor part of one where files may go", async () => {
    await worldWith({ a: 'one' })
    const data = join(world.folder, 'restored')
    for (const [place, wish] of [[join(data, 'x'), {}], [data, {}], [world.folder, { delete: true }], [world.folder, { force: true }]] as const)
      expect(await world.get('v0', place, wish)).toMatchObject({ code: 'DESTINATION_REFUSED', message: expect.stringContaining("Varve's own data") })
  })

  test('a destination that cannot be written is said in words', async () => {
    await worldWith({ a: 'one' })
    const file = join(world.folder, 'file')
    writeFileSync(file, '')
    expect(await world.get('v0', join(file, 'x'))).toMatchObject({ code: 'DESTINATION_REFUSED', message: expect.stringContaining('ENOTDIR') })
    symlinkSync('nowhere', join(world.folder, 'dangling'))
    for (const place of [file, join(world.folder, 'dangling')])
      for (const dryRun of [false, true]) expect(await world.get('v0', place, { dryRun })).toMatchObject({ code: 'DESTINATION_REFUSED', message: `${place} is no folder` })
    // Where what a folder would lie in says that it is not there.
    expect(await world.get('v0', '/proc/varve')).toMatchObject({ code: 'DESTINATION_REFUSED', message: expect.stringContaining('/proc/varve') })
  })

  test('one restore at a time: a lock of a live process is respected, one of a dead process is not', async () => {
    await worldWith({ a: 'one' })
    const to = world.place()
    mkdirSync(join(to, '.varve-restore'), { recursive: true })
    const start = readFileSync(`/proc/${process.pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[19]
    const host = (await import('node:os')).hostname()
    writeFileSync(join(to, '.varve-restore', 'lock'), `${host} ${process.pid} ${start}`)
    expect(await world.get('v0', to)).toMatchObject({ code: 'CONFLICT', message: expect.stringContaining(`process ${process.pid}`) })
    writeFileSync(join(to, '.varve-restore', 'lock'), `${host} ${process.pid} 1`)
    expect((await world.get('v0', to)).code).toBeUndefined()
    expect(treeOf(to)).toEqual({ a: 'one' })
  })
})

describe('names', () => {
  test('every name that a file system can hold comes back; every other is lost by its name, and nothing leaves the destination', async () => {
    world = await new RestoreWorld().open()
    const all = [...new Set([...NAMES, ...NASTIER, '.varve-restore/x', 'n/..', '/etc/x'])]
    for (const name of all) world.memory.put(name, `at ${name}`)
    await world.record()
    const to = join(world.place(), 'in', 'here')
    const { losses } = await world.get('v0', to, { partial: true })
    const impossible = all.filter((name) => name.startsWith('/') || name.split('/').some((part) => part === '' || part === '.' || part === '..' || Buffer.byteLength(part) > 255) || name === '.varve-restore/x' || name === 'mp/child' || (name === 'a/b' && all.includes('a')))
    expect(Object.keys(lostOf({ losses })).sort()).toEqual(impossible.sort())
    expect(new Set(losses.map(({ reason }) => reason))).toEqual(new Set(['name']))
    expect(Object.keys(treeOf(to) ?? {}).sort()).toEqual(all.filter((name) => !impossible.includes(name)).sort())
    for (const name of all.filter((one) => !impossible.includes(one))) expect(readFileSync(join(to, name), 'utf8')).toBe(`at ${name}`)
    expect([readdirSync(join(to, '..')), readdirSync(join(to, '../..'))]).toEqual([['here'], ['in']])
  })
})

describe('local files', () => {
  test.each(['copy', 'hardlink', 'symlink'] as const)('as %s, verified first; and again nothing is done', async (as) => {
    world = await new RestoreWorld().open()
    const from = folderIn(world, 'from')
    mkdirSync(join(from, 'd'))
    writeFileSync(join(from, 'a'), 'one')
    writeFileSync(join(from, 'd', 'b'), Buffer.alloc(2_000_000, 'b'))
    await world.recordFolder(from)
    const to = world.place()
    const { report, steps } = await world.get('v0', to, { as })
    expect([as === 'copy' ? report?.fetched : report?.linked, steps.map(({ action }) => action)]).toEqual([2, Array.from({ length: 2 }, () => (as === 'copy' ? 'fetched' : 'linked'))])
    expect(readFileSync(join(to, 'd', 'b')).equals(Buffer.alloc(2_000_000, 'b'))).toBe(true)
    expect([lstatSync(join(to, 'a')).isSymbolicLink(), lstatSync(join(to, 'a')).ino === lstatSync(join(from, 'a')).ino]).toEqual([as === 'symlink', as === 'hardlink'])
    expect((await world.get('v0', to, { as })).report).toMatchObject({ fetched: 0, kept: 2 })
  })

  test('a link to what is not local is refused by name', async () => {
    await worldWith({ a: 'one' })
    expect(await world.get('v0', world.place(), { as: 'hardlink' })).toMatchObject({ code: 'USAGE', message: expect.stringContaining('"a"') })
  })

  test('a file that was touched is what it was; one that was edited or removed is lost', async () => {
    world = await new RestoreWorld().open()
    const from = folderIn(world, 'from')
    for (const name of ['touched', 'edited', 'longer', 'removed']) writeFileSync(join(from, name), `the ${name}`)
    await world.recordFolder(from, MNIST, 10_000)
    utimesSync(join(from, 'touched'), 1, 1)
    writeFileSync(join(from, 'edited'), 'THE edited')
    writeFileSync(join(from, 'longer'), 'the longer!')
    rmSync(join(from, 'removed'))
    const { losses } = await world.get('v0', world.place())
    expect(lostOf({ losses })).toEqual({ edited: 'overwritten', longer: 'overwritten', removed: 'removed' })
    const shallow = await world.verify('v0')
    expect([lostOf(shallow), shallow.entries]).toEqual([{ edited: 'overwritten', longer: 'overwritten', removed: 'removed' }, 4])
    expect(lostOf(await world.verify('v0', true))).toEqual({ edited: 'overwritten', longer: 'overwritten', removed: 'removed' })
  })
})

describe('verify', () => {
  test('shallow asks, deep reads: only deep sees bytes that rot in the store', async () => {
    await worldWith({ a: 'one', b: 'two' })
    const shallow = await world.verify('v0')
    expect([shallow, shallow.steps.map(({ path, action }) => `${path} ${action}`)]).toEqual([expect.objectContaining({ entries: 2, elsewhere: [], byWord: 0, losses: [] }), ['a found', 'b found']])
    world.memory.served = (path, bytes) => (path === 'b' ? Buffer.from('twO') : bytes)
    expect(lostOf(await world.verify('v0'))).toEqual({})
    const deep = await world.verify('v0', true)
    expect([lostOf(deep), deep.steps.map(({ path, action }) => `${path} ${action}`)]).toEqual([{ b: 'corrupt' }, ['a verified', 'b lost']])
  })

  test('what no folder can hold is told by name, as a restore tells it; what is gone besides by that', async () => {
    const names = ['../up', '.varve-restore/lock', 'd/', 'f', 'f/g']
    await worldWith(Object.fromEntries(['a', ...names].map((name) => [name, `the ${name}`])))
    const refused = lostOf(await world.get('v0', world.place()))
    expect(refused).toEqual({ '../up': 'name', '.varve-restore/lock': 'name', 'd/': 'name', 'f/g': 'name' })
    for (const deep of [false, true]) {
      const { losses, steps } = await world.verify('v0', deep)
      expect([lostOf({ losses }), steps.filter(({ action }) => action !== 'lost').map(({ path }) => path)]).toEqual([refused, ['a', 'f']])
    }
    world.memory.remove('d/')
    world.memory.expire('d/', await pinOf('d/'))
    expect(lostOf(await world.verify('v0'))).toEqual({ ...refused, 'd/': 'removed' })
  })

  test('what lies elsewhere is no loss, and is said', async () => {
    await worldWith({ a: 'one', b: 'one' })
    const pin = await pinOf('a')
    world.memory.put('a', 'other')
    world.memory.expire('a', pin)
    const { elsewhere, losses, steps } = await world.verify('v0')
    expect([elsewhere, losses, steps.find(({ path }) => path === 'a')?.from]).toEqual([['a'], [], 's3://bucket/p/b'])
  })
})
