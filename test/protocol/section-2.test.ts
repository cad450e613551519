// Wake-ups, settling, leases.
import { expect, test } from '@jest/globals'
import { lookNow } from '../../src/daemon/daemon.ts'
import { lookPartsOf, World } from '../laws/world.ts'

test('no wake-up is ever needed for safety: a queue that loses all but those of the sweep costs a sweep', async () => {
  const world = new World()
  world.memory.put('a', 'first')
  let sweeping = false
  await world.start((parts) => ({
    ...parts,
    registry: {
      ...parts.registry,
      request: async (requests, nowMs) => {
        sweeping = false
        return parts.registry.request(requests, nowMs)
      },
      watchRows: () => {
        sweeping = true
        return parts.registry.watchRows()
      },
    },
    queue: { ...parts.queue, wake: async (watch, delayMs) => (sweeping ? parts.queue.wake(watch, delayMs) : undefined) },
  }))
  await world.clock.pass(10_000)
  world.memory.put('a', 'second')
  await world.hint('a')
  await world.clock.pass(world.watch.settleMs + world.parts.sweepMs)
  expect(await world.recorded()).toEqual(world.lying())
  await world.stop()
})

test('a queue that cannot be woken is said once, keeps nobody from asking, and is forgotten when it is back', async () => {
  const world = new World()
  world.memory.put('a', 'first')
  let down = true
  await world.start((parts) => ({
    ...parts,
    queue: { ...parts.queue, wake: (watch, delayMs) => (down ? Promise.reject(new Error('no Redis')) : parts.queue.wake(watch, delayMs)) },
  }))
  await world.clock.pass(100_000)
  expect(await world.hint('a')).toBe(true)
  expect(world.said.filter((line) => line.startsWith('the queue could not be woken {')).length).toBe(1)
  down = false
  await world.clock.pass(20_000)
  expect(await world.recorded()).toEqual(world.lying())
  await world.stop()
})

test('after a commit, the first hint since that look began is the new first', async () => {
  const world = new World()
  await world.start()
  const { registry, clock } = world
  await world.stop()
  const at: number[] = []
  const hint = async (path: string): Promise<void> => {
    await clock.pass(1_000)
    at.push(clock.now())
    await registry.request([{ watch: 'mnist', path, cause: 'hint' }], clock.now())
  }
  await hint('a')
  await hint('b')
  expect(await registry.watchRow('mnist')).toMatchObject({ firstHintAt: at[0], lastHintAt: at[1] })
  const looking = await registry.begin('mnist', 'one', 60_000, clock.now())
  if (looking === undefined) throw new Error('nothing to look at')
  await hint('c')
  await hint('d')
  const certificate = {
    startedAt: new Date(clock.now()).toISOString(), endedAt: new Date(clock.now()).toISOString(), kind: 'scan', seen: 0, recorded: 0, skipped: [], skippedByReason: {}, filtered: 0,
    changedUnderLook: [], consistent: false, requests: 0, notes: [],
  } as const
  await registry.record(looking, { tally: await registry.tally(looking), certificate, whole: true, lone: [], changedUnderLook: [], foundByReconcile: 0, state: 'empty', durationMs: 1 }, clock.now())
  expect(await registry.watchRow('mnist')).toMatchObject({ firstHintAt: at[2], lastHintAt: at[3] })
})

test('who looks by hand waits for the lease of another, and then has its own generation committed', async () => {
  const world = new World()
  world.memory.put('a', 'first')
  await world.start()
  await world.clock.pass(60_000)
  let frozen = true
  world.memory.beforePage = async () => {
    while (frozen) await world.clock.sleep(1_000)
    return undefined
  }
  await world.registry.request([{ watch: 'mnist', path: '*', cause: 'startup' }], world.clock.now())
  await world.clock.pass(10_000)
  // The daemon looks; a person asks beside it.
  world.memory.put('a', 'second')
  await world.registry.request([{ watch: 'mnist', path: '*', cause: 'cli' }], world.clock.now())
  const wanted = (await world.registry.watchRow('mnist'))?.generation ?? 0
  let done = false
  const asked = lookNow(lookPartsOf(world.registry, world.clock, async () => world.memory.open(), 'person'), world.watch, new AbortController().signal).finally(() => (done = true))
  await world.clock.pass(30_000)
  expect(done).toBe(false)
  frozen = false
  await world.clock.pass(30_000)
  expect((await asked).committedGeneration).toBeGreaterThanOrEqual(wanted)
  expect(await world.recorded()).toEqual(world.lying())
  await world.stop()
})

test('who looks by hand is told the state that keeps the look from being committed', async () => {
  const world = new World()
  world.memory.put('a', 'first')
  await world.start()
  await world.clock.pass(60_000)
  await world.stop()
  world.memory.remove('a')
  await world.registry.request([{ watch: 'mnist', path: '*', cause: 'cli' }], world.clock.now())
  const asked = lookNow(lookPartsOf(world.registry, world.clock, async () => world.memory.open(), 'person'), world.watch, new AbortController().signal)
  await expect(asked).rejects.toMatchObject({ message: expect.stringMatching(/mnist is held: .*all 1 entries are gone/), hint: expect.stringMatching(/varve accept mnist/) })
})

test('epoch rises when a lease is taken, and only then', async () => {
  const world = new World()
  world.memory.put('a', 'first')
  await world.start()
  await world.clock.pass(60_000)
  const epoch = async (): Promise<number> => (await world.registry.watchRow('mnist'))?.epoch ?? 0
  const before = await epoch()
  await world.hint('a')
  expect(await epoch()).toBe(before)
  await world.clock.pass(10_000)
  expect(await epoch()).toBe(before + 1)
  await world.clock.pass(600_000)
  expect(await epoch()).toBe(before + 1)
  await world.stop()
})
