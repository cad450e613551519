// long
// Law 4. Recording the same state twice is recording it once. What changed is one version; what only looks changed is none.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { chmodSync, chownSync, linkSync, mkdirSync, renameSync, rmSync, statSync, truncateSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import type { Found, Store } from '../../src/storage/storage.ts'
import { FakeGcs } from '../fakes/gcs.ts'
import { FakeS3 } from '../fakes/s3.ts'
import { fell, tree } from '../storage/file/tree.ts'
import { useKeys } from '../storage/s3/bucket.ts'
import { law } from './law.ts'
import { fileSite, gcsSite, listing, s3Site } from './site.ts'
import type { PartsRefit, Site } from './site.ts'
import { entriesOf, recordedOf, storesWith, versionsOf } from './world.ts'

afterEach(fell)

/** How many versions there are after a look that ended well. */
async function versionsAfter(site: Site): Promise<number> {
  const { versions, ...rest } = await site.look()
  expect(rest).toEqual({ state: 'clean', reason: undefined, action: undefined })
  return versions
}

/** Stores whose answers about one object are rewritten. */
function reading(rewrite: (found: Found, store: Store) => Promise<Found> | Found): PartsRefit {
  return storesWith((store) => ({
    async *inspect(listed, startMs, signal) {
      for await (const found of store.inspect(listed, startMs, signal)) yield rewrite(found, store)
    },
  }))
}

// How old what was just written looks to a look: so old that it is trusted, or young enough to be racy.
describe.each([['long after', 60_000], ['at once', 0]])('files, looked at %s', (_, aheadMs) => {
  law<PartsRefit>('what leaves every byte where it was makes no version', async (plant) => {
    const root = tree({ 'a.txt': 'alpha', 'sub/b.txt': 'beta', 'empty': '' })
    const site = await fileSite(root, {}, plant, aheadMs)
    expect(await versionsAfter(site)).toBe(1)
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
      expect({ act, versions: await versionsAfter(site) }).toEqual({ act, versions: 1 })
    }
  }, {
    'time taken for content': reading((found) => {
      if (found.kind !== 'entry') return found
      const { listed } = found
      return { kind: 'entry', listed: { ...listed, content: { digest: `md5:${Math.random()}` } } }
    }),
  })

  law<PartsRefit>('each change of content is one version: same size, no bytes, renamed, deleted, reverted', async (plant) => {
    const root = tree({ 'a.txt': 'alpha', 'sub/b.txt': 'beta', 'c.txt': 'gamma' })
    const site = await fileSite(root, {}, plant, aheadMs)
    expect(await versionsAfter(site)).toBe(1)
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
      expect({ act, versions: await versionsAfter(site) }).toEqual({ act, versions: ++versions })
    }
    expect((await recordedOf(site.registry)).map((line) => line.split(' ')[0])).toEqual(['E.txt', 'c.txt'])
  }, {
    // As who only compares size and mtime.
    'a fingerprint that only knows sizes and kept times': storesWith((store) => ({
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
    'objects without bytes left out': listing((span) => ({ entries: () => [...span.entries()].filter(({ sizeBytes }) => sizeBytes > 0) })),
    'a digest of the size': reading((found) => (found.kind === 'entry' ? { kind: 'entry', listed: { ...found.listed, content: { digest: `md5:${found.listed.sizeBytes}` } } } : found)),
  })
})

test('what came and went between two looks is no version; A, B, A with a look between is two', async () => {
  const root = tree({ a: 'A' })
  const site = await fileSite(root)
  expect(await versionsAfter(site)).toBe(1)
  for (const text of ['B', 'A']) writeFileSync(`${root}a`, text)
  writeFileSync(`${root}fleeting`, 'x')
  unlinkSync(`${root}fleeting`)
  expect(await versionsAfter(site)).toBe(1)
  for (const text of ['B', 'A']) {
    writeFileSync(`${root}a`, text)
    await versionsAfter(site)
  }
  const versions = await versionsOf(site.registry)
  expect([versions.length, versions[0]?.digest === versions[2]?.digest, versions[1]?.digest === versions[2]?.digest]).toEqual([3, true, false])
})

test('a directory that was still moving when it was recorded is missed when it goes', async () => {
  const root = tree({ 'kept': 'k', 'busy/a': 'x', 'busy/torn': 'y' })
  // `busy/torn` never holds still in the first look, which may not wait.
  let looks = 0
  const site = await fileSite(root, { maxWaitMs: 0 }, reading((found) => (looks === 1 && found.kind === 'entry' && found.listed.path === 'busy/torn' ? { kind: 'torn', path: 'busy/torn' } : found)))
  const look = async (): Promise<string[]> => {
    looks++
    await site.look()
    return (await entriesOf(site.registry)).map(({ path }) => path)
  }
  expect(await look()).toEqual(['busy/a', 'kept'])
  rmSync(`${root}busy`, { recursive: true })
  expect(await look()).toEqual(['kept'])
})

describe('S3', () => {
  let fake: FakeS3
  beforeAll(async () => {
    useKeys()
    fake = await FakeS3.start()
  })
  afterAll(() => fake.stop())
  let prefixes = 0

  const bucketOf = async (plant?: PartsRefit): Promise<{ site: Site; prefix: string }> => {
    const prefix = `p${++prefixes}/`
    return { prefix, site: await s3Site(fake.url, prefix, {}, plant) }
  }

  law<PartsRefit>('the same bytes, put again, are no version; nor is what only moves metadata, or the order of pages', async (plant) => {
    for (const versioned of [true, false]) {
      fake.versioned = versioned
      const { site, prefix } = await bucketOf(plant)
      for (const key of ['a', 'b', 'c/d']) fake.put(prefix + key, key)
      expect(await versionsAfter(site)).toBe(1)
      // A storage class, an ACL or a tag changes nothing that is read; a copy onto itself is another object version of the same bytes.
      fake.put(`${prefix}a`, 'a')
      expect({ versioned, versions: await versionsAfter(site) }).toEqual({ versioned, versions: 1 })
      fake.pageSize = 1
      expect(await versionsAfter(site)).toBe(1)
      fake.pageSize = 1_000
      // Deleted and undeleted between two looks.
      fake.remove(`${prefix}b`)
      fake.put(`${prefix}b`, 'b')
      expect({ versioned, versions: await versionsAfter(site) }).toEqual({ versioned, versions: 1 })
      }
  }, {
    'object versions taken for content': listing((span) => ({
      entries: () => [...span.entries()].map((listed) => ({ ...listed, content: { digest: `etag:${listed.fingerprint}` } })),
    })),
  })

  law<PartsRefit>('each change of content is one version: same size, no bytes, deleted, back again', async (plant) => {
    for (const versioned of [true, false]) {
      fake.versioned = versioned
      const { site, prefix } = await bucketOf(plant)
      for (const key of ['a', 'b', 'c/d']) fake.put(prefix + key, key)
      let versions = await versionsAfter(site)
      const acts: Record<string, () => void> = {
        'the same size': () => fake.put(`${prefix}a`, 'A'),
        'back again': () => fake.put(`${prefix}a`, 'a'),
        'no bytes': () => fake.put(`${prefix}b`, ''),
        'a new object without bytes': () => fake.put(`${prefix}e`, ''),
        deleted: () => fake.remove(`${prefix}a`),
        undeleted: () => fake.put(`${prefix}a`, 'a'),
        'another name': () => {
          fake.put(`${prefix}f`, 'c/d')
          fake.remove(`${prefix}c/d`)
        },
      }
      for (const [act, go] of Object.entries(acts)) {
        go()
        expect({ versioned, act, versions: await versionsAfter(site) }).toEqual({ versioned, act, versions: ++versions })
      }
      }
  }, {
    'objects without bytes left out': listing((span) => ({ entries: () => [...span.entries()].filter(({ sizeBytes }) => sizeBytes > 0) })),
    'an ETag that is not compared': listing((span) => ({ entries: () => [...span.entries()].map((listed) => ({ ...listed, content: { digest: `etag:${listed.sizeBytes}` } })) })),
  })

  test('the row of the same bytes keeps its pin, and gains the newest beside it', async () => {
    fake.versioned = true
    const { site, prefix } = await bucketOf()
    fake.put(`${prefix}a`, 'a')
    await versionsAfter(site)
    const [before] = await entriesOf(site.registry)
    fake.put(`${prefix}a`, 'a')
    await versionsAfter(site)
    const [after] = await entriesOf(site.registry)
    expect([after?.pin, after?.latestPin !== undefined && after.latestPin !== before?.pin]).toEqual([before?.pin, true])
  })
})

describe('GCS', () => {
  let fake: FakeGcs
  beforeAll(async () => {
    fake = await FakeGcs.start()
  })
  afterAll(() => fake.stop())
  let prefixes = 0

  const bucketOf = async (plant?: PartsRefit): Promise<{ site: Site; prefix: string }> => {
    const prefix = `p${++prefixes}/`
    return { prefix, site: await gcsSite(fake.url, prefix, {}, plant) }
  }

  /** Looks at the whole, or at one path alone: what a hint leads to must judge as a scan does. */
  const ways = [[], ['a']] as const

  law<PartsRefit>('what moves the etag and no byte makes no version: metadata, storage class, the same bytes again, in parts or not', async (plant) => {
    for (const way of ways) {
      const { site, prefix } = await bucketOf(plant)
      for (const key of ['a', 'b', 'c/d']) fake.put(prefix + key, key)
      fake.put(`${prefix}sealed`, 'x', { sealed: true })
      expect(await versionsAfter(site)).toBe(1)
      const acts: Record<string, () => void> = {
        nothing: () => undefined,
        metadata: () => fake.touch(`${prefix}a`),
        'a storage class': () => fake.touch(`${prefix}a`, 'NEARLINE'),
        'the same bytes again': () => fake.put(`${prefix}a`, 'a'),
        'the same bytes in parts': () => fake.put(`${prefix}a`, 'a', { composite: true }),
        'the same bytes in one piece': () => fake.put(`${prefix}a`, 'a'),
        'metadata of what shows no checksum': () => fake.touch(`${prefix}sealed`),
        'deleted and put again': () => {
          fake.remove(`${prefix}a`)
          fake.put(`${prefix}a`, 'a')
        },
        'pages of one': () => void (fake.pageSize = 1),
      }
      for (const [act, go] of Object.entries(acts)) {
        go()
        expect({ way, act, ...(await site.look(...way)) }).toMatchObject({ way, act, versions: 1, state: 'clean' })
      }
      expect(await versionsAfter(site)).toBe(1)
      fake.pageSize = 1_000
      // The row has the etag that now answers, for the client that compares it.
      const row = (await entriesOf(site.registry)).find(({ path }) => path === 'a')
      expect([row?.etag, row?.digest]).toEqual([fake.etagOf(`${prefix}a`), `etag:${fake.etagOf(`${prefix}a`)}`])
    }
  }, {
    'the etag taken for content': listing((span) => ({
      entries: () => [...span.entries()].map((listed) => ({ ...listed, content: { digest: listed.content?.digest as string } })),
    })),
    'the generation taken for content': listing((span) => ({
      entries: () => [...span.entries()].map((listed) => ({ ...listed, content: { digest: listed.content?.pin as string } })),
    })),
  })

  law<PartsRefit>('each change of content is one version: same size, no bytes, in parts, without checksums, deleted, back again', async (plant) => {
    for (const way of ways) {
      const { site, prefix } = await bucketOf(plant)
      for (const key of ['a', 'b', 'c/d']) fake.put(prefix + key, key)
      let versions = await versionsAfter(site)
      const acts: Record<string, () => void> = {
        'the same size': () => fake.put(`${prefix}a`, 'A'),
        'the same size, in parts': () => fake.put(`${prefix}a`, 'B', { composite: true }),
        'no checksum any more': () => fake.put(`${prefix}a`, 'C', { sealed: true }),
        'without checksums, perhaps the same': () => fake.put(`${prefix}a`, 'C', { sealed: true }),
        'back again': () => fake.put(`${prefix}a`, 'a'),
        'no bytes': () => fake.put(`${prefix}a`, ''),
        deleted: () => fake.remove(`${prefix}a`),
        undeleted: () => fake.put(`${prefix}a`, 'a'),
      }
      for (const [act, go] of Object.entries(acts)) {
        go()
        expect({ way, act, versions: (await site.look(...way)).versions }).toEqual({ way, act, versions: ++versions })
      }
      expect(await versionsAfter(site)).toBe(versions)
    }
  }, {
    'objects without bytes left out': listing((span) => ({ entries: () => [...span.entries()].filter(({ sizeBytes }) => sizeBytes > 0) })),
    'an etag that is not compared': listing((span) => ({ entries: () => [...span.entries()].map((listed) => ({ ...listed, content: { digest: `etag:${listed.sizeBytes}` } })) })),
  })

  test('the set digest is that of the bytes: the same for another watch of the same, whatever became of the etags', async () => {
    const { site, prefix } = await bucketOf()
    for (const key of ['a', 'b']) fake.put(prefix + key, key)
    await versionsAfter(site)
    for (const key of ['a', 'b']) fake.touch(prefix + key)
    fake.put(`${prefix}b`, 'b')
    await versionsAfter(site)
    const other = await gcsSite(fake.url, prefix)
    await versionsAfter(other)
    expect((await versionsOf(other.registry))[0]?.digest).toBe((await versionsOf(site.registry))[0]?.digest)
  })

  test('the row of the same bytes keeps its pin, and gains the newest beside it', async () => {
    const { site, prefix } = await bucketOf()
    fake.put(`${prefix}a`, 'a')
    await versionsAfter(site)
    const first = fake.generationOf(`${prefix}a`)
    fake.put(`${prefix}a`, 'a')
    await versionsAfter(site)
    fake.touch(`${prefix}a`)
    await versionsAfter(site)
    const [row] = await entriesOf(site.registry)
    expect([row?.pin, row?.latestPin]).toEqual([`generation:${first}`, `generation:${fake.generationOf(`${prefix}a`)}`])
  })
})
