// Law 3. A writer who never stops cannot put off the look for ever.
import { expect, test } from '@jest/globals'
import { parseLocation } from '../../src/model/location.ts'
import type { Watch } from '../../src/model/watch.ts'
import { law } from './law.ts'
import { registryWith, unfitted, World } from './world.ts'
import type { Refit } from './world.ts'

const SETTLE_MS = 5_000
const MAX_WAIT_MS = 60_000

interface Plant {
  readonly refit?: Refit
  readonly watch?: Partial<Watch>
}

const ENDLESS: Plant = { watch: { maxWaitMs: 1e12 } }

/** The wait is counted from the last hint instead of the first. */
const SLIDING: Plant = {
  refit: (parts) => {
    const { registry } = parts
    return {
      ...parts,
      registry: registryWith(registry, {
        watchRow: async (name) => {
          const row = await registry.watchRow(name)
          return row?.lastHintAt === undefined ? row : { ...row, firstHintAt: row.lastHintAt }
        },
      }),
    }
  },
}

law<Plant>('hints that never end do not put off the look beyond max_wait', async (plant) => {
  const world = new World(plant?.watch)
  world.memory.put('a', 'first')
  await world.start(plant?.refit ?? unfitted)
  await world.clock.pass(2 * MAX_WAIT_MS)
  const before = (await world.versions()).length
  // A hint each second, so that it is never quiet for as long as `settle`; and each time the object is another one.
  const waited: number[] = []
  let lookedAt = world.clock.now()
  let versions = before
  for (let second = 0; second < 400; second++) {
    world.memory.put('a', `at ${second}`)
    await world.hint('a')
    await world.clock.pass(1_000)
    const now = (await world.versions()).length
    if (now > versions) {
      waited.push(world.clock.now() - lookedAt)
      lookedAt = world.clock.now()
      versions = now
    }
  }
  expect({ often: waited.length >= 5, longest: Math.max(0, ...waited) <= MAX_WAIT_MS + SETTLE_MS + 2_000 }).toEqual({ often: true, longest: true })
  await world.stop()
}, { 'no max_wait': ENDLESS, 'a wait that begins anew with each hint': SLIDING })

law<Plant>('an object that never holds still does not put off the commit beyond max_wait; the version names it', async (plant) => {
  const world = new World({ locations: [parseLocation('file:///p/', '/')], pollMs: 86_400_000, ...plant?.watch }, { contentListed: false })
  world.memory.put('still', 'x')
  world.memory.put('growing', '')
  let length = 0
  world.memory.whileRead = (path) => {
    if (path === 'growing') world.memory.put('growing', '.'.repeat(++length))
  }
  await world.start(plant?.refit ?? unfitted)
  await world.clock.pass(MAX_WAIT_MS - 1_000)
  // Not before: it might have ended any moment.
  expect(await world.versions()).toHaveLength(0)
  await world.clock.pass(3 * SETTLE_MS)
  const [version] = await world.versions()
  // Never read in one piece, so it is no entry yet.
  expect({ entries: version?.entries, named: version?.certificate.changedUnderLook, consistent: version?.certificate.consistent }).toEqual({ entries: 1, named: ['growing'], consistent: false })
  const row = await world.registry.watchRow('mnist')
  expect((row?.generation ?? 0) > (row?.committedGeneration ?? 0)).toBe(true)
  // When it ends, the watch that stayed dirty sees it.
  world.memory.whileRead = () => undefined
  await world.clock.pass(2 * MAX_WAIT_MS)
  expect(await world.recorded()).toEqual(world.lying())
  await world.stop()
}, { 'no max_wait': ENDLESS })

test('one hint is settled for, and no longer', async () => {
  const world = new World()
  world.memory.put('a', 'first')
  await world.start()
  await world.clock.pass(120_000)
  world.memory.put('a', 'second')
  await world.hint('a')
  await world.clock.pass(SETTLE_MS - 100)
  expect(await world.versions()).toHaveLength(1)
  await world.clock.pass(1_200)
  expect(await world.versions()).toHaveLength(2)
  await world.stop()
})

test('the first hint since a look began is the new first: its wait does not count the old one', async () => {
  const world = new World()
  world.memory.put('a', 'first')
  await world.start()
  await world.clock.pass(120_000)
  let hinted = false
  world.memory.whileRead = async () => {
    if (hinted) return
    hinted = true
    await world.clock.sleep(1_000)
    await world.hint('b')
    world.memory.put('b', 'x')
  }
  world.memory.put('a', 'second')
  await world.hint('a')
  await world.clock.pass(300_000)
  expect(await world.recorded()).toEqual(world.lying())
  const row = await world.registry.watchRow('mnist')
  expect([row?.state, row?.firstHintAt, row?.lastHintAt]).toEqual(['clean', undefined, undefined])
  await world.stop()
})

test.each([-36_000_000, 36_000_000])('a wall clock that jumps by %i ms puts off nothing', async (jump) => {
  const world = new World({ reconcileMs: 600_000 })
  world.memory.put('a', 'first')
  await world.start()
  await world.clock.pass(120_000)
  world.memory.put('a', 'second')
  await world.hint('a')
  world.clock.jump(jump)
  await world.clock.pass(MAX_WAIT_MS + 2_000)
  expect(await world.recorded()).toEqual(world.lying())
  // And what nobody hears is found by the clock all the same.
  world.clock.jump(jump)
  world.memory.put('a', 'unheard')
  await world.clock.pass(602_000)
  expect(await world.recorded()).toEqual(world.lying())
  await world.stop()
})

test.each([-36_000_000, 36_000_000])('nor does it put off the end of a look that something moves under (%i ms)', async (jump) => {
  const world = new World({ locations: [parseLocation('file:///p/', '/')], pollMs: 86_400_000 }, { contentListed: false })
  world.memory.put('still', 'x')
  world.memory.put('growing', '')
  await world.start()
  await world.clock.pass(2 * MAX_WAIT_MS)
  let length = 0
  world.memory.whileRead = (path) => {
    if (path === 'growing') world.memory.put('growing', '.'.repeat(++length))
  }
  world.memory.put('still', 'y')
  await world.source.deliver([{ scheme: 'file', bucket: '', key: '/p/still', whole: false }, { scheme: 'file', bucket: '', key: '/p/growing', whole: false }])
  world.clock.jump(jump)
  await world.clock.pass(3 * MAX_WAIT_MS)
  expect((await world.versions()).length).toBeGreaterThan(1)
  await world.stop()
})

test('a lease that a dead process took before the clock was set back binds no longer than any other', async () => {
  const world = new World()
  world.memory.put('a', 'first')
  await world.start()
  await world.clock.pass(120_000)
  let frozen = false
  world.memory.whileRead = async () => {
    if (frozen) return
    frozen = true
    await new Promise(() => undefined)
  }
  world.memory.put('a', 'second')
  await world.hint('a')
  await world.clock.pass(7_000)
  expect(frozen).toBe(true)
  world.clock.jump(-36_000_000)
  await world.crash()
  await world.clock.pass(120_000)
  expect(await world.recorded()).toEqual(world.lying())
  await world.stop()
})
