// The core.
import { expect, test } from '@jest/globals'
import { parseLocation } from '../../src/model/location.ts'
import type { Watch } from '../../src/model/watch.ts'
import type { MemoryOptions } from '../../src/storage/memory.ts'
import { storesWith, World } from '../laws/world.ts'

/** A daemon whose reads of storage are written down: `scan`, or the paths that were asked for by name. */
async function watched(over: Partial<Watch> = {}, options: Partial<MemoryOptions> = {}, before: (world: World) => void = () => undefined): Promise<{ world: World; reads: string[] }> {
  const reads: string[] = []
  const world = new World(over, options)
  for (let i = 0; i < 30; i++) world.memory.put(`p${i}`, 'first')
  before(world)
  await world.start((parts) => storesWith((store) => ({
    scan: (startMs, signal) => {
      reads.push('scan')
      return store.scan(startMs, signal)
    },
    find: (paths, startMs, signal) => {
      reads.push(paths.join())
      return store.find(paths, startMs, signal)
    },
  }))(parts) as typeof parts)
  await world.clock.pass(60_000)
  reads.length = 0
  return { world, reads }
}

test('rows without `*`, and few, are a touch-up of those paths', async () => {
  const { world, reads } = await watched()
  for (const path of ['p1', 'p2', 'new']) world.memory.put(path, 'second')
  await world.hint('p1', 'p2')
  await world.hint('new', 'p1')
  await world.clock.pass(10_000)
  expect(reads.map((read) => read.split(',').sort().join())).toEqual(['new,p1,p2'])
  expect(await world.recorded()).toEqual(world.lying())
  expect((await world.versions()).at(-1)).toMatchObject({ cause: 'hint', certificate: { kind: 'touch-up', consistent: false }, changes: { added: 1, modified: 2 } })
  await world.stop()
})

test('`*`, many, or no rows at all are a scan', async () => {
  const { world, reads } = await watched()
  await world.source.deliver([{ scheme: 's3', bucket: 'bucket', key: 'p/', whole: true }])
  await world.clock.pass(10_000)
  expect(reads).toEqual(['scan'])
  await world.hint(...Array.from({ length: 1_001 }, (_, i) => `q${i}`))
  await world.clock.pass(10_000)
  expect(reads).toEqual(['scan', 'scan'])
  // Dirty without rows: what was asked for is lost, so all is.
  world.database.exec('UPDATE watch SET generation = generation + 1; DELETE FROM request')
  await world.clock.pass(10_000)
  expect(reads).toEqual(['scan', 'scan', 'scan'])
  await world.stop()
})

test('what is not dirty is not looked at', async () => {
  const { world, reads } = await watched()
  for (let i = 0; i < 5; i++) await world.parts.queue.wake('mnist', 0)
  await world.clock.pass(10_000)
  expect([reads, (await world.registry.watchRow('mnist'))?.state]).toEqual([[], 'clean'])
  await world.stop()
})

test.each([
  ['files, changed', { locations: [parseLocation('file:///p/', '/')] }, true, 2],
  ['files, unchanged', { locations: [parseLocation('file:///p/', '/')] }, false, 1],
  ['S3, changed', {}, true, 1],
  ['S3 with confirm, changed', { confirm: true }, true, 2],
  ['S3 with confirm, unchanged', { confirm: true }, false, 1],
] as const)('the confirming pass is made only before a commit that changes something: %s', async (_, over, change, passes) => {
  const { world, reads } = await watched({ pollMs: 86_400_000, ...over }, { versioned: true, contentListed: !('locations' in over) })
  if (change) world.memory.put('p1', 'second')
  await world.registry.request([{ watch: 'mnist', path: '*', cause: 'cli' }], world.clock.now())
  await world.clock.pass(30_000)
  expect(reads).toEqual(Array(passes).fill('scan'))
  const versions = await world.versions()
  expect([versions.length, versions.at(-1)?.certificate.consistent]).toEqual([change ? 2 : 1, 'locations' in over || 'confirm' in over])
  await world.stop()
})
