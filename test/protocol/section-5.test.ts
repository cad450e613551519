// Guards.
import { afterEach, describe, expect, test } from '@jest/globals'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { putOnce } from '../../src/daemon/daemon.ts'
import { VarveError } from '../../src/model/errors.ts'
import type { FailureCode } from '../../src/model/errors.ts'
import { parseLocation } from '../../src/model/location.ts'
import type { Watch } from '../../src/model/watch.ts'
import { openRegistryIn } from '../../src/registry/open.ts'
import type { WatchRow } from '../../src/registry/registry.ts'
import { site } from '../e2e/site.ts'
import type { Site } from '../e2e/site.ts'
import { lookPartsOf, MNIST, World } from '../laws/world.ts'
import { failure, orderOf, put, putAll, watchOf } from '../suite/registry-world.ts'

const places: Site[] = []
afterEach(async () => {
  for (const place of places.splice(0)) await place.remove()
})

/** A daemon that has recorded so many objects, each of its own bytes. */
async function recorded(count: number, over: Partial<Watch> = {}): Promise<World> {
  const world = new World({ pollMs: 10_000, ...over })
  for (let i = 0; i < count; i++) world.memory.put(`p${i}`, `bytes ${i}`)
  await world.start()
  await world.clock.pass(60_000)
  return world
}

function removeMany(world: World, from: number, to: number): void {
  for (let i = from; i < to; i++) world.memory.remove(`p${i}`)
}

async function lookAgain(world: World): Promise<WatchRow> {
  await world.registry.request([{ watch: 'mnist', path: '*', cause: 'cli' }], world.clock.now())
  await world.clock.pass(2_000)
  return (await world.registry.watchRow('mnist')) as WatchRow
}

const heldDigest = async (world: World): Promise<string | undefined> => (await world.registry.watchViews(world.clock.now()))[0]?.heldDigest

test.each([
  [19, 18, 'clean'], [20, 11, 'held'], [20, 10, 'clean'], [400, 201, 'held'],
])('below 20 entries the percentage does not hold, from there on what is more than it does: of %i entries %i are gone', async (count, gone, state) => {
  const world = await recorded(count)
  removeMany(world, 0, gone)
  expect(await lookAgain(world)).toMatchObject({ state })
  expect((await world.versions()).length).toBe(state === 'held' ? 1 : 2)
  await world.stop()
})

test('removals exclude moves, and what is gone besides them counts against all entries', async () => {
  for (const [gone, state] of [[10, 'clean'], [11, 'held']] as const) {
    const world = await recorded(20)
    removeMany(world, 0, 20)
    for (let i = gone; i < 20; i++) world.memory.put(`moved/p${i}`, `bytes ${i}`)
    expect([gone, (await lookAgain(world)).state]).toEqual([gone, state])
    if (state === 'clean') expect((await world.versions())[1]?.changes).toMatchObject({ removed: 10, moved: 10, added: 0 })
    await world.stop()
  }
})

test('from some to none is held though `guard.max_removed` allows all', async () => {
  for (const count of [1, 19, 20]) {
    const world = await recorded(count, { guard: { removedShareMax: 1 } })
    removeMany(world, 0, count)
    expect(await lookAgain(world)).toMatchObject({ state: 'held', reason: count === 1 ? 'the only entry is gone' : `all ${count} entries are gone` })
    await world.stop()
  }
})

test('a held look stores the set digest that it saw; `accept` lets through a look that removes nothing beyond that, and that is what is recorded', async () => {
  const world = await recorded(30)
  removeMany(world, 0, 20)
  expect(await lookAgain(world)).toMatchObject({ state: 'held' })
  const seen = await heldDigest(world)
  await world.registry.accept('mnist', world.clock.now())
  await world.clock.pass(2_000)
  expect((await world.versions())[1]).toMatchObject({ digest: seen, changes: { removed: 20 } })
  expect([seen?.startsWith('varve1:'), await heldDigest(world)]).toEqual([true, undefined])
  await world.stop()
})

test('what is gone beyond what `accept` was given for is held anew, with what is seen now; what came back is no hindrance', async () => {
  const world = await recorded(40)
  removeMany(world, 0, 25)
  await lookAgain(world)
  const first = await heldDigest(world)
  removeMany(world, 25, 26)
  await world.registry.accept('mnist', world.clock.now())
  await world.clock.pass(2_000)
  const second = await heldDigest(world)
  expect([(await world.registry.watchRow('mnist'))?.state, (await world.versions()).length, second === first]).toEqual(['held', 1, false])
  // One consent is for one look, even if nothing is beyond it any more.
  world.memory.put('p25', 'bytes 25')
  expect(await lookAgain(world)).toMatchObject({ state: 'held' })
  world.memory.put('p0', 'back')
  await world.registry.accept('mnist', world.clock.now())
  await world.clock.pass(2_000)
  expect((await world.versions())[1]?.changes).toMatchObject({ removed: 24, modified: 1 })
  await world.stop()
})

test('who lets through that all that was recorded is gone, beside something new, was not asked whether nothing may be left', async () => {
  const world = await recorded(30)
  const seen = async (): Promise<unknown> => [await world.registry.watchRow('mnist'), (await world.versions()).length]
  removeMany(world, 0, 30)
  for (const path of ['new/1', 'new/2']) world.memory.put(path, path)
  expect(await lookAgain(world)).toMatchObject({ state: 'held', reason: expect.stringMatching(/^30 of 30 entries are gone/) })
  for (const path of ['new/1', 'new/2']) world.memory.remove(path)
  await world.registry.accept('mnist', world.clock.now())
  await world.clock.pass(2_000)
  expect(await seen()).toMatchObject([{ state: 'held', reason: 'all 30 entries are gone' }, 1])
  // That is another question, with a consent of its own.
  await world.registry.accept('mnist', world.clock.now())
  await world.clock.pass(2_000)
  expect(await seen()).toMatchObject([{ state: 'clean' }, 2])
  await world.stop()
})

test('what was new is no hindrance to who lets through that all else is gone', async () => {
  const world = await recorded(30)
  removeMany(world, 0, 30)
  world.memory.put('new', 'new')
  await lookAgain(world)
  world.memory.put('new', 'newer')
  await world.registry.accept('mnist', world.clock.now())
  await world.clock.pass(2_000)
  expect((await world.versions())[1]).toMatchObject({ entries: 1, changes: { removed: 30, added: 1 } })
  await world.stop()
})

test('a held watch keeps looking, and leaves `held` by itself when no guard trips', async () => {
  const world = await recorded(30)
  removeMany(world, 0, 29)
  expect(await lookAgain(world)).toMatchObject({ state: 'held' })
  for (let i = 0; i < 28; i++) world.memory.put(`p${i}`, `bytes ${i}`)
  await world.clock.pass(60_000)
  expect([(await world.registry.watchRow('mnist'))?.state, await world.recorded()]).toEqual(['clean', world.lying()])
  await world.stop()
})

test('nothing is recorded until the completion marker is there; then by itself', async () => {
  const world = new World({ pollMs: 10_000, guard: { removedShareMax: 0.5, completeMarker: 'done/_SUCCESS' } })
  world.memory.put('a', 'first')
  await world.start()
  await world.clock.pass(60_000)
  expect([(await world.versions()).length, await world.registry.watchRow('mnist')]).toEqual([0, expect.objectContaining({ state: 'held', reason: 'the completion marker done/_SUCCESS is not there' })])
  world.memory.put('done/_SUCCESS', '')
  await world.clock.pass(60_000)
  expect([(await world.registry.watchRow('mnist'))?.state, await world.recorded()]).toEqual(['clean', world.lying()])
  await world.stop()
})

test('`status` prints the digest that a held look saw, and `accept` records just that', async () => {
  const place = site()
  places.push(place)
  mkdirSync(join(place.folder, 'files'))
  const file = (i: number): string => join(place.folder, 'files', `f${i}`)
  for (let i = 0; i < 30; i++) writeFileSync(file(i), `bytes ${i}`)
  place.configure({ data: '.varve', watch: [{ name: 'one', location: 'files/', artifact: 'demo/files', type: 'dataset', settle: '1ms' }] })
  expect(await place.varve('scan', 'one')).toMatchObject({ exit: 0 })
  for (let i = 0; i < 20; i++) rmSync(file(i))
  expect(await place.varve('scan', 'one')).toMatchObject({ exit: 1 })
  const seen = /^ {2}seen: (varve1:[0-9a-f]{64})$/m.exec((await place.varve('status')).stdout)?.[1]
  expect(seen).toBeDefined()
  expect(await place.varve('accept', 'one')).toMatchObject({ exit: 0 })
  expect((await place.log('demo/files')).map(({ version, digest }) => [version, digest])[0]).toEqual(['v1', seen])
}, 60_000)

describe('`backoff` is where permanent errors stay, with code and what to do', () => {
  const errors: readonly (readonly [FailureCode, string, string])[] = [
    ['LOCATION_DENIED', 's3://bucket/p/ may not be read', 'allow s3:ListBucket'], ['CREDENTIALS', 'the credentials are not valid', 'check the keys'], ['USAGE', 'no region is known', 'set s3.region'],
  ]
  test.each(errors)('%s', async (code, words, hint) => {
    const world = new World()
    let broken = true
    let tries = 0
    await world.start((parts) => ({
      ...parts,
      openStore: async (...args) => {
        if (!broken) return parts.openStore(...args)
        tries++
        throw new VarveError(code, words, { hint })
      },
    }))
    world.memory.put('a', 'first')
    for (let hours = 0; hours < 3; hours++) {
      await world.clock.pass(3_600_000)
      expect((await world.registry.watchViews(world.clock.now()))[0]).toMatchObject({ state: 'backoff', reason: `${code}: ${words}`, action: hint })
    }
    // Only a person can mend it: it is tried as often as the place is looked at anyway, once a minute.
    expect([tries > 150, tries <= 181]).toEqual([true, true])
    broken = false
    await world.clock.pass(70_000)
    expect([(await world.registry.watchRow('mnist'))?.state, await world.recorded()]).toEqual(['clean', world.lying()])
    await world.stop()
  })

  /** A collection of models that `mnist` takes for one of datasets, and a watch of another collection. */
  async function clash(): Promise<{ readonly world: World; readonly other: Watch }> {
    const world = new World()
    const [location] = world.watch.locations
    await putAll(await openRegistryIn(world.database), [put('a', '1')], { location, type: 'model' })
    world.memory.put('a', 'first')
    const other = watchOf({ ...world.watch, name: 'other', collection: { ...MNIST, collection: 'other' } })
    await world.start((parts) => ({ ...parts, watches: [world.watch, other] }))
    await world.clock.pass(60_000)
    return { world, other }
  }
  const views = async (world: World): Promise<unknown[]> => (await world.registry.watchViews(world.clock.now())).map(({ watch, state, reason, action, head }) => [watch, state, reason, action, head])
  const words = 'local/vision/mnist is a collection of type model, and this is of type dataset'

  test('a type that clashes, of which no other watch suffers; once the configuration is right it is looked at at once', async () => {
    const { world, other } = await clash()
    expect(await views(world)).toEqual([['mnist', 'backoff', `CONFLICT: ${words}`, 'give it the type model, or another name', 'v0'], ['other', 'clean', undefined, undefined, 'v0']])
    await world.stop()
    await world.start((parts) => ({ ...parts, watches: [{ ...world.watch, type: 'model' }, other] }))
    await world.clock.pass(2_000)
    expect(await views(world)).toEqual([['mnist', 'clean', undefined, undefined, 'v1'], ['other', 'clean', undefined, undefined, 'v0']])
    await world.stop()
  })

  test('a put of another type is refused, and leaves nothing', async () => {
    const { world } = await clash()
    const tables = (): unknown[] => ['run', 'look', 'version'].map((table) => world.database.prepare(`SELECT count(*) AS count FROM ${table}`).get())
    const before = tables()
    const location = parseLocation('s3://bucket/p/', '/')
    const putting = putOnce(lookPartsOf(world.registry, world.clock, async () => world.memory.open()), orderOf({ location }), { ...world.watch, locations: [location] }, new AbortController().signal)
    expect(await failure(putting)).toMatchObject({ code: 'CONFLICT', message: words })
    expect(tables()).toEqual(before)
    await world.stop()
  })
})
