// Looking at S3.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Watch } from '../../src/model/watch.ts'
import { FakeS3 } from '../fakes/s3.ts'
import { s3Site } from '../laws/site.ts'
import { entriesOf, noting, storesWith, versionsOf, World } from '../laws/world.ts'
import { going } from '../storage/file/tree.ts'
import { openAt, useKeys } from '../storage/s3/bucket.ts'
import { scanned } from '../suite/store.ts'

async function askWhole(world: World): Promise<void> {
  await world.registry.request([{ watch: 'mnist', path: '*', cause: 'cli' }], world.clock.now())
}

describe('S3', () => {
  let fake: FakeS3
  beforeAll(async () => {
    useKeys()
    fake = await FakeS3.start()
  })
  afterAll(() => fake.stop())

  test('N in ⌈N/1000⌉ counts rows listed, noncurrent versions included', async () => {
    for (let key = 0; key < 700; key++) for (let times = 0; times < 3; times++) fake.put(`many/${key}`, `${times}`)
    const store = await openAt(fake.url, 'fake', 'many/')
    try {
      const { entries, end } = await scanned(store, going)
      expect([entries.size, end.requests]).toEqual([700, Math.ceil((700 * 3) / 1_000)])
    } finally {
      await store.close()
    }
  })

  test('the first version lists versions; where old ones abound, later scans list the current ones, and take a changed key whole from its HEAD', async () => {
    for (let times = 0; times < 6; times++) fake.put('old/a', `${times}`)
    const site = await s3Site(fake.url, 'old/')
    const asked = async (): Promise<string[]> => {
      fake.requests.length = 0
      await site.look()
      return [...fake.requests]
    }
    const pins = async (): Promise<unknown[]> => (await entriesOf(site.registry)).map(({ path, pin, latestPin }) => [path, pin !== undefined, latestPin !== undefined && latestPin !== pin])
    expect(await asked()).toEqual(['versions'])
    expect(await asked()).toEqual(['objects'])
    fake.put('old/b', 'new')
    expect(await asked()).toEqual(['objects', 'head'])
    expect(await pins()).toEqual([['a', true, false], ['b', true, false]])
    expect(await asked()).toEqual(['objects'])
    // ETag and size are as before: only the stored `lastModified` tells that another object version holds them now.
    fake.put('old/a', '5')
    expect(await asked()).toEqual(['objects', 'head'])
    expect([(await versionsOf(site.registry)).length, await pins()]).toEqual([2, [['a', true, true], ['b', true, false]]])
    expect(await asked()).toEqual(['objects'])
  })
})

describe('an object `p` that hides `p/…`', () => {
  /** As some stores list: once an object `p` is there, nothing under `p/`. */
  const hiding = (world: World): ReturnType<typeof storesWith> => storesWith((store) => ({
    async *scan(startMs, signal) {
      for await (const span of store.scan(startMs, signal)) {
        const shown = [...span.entries()].filter(({ path }) => !ancestorsOf(path).some((ancestor) => world.memory.at(ancestor).kind === 'entry'))
        const { cover, seen, skipped, settled, end } = span
        yield { cover, seen, skipped, settled, entries: () => shown, ...(end !== undefined && { end }) }
      }
    },
  }))
  const ancestorsOf = (path: string): string[] => path.split('/').slice(0, -1).map((_, depth, all) => all.slice(0, depth + 1).join('/'))

  async function hidden(over: Partial<Watch> = {}): Promise<{ readonly world: World; readonly reads: string[] }> {
    const world = new World({ pollMs: 1_000, ...over })
    const reads: string[] = []
    for (const path of ['a', 'p/q/x', 'p/q/y', 'p/z', 'q/x']) world.memory.put(path, path)
    await world.start((parts) => noting(reads)(hiding(world)(parts)))
    await world.clock.pass(60_000)
    reads.length = 0
    return { world, reads }
  }
  const stateOf = async (world: World): Promise<unknown[]> => {
    const row = await world.registry.watchRow('mnist')
    return [(await world.versions()).length, row?.state, row?.reason]
  }

  test.each([
    ['of an object that is an entry', {}, 'p', ['scan', 'find p/q/x,p/z', 'find p,p/q']],
    ['of one further down', {}, 'p/q', ['scan', 'find p/q/x', 'find p,p/q']],
    ['of an object that the filters drop', { include: ['a', '**/[xyz]'] }, 'p', ['scan', 'find p/q/x,p/z', 'find p,p/q']],
  ])('before a scan records removals under `p/`, it asks for one removed key of each folder by name; if it is there the watch is held, and the words name `p`: %s', async (_, over, hider, asked) => {
    const { world, reads } = await hidden(over)
    world.memory.put(hider, 'hider')
    await askWhole(world)
    await world.clock.pass(1_100)
    expect(await stateOf(world)).toEqual([1, 'held', expect.stringContaining(`the object ${hider} hides what lies under ${hider}/ from the listing: p/q/x is there`)])
    expect(reads.slice(0, asked.length)).toEqual(asked)
    // It leaves by itself when they show again.
    world.memory.remove(hider)
    await world.clock.pass(10_000)
    expect(await stateOf(world)).toEqual([1, 'clean', undefined])
    await world.stop()
  })

  test('where the hider goes between the listing and the question, nothing is recorded either, and the next look sees all', async () => {
    const world = new World({ pollMs: 86_400_000 })
    for (const path of ['a', 'p/q/x', 'p/q/y', 'p/z']) world.memory.put(path, path)
    let armed = false
    await world.start((parts) => storesWith((store) => ({
      find: (paths, startMs, signal) => {
        // At the moment that it is asked for, what hid it is gone.
        if (armed) world.memory.remove('p')
        armed = false
        return store.find(paths, startMs, signal)
      },
    }))(hiding(world)(parts) as typeof parts) as typeof parts)
    await world.clock.pass(60_000)
    world.memory.put('p', 'hider')
    armed = true
    await askWhole(world)
    await world.clock.pass(30_000)
    expect(armed).toBe(false)
    // The hider itself was never recorded, nor was anything removed.
    expect(await stateOf(world)).toEqual([1, 'clean', undefined])
    expect(await world.recorded()).toEqual(world.lying())
    await world.stop()
  })

  test('what is really gone under `p/` is recorded, and for a touch-up nobody asks twice', async () => {
    const { world, reads } = await hidden()
    world.memory.put('p', 'not a hider')
    for (const path of ['p/q/x', 'p/q/y', 'p/z']) world.memory.remove(path)
    await askWhole(world)
    await world.clock.pass(1_100)
    expect([await stateOf(world), reads]).toEqual([[2, 'clean', undefined], ['scan', 'find p/q/x,p/z']])
    world.memory.put('q', 'another')
    await world.hint('q', 'q/x')
    world.memory.remove('q/x')
    await world.clock.pass(10_000)
    expect(await world.recorded()).toEqual(world.lying())
    reads.length = 0
    await world.hint('q/x')
    await world.clock.pass(10_000)
    expect(reads).toEqual(['find q/x'])
    await world.stop()
  })

  test.each([false, true])('a hinted key that is there by name and that the listing lacks counts alike (another hint during the look: %s)', async (more) => {
    const { world } = await hidden()
    world.memory.put('b', 'an object')
    world.memory.put('b/new', 'x')
    if (more)
      world.memory.beforePage = async () => {
        world.memory.beforePage = () => undefined
        await world.hint('a')
        return undefined
      }
    await world.registry.request([{ watch: 'mnist', path: 'b/new', cause: 'hint' }, { watch: 'mnist', path: '*', cause: 'cli' }], world.clock.now())
    await world.clock.pass(12_000)
    expect(await stateOf(world)).toEqual([1, 'held', expect.stringContaining('the object b hides what lies under b/')])
    world.memory.remove('b')
    await world.clock.pass(60_000)
    expect([await stateOf(world), await world.recorded()]).toEqual([[2, 'clean', undefined], world.lying()])
    await world.stop()
  })
})
