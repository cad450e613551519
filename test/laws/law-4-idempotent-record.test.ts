// Law 4. Recording the same state twice is recording it once. What changed is one version; what only looks changed is none.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { chmodSync, chownSync, linkSync, mkdirSync, renameSync, rmSync, statSync, truncateSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { LookParts } from '../../src/daemon/daemon.ts'
import { turn } from '../../src/daemon/turn.ts'
import { parseLocation } from '../../src/model/location.ts'
import type { Watch } from '../../src/model/watch.ts'
import { openRegistryIn } from '../../src/registry/open.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { openFileStore } from '../../src/storage/file/store.ts'
import { openS3Store } from '../../src/storage/s3/store.ts'
import type { Found, Span, Store } from '../../src/storage/storage.ts'
import { FakeS3 } from '../fakes/s3.ts'
import { useKeys } from '../storage/s3/bucket.ts'
import { fell, tree } from '../storage/file/tree.ts'
import { watchOf } from '../suite/registry-world.ts'
import { law } from './law.ts'
import { lookPartsOf, realClock, recordedOf, storesWith, versionsOf } from './world.ts'

afterEach(fell)

const going = new AbortController().signal

interface Plant {
  readonly refit: (parts: LookParts) => LookParts
}

/** A place with a watch, and looks at it, each asked for by hand and with time of its own. */
interface Site {
  readonly registry: Registry
  /** A whole look; how many versions there are after it. */
  look(): Promise<number>
  close(): Promise<void>
}

async function siteOf(over: Partial<Watch>, openStore: LookParts['openStore'], plant: Plant | undefined, aheadMs: number): Promise<Site> {
  const database = new DatabaseSync(':memory:')
  let registry = await openRegistryIn(database)
  const watch = watchOf({ settleMs: 1, maxWaitMs: 60_000, ...over })
  const clock = realClock(aheadMs)
  await registry.enroll([watch], clock.now())
  return {
    get registry() {
      return registry
    },
    async look() {
      // Each look is that of a process that has just started.
      registry = await openRegistryIn(database)
      await registry.enroll([watch], clock.now())
      await registry.request([{ watch: watch.name, path: '*', cause: 'cli' }], clock.now())
      const parts = lookPartsOf(registry, clock, openStore)
      await turn(plant?.refit(parts) ?? parts, watch, going)
      const row = await registry.watchRow(watch.name)
      expect({ state: row?.state, reason: row?.reason, dirty: row?.generation !== row?.committedGeneration }).toEqual({ state: 'clean', reason: undefined, dirty: false })
      return (await versionsOf(registry)).length
    },
    close: () => registry.close(),
  }
}

const openFiles: LookParts['openStore'] = ({ location }) => openFileStore(location, { clockSlackMs: 0 })

/** Stores whose spans are rewritten entry by entry. */
function listing(rewrite: (span: Span) => Partial<Span>): Plant {
  return {
    refit: storesWith((store) => ({
      async *scan(startMs, signal) {
        for await (const span of store.scan(startMs, signal)) {
          const { cover, seen, skipped, settled, stamp, end } = span
          yield { cover, seen, skipped, settled, entries: () => span.entries(), ...(stamp !== undefined && { stamp }), ...(end !== undefined && { end }), ...rewrite(span) }
        }
      },
    })),
  }
}

/** Stores whose answers about one object are rewritten. */
function reading(rewrite: (found: Found, store: Store) => Promise<Found> | Found): Plant {
  return {
    refit: storesWith((store) => ({
      async *inspect(listed, startMs, signal) {
        for await (const found of store.inspect(listed, startMs, signal)) yield rewrite(found, store)
      },
    })),
  }
}

// How old what was just written looks to a look: so old that it is trusted, or young enough to be racy.
describe.each([['long after', 60_000], ['at once', 0]])('files, looked at %s', (_, aheadMs) => {
  law<Plant>('what leaves every byte where it was makes no version', async (plant) => {
    const root = tree({ 'a.txt': 'alpha', 'sub/b.txt': 'beta', 'empty': '' })
    const site = await siteOf({ location: parseLocation(root, '/') }, openFiles, plant, aheadMs)
    expect(await site.look()).toBe(1)
    const acts: Record<string, () => void> = {
      'nothing, and a restart': () => undefined,
      touch: () => utimesSync(`${root}a.txt`, 1_000_000, 1_000_000),
      chmod: () => chmodSync(`${root}a.txt`, 0o600),
      chown: () => chownSync(`${root}a.txt`, 1_234, 1_234),
      'the same bytes again': () => writeFileSync(`${root}sub/b.txt`, 'beta'),
      'the same bytes by another inode': () => {
        writeFileSync(`${root}sub/.new`, 'beta')
        renameSync(`${root}sub/.new`, `${root}sub/b.txt`)
      },
      'listed in another order': () => {
        for (const name of ['z', 'y', 'x']) writeFileSync(`${root}sub/${name}`, name)
        for (const name of ['x', 'z', 'y']) unlinkSync(`${root}sub/${name}`)
        linkSync(`${root}a.txt`, `${root}.link`)
        unlinkSync(`${root}a.txt`)
        renameSync(`${root}.link`, `${root}a.txt`)
      },
      'a folder without files': () => mkdirSync(`${root}hollow`),
    }
    for (const [act, go] of Object.entries(acts)) {
      go()
      expect({ act, versions: await site.look() }).toEqual({ act, versions: 1 })
    }
    await site.close()
  }, {
    'time taken for content': reading((found) => {
      if (found.kind !== 'entry') return found
      const { listed } = found
      return { kind: 'entry', listed: { ...listed, content: { digest: `md5:${Math.random()}` } } }
    }),
  })

  law<Plant>('each change of content is one version: same size, no bytes, renamed, deleted, reverted', async (plant) => {
    const root = tree({ 'a.txt': 'alpha', 'sub/b.txt': 'beta', 'c.txt': 'gamma' })
    const site = await siteOf({ location: parseLocation(root, '/') }, openFiles, plant, aheadMs)
    expect(await site.look()).toBe(1)
    let versions = 1
    const edit = (bytes: string): void => {
      // Times as they were, as by a tool that keeps them; within the tick of the file system's clock when looked at at once.
      const { atimeMs, mtimeMs } = statSync(`${root}a.txt`)
      writeFileSync(`${root}a.txt`, bytes)
      utimesSync(`${root}a.txt`, atimeMs / 1_000, mtimeMs / 1_000)
    }
    const acts: Record<string, () => void> = {
      'the same size': () => edit('ALPHA'),
      'the same size, back again': () => edit('alpha'),
      'no bytes': () => truncateSync(`${root}c.txt`, 0),
      'a new file without bytes': () => writeFileSync(`${root}sub/none`, ''),
      renamed: () => renameSync(`${root}a.txt`, `${root}d.txt`),
      'a folder renamed': () => renameSync(`${root}sub`, `${root}bus`),
      deleted: () => unlinkSync(`${root}d.txt`),
      'a folder deleted': () => rmSync(`${root}bus`, { recursive: true }),
      'two names of one inode': () => linkSync(`${root}c.txt`, `${root}e.txt`),
      'a name in other letters': () => renameSync(`${root}e.txt`, `${root}E.txt`),
    }
    for (const [act, go] of Object.entries(acts)) {
      go()
      expect({ act, versions: await site.look() }).toEqual({ act, versions: ++versions })
    }
    expect((await recordedOf(site.registry)).map((line) => line.split(' ')[0])).toEqual(['E.txt', 'c.txt'])
    await site.close()
  }, {
    // As who only compares size and mtime.
    'a fingerprint that only knows sizes and kept times': {
      refit: storesWith((store) => ({
        async *scan(startMs, signal) {
          for await (const span of store.scan(startMs, signal)) {
            const { cover, seen, skipped, end } = span
            const entries = [...span.entries()].map((listed) => ({ ...listed, fingerprint: 'same' }))
            yield { cover, seen, skipped, settled: false, entries: () => entries, ...(end !== undefined && { end }) }
          }
        },
        async *inspect(listed, startMs, signal) {
          for await (const found of store.inspect(listed.map(({ path, sizeBytes }) => ({ path, sizeBytes })), startMs, signal))
            yield found.kind === 'entry' ? { kind: 'entry', listed: { ...found.listed, fingerprint: 'same' } } : found
        },
      })),
    },
    'objects without bytes left out': listing((span) => ({ entries: () => [...span.entries()].filter(({ sizeBytes }) => sizeBytes > 0) })),
    'a digest of the size': reading((found) => (found.kind === 'entry' ? { kind: 'entry', listed: { ...found.listed, content: { digest: `md5:${found.listed.sizeBytes}` } } } : found)),
  })
})

test('what came and went between two looks is no version; A, B, A with a look between is two', async () => {
  const root = tree({ a: 'A' })
  const site = await siteOf({ location: parseLocation(root, '/') }, openFiles, undefined, 60_000)
  expect(await site.look()).toBe(1)
  for (const text of ['B', 'A']) writeFileSync(`${root}a`, text)
  writeFileSync(`${root}fleeting`, 'x')
  unlinkSync(`${root}fleeting`)
  expect(await site.look()).toBe(1)
  for (const text of ['B', 'A']) {
    writeFileSync(`${root}a`, text)
    await site.look()
  }
  const versions = await versionsOf(site.registry)
  expect([versions.length, versions[0]?.digest === versions[2]?.digest, versions[1]?.digest === versions[2]?.digest]).toEqual([3, true, false])
  await site.close()
})

test('a directory that was still moving when it was recorded is missed when it goes', async () => {
  const root = tree({ 'kept': 'k', 'busy/a': 'x', 'busy/torn': 'y' })
  // `busy/torn` never holds still in the first look, which may not wait.
  let looks = 0
  const plant = reading((found) => (looks === 1 && found.kind === 'entry' && found.listed.path === 'busy/torn' ? { kind: 'torn', path: 'busy/torn' } : found))
  const watch = watchOf({ location: parseLocation(root, '/'), settleMs: 1, maxWaitMs: 0 })
  const registry = await openRegistryIn(new DatabaseSync(':memory:'))
  const clock = realClock(60_000)
  await registry.enroll([watch], clock.now())
  const parts = plant.refit(lookPartsOf(registry, clock, openFiles))
  const look = async (): Promise<string[]> => {
    looks++
    await registry.request([{ watch: watch.name, path: '*', cause: 'cli' }], clock.now())
    await turn(parts, watch, going)
    return (await recordedOf(registry)).map((line) => line.split(' ')[0] as string)
  }
  expect(await look()).toEqual(['busy/a', 'kept'])
  rmSync(`${root}busy`, { recursive: true })
  expect(await look()).toEqual(['kept'])
  await registry.close()
})

describe('S3', () => {
  let fake: FakeS3
  beforeAll(async () => {
    useKeys()
    fake = await FakeS3.start()
  })
  afterAll(() => fake.stop())
  let prefixes = 0

  async function bucketOf(plant: Plant | undefined, over: Partial<Watch> = {}): Promise<Site & { readonly prefix: string }> {
    const prefix = `p${++prefixes}/`
    const location = { ...parseLocation(`s3://fake/${prefix}`, '/'), endpoint: fake.url }
    const s3 = { endpoint: fake.url, region: 'us-east-1' }
    const site = await siteOf({ location, s3, sqs: 'none', ...over }, (watch, memo) => openS3Store(watch.location, watch.s3, memo), plant, 0)
    return { prefix, look: () => site.look(), close: () => site.close(), get registry() { return site.registry } }
  }

  law<Plant>('the same bytes, put again, are no version; nor is what only moves metadata, or the order of pages', async (plant) => {
    for (const versioned of [true, false]) {
      fake.versioned = versioned
      const site = await bucketOf(plant)
      for (const key of ['a', 'b', 'c/d']) fake.put(site.prefix + key, key)
      expect(await site.look()).toBe(1)
      // A storage class, an ACL or a tag changes nothing that is read; a copy onto itself is another object version of the same bytes.
      fake.put(`${site.prefix}a`, 'a')
      expect({ versioned, versions: await site.look() }).toEqual({ versioned, versions: 1 })
      fake.pageSize = 1
      expect(await site.look()).toBe(1)
      fake.pageSize = 1_000
      // Deleted and undeleted between two looks.
      fake.remove(`${site.prefix}b`)
      fake.put(`${site.prefix}b`, 'b')
      expect({ versioned, versions: await site.look() }).toEqual({ versioned, versions: 1 })
      await site.close()
    }
  }, {
    'object versions taken for content': listing((span) => ({
      entries: () => [...span.entries()].map((listed) => ({ ...listed, content: { digest: `etag:${listed.fingerprint}` } })),
    })),
  })

  law<Plant>('each change of content is one version: same size, no bytes, deleted, back again', async (plant) => {
    for (const versioned of [true, false]) {
      fake.versioned = versioned
      const site = await bucketOf(plant)
      for (const key of ['a', 'b', 'c/d']) fake.put(site.prefix + key, key)
      let versions = await site.look()
      const acts: Record<string, () => void> = {
        'the same size': () => fake.put(`${site.prefix}a`, 'A'),
        'back again': () => fake.put(`${site.prefix}a`, 'a'),
        'no bytes': () => fake.put(`${site.prefix}b`, ''),
        'a new object without bytes': () => fake.put(`${site.prefix}e`, ''),
        deleted: () => fake.remove(`${site.prefix}a`),
        undeleted: () => fake.put(`${site.prefix}a`, 'a'),
        'another name': () => {
          fake.put(`${site.prefix}f`, 'c/d')
          fake.remove(`${site.prefix}c/d`)
        },
      }
      for (const [act, go] of Object.entries(acts)) {
        go()
        expect({ versioned, act, versions: await site.look() }).toEqual({ versioned, act, versions: ++versions })
      }
      await site.close()
    }
  }, {
    'objects without bytes left out': listing((span) => ({ entries: () => [...span.entries()].filter(({ sizeBytes }) => sizeBytes > 0) })),
    'an ETag that is not compared': listing((span) => ({ entries: () => [...span.entries()].map((listed) => ({ ...listed, content: { digest: `etag:${listed.sizeBytes}` } })) })),
  })

  test('the row of the same bytes keeps its pin, and gains the newest beside it', async () => {
    fake.versioned = true
    const site = await bucketOf(undefined)
    fake.put(`${site.prefix}a`, 'a')
    await site.look()
    const entry = async () => (await site.registry.entries({ entity: 'local', project: 'vision', collection: 'mnist' }, 'latest')[Symbol.asyncIterator]().next()).value?.[0]
    const { pin } = await entry()
    fake.put(`${site.prefix}a`, 'a')
    await site.look()
    const after = await entry()
    expect([after.pin, after.latestPin !== undefined && after.latestPin !== pin]).toEqual([pin, true])
    await site.close()
  })
})
