// Words in and out.
import { afterEach, describe, expect, test } from '@jest/globals'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { putOnce } from '../../src/daemon/daemon.ts'
import { VarveError } from '../../src/model/errors.ts'
import { parseLocation } from '../../src/model/location.ts'
import { site } from '../e2e/site.ts'
import type { Site } from '../e2e/site.ts'
import { fileSite } from '../laws/site.ts'
import { entriesOf, lookPartsOf, World } from '../laws/world.ts'
import { fell, tree } from '../storage/file/tree.ts'
import { orderOf } from '../suite/registry-world.ts'

const places: Site[] = []
afterEach(async () => {
  for (const place of places.splice(0)) await place.remove()
  fell()
})

const ODD = ['a#b', 'a%20b', 'a%2Fb', 'a+b', 'a?b=c&d', ' a b ', 'line\nbreak', 'é', 'emoji 🦕', '100%', 'sub/..x', "quote'", '[x]', '*']

describe('a reference', () => {
  test('of an S3 object is its literal key after the bucket, and so is the location: no query, no decoding', async () => {
    const prefix = 'p?q=1#x%20y/'
    const world = new World({ locations: [parseLocation(`s3://bucket/${prefix}`, '/')] })
    for (const path of [...ODD, 'a//b', 'x/../y']) world.memory.put(path, path)
    await world.start()
    await world.clock.pass(60_000)
    const entries = await entriesOf(world.registry)
    expect(entries.map(({ reference }) => reference)).toEqual(world.memory.paths().map((path) => `s3://bucket/${prefix}${path}`))
    for (const { path, reference } of entries) expect(parseLocation(reference, '/').object).toBe(prefix + path)
    // What a message tells is the key, too: nothing of it is decoded.
    const generations = async (): Promise<number> => (await world.registry.watchRow('mnist'))?.generation ?? 0
    const before = await generations()
    await world.source.deliver(['p?q=1#x y/a', 'p/a', 'p'].map((key) => ({ scheme: 's3', bucket: 'bucket', key, whole: false })))
    expect(await generations()).toBe(before)
    await world.source.deliver([{ scheme: 's3', bucket: 'bucket', key: `${prefix}a%20b`, whole: false }])
    expect(world.database.prepare('SELECT path FROM request').all()).toEqual([{ path: 'a%20b' }])
    await world.stop()
  })

  test('of a file is a URI, percent-encoded, that leads any reader of URIs to the file', async () => {
    const root = tree(Object.fromEntries(ODD.map((path) => [`d 1/${path}`, `bytes of ${path}`])))
    const looked = await fileSite(`file://${root}d 1/`)
    expect(await looked.look()).toMatchObject({ versions: 1, state: 'clean' })
    const entries = await entriesOf(looked.registry)
    expect(entries).toHaveLength(ODD.length)
    for (const { path, reference } of entries) {
      expect(reference).toMatch(/^file:\/\/\/[^\s#?]+$/)
      expect([readFileSync(fileURLToPath(reference), 'utf8'), parseLocation(reference, '/').object]).toEqual([`bytes of ${path}`, `${root}d 1/${path}`])
    }
  })
})

test('`cause` is hint, startup, interval, config, cli or put; `run` is a name', async () => {
  const world = new World({ reconcileMs: 3_600_000 })
  let writes = 0
  const write = (): void => world.memory.put('a', `write ${++writes}`)
  const [location] = world.watch.locations
  write()
  await world.start()
  await world.clock.pass(60_000)
  write()
  await world.hint('a')
  await world.clock.pass(10_000)
  write()
  await world.registry.request([{ watch: 'mnist', path: '*', cause: 'cli' }], world.clock.now())
  await world.clock.pass(10_000)
  write()
  await putOnce(lookPartsOf(world.registry, world.clock, async () => world.memory.open()), orderOf({ location }), world.watch, new AbortController().signal)
  await world.clock.pass(10_000)
  write()
  await world.clock.pass(3_600_000)
  await world.stop()
  write()
  await world.start()
  await world.clock.pass(10_000)
  expect((await world.versions()).map(({ cause, run }) => [cause, run])).toEqual([
    ['config', 'mnist'], ['hint', 'mnist'], ['cli', 'mnist'], ['put', expect.stringMatching(/^put-\d+$/)], ['interval', 'mnist'], ['startup', 'mnist'],
  ])
  await world.stop()
})

test('`vN` and `latest` cannot be given as aliases by hand, by whatever way', async () => {
  const place = site()
  places.push(place)
  mkdirSync(join(place.folder, 'files'))
  writeFileSync(join(place.folder, 'files/one'), 'one')
  const watch = { name: 'one', location: 'files/', artifact: 'demo/files', type: 'dataset' }
  place.configure({ data: '.varve', watch: [watch] })
  const put = ['put', 'files/', '--name', 'demo/files', '--type', 'dataset'] as const
  expect(await place.varve(...put, '--alias', 'v1b')).toMatchObject({ exit: 0 })
  for (const alias of ['latest', 'v17']) {
    const refused = { exit: 2, stdout: '', stderr: expect.stringContaining(alias) }
    expect(await place.varve('alias', 'add', 'demo/files:v0', alias)).toEqual(refused)
    expect(await place.varve(...put, '--alias', alias)).toEqual(refused)
    place.configure({ data: '.varve', watch: [{ ...watch, aliases: [alias] }] })
    expect(await place.varve('check')).toEqual({ ...refused, exit: 78 })
    place.configure({ data: '.varve', watch: [watch] })
  }
  expect((await place.log('demo/files')).map(({ aliases }) => aliases)).toEqual([['latest', 'v1b']])
}, 60_000)

describe('time', () => {
  test.each([-36_000_000, 36_000_000])('durations are monotonic: a look during which the wall clock jumps by %i ms took as long as it took', async (jump) => {
    const world = new World({ reconcileMs: 600_000 })
    world.memory.put('a', 'first')
    let jumping = true
    world.memory.beforePage = async () => {
      await world.clock.sleep(7_000)
      if (jumping) world.clock.jump(jump)
      jumping = false
      return undefined
    }
    await world.start()
    await world.clock.pass(7_500)
    expect([jumping, (await world.versions()).length, (await world.registry.watchRow('mnist'))?.lastScanMs]).toEqual([false, 1, 7_000])
    // What was requested meanwhile is looked at, too, before all stops.
    await world.clock.pass(30_000)
    await world.stop()
  })

  test('a due time further off than its interval counts as due: after the clock was set back a retry is not waited for', async () => {
    const world = new World({ pollMs: 600_000 })
    let denied = true
    await world.start((parts) => ({
      ...parts,
      openStore: async (...args) => {
        if (denied) throw new VarveError('LOCATION_DENIED', 'no')
        return parts.openStore(...args)
      },
    }))
    world.memory.put('a', 'first')
    await world.clock.pass(10_000)
    denied = false
    // What was to come in five minutes is still waited for, as long as that may be true.
    await world.clock.pass(60_000)
    expect(await world.versions()).toHaveLength(0)
    world.clock.jump(-36_000_000)
    await world.clock.pass(2_000)
    expect(await world.recorded()).toEqual(world.lying())
    await world.stop()
  })

  test('a stored last time in the future counts as now: after the clock was set back the next scan is due', async () => {
    const world = new World({ reconcileMs: 3_600_000 })
    world.memory.put('a', 'first')
    await world.start()
    await world.clock.pass(60_000)
    world.memory.put('a', 'unheard')
    await world.clock.pass(60_000)
    expect(await world.versions()).toHaveLength(1)
    world.clock.jump(-36_000_000)
    await world.clock.pass(2_000)
    expect((await world.versions()).map(({ cause }) => cause)).toEqual(['config', 'interval'])
    await world.stop()
  })
})
