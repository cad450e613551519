// Wake-ups, settling, leases.
import { afterEach, expect, test } from '@jest/globals'
import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { lookNow } from '../../src/daemon/daemon.ts'
import { parseLocation } from '../../src/model/location.ts'
import { openRegistry } from '../../src/registry/open.ts'
import { says, site } from '../e2e/site.ts'
import { lookPartsOf, World } from '../laws/world.ts'

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

test('hints alone are settled for: what lies there when a watch is new is recorded at once, however young it is, and so is what a person asks for', async () => {
  const place = site()
  cleanups.push(() => place.remove())
  mkdirSync(join(place.folder, 'disk'))
  place.configure({ data: '.varve', watch: [{ name: 'disk', location: 'disk/', artifact: 'demo/disk', type: 'dataset', settle: '10m', max_wait: '20m' }] })
  writeFileSync(join(place.folder, 'disk', 'a'), 'x')
  // Young whatever time it takes to start.
  const ahead = Date.now() / 1_000 + 86_400
  utimesSync(join(place.folder, 'disk', 'a'), ahead, ahead)
  const daemon = place.run()
  await says(daemon, /demo\/disk:v0 .*config/, 60_000)
  // This one is heard, too; it is looked at for the person.
  writeFileSync(join(place.folder, 'disk', 'b'), 'x')
  expect(await place.varve('scan', 'disk', '--wait')).toMatchObject({ exit: 0, stdout: 'demo/disk:v1\n' })
}, 120_000)

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

test.each([1_000, 15_000])('what is dirty is woken each sweep (%i ms), and what is due by the clock is asked for within a second of it', async (sweepMs) => {
  const world = new World({ pollMs: 20_000, locations: [parseLocation('file:///p/', '/')] }, { contentListed: false })
  world.memory.put('a', 'first')
  let wakes = 0
  let deaf = false
  await world.start((parts) => ({
    ...parts, sweepMs,
    queue: { ...parts.queue, wake: async (watch, delayMs) => (wakes++, deaf ? undefined : parts.queue.wake(watch, delayMs)) },
  }))
  await world.clock.pass(10_000)
  const asked = async (): Promise<number> => (await world.registry.watchRow('mnist'))?.generation ?? 0
  const before = await asked()
  deaf = true
  await world.clock.pass(22_000)
  expect(await asked()).toBeGreaterThan(before)
  wakes = 0
  await world.clock.pass(60_000)
  // Some of them for what came due meanwhile.
  expect([wakes >= 60_000 / sweepMs - 1, wakes <= 60_000 / sweepMs + 4]).toEqual([true, true])
  await world.stop()
})

test('a woken look first reads the row: while it is not quiet for `settle` it sleeps on, however often it is woken; at `max_wait` it looks', async () => {
  const world = new World()
  world.memory.put('a', 'first')
  let looks = 0
  await world.start((parts) => ({
    ...parts,
    openStore: (...args) => {
      looks++
      return parts.openStore(...args)
    },
  }))
  await world.clock.pass(60_000)
  looks = 0
  const rush = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second++) {
      await world.hint('a')
      await world.parts.queue.wake('mnist', 0)
      await world.clock.pass(1_000)
    }
  }
  await rush(59)
  expect(looks).toBe(0)
  await rush(2)
  expect(looks).toBe(1)
  // A hint alone is waited for as long as `settle`, however often it is woken.
  await world.clock.pass(60_000)
  looks = 0
  await world.hint('a')
  for (let second = 0; second < 4; second++) {
    await world.parts.queue.wake('mnist', 0)
    await world.clock.pass(1_000)
  }
  expect(looks).toBe(0)
  await world.clock.pass(2_000)
  expect(looks).toBe(1)
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
  await expect(asked).rejects.toMatchObject({ message: expect.stringMatching(/mnist is held: .*the only entry is gone/), hint: expect.stringMatching(/varve accept mnist/) })
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

test.each([['scan', 'disk'], ['run']])('the lease of a look by hand that was killed is not waited for by `varve %s`', async (...words) => {
  const place = site()
  cleanups.push(() => place.remove())
  mkdirSync(join(place.folder, 'disk'))
  writeFileSync(join(place.folder, 'disk', 'a'), 'x')
  place.configure({ data: '.varve', watch: [{ name: 'disk', location: 'disk/', artifact: 'demo/disk', type: 'dataset' }] })
  await place.run({ words: ['scan', 'disk'], crashAt: 'mid-hash:1' }).ended
  const registry = await openRegistry(join(place.folder, '.varve'), { thread: false })
  const { leaseUntil = 0 } = (await registry.watchRow('disk')) ?? {}
  await registry.close()
  expect(leaseUntil).toBeGreaterThan(Date.now())
  await says(place.run({ words }), /demo\/disk:v0/, 50_000)
  expect(Date.now()).toBeLessThan(leaseUntil)
}, 90_000)

test('beside a running daemon `--wait` ends with exit 1 and the state where its own look is not committed, and with 0 once it is', async () => {
  const place = site()
  cleanups.push(() => place.remove())
  const file = join(place.folder, 'files/one')
  mkdirSync(join(place.folder, 'files'))
  writeFileSync(file, 'one')
  place.configure({ data: '.varve', watch: [{ name: 'one', location: 'files/', artifact: 'demo/files', type: 'dataset', settle: '100ms', max_wait: '2s', poll: '10m' }] })
  const daemon = place.run()
  await says(daemon, /demo\/files:v0 /, 20_000)
  rmSync(file)
  expect(await place.varve('scan', 'one', '--wait')).toEqual({
    exit: 1, stdout: '', stderr: 'varve: one is held: the only entry is gone; look at what is missing; if that is meant, run: varve accept one\n',
  })
  expect(await place.varve('accept', 'one', '--wait')).toEqual({ exit: 0, stdout: 'demo/files:v1\n', stderr: '' })
  expect(await daemon.stop()).toMatchObject({ exit: 0 })
}, 60_000)
