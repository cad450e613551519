// Whatever a thing is called: listed, hinted, recorded, compared and shown under exactly its name, in the order of UTF-8 bytes.
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { visible } from '../../src/cli/words.ts'
import { router } from '../../src/daemon/router.ts'
import { turn } from '../../src/daemon/turn.ts'
import { comparePaths, formatReference, keyOf } from '../../src/model/location.ts'
import type { VersionView } from '../../src/model/version.ts'
import type { Watch } from '../../src/model/watch.ts'
import { inlineQueue } from '../../src/queue/inline.ts'
import { openRegistryIn } from '../../src/registry/open.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { openStore } from '../../src/storage/open.ts'
import type { Hint } from '../../src/storage/storage.ts'
import { entriesOf, lookPartsOf, MNIST, realClock, versionsOf } from '../laws/world.ts'
import { all, watchOf } from './registry-world.ts'
import { NAMES, NASTIER } from './names.ts'

/** A place, the acts of its users, and what it tells of them. */
export interface Site {
  /** Where it is and how it is reached. */
  readonly watch: Partial<Watch>
  put(path: string, bytes: string): Promise<void>
  remove(path: string): Promise<void>
  /** Writes where the watch must not look: siblings whose names begin like the prefix. */
  putBeside(): Promise<void>
  /** What is heard of each of these paths, in each way that the store may say it. */
  hints(paths: readonly string[]): Promise<readonly Hint[]>
  stop(): Promise<void>
}

const going = new AbortController().signal

/** `refuses`: of all names those that the store itself cannot hold. */
export function fidelitySuite(title: string, begin: () => Promise<Site>, refuses: (name: string) => boolean = () => false): void {
  describe(`names are kept by ${title}`, () => {
    const names = [...NAMES, ...NASTIER].filter((name) => !refuses(name))
    // All of them are an hour old to the looks: none is young.
    const clock = realClock(3_600_000)
    let site: Site
    let watch: Watch
    let registry: Registry
    beforeAll(async () => {
      site = await begin()
      watch = watchOf({ settleMs: 1, maxWaitMs: 60_000, entriesMax: 100_000, ...site.watch })
      registry = await openRegistryIn(new DatabaseSync(':memory:'))
      await registry.enroll([watch], clock.now())
      for (const name of names) await site.put(name, `first ${name}`)
      await site.putBeside()
    }, 120_000)
    afterAll(() => site?.stop())

    const lookAgain = async (): Promise<VersionView | undefined> => {
      await turn(lookPartsOf(registry, clock, openStore), watch, going)
      expect(await registry.watchRow(watch.name)).toMatchObject({ state: 'clean' })
      return (await versionsOf(registry)).at(-1)
    }
    const scan = async (): Promise<VersionView | undefined> => {
      await registry.request([{ watch: watch.name, path: '*', cause: 'cli' }], clock.now())
      return lookAgain()
    }
    const hear = async (paths: readonly string[]): Promise<VersionView | undefined> => {
      const { log } = lookPartsOf(registry, clock, openStore)
      const requests: string[] = []
      const spied: Registry = { ...registry, request: async (asked, nowMs) => {
        requests.push(...asked.map(({ path }) => path))
        await registry.request(asked.map((one) => ({ ...one, cause: 'cli' })), nowMs)
      } }
      await router({ registry: spied, queue: inlineQueue(clock), clock, log, watches: [watch] })(await site.hints(paths))
      for (const path of paths) expect(requests).toContain(path)
      return lookAgain()
    }
    const ordered = (paths: readonly string[]): string[] => [...paths].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))

    test('listed and recorded, in the order of their bytes, each with the reference that fetches it', async () => {
      await scan()
      const entries = await entriesOf(registry)
      expect(entries.map(({ path }) => path)).toEqual(ordered(names))
      const [location] = watch.locations
      expect(entries.map(({ reference }) => reference)).toEqual(ordered(names).map((path) => formatReference(location, keyOf(location, path, false))))
      for (const path of names) expect(comparePaths(path, path)).toBe(0)
    }, 60_000)

    test('heard, and compared: each that changed, and no other', async () => {
      const half = names.filter((_, at) => at % 2 === 0)
      for (const name of half) await site.put(name, `second ${name}`)
      const version = await hear(half)
      expect(version?.changes).toMatchObject({ added: 0, modified: half.length, removed: 0, moved: 0 })
      const changes = await all(registry.diff(MNIST, 'v0', 'v1'))
      expect(changes.map(({ change, path }) => `${change} ${path}`)).toEqual(ordered(half).map((path) => `modified ${path}`))
      for (const path of half) expect(await all(registry.entries(MNIST, 'v1', path))).toContainEqual(expect.objectContaining({ path, sizeBytes: Buffer.byteLength(`second ${path}`) }))
      // Nothing was missed that a scan would find.
      await scan()
      expect(await versionsOf(registry)).toHaveLength(2)
    }, 60_000)

    test('gone: each that was removed, and no other; its history is its own', async () => {
      const third = names.filter((_, at) => at % 3 === 0)
      for (const name of third) await site.remove(name)
      const version = await hear(third)
      expect(version?.changes).toMatchObject({ added: 0, modified: 0, removed: third.length, moved: 0 })
      expect((await entriesOf(registry)).map(({ path }) => path)).toEqual(ordered(names.filter((name) => !third.includes(name))))
      for (const path of third) expect((await registry.history(MNIST, path)).at(-1)).toMatchObject({ change: 'removed', path, version: 'v2' })
      await scan()
      expect(await versionsOf(registry)).toHaveLength(3)
    }, 60_000)

    test('shown: two names never look alike for what a terminal would do with them', () => {
      expect(new Set(names.map(visible)).size).toBe(names.length)
      for (const name of names) expect(visible(name)).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/)
    })
  })
}
