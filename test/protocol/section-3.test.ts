// Looking.
import { afterEach, describe, expect, test } from '@jest/globals'
import { lstatSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { turn } from '../../src/daemon/turn.ts'
import { parseLocation } from '../../src/model/location.ts'
import type { Watch } from '../../src/model/watch.ts'
import { openRegistryIn } from '../../src/registry/open.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { openFileStore } from '../../src/storage/file/store.ts'
import { Memory } from '../../src/storage/memory.ts'
import type { Store } from '../../src/storage/storage.ts'
import { fileSite } from '../laws/site.ts'
import { entriesOf, lookPartsOf, noting, realClock, registryWith, storesWith, versionsOf, World } from '../laws/world.ts'
import { fell, going, tree } from '../storage/file/tree.ts'
import { MNIST, watchOf } from '../suite/registry-world.ts'

afterEach(fell)

/** Files in memory, which nobody walks by the clock. */
const FILES = { locations: [parseLocation('file:///p/', '/')], pollMs: 86_400_000 } as const

async function askWhole(world: World): Promise<void> {
  await world.registry.request([{ watch: 'mnist', path: '*', cause: 'cli' }], world.clock.now())
}

describe('scratch', () => {
  test.each([true, false])('what a look finds goes piece by piece to scratch rows of (watch, epoch): what is in memory does not grow with it (listed: %s)', async (contentListed) => {
    const world = new World({ entriesMax: 100_000 }, { contentListed })
    for (let i = 0; i < 12_000; i++) world.memory.put(`p${i}`, 'x')
    const pieces: number[] = []
    const told: unknown[] = []
    let inspecting = 0
    let inspectingMost = 0
    await world.start((parts) => storesWith((store) => ({
      async *inspect(listed, startMs, signal) {
        inspectingMost = Math.max(inspectingMost, inspecting += listed.length)
        yield* store.inspect(listed, startMs, signal)
        inspecting -= listed.length
      },
    }))({
      ...parts,
      registry: registryWith(parts.registry, {
        stage: (looking, findings) => {
          pieces.push(findings.length)
          return parts.registry.stage(looking, findings)
        },
        rowsBetween: async (...args) => {
          const rows = await parts.registry.rowsBetween(...args)
          pieces.push(rows.length)
          return rows
        },
        record: async (looking, outcome, nowMs) => {
          told.push(world.database.prepare('SELECT w.name, l.epoch, count(*) AS rows FROM scratch s JOIN look l ON l.id = s.look JOIN watch w ON w.id = l.watch GROUP BY l.id').get())
          return parts.registry.record(looking, outcome, nowMs)
        },
      }),
    }))
    await world.clock.pass(60_000)
    for (let i = 0; i < 12_000; i++) world.memory.put(`p${i}`, 'y')
    await askWhole(world)
    await world.clock.pass(60_000)
    const epoch = (await world.registry.watchRow('mnist'))?.epoch ?? 0
    expect(told).toEqual([{ name: 'mnist', epoch: 2, rows: 12_000 }, { name: 'mnist', epoch, rows: 12_000 }])
    expect([pieces.length > 20, Math.max(...pieces) <= 2_000, inspectingMost <= 4_096]).toEqual([true, true, true])
    expect(world.database.prepare('SELECT (SELECT count(*) FROM scratch) + (SELECT count(*) FROM look) AS left').get()).toEqual({ left: 0 })
    expect((await world.versions()).map(({ changes: { added, modified } }) => [added, modified])).toEqual([[12_000, 0], [0, 12_000]])
    await world.stop()
  }, 60_000)

  test('the commit is one INSERT … SELECT: it asks the database as much for three thousand entries as for three', async () => {
    const counts: number[][] = []
    for (const entries of [3, 3_000]) {
      const world = new World()
      for (let i = 0; i < entries; i++) world.memory.put(`p${i}`, 'x')
      const asked = askedOf(world.database)
      await world.start((parts) => ({
        ...parts,
        registry: registryWith(parts.registry, {
          record: async (looking, outcome, nowMs) => {
            asked.length = 0
            const recorded = await parts.registry.record(looking, outcome, nowMs)
            counts.push([asked.length, asked.filter((text) => /INTO head\b/.test(text)).length])
            return recorded
          },
        }),
      }))
      await world.clock.pass(60_000)
      expect(await world.recorded()).toHaveLength(entries)
      await world.stop()
    }
    expect(counts).toEqual([[expect.any(Number), 1], counts[0]])
  })
})

/** Every statement that is run on it from now on. */
function askedOf(database: DatabaseSync): string[] {
  const asked: string[] = []
  const prepare = database.prepare.bind(database)
  database.prepare = (text, ...rest) => {
    const statement = prepare(text, ...rest)
    const all = statement.all.bind(statement) as (...values: unknown[]) => ReturnType<typeof statement.all>
    statement.all = (...values: unknown[]) => {
      asked.push(text)
      return all(...values)
    }
    return statement
  }
  return asked
}

describe('what moves under a look', () => {
  test('where the generation rose during a look, it does not commit, but looks again only there; then both are one version', async () => {
    const world = new World({}, { pageSize: 2 })
    for (const path of ['a', 'b', 'c', 'd']) world.memory.put(path, 'first')
    const reads: string[] = []
    await world.start(noting(reads))
    await world.clock.pass(60_000)
    reads.length = 0
    let acknowledged = false
    world.memory.beforePage = async (page) => {
      if (page !== 1 || acknowledged) return undefined
      // Its page was read already.
      world.memory.put('a', 'second')
      acknowledged = await world.hint('a')
      return undefined
    }
    world.memory.put('d', 'second')
    await askWhole(world)
    await world.clock.pass(30_000)
    expect([acknowledged, [...new Set(reads)]]).toEqual([true, ['scan', 'find a']])
    expect((await world.versions()).map(({ changes, certificate }) => [changes.added, changes.modified, certificate.changedUnderLook])).toEqual([[4, 0, []], [0, 2, []]])
    const row = await world.registry.watchRow('mnist')
    expect([row?.state, row?.committedGeneration]).toEqual(['clean', row?.generation])
    await world.stop()
  })

  test('where an entry changed under a look, it does not commit, but reads again only that one', async () => {
    const world = new World(FILES, { contentListed: false })
    for (const path of ['a', 'b', 'c']) world.memory.put(path, 'first')
    const reads: string[] = []
    let torn = 0
    world.memory.whileRead = (path) => {
      if (path === 'b' && torn++ === 0) world.memory.put('b', 'second')
    }
    await world.start(noting(reads))
    await world.clock.pass(4_000)
    expect([reads, await world.versions()]).toEqual([['scan', 'inspect a,b,c'], []])
    await world.clock.pass(30_000)
    expect([...new Set(reads.filter((read) => read !== 'scan'))]).toEqual(['inspect a,b,c', 'find b'])
    expect(await world.recorded()).toEqual(world.lying())
    expect((await world.versions()).map(({ certificate }) => [certificate.changedUnderLook, certificate.consistent])).toEqual([[[], true]])
    await world.stop()
  })

  test('a file still torn at `max_wait` keeps its last row and is named; the rest is committed, and the watch stays dirty', async () => {
    const world = new World(FILES, { contentListed: false })
    for (const path of ['growing', 'still']) world.memory.put(path, 'first')
    await world.start()
    await world.clock.pass(60_000)
    const [before] = await world.recorded()
    let length = 0
    world.memory.whileRead = (path) => {
      if (path === 'growing') world.memory.put(path, '.'.repeat(++length))
    }
    for (const path of ['still', 'growing', 'new']) world.memory.put(path, 'second')
    await askWhole(world)
    await world.clock.pass(world.watch.maxWaitMs + 10_000)
    const now = await world.recorded()
    expect([now.find((line) => line.startsWith('growing ')), now.filter((line) => !line.startsWith('growing '))]).toEqual([before, world.lying().filter((line) => !line.startsWith('growing '))])
    const [, second] = await world.versions()
    expect(second).toMatchObject({ changes: { added: 1, modified: 1, removed: 0 }, certificate: { changedUnderLook: ['growing'], consistent: false } })
    const row = await world.registry.watchRow('mnist')
    expect((row?.generation ?? 0) > (row?.committedGeneration ?? 0)).toBe(true)
    // What it held before has been written over, in the first version, too.
    const states = async (): Promise<unknown> => (await world.versions()).map(({ restorability: { state, lost } }) => [state, lost])
    expect(await states()).toEqual([['lost', 2], ['partly lost', 1]])
    expect(await world.registry.losses(MNIST, 'v1', 10)).toEqual([{ path: 'growing', reason: 'overwritten', words: expect.stringMatching(/^it was written to whenever it was read/) }])
    world.memory.whileRead = () => undefined
    await world.clock.pass(60_000)
    expect(await world.recorded()).toEqual(world.lying())
    expect(await states()).toEqual([['lost', 2], ['partly lost', 1], ['unpinned', 0]])
    await world.stop()
  })

  test.each([['other', 1], ['torn', 0]] as const)('what was torn is there after all when it is read as it was recorded, and while something else holds it (%s)', async (path, lost) => {
    const world = new World(FILES, { contentListed: false })
    for (const [name, text] of [['copy', 'first'], ['torn', 'first'], ['other', 'second']] as const) world.memory.put(name, text)
    await world.start()
    await world.clock.pass(60_000)
    const states = async (): Promise<unknown> => (await world.versions()).map(({ restorability }) => [restorability.state, restorability.lost])
    let length = 10
    world.memory.whileRead = (read) => {
      if (read === path) world.memory.put(path, '.'.repeat(++length))
    }
    world.memory.put(path, '.')
    await askWhole(world)
    await world.clock.pass(world.watch.maxWaitMs + 10_000)
    expect(await states()).toEqual([lost === 0 ? ['unpinned', 0] : ['partly lost', lost]])
    world.memory.whileRead = () => undefined
    world.memory.put(path, path === 'torn' ? 'first' : 'second')
    await world.clock.pass(60_000)
    expect([await states(), await world.recorded()]).toEqual([[['unpinned', 0]], world.lying()])
    await world.stop()
  })
})

describe('files', () => {
  test('a symbolic link to a file is followed: what moves where it leads is a change, though nothing moves where it lies', async () => {
    const elsewhere = tree({ target: 'alpha' })
    const root = tree({ 'd/other': 'x' })
    symlinkSync(`${elsewhere}target`, `${root}d/link`)
    const site = await fileSite(root)
    await site.look()
    const before = [lstatSync(`${root}d`).ctimeMs, lstatSync(`${root}d/link`).ctimeMs]
    writeFileSync(`${elsewhere}target`, 'ALPHA')
    expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
    expect([lstatSync(`${root}d`).ctimeMs, lstatSync(`${root}d/link`).ctimeMs]).toEqual(before)
    expect((await versionsOf(site.registry)).at(-1)?.changes).toMatchObject({ added: 0, modified: 1, removed: 0 })
  })

  /** True when the one file of a location has no fingerprint, and its directory is not settled, in a look that started so long after its last change. */
  async function isRacy(path: string, clockSlackMs: number, afterMs: number, location = path): Promise<boolean> {
    const store = await openFileStore(parseLocation(`file://${location}`, '/'), { clockSlackMs })
    try {
      const { mtimeMs, ctimeMs } = lstatSync(path)
      for await (const span of store.scan(Math.ceil(Math.max(mtimeMs, ctimeMs)) + afterMs, going)) {
        expect([...span.entries()].map(({ fingerprint }) => fingerprint !== undefined)).toEqual([span.settled])
        return !span.settled
      }
    } finally {
      await store.close()
    }
    throw new Error('nothing was listed')
  }

  test.each(['', 'file'])('racy is what changed, in content or else, within 2 s of the start of the look (location %j)', async (name) => {
    const root = tree({ file: 'x' })
    // A kept time hides the edit from mtime, not from ctime.
    for (const mtime of [1, Date.now() / 1_000 - 60, Date.now() / 1_000 + 86_400]) {
      utimesSync(`${root}file`, mtime, mtime)
      expect([await isRacy(`${root}file`, 0, 1_999, root + name), await isRacy(`${root}file`, 0, 2_001, root + name)]).toEqual([true, false])
    }
  })

  test('`clock_slack` is added on network mounts, and only there', async () => {
    const root = tree({ file: 'x' })
    expect(await isRacy(`${root}file`, 5_000, 2_001)).toBe(false)
    // No disk of this machine: what is not known to be local counts as network.
    const remote = '/sys/kernel/uevent_seqnum'
    expect([await isRacy(remote, 5_000, 6_999), await isRacy(remote, 5_000, 7_001), await isRacy(remote, 0, 2_001)]).toEqual([true, false, false])
  })

  test('a racy file is read again next time, and so is its directory; what is old is read once', async () => {
    const root = tree({ 'young/file': 'x', 'young/other': 'x', 'old/file': 'x' })
    const reads: string[] = []
    const site = await fileSite(root, {}, noting(reads))
    const inspected = async (): Promise<string[]> => {
      reads.length = 0
      await site.look()
      return reads.filter((read) => read.startsWith('inspect')).flatMap((read) => read.slice('inspect '.length).split(',')).sort()
    }
    const ahead = Date.now() / 1_000 + 86_400
    utimesSync(`${root}young/file`, ahead, ahead)
    expect([...new Set(await inspected())]).toEqual(['old/file', 'young/file', 'young/other'])
    expect([...new Set(await inspected())]).toEqual(['young/file'])
    utimesSync(`${root}young/file`, 1, 1)
    expect(await inspected()).toEqual(['young/file'])
    expect(await inspected()).toEqual([])
    expect(await versionsOf(site.registry)).toHaveLength(1)
  })

  test('a torn file is read again next time, and its directory looked into, though nothing moved since', async () => {
    const root = tree({ 'busy/torn': 'x', 'busy/other': 'x', 'calm/file': 'x' })
    const reads: string[] = []
    let tearing = true
    const tearingStores = storesWith((store) => ({
      async *inspect(listed, startMs, signal) {
        for await (const found of store.inspect(listed, startMs, signal))
          yield tearing && found.kind === 'entry' && found.listed.path === 'busy/torn' ? { kind: 'torn', path: 'busy/torn' } : found
      },
      async *find(paths, startMs, signal) {
        for await (const found of store.find(paths, startMs, signal)) yield tearing && found.kind === 'entry' ? { kind: 'torn', path: found.listed.path } : found
      },
    }))
    const site = await fileSite(root, { maxWaitMs: 0 }, (parts) => noting(reads)(tearingStores(parts)))
    await site.look()
    expect((await entriesOf(site.registry)).map(({ path }) => path)).toEqual(['busy/other', 'calm/file'])
    tearing = false
    reads.length = 0
    expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
    expect(reads.filter((read) => read.startsWith('inspect'))).toEqual(['inspect busy/torn'])
  })
})

test('the root is checked after a touch-up, too', async () => {
  const world = new World()
  for (const path of ['a', 'b']) world.memory.put(path, 'first')
  await world.start()
  await world.clock.pass(60_000)
  world.memory.whileRead = () => {
    world.memory.root = { identity: 'other', words: 'another disk', mount: 'elsewhere', network: false }
  }
  world.memory.put('a', 'second')
  await world.hint('a')
  await world.clock.pass(6_000)
  expect([(await world.versions()).length, (await world.registry.watchRow('mnist'))?.state]).toEqual([1, 'unavailable'])
  await world.stop()
})

describe('a changed configuration', () => {
  interface Lookings {
    readonly registry: Registry
    look(over: Partial<Watch>): Promise<void>
  }

  /** One registry, looked at under one configuration after another. */
  async function lookings(open = ({ locations: [location] }: Watch): Promise<Store> => openFileStore(location, { clockSlackMs: 0 })): Promise<Lookings> {
    const registry = await openRegistryIn(new DatabaseSync(':memory:'))
    const clock = realClock(60_000)
    return {
      registry,
      async look(over) {
        const watch = watchOf({ settleMs: 1, ...over })
        await registry.enroll([watch], clock.now())
        await turn(lookPartsOf(registry, clock, open), watch, going)
      },
    }
  }

  test.each([{ exclude: ['**/b'] }, { include: ['a/a', 'c'] }])('is a scan with the cause `config` that reads into every directory, whatever its signature: %j', async (over) => {
    const root = tree({ 'a/a': 'x', 'a/b': 'y', 'c': 'z' })
    const { registry, look } = await lookings()
    const location = parseLocation(root, '/')
    const paths = async (): Promise<string[]> => (await entriesOf(registry)).map(({ path }) => path)
    await look({ locations: [location], ...over })
    expect(await paths()).toEqual(['a/a', 'c'])
    await look({ locations: [location] })
    expect(await paths()).toEqual(['a/a', 'a/b', 'c'])
    await look({ locations: [location], ...over })
    expect(await paths()).toEqual(['a/a', 'c'])
    expect((await versionsOf(registry)).map(({ cause, certificate: { kind } }) => `${cause} ${kind}`)).toEqual(Array(3).fill('config scan'))
    // What decides nothing is no change.
    await look({ locations: [location], ...over, settleMs: 2, maxWaitMs: 3, reconcileMs: 4, guard: { removedShareMax: 1 } })
    expect((await registry.watchRow('mnist'))?.generation).toBe(3)
  })

  test.each(['s3', 'file'] as const)('the same path at another location is `modified`, and refers to where it lies now: %s', async (scheme) => {
    // In memory the objects even have the same stamps.
    const memory = new Memory()
    for (const path of ['a', 'b']) memory.put(path, path)
    const { registry, look } = await lookings(scheme === 's3' ? async () => memory.open() : undefined)
    const folders = scheme === 's3' ? ['s3://bucket/p/', 's3://bucket/q/'] : [tree({ a: 'a', b: 'b' }), tree({ a: 'a', b: 'b' })].map((root) => `file://${root}`)
    for (const folder of folders) await look({ locations: [parseLocation(folder, '/')], events: { kind: 'sqs', url: 'none' } })
    const [, second] = await versionsOf(registry)
    expect(second).toMatchObject({ cause: 'config', changes: { added: 0, modified: 2, removed: 0, moved: 0 } })
    for (const [at, folder] of folders.entries()) expect((await entriesOf(registry, `v${at}`)).map(({ reference }) => reference)).toEqual([`${folder}a`, `${folder}b`])
  })
})
