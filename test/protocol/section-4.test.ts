// Recording.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { DatabaseSync } from 'node:sqlite'
import { putOnce } from '../../src/daemon/daemon.ts'
import { SetDigest } from '../../src/model/digest.ts'
import { VarveError } from '../../src/model/errors.ts'
import { parseLocation } from '../../src/model/location.ts'
import type { Location } from '../../src/model/location.ts'
import type { Watch } from '../../src/model/watch.ts'
import { openRegistryIn } from '../../src/registry/open.ts'
import { Memory } from '../../src/storage/memory.ts'
import { FakeS3 } from '../fakes/s3.ts'
import { s3Site } from '../laws/site.ts'
import type { Site } from '../laws/site.ts'
import { entriesOf, lookPartsOf, versionsOf, World } from '../laws/world.ts'
import { useKeys } from '../storage/s3/bucket.ts'
import { begun, enrolled, failure, finish, MNIST, NOW, orderOf, outcomeOf, put, remove } from '../suite/registry-world.ts'

/** A database that breaks at the so-manieth statement from now on. */
class Breaking extends DatabaseSync {
  left = Infinity

  override prepare(text: string): ReturnType<DatabaseSync['prepare']> {
    const statement = super.prepare(text)
    const all = statement.all.bind(statement) as (...values: unknown[]) => ReturnType<typeof statement.all>
    statement.all = (...values: unknown[]) => {
      if (--this.left < 0) throw new Error('the power fails')
      return all(...values)
    }
    return statement
  }

  /** All that is kept. */
  content(): unknown[] {
    const tables = this.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name`).all()
    return tables.map(({ name }) => [name, this.prepare(`SELECT * FROM ${String(name)}`).all()])
  }
}

test('one transaction writes the version, aliases, run, fingerprints, signatures, skips and the last look, and takes the requests: all of it, or, wherever it breaks, nothing', async () => {
  const database = new Breaking(':memory:')
  const registry = await openRegistryIn(database)
  await enrolled(registry, { aliases: ['staging'] })
  await finish(registry, await begun(registry), [put('a', '1'), put('b', '1'), { op: 'skip', path: 'pipe', reason: 'fifo' }])
  await registry.request([{ watch: 'mnist', path: 'a', cause: 'hint' }, { watch: 'mnist', path: 'c', cause: 'hint' }], NOW)
  const looking = await begun(registry)
  await registry.stage(looking, [
    put('a', '2', { fingerprint: 'stamp' }), remove('b'), put('c', '3'), { op: 'unskip', path: 'pipe' }, { op: 'skip', path: 'd', reason: 'loop' }, { op: 'directory', path: '', signature: 'signed' },
  ])
  const outcome = outcomeOf(await registry.tally(looking), { changedUnderLook: ['c'], root: 'here' })
  const before = database.content()
  let statements = 0
  for (; ; statements++) {
    database.left = statements
    const recorded = await registry.record(looking, outcome, NOW).catch((error: Error) => error.message)
    database.left = Infinity
    if (typeof recorded !== 'string') break
    expect([recorded, database.content()]).toEqual(['the power fails', before])
  }
  expect(statements).toBeGreaterThan(15)
  expect(await registry.version(MNIST, 'staging')).toMatchObject({ version: 'v1', run: 'mnist', cause: 'hint' })
  expect(await registry.watchRow('mnist')).toMatchObject({ state: 'dirty', generation: 3, committedGeneration: 2, lastLook: { kind: 'scan', outcome: 'recorded' }, root: 'here' })
  const next = await begun(registry)
  expect([next.paths, (await registry.rowsAt(next, ['a']))[0]?.fingerprint]).toEqual([['c'], 'stamp'])
})

describe('a look that records nothing deletes no request', () => {
  const ends: readonly (readonly [state: string, over: Partial<Watch>, spoil: (world: World) => void])[] = [
    ['unavailable', {}, (world) => void (world.memory.whileRead = () => Promise.reject(new VarveError('STORAGE_UNAVAILABLE', 'no answer')))],
    ['backoff', {}, (world) => void (world.memory.whileRead = () => Promise.reject(new Error('nobody expected that')))],
    ['held', {}, (world) => world.memory.paths().forEach((path) => world.memory.remove(path))],
    ['oversize', { entriesMax: 2 }, (world) => world.memory.put('c', 'one more')],
  ]
  test.each(ends)('%s', async (state, over, spoil) => {
    const world = new World(over)
    for (const path of ['a', 'b']) world.memory.put(path, 'first')
    await world.start()
    await world.clock.pass(60_000)
    await world.hint('a', 'b', 'c')
    const requests = (): unknown[] => world.database.prepare('SELECT * FROM request ORDER BY path').all()
    const before = requests()
    expect(before).toHaveLength(3)
    spoil(world)
    // It is tried again and again.
    for (let tries = 0; tries < 3; tries++) {
      await world.clock.pass(400_000)
      const row = await world.registry.watchRow('mnist')
      expect([row?.state, (row?.generation ?? 0) > (row?.committedGeneration ?? 0), requests()]).toEqual([state, true, before])
    }
    await world.stop()
  })
})

describe('the same content', () => {
  let fake: FakeS3
  beforeAll(async () => {
    useKeys()
    fake = await FakeS3.start()
  })
  afterAll(() => fake.stop())
  let prefixes = 0

  interface Keys {
    readonly site: Site
    readonly prefix: string
    /** Looks at the whole: the requests, and how many versions there are then. */
    looked(): Promise<readonly [requests: string, versions: number]>
  }

  /** Two keys of which a listing alone tells. */
  async function keys(checksumType: FakeS3['checksumType'] = 'FULL_OBJECT'): Promise<Keys> {
    fake.checksumType = checksumType
    const prefix = `p${++prefixes}/`
    for (const key of ['a', 'b']) fake.put(prefix + key, `bytes of ${key}`, `${key}-1`)
    const site = await s3Site(fake.url, prefix)
    const looked = async (): Promise<readonly [string, number]> => {
      fake.requests.length = 0
      const { versions } = await site.look()
      return [fake.requests.join(' '), versions]
    }
    expect(await looked()).toEqual(['versions', 1])
    return { site, prefix, looked }
  }

  test('where the store shows no checksum on either side, a new ETag is a change, and nobody is asked', async () => {
    const { prefix, looked } = await keys()
    fake.put(`${prefix}a`, 'bytes of a', 'a-2')
    expect(await looked()).toEqual(['versions', 2])
  })

  test.each(['COMPOSITE', 'untold'] as const)('a checksum over parts says nothing of the whole: type %s, of an upload in parts', async (type) => {
    const { site, prefix, looked } = await keys(type)
    await site.look('a')
    expect((await entriesOf(site.registry))[0]?.checksums).toBeUndefined()
    fake.put(`${prefix}a`, 'bytes of a', 'a-2')
    expect(await looked()).toEqual(['versions', 2])
  })

  test('where the ETag moved but size did not, one HEAD for each changed key settles it; the row keeps the identity that it was made with, and the set digest goes by that', async () => {
    const { site, prefix, looked } = await keys()
    // Asked for by name, they show their checksums.
    expect((await site.look('a', 'b')).versions).toBe(1)
    for (const key of ['a', 'b']) fake.put(prefix + key, `bytes of ${key}`, `${key}-2`)
    expect(await looked()).toEqual(['versions head head', 1])
    expect((await entriesOf(site.registry)).map(({ path, etag }) => [path, etag])).toEqual([['a', 'a-2'], ['b', 'b-2']])
    expect(await looked()).toEqual(['versions', 1])
    const digest = new SetDigest()
    for (const key of ['a', 'b']) digest.add(key, `etag:${key}-1 10`)
    expect((await versionsOf(site.registry))[0]?.digest).toBe(digest.toString())
    fake.put(`${prefix}c`, 'x', 'c-1')
    digest.add('c', 'etag:c-1 1')
    expect(await looked()).toEqual(['versions', 2])
    expect((await versionsOf(site.registry))[1]?.digest).toBe(digest.toString())
    // Other bytes of the same size: the HEAD shows that, too.
    fake.put(`${prefix}a`, 'BYTES of a', 'a-3')
    expect(await looked()).toEqual(['versions head', 3])
    // Another size needs no HEAD.
    fake.put(`${prefix}b`, 'more bytes of b', 'b-3')
    expect(await looked()).toEqual(['versions', 4])
  })
})

describe('a collection has one writer of its content', () => {
  const elsewhere = parseLocation('s3://bucket/elsewhere/', '/')

  /** A daemon at a collection whose head was put from elsewhere. */
  async function afterPut(): Promise<World> {
    const world = new World()
    const other = new Memory()
    for (const path of ['a', 'theirs']) other.put(path, path)
    const parts = lookPartsOf(await openRegistryIn(world.database), world.clock, async () => other.open())
    await putOnce(parts, orderOf({ location: elsewhere }), { ...world.watch, locations: [elsewhere] }, new AbortController().signal)
    for (const path of ['a', 'ours']) world.memory.put(path, path)
    await world.start()
    await world.clock.pass(60_000)
    return world
  }

  test('a watch that finds a head of another location is held, until a person says that it is meant', async () => {
    const world = await afterPut()
    const row = await world.registry.watchRow('mnist')
    expect([row?.state, row?.reason, row?.action, (await world.versions()).length]).toEqual([
      'held', 'the head of local/vision/mnist was recorded from another location than s3://bucket/p/', expect.stringContaining('varve accept mnist'), 1,
    ])
    await world.registry.accept('mnist', world.clock.now())
    await world.clock.pass(60_000)
    expect([(await world.registry.watchRow('mnist'))?.state, await world.recorded()]).toEqual(['clean', world.lying()])
    expect((await world.versions())[1]?.changes).toMatchObject({ added: 1, modified: 1, removed: 1 })
    await world.stop()
  })

  test('and a put of another location than the watch keeps is refused, naming the watch; of the same location it is taken', async () => {
    const world = await afterPut()
    await world.registry.accept('mnist', world.clock.now())
    await world.clock.pass(60_000)
    const putting = (location: Location) =>
      putOnce(lookPartsOf(world.registry, world.clock, async () => world.memory.open()), orderOf({ location }), { ...world.watch, locations: [location] }, new AbortController().signal)
    expect(await failure(putting(elsewhere))).toMatchObject({ code: 'CONFLICT', message: 'local/vision/mnist is kept by the watch mnist at s3://bucket/p/, not at s3://bucket/elsewhere/' })
    expect(await putting(world.watch.locations[0])).toMatchObject({ created: false, version: { version: 'v1' } })
    await world.stop()
  })
})
