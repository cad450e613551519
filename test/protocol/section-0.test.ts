// The core.
import { afterEach, expect, test } from '@jest/globals'
import { utimesSync, writeFileSync } from 'node:fs'
import { parseLocation } from '../../src/model/location.ts'
import type { Watch } from '../../src/model/watch.ts'
import type { MemoryOptions } from '../../src/storage/memory.ts'
import { FakeS3 } from '../fakes/s3.ts'
import { fileSite, s3Site } from '../laws/site.ts'
import { MNIST, noting, versionsOf, World } from '../laws/world.ts'
import { useKeys } from '../storage/s3/bucket.ts'
import { fell, tree } from '../storage/file/tree.ts'
import { watchOf } from '../suite/registry-world.ts'

afterEach(fell)

/** A daemon whose reads of storage are written down. */
async function watched(over: Partial<Watch> = {}, options: Partial<MemoryOptions> = {}): Promise<{ world: World; reads: string[] }> {
  const reads: string[] = []
  const world = new World(over, options)
  for (let i = 0; i < 30; i++) world.memory.put(`p${i}`, 'first')
  await world.start(noting(reads))
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
  expect(reads).toEqual(['find new,p1,p2'])
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

test('few are so many as cost less than a listing of what is known to lie there; of files, which cost no request, any number', async () => {
  const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `p${i}`)
  const read = async ({ world, reads }: Awaited<ReturnType<typeof watched>>, count: number): Promise<string> => {
    reads.length = 0
    const { scheme, bucket, prefix } = world.watch.locations[0]
    await world.source.deliver(names(count).map((name) => ({ scheme, bucket, key: prefix + name, whole: false })))
    await world.clock.pass(30_000)
    return reads.map((one) => one.split(' ')[0]).join(' ')
  }
  const bucket = await watched()
  expect([await read(bucket, 10), await read(bucket, 11)]).toEqual(['find', 'scan'])
  for (let i = 0; i < 1_001; i++) bucket.world.memory.put(`more${i}`, 'x')
  await bucket.world.source.deliver([{ scheme: 's3', bucket: 'bucket', key: 'p/', whole: true }])
  await bucket.world.clock.pass(30_000)
  expect([await read(bucket, 20), await read(bucket, 21)]).toEqual(['find', 'scan'])
  await bucket.world.stop()
  const files = await watched({ locations: [parseLocation('file:///p/', '/')], pollMs: 86_400_000 }, { contentListed: false })
  expect(await read(files, 25)).toMatch(/^find/)
  await files.world.stop()
})

test('of a location that is one object no other key is asked for, however many were hinted', async () => {
  useKeys()
  const fake = await FakeS3.start()
  fake.put('one', 'x')
  const site = await s3Site(fake.url, 'one')
  await site.look()
  for (let i = 0; i < 8; i++) fake.put(`one/k${i}`, 'x')
  fake.requests.length = 0
  expect(await site.look(...Array.from({ length: 8 }, (_, i) => `k${i}`))).toMatchObject({ versions: 1, state: 'clean' })
  expect(fake.requests).toEqual(['head'])
  await fake.stop()
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
  expect(reads.filter((read) => read === 'scan')).toHaveLength(passes)
  const versions = await world.versions()
  expect([versions.length, versions.at(-1)?.certificate.consistent]).toEqual([change ? 2 : 1, 'locations' in over || 'confirm' in over])
  await world.stop()
})

test('a batch of requests is one transaction: each watch is raised once, and its paths bear that number; or nothing of it is there', async () => {
  const world = new World()
  const other = watchOf({ ...world.watch, name: 'other', collection: { ...MNIST, collection: 'other' } })
  await world.start()
  await world.stop()
  const { registry, database, clock } = world
  await registry.enroll([world.watch, other], clock.now())
  const marked = 'SELECT w.name, r.path, r.generation - w.generation AS behind FROM request r JOIN watch w ON w.id = r.watch ORDER BY name, path'
  const marks = (): unknown[] => database.prepare(marked).all().map(Object.values)
  const generations = async (): Promise<number[]> => (await registry.watchRows()).map(({ generation }) => generation)
  database.exec('DELETE FROM request')
  const before = await generations()
  const batch = ['a', 'b', 'a'].flatMap((path) => ['mnist', 'other'].map((watch) => ({ watch, path, cause: 'hint' as const })))
  await registry.request(batch, clock.now())
  expect(await generations()).toEqual(before.map((generation) => generation + 1))
  expect(marks()).toEqual([['mnist', 'a', 0], ['mnist', 'b', 0], ['other', 'a', 0], ['other', 'b', 0]])
  // A second hint of a path raises its number; what was not hinted again keeps its own.
  await registry.request(batch.slice(0, 1), clock.now())
  expect(marks().slice(0, 2)).toEqual([['mnist', 'a', 0], ['mnist', 'b', -1]])
  const whole = [await generations(), marks()]
  database.exec(`CREATE TRIGGER broken BEFORE INSERT ON request WHEN NEW.watch = (SELECT id FROM watch WHERE name = 'other') BEGIN SELECT RAISE(ABORT, 'the disk fails'); END`)
  await expect(registry.request(batch, clock.now())).rejects.toThrow(/the disk fails/)
  expect([await generations(), marks()]).toEqual(whole)
})

test('a version says `consistent` only by stamps that never repeat: a racy file keeps it from saying so', async () => {
  const root = tree({ a: 'x', b: 'y' })
  const site = await fileSite(root)
  const says = async (): Promise<boolean | undefined> => {
    await site.look()
    return (await versionsOf(site.registry)).at(-1)?.certificate.consistent
  }
  expect(await says()).toBe(true)
  writeFileSync(`${root}a`, 'second')
  // As young as a file can be: whatever is written to it next may leave the same time.
  const ahead = Date.now() / 1_000 + 86_400
  utimesSync(`${root}a`, ahead, ahead)
  expect(await says()).toBe(false)
  utimesSync(`${root}a`, 1, 1)
  writeFileSync(`${root}b`, 'second')
  expect(await says()).toBe(true)
  expect(await versionsOf(site.registry)).toHaveLength(3)
})
