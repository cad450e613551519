// Requests.
import { expect, test } from '@jest/globals'
import { watchViews } from '../../src/cli/views.ts'
import { parseLocation } from '../../src/model/location.ts'
import { hintOf, World } from '../laws/world.ts'

async function started(...[over, options]: ConstructorParameters<typeof World>): Promise<World> {
  const world = new World(over, options)
  for (const path of ['a', 'd/b', 'd/c']) world.memory.put(path, 'first')
  await world.start()
  await world.clock.pass(60_000)
  return world
}

/** What is asked for and not yet looked at. */
function requested(world: World): unknown[] {
  return world.database.prepare('SELECT path FROM request ORDER BY path').all().map((row) => row['path'])
}

test('startup, interval, the command line, a source that begins to hear and a folder that moved ask for the whole', async () => {
  const world = await started({ reconcileMs: 3_600_000 })
  expect((await world.versions())[0]?.cause).toBe('config')
  world.memory.put('a', 'unheard')
  await world.clock.pass(3_600_000)
  expect((await world.versions())[1]).toMatchObject({ cause: 'interval', certificate: { kind: 'scan' } })
  expect((await world.registry.watchRow('mnist'))?.reconcileFound).toBe(1)
  world.memory.put('a', 'folder')
  await world.source.deliver([{ scheme: 's3', bucket: 'bucket', key: 'p/d/', whole: true }])
  expect(requested(world)).toEqual(['*'])
  await world.clock.pass(10_000)
  expect((await world.versions())[2]).toMatchObject({ cause: 'hint', certificate: { kind: 'scan' } })
  // Who hears anew hears that something may have been missed: the daemon runs all the while, and there is nothing to settle.
  world.memory.put('a', 'meanwhile')
  await world.source.deliver([{ scheme: 's3', bucket: 'bucket', key: 'p/', whole: true }])
  await world.clock.pass(100)
  expect((await world.versions())[3]).toMatchObject({ cause: 'hint', certificate: { kind: 'scan' } })
  world.memory.put('a', 'again')
  await world.stop()
  await world.start()
  await world.clock.pass(10_000)
  expect((await world.versions())[4]).toMatchObject({ cause: 'startup', certificate: { kind: 'scan' } })
  await world.stop()
})

test('what a disk brought that was mounted below the root is no lost hint; what changed beside it later is', async () => {
  const world = await started({ reconcileMs: 3_600_000 })
  const found = async (): Promise<number | undefined> => (await world.registry.watchRow('mnist'))?.reconcileFound
  world.memory.root = { identity: 'one', words: 'one', mount: 'one', network: false, ...world.memory.root, below: { disk: 'ext4 /dev/sdb' } }
  world.memory.put('disk/a', 'mounted')
  await world.clock.pass(3_600_000)
  expect([(await world.versions()).length, await found()]).toEqual([2, 0])
  world.memory.put('disk/b', 'unheard')
  await world.clock.pass(3_600_000)
  expect([(await world.versions()).length, await found()]).toEqual([3, 1])
  await world.stop()
})

test('a changed configuration asks for the whole', async () => {
  const world = await started()
  await world.stop()
  await world.registry.enroll([{ ...world.watch, exclude: ['a'] }], world.clock.now())
  expect(requested(world)).toEqual(['*'])
})

test.each([true, false])('a hinted path under which the head has rows, or that is a directory, is the whole (listed: %s)', async (contentListed) => {
  const world = await started(contentListed ? {} : { locations: [parseLocation('file:///p/', '/')], pollMs: 86_400_000 }, { contentListed })
  const { scheme, bucket, prefix } = world.watch.locations[0]
  world.memory.put('d/new', 'x')
  await world.source.deliver([{ scheme, bucket, key: `${prefix}d`, whole: false }])
  await world.clock.pass(30_000)
  expect(await world.recorded()).toEqual(world.lying())
  expect((await world.versions()).at(-1)?.certificate.kind).toBe('scan')
  // A folder of which the head knows nothing.
  world.memory.put('e/new', 'x')
  await world.source.deliver([{ scheme, bucket, key: `${prefix}e`, whole: false }])
  await world.clock.pass(30_000)
  if (!contentListed) expect(await world.recorded()).toEqual(world.lying())
  await world.stop()
})

test('a hint whose key the filters drop is none; one that ends in a slash may have bytes, so it is asked for', async () => {
  const world = await started({ exclude: ['**/*.tmp'], include: ['**/*'] })
  const before = (await world.registry.watchRow('mnist'))?.generation
  expect(await world.hint('x.tmp', 'd/y.tmp')).toBe(true)
  expect([(await world.registry.watchRow('mnist'))?.generation, requested(world)]).toEqual([before, []])
  world.memory.put('d/', 'bytes')
  expect(await world.hint('d/', 'folder/')).toBe(true)
  await world.clock.pass(10_000)
  expect(await world.recorded()).toEqual(world.lying())
  await world.stop()
})

test('every file watch is walked at `poll`, hints or not; S3 with a queue is not', async () => {
  for (const [over, after] of [[{ locations: [parseLocation('file:///p/', '/')] }, 2], [{}, 1]] as const) {
    const world = await started({ pollMs: 30_000, ...over }, { contentListed: !('locations' in over) })
    world.memory.put('a', 'unheard')
    await world.clock.pass(45_000)
    expect((await world.versions()).length).toBe(after)
    await world.stop()
  }
})

test('S3 without a queue is looked at at `poll`', async () => {
  const world = new World({ pollMs: 30_000 })
  const { events: _, ...deaf } = world.watch
  world.memory.put('a', 'first')
  await world.start((parts) => ({ ...parts, watches: [deaf] }))
  await world.clock.pass(60_000)
  world.memory.put('a', 'unheard')
  await world.clock.pass(31_000)
  expect(await world.versions()).toHaveLength(2)
  await world.stop()
})

test('polling takes at most a twentieth of the time: where a look is long the interval stretches, and `status` says to what', async () => {
  const world = new World({ locations: [parseLocation('file:///p/', '/')], pollMs: 60_000 }, { contentListed: false })
  world.memory.put('a', 'first')
  const starts: number[] = []
  world.memory.beforePage = async () => {
    starts.push(world.clock.now())
    await world.clock.sleep(30_000)
    return undefined
  }
  await world.start()
  await world.clock.pass(4_000_000)
  const long = starts.slice(2).map((at, i) => at - (starts[i + 1] as number))
  expect(long.length).toBeGreaterThan(3)
  // 30 s of looking in 600 s, jitter aside.
  expect(Math.min(...long.slice(1))).toBeGreaterThanOrEqual(540_000)
  const config = { file: '/varve.yaml', dataFolder: '/data', queue: 'inline', defaultEntity: 'local', watches: [world.watch] } as const
  expect((await watchViews(world.registry, config, { lagMs: async () => undefined }, world.clock.now(), true))[0]?.pollEveryMs).toBe(600_000)
  await world.stop()
})

test('a hint that cannot be marked is not acknowledged; what comes later is', async () => {
  const world = new World()
  world.memory.put('a', 'first')
  let full = false
  await world.start((parts) => ({
    ...parts,
    registry: {
      ...parts.registry,
      request: async (requests, nowMs) => {
        if (full) throw Object.assign(new Error('disk full'), { name: 'VarveError', code: 'REGISTRY_FULL' })
        return parts.registry.request(requests, nowMs)
      },
    },
  }))
  await world.clock.pass(60_000)
  full = true
  await expect(world.source.deliver([hintOf('a')])).rejects.toMatchObject({ code: 'REGISTRY_FULL' })
  full = false
  await world.clock.pass(60_000)
  expect(await world.hint('a')).toBe(true)
  await world.stop()
})

test('who asks by hand waits neither for hints to settle nor for a retry', async () => {
  const world = await started({ settleMs: 30_000, maxWaitMs: 60_000 })
  world.memory.put('a', 'second')
  await world.hint('a')
  await world.clock.pass(1_000)
  expect(await world.versions()).toHaveLength(1)
  await world.registry.request([{ watch: 'mnist', path: '*', cause: 'cli' }], world.clock.now())
  await world.clock.pass(2_000)
  expect(await world.versions()).toHaveLength(2)
  await world.stop()
})

test('a hint that no watch covers may be acknowledged, and is counted', async () => {
  const world = await started()
  const counts = (): unknown[] => world.said.filter((line) => line.startsWith('hints that no watch covers')).map((line) => JSON.parse(line.slice(line.indexOf('{'))).uncovered)
  expect(await world.source.deliver([hintOf('a', 'elsewhere'), hintOf('b', 'elsewhere'), hintOf('a')])).toBe(true)
  expect(await world.source.deliver([{ scheme: 's3', bucket: 'bucket', key: 'p2/a', whole: false }])).toBe(true)
  expect([counts(), requested(world)]).toEqual([[2, 3], ['a']])
  await world.stop()
})

test('a watch whose source cannot hear is looked at at `poll` until it can', async () => {
  const world = await started({ pollMs: 30_000 })
  await world.registry.setHearing(['mnist'], 'memory', { reason: 'gone' })
  world.memory.put('a', 'unheard')
  await world.clock.pass(31_000)
  expect(await world.versions()).toHaveLength(2)
  await world.registry.setHearing(['mnist'], 'memory', {})
  world.memory.put('a', 'unheard again')
  await world.clock.pass(100_000)
  expect(await world.versions()).toHaveLength(2)
  await world.stop()
})
