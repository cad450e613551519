// long
// Removal against a plain model, space that comes back, faults that are found, backups that are whole.
import { afterAll, afterEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { SetDigest } from '../../src/model/digest.ts'
import { directoryOf } from '../../src/model/location.ts'
import type { VersionView } from '../../src/model/version.ts'
import { backup, replaceRegistry } from '../../src/registry/backup.ts'
import { fsck } from '../../src/registry/fsck.ts'
import { lockDaemon } from '../../src/registry/lock.ts'
import { openRegistry as openIn } from '../../src/registry/open.ts'
import type { Fault, Finding, Registry, Removal } from '../../src/registry/registry.ts'
import { all, begun, changeLine, enrolled, failure, finish, lookAt, manifest, MNIST, NOW, orderOf, put, putAll, remove, sorted, versionOf } from '../suite/registry-world.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-retain-'))
afterAll(() => rmSync(folder, { recursive: true }))
const opened: Registry[] = []
afterEach(async () => {
  for (const registry of opened.splice(0)) await registry.close().catch(() => undefined)
})
let count = 0
const fresh = (): string => join(folder, String(++count), 'data')

async function openRegistry(where: string, thread = false): Promise<Registry> {
  const registry = await openIn(where, { thread })
  opened.push(registry)
  return registry
}

const FORCED: Removal = { spared: { aliased: false, used: false }, head: true }

async function faults(where: string): Promise<string[]> {
  const found: Fault[] = []
  for await (const fault of fsck(where)) found.push(fault)
  return found.map(({ artifact, words }) => (artifact === undefined ? words : `${artifact}: ${words}`))
}

describe('removal against a model', () => {
  const PATHS = ['a', 'a/b', 'a-', 'b/c/d', 'b/c', 'é/～', '😀', '\ue000x']
  const state = fc.dictionary(fc.constantFrom(...PATHS), fc.constantFrom('', 'x', 'y', 'zz'), { noNullPrototype: true })
  const skips = fc.subarray(['p', 'q/r', 's'])
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ commit: state, skipped: skips }) },
    { weight: 2, arbitrary: fc.record({ remove: fc.nat(20) }) },
  )
  type State = ReadonlyMap<string, string>
  interface Version { readonly number: number; readonly state: State; readonly skipped: readonly string[] }

  /** A watch's look that finds exactly this, with the directories that a walk would meet. */
  async function look(registry: Registry, now: State, next: State, was: readonly string[], skipped: readonly string[]): Promise<boolean> {
    const folders = (one: State): Set<string> => new Set([...one.keys()].map(directoryOf))
    const findings: Finding[] = [
      ...[...now.keys()].filter((path) => !next.has(path)).map(remove),
      ...[...folders(now)].filter((path) => !folders(next).has(path)).map((path): Finding => ({ op: 'undirectory', path })),
      ...[...next].map(([path, text]) => put(path, text)), ...[...folders(next)].map((path): Finding => ({ op: 'directory', path, signature: path })),
      ...was.filter((path) => !skipped.includes(path)).map((path): Finding => ({ op: 'unskip', path })), ...skipped.map((path): Finding => ({ op: 'skip', path, reason: 'fifo' })),
    ]
    await registry.request([{ watch: 'mnist', path: '*', cause: 'startup' }], NOW)
    const looking = await begun(registry)
    expect(looking.skips).toBe(was.length)
    return (await finish(registry, looking, findings)).kind === 'recorded'
  }
  const digestOf = (one: State): string => {
    const digest = new SetDigest()
    for (const [path, text] of one) digest.add(path, `md5:${text} ${text.length}`)
    return digest.toString()
  }
  const historyOf = (versions: readonly Version[], path: string): string[] => versions.flatMap(({ number, state: now }, i) => {
    const [before, after] = [versions[i - 1]?.state.get(path), now.get(path)]
    if (before === after) return []
    return [`${before === undefined ? 'added' : after === undefined ? 'removed' : 'modified'} v${number}`]
  })
  async function compare(registry: Registry, versions: readonly Version[]): Promise<void> {
    expect((await all(registry.versions(MNIST))).map(({ index }) => index).reverse()).toEqual(versions.map(({ number }) => number))
    for (const { number, state: now, skipped } of versions) {
      expect(await manifest(registry, `v${number}`)).toEqual(sorted(now.keys()).map((path) => `${path}=${now.get(path)}`))
      expect((await all(registry.skipped(MNIST, `v${number}`))).map(({ path }) => path)).toEqual(skipped)
      expect(await registry.version(MNIST, `v${number}`)).toMatchObject({ entries: now.size, digest: digestOf(now) })
      for (const other of versions) {
        const different = PATHS.some((path) => other.state.get(path) !== now.get(path))
        const lines = (await all(registry.diff(MNIST, `v${other.number}`, `v${number}`))).map(changeLine)
        expect(lines.length > 0).toBe(different)
        const again = new Map(other.state)
        for (const line of lines) {
          const [, from, to] = /^(.*?)>(.*)$/.exec(line) ?? []
          if (from !== undefined) again.delete(from)
          if (line.startsWith('-')) again.delete(line.slice(1))
          else again.set(to ?? line.slice(1), now.get(to ?? line.slice(1)) ?? 'none')
        }
        expect(new Map([...again].sort())).toEqual(new Map([...now].sort()))
      }
    }
    for (const path of PATHS) {
      const told = await registry.history(MNIST, path).then((changes) => changes.map(({ change, version }) => `${change} ${version}`), () => [])
      expect(told).toEqual(historyOf(versions, path))
    }
    const head = versions.at(-1)
    expect((await registry.collections())[0]).toMatchObject({ versions: versions.length, entries: head?.state.size ?? 0 })
  }
  test('after every commit and removal each version that is left is that of the model, and the registry is sound', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 9 }), async (steps) => {
        const where = fresh()
        const registry = await openRegistry(where)
        await enrolled(registry)
        let versions: Version[] = []
        let next = 0
        let was: readonly string[] = []
        for (const one of steps) {
          const now: State = versions.at(-1)?.state ?? new Map()
          if ('commit' in one) {
            const recorded = await look(registry, now, new Map(Object.entries(one.commit)), was, one.skipped)
            was = one.skipped
            if (recorded) versions.push({ number: next++, state: new Map(Object.entries(one.commit)), skipped: sorted(was) })
          } else if (versions.length > 0) {
            const gone = versions[one.remove % versions.length] as Version
            const newest = gone === versions.at(-1)
            await registry.removeVersion(MNIST, `v${gone.number}`, FORCED, NOW)
            versions = versions.filter((version) => version !== gone)
            if (newest) was = versions.at(-1)?.skipped ?? []
          }
          await compare(registry, versions)
          expect(await faults(where)).toEqual([])
        }
        await registry.close()
      }),
      { numRuns: 60 },
    )
  }, 300_000)
})

describe('in batches', () => {
  const noted = (database: DatabaseSync): number => (database.prepare(`SELECT count(*) AS count FROM meta WHERE key LIKE 'abandoned:%'`).get() as { count: number }).count
  test('others write while the rows of a removed version go, and nobody sees them', async () => {
    const where = fresh()
    const [registry, other] = [await openRegistry(where, true), await openRegistry(where)]
    for (const text of ['a', 'b', 'c']) await putAll(registry, Array.from({ length: 20_000 }, (_, i) => put(`p${i}`, `${text}${i}`)))
    const database = new DatabaseSync(join(where, 'varve.db'))
    let removed = false
    let between = 0
    const removing = registry.removeVersion(MNIST, 'v1', FORCED, NOW).then(() => (removed = true))
    for (let i = 0; !removed; i++) {
      await putAll(other, [put('x', `${i}`)], { collection: { ...MNIST, collection: 'other' } })
      // This thread is not the other's alone.
      await new Promise((resolve) => setTimeout(resolve, 1))
      if (noted(database) === 0 || between++ > 0) continue
      expect(await faults(where)).toEqual([])
      expect((await other.history(MNIST, 'p7')).map(({ change, version }) => `${change} ${version}`)).toEqual(['added v0', 'modified v2'])
    }
    await removing
    expect(between).toBeGreaterThan(0)
    expect([noted(database), await faults(where), (database.prepare('SELECT count(*) AS count FROM past WHERE collection = 1').get() as { count: number }).count]).toEqual([0, [], 20_000])
    database.close()
  }, 120_000)
  test('what a killed process left goes with the next removal, or when a daemon starts', async () => {
    const where = fresh()
    const registry = await openRegistry(where)
    for (const text of ['1', '2', '3', '4']) await putAll(registry, [put('a', text), put('b', '1')])
    const database = new DatabaseSync(join(where, 'varve.db'))
    // As it is after the transaction that removes the version, and before the first batch.
    database.exec(`DELETE FROM version WHERE number = 1; INSERT INTO meta VALUES ('abandoned:1:1', '[1,1,0,2]')`)
    const past = (): string[] => (database.prepare('SELECT path, since FROM past ORDER BY path, since').all() as { path: string; since: number }[]).map(({ path, since }) => `${path} ${since}`)
    const seen = async (): Promise<unknown> => [await faults(where), (await registry.history(MNIST, 'a')).map(({ change, version }) => `${change} ${version}`)]
    expect([past(), await seen()]).toEqual([['a 0', 'a 1', 'a 2'], [[], ['added v0', 'modified v2', 'modified v3']]])
    await registry.removeVersion(MNIST, 'v0', FORCED, NOW)
    expect([past(), await seen(), noted(database)]).toEqual([['a 2'], [[], ['added v2', 'modified v3']], 0])
    database.exec(`DELETE FROM version WHERE number = 2; INSERT INTO meta VALUES ('abandoned:1:2', '[1,2,-1,3]')`)
    await registry.reclaim()
    expect([past(), noted(database)]).toEqual([[], 0])
    database.close()
  })
})

describe('space', () => {
  const many = (text: string): Finding[] => Array.from({ length: 20_000 }, (_, i) => put(`folder/${i}/a rather long name of an object`, `${text}${i}`))
  test.each([true, false])('is given back while others write: the file shrinks (thread: %s)', async (thread) => {
    const where = fresh()
    const registry = await openRegistry(where, thread)
    await putAll(registry, many('a'))
    await putAll(registry, many('b'))
    const file = join(where, 'varve.db')
    const removing = registry.removeVersion(MNIST, 'v0', FORCED, NOW)
    await Promise.all([removing, putAll(registry, [put('x', '1')], { collection: { ...MNIST, collection: 'other' } })])
    const before = statSync(file).size
    const [bytes] = await Promise.all([registry.giveBack(false), putAll(registry, [put('y', '1')], { collection: { ...MNIST, collection: 'third' } })])
    expect(bytes).toBeGreaterThan(1_000_000)
    await registry.close()
    expect(statSync(file).size).toBeLessThan(before - 1_000_000)
    expect(await faults(where)).toEqual([])
  })
  test('of a registry of an earlier Varve comes back as a whole, once, when nobody else writes', async () => {
    const where = fresh()
    const registry = await openRegistry(where)
    await putAll(registry, many('a'))
    await putAll(registry, many('b'))
    await registry.close()
    const file = join(where, 'varve.db')
    const database = new DatabaseSync(file)
    database.exec('PRAGMA auto_vacuum = NONE; VACUUM')
    database.close()
    const again = await openRegistry(where)
    await again.removeVersion(MNIST, 'v0', FORCED, NOW)
    expect(await again.giveBack(false)).toBeUndefined()
    const other = new DatabaseSync(file)
    other.exec('BEGIN IMMEDIATE')
    expect(await again.giveBack(true)).toBeUndefined()
    other.close()
    const before = statSync(file).size
    expect(await again.giveBack(true)).toBeGreaterThan(1_000_000)
    expect(statSync(file).size).toBeLessThan(before - 1_000_000)
    await again.removeVersion(MNIST, 'v1', FORCED, NOW)
    expect(await again.giveBack(false)).toBeGreaterThan(1_000_000)
    expect(await faults(where)).toEqual([])
  })
})

describe('fsck', () => {
  async function sound(): Promise<string> {
    const where = fresh()
    const registry = await openRegistry(where)
    await enrolled(registry)
    await finish(registry, await begun(registry), [put('a', '1'), put('b', '1'), { op: 'directory', path: '' }, { op: 'skip', path: 'pipe', reason: 'fifo' }])
    await lookAt(registry, [put('a', '2')])
    await lookAt(registry, [put('a', '3'), remove('b')])
    await registry.addAlias(MNIST, 'v1', 'prod')
    await registry.use(MNIST, 'v1', { name: 'train' }, NOW)
    await registry.close()
    expect(await faults(where)).toEqual([])
    return where
  }
  test.each<readonly [string, string | RegExp]>([
    [`UPDATE version SET entries = 7 WHERE number = 1`, 'vision/mnist: v1 has 2 entries, and says 7'],
    [`UPDATE version SET size = 7 WHERE number = 1`, 'vision/mnist: v1 has 2 bytes, and says 7'],
    [`UPDATE past SET identity = 'md5:9 1' WHERE path = 'a' AND since = 1`, /^vision\/mnist: v1 has the digest varve1:[0-9a-f]{64}, and says varve1:[0-9a-f]{64}$/],
    [`UPDATE collection SET size = 9`, 'vision/mnist: it counts otherwise than its newest version'],
    [`UPDATE collection SET head = 1`, 'vision/mnist: its head is v1, its newest version v2'],
    [`UPDATE collection SET next = 2`, 'vision/mnist: the next version would be v2, and v2 is there'],
    [`UPDATE past SET until = since WHERE path = 'b'`, 'vision/mnist: "b" is there from v0 to v0, which is no time'],
    [`UPDATE past SET until = 2 WHERE path = 'a' AND since = 0`, 'vision/mnist: "a" is there twice from v1'],
    [`UPDATE past SET until = 5 WHERE path = 'b'`, 'vision/mnist: "b" ended at v5, after the newest version'],
    [`DELETE FROM version WHERE number = 0`, 'vision/mnist: "a" is there from v0 to v1, where no version is'],
    [`UPDATE head SET location = 99`, 'vision/mnist: "a" has no location from v2'],
    [`DELETE FROM directory`, 'vision/mnist: the directory of "a" is not known'],
    [`UPDATE alias SET number = 8`, 'vision/mnist: the alias prod names a version that is not there'],
    [`UPDATE version SET run = 99 WHERE number = 0`, 'vision/mnist: v0 was made by no run'],
    [`UPDATE edge SET number = 8`, 'vision/mnist: an edge of v8 leads to a version that never was'],
    [`UPDATE edge SET run = 99`, 'vision/mnist: an edge of v1 leads to no run'],
    [`UPDATE watch SET collection = 99`, 'the watch mnist keeps no collection'],
    [`INSERT INTO request VALUES (99, 'a', 1, 1, 1)`, 'a request belongs to no watch'],
    [`INSERT INTO past SELECT 99, path, since, until, location, lone, size, digest, identity, etag, pin, latest_pin, checksums FROM past`, '3 rows of past belong to no collection'],
    [`INSERT INTO fate VALUES (1, 'z', 0, 1, 'elsewhere', 0, NULL, NULL, NULL, NULL)`, 'vision/mnist: what became of "z" from v0 is said of no entry'],
    [`INSERT INTO fate VALUES (1, 'a', 0, 2, 'elsewhere', 0, NULL, NULL, NULL, NULL)`, 'vision/mnist: what became of "a" from v0 is said of it until v2, and it is there until v1'],
    [`INSERT INTO fate VALUES (1, 'a', 2, 1, 'elsewhere', 0, NULL, NULL, NULL, NULL)`, 'vision/mnist: what became of "a" from v2 is said of it until v1, and it is there until now'],
    [`INSERT INTO fate VALUES (1, 'a', 0, 1, 'lost', 1, NULL, NULL, NULL, NULL)`, 'vision/mnist: what became of "a" from v0 is said of one with a pin, which it is not'],
    [`INSERT INTO fate VALUES (1, 'a', 0, 1, 'lost', 0, NULL, NULL, NULL, NULL)`, 'vision/mnist: what became of "a" from v0 is lost, which goes without saying where there is no pin: it counts twice'],
    [`INSERT INTO fate VALUES (1, 'a', 0, 1, 'gone', 0, NULL, NULL, NULL, NULL)`, 'vision/mnist: what became of "a" from v0 is "gone", which is not known'],
    [`INSERT INTO fate VALUES (1, 'a', 0, 1, 'elsewhere', 0, 7, NULL, NULL, NULL)`, 'vision/mnist: what became of "a" from v0 is elsewhere, and yet has a day on which it will go'],
    [`INSERT INTO fate VALUES (1, 'a', 0, 1, 'mutable', 0, NULL, NULL, NULL, NULL)`, 'vision/mnist: what became of "a" from v0 is mutable, and names nothing that holds its bytes'],
    [`INSERT INTO fate VALUES (1, 'a', 0, 1, 'elsewhere', 0, NULL, 1, 'a', NULL)`, 'vision/mnist: what became of "a" from v0 is elsewhere, and yet names what holds its bytes'],
    [`INSERT INTO fate VALUES (1, 'a', 0, 1, 'mutable', 0, NULL, 1, 'b', NULL)`, 'vision/mnist: what became of "a" from v0 is said to be held by an entry that is not there any more'],
    [`INSERT INTO fate VALUES (99, 'a', 0, 1, 'elsewhere', 0, NULL, NULL, NULL, NULL)`, '1 rows of fate belong to no collection'],
    [`UPDATE skip SET until = 0`, 'vision/mnist: what was skipped at "pipe" is so from v0 to v0, which is no time'],
  ])('finds what %s does', async (text, fault) => {
    const where = await sound()
    const database = new DatabaseSync(join(where, 'varve.db'))
    database.exec(text)
    database.close()
    expect(await faults(where)).toContainEqual(typeof fault === 'string' ? fault : expect.stringMatching(fault))
  })
  test('finds a damaged file, and changes nothing', async () => {
    const where = await sound()
    const file = join(where, 'varve.db')
    const size = statSync(file).size
    const { openSync, writeSync, closeSync } = await import('node:fs')
    const descriptor = openSync(file, 'r+')
    for (let at = 4_096; at < size; at += 4_096) writeSync(descriptor, Buffer.alloc(2_000, 7), 0, 2_000, at)
    closeSync(descriptor)
    expect((await faults(where)).length).toBeGreaterThan(0)
    writeFileSync(file, 'no database, but long enough to be taken for one'.repeat(99))
    expect(await faults(where)).toEqual([expect.stringMatching(/^the file is damaged: /)])
    expect(await failure(faults(join(where, 'absent')))).toMatchObject({ code: 'NOT_FOUND' })
  })
})

describe('backups', () => {
  test('are of one instant, whole and sound, while a daemon writes', async () => {
    const where = fresh()
    const registry = await openRegistry(where, true)
    const unlock = lockDaemon(where)
    await putAll(registry, Array.from({ length: 5_000 }, (_, i) => put(`p${i}`, `${i}`)))
    let stop = false
    const writing = (async () => {
      for (let i = 0; !stop; i++) await putAll(registry, [put(`p${i}`, 'changed'), put(`q${i}`, '1')])
      return (await all(registry.versions(MNIST))).length
    })()
    const copies: string[] = []
    for (let i = 0; i < 3; i++) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      const copy = fresh()
      mkdirSync(copy, { recursive: true })
      backup(where, join(copy, 'varve.db'))
      copies.push(copy)
    }
    stop = true
    const versions = await writing
    unlock()
    for (const copy of copies) {
      expect(readdirSync(copy)).toEqual(['varve.db'])
      expect(await faults(copy)).toEqual([])
      const listed = await all((await openRegistry(copy)).versions(MNIST))
      expect(listed.length).toBeLessThanOrEqual(versions)
      // What of it is lost grows with each version that comes after.
      const { restorability } = listed.at(-1) as VersionView
      expect(listed.at(-1)).toEqual({ ...(await registry.version(MNIST, 'v0')), restorability, aliases: listed.length === 1 ? ['latest'] : [] })
    }
  })
  async function world(): Promise<{ where: string; file: string; id: string }> {
    const where = fresh()
    const registry = await openRegistry(where)
    await enrolled(registry)
    await finish(registry, await begun(registry), [put('a', '1'), { op: 'directory', path: '', signature: 's' }], { root: 'here' })
    const file = join(where, '..', 'backup.db')
    backup(where, file)
    await lookAt(registry, [put('a', '2')])
    await lookAt(registry, [put('a', '3')])
    const { id } = registry
    await registry.close()
    return { where, file, id }
  }
  test('restored where it was, the id stays, every watch looks at the whole, no index comes back, and the former is kept', async () => {
    const { where, file, id } = await world()
    const { kept } = replaceRegistry(where, file, true, NOW)
    expect(readdirSync(where).sort()).toEqual(['daemon.lock', 'varve.db', 'varve.db.20260102T030405.000Z'])
    expect(await faults(where)).toEqual([])
    const registry = await openRegistry(where)
    expect([registry.id, await manifest(registry, 'latest')]).toEqual([id, ['a=1']])
    const looking = await begun(registry)
    expect(looking).toMatchObject({ whole: true, cause: 'cli', root: 'here', base: { index: 0 } })
    expect(versionOf(await finish(registry, looking, [put('a', '3')])).version).toBe('v3')
    const former = fresh()
    mkdirSync(former, { recursive: true })
    copyFileSync(kept ?? '', join(former, 'varve.db'))
    expect(await manifest(await openRegistry(former), 'latest')).toEqual(['a=3'])
  })
  test('restored elsewhere it is another registry', async () => {
    const { file, id } = await world()
    const where = fresh()
    expect(replaceRegistry(where, file, false, NOW)).toEqual({})
    const registry = await openRegistry(where)
    expect(registry.id).not.toBe(id)
    expect(await manifest(registry, 'latest')).toEqual(['a=1'])
    const { where: other } = await world()
    replaceRegistry(other, file, true, NOW)
    expect((await openRegistry(other)).id).not.toBe(id)
  })
  test('nothing is replaced under a daemon, or under anybody who has it open, nor by what is not whole', async () => {
    const { where, file } = await world()
    const before = readdirSync(where).sort()
    expect(await failure(attempt(() => replaceRegistry(where, file, false, NOW)))).toMatchObject({ code: 'CONFLICT' })
    const unlock = lockDaemon(where)
    expect(await failure(attempt(() => replaceRegistry(where, file, true, NOW)))).toMatchObject({ code: 'REGISTRY_REFUSED', message: `a daemon works on ${where}` })
    unlock()
    const newer = join(where, '..', 'newer.db')
    copyFileSync(file, newer)
    const database = new DatabaseSync(newer)
    database.exec('PRAGMA user_version = 99')
    database.close()
    expect(await failure(attempt(() => replaceRegistry(where, newer, true, NOW)))).toMatchObject({ code: 'REGISTRY_REFUSED', message: expect.stringMatching(/schema 99/) })
    const cut = join(where, '..', 'cut.db')
    writeFileSync(cut, Buffer.from('SQLite format 3\0 but no more than that'))
    expect(await failure(attempt(() => replaceRegistry(where, cut, true, NOW)))).toMatchObject({ code: 'REGISTRY_REFUSED' })
    const empty = new DatabaseSync(join(where, '..', 'empty.db'))
    empty.exec('CREATE TABLE meta(x)')
    empty.close()
    expect(await failure(attempt(() => replaceRegistry(where, join(where, '..', 'empty.db'), true, NOW)))).toMatchObject({ code: 'REGISTRY_REFUSED', message: expect.stringMatching(/is no registry of Varve/) })
    expect(await failure(attempt(() => replaceRegistry(where, join(where, 'absent'), true, NOW)))).toMatchObject({ code: 'NOT_FOUND' })
    expect(readdirSync(where).filter((name) => name !== 'daemon.lock').sort()).toEqual(before)
    const registry = await openRegistry(where)
    expect(await failure(attempt(() => replaceRegistry(where, file, true, NOW)))).toMatchObject({ code: 'REGISTRY_BUSY' })
    expect(await manifest(registry, 'latest')).toEqual(['a=3'])
    expect(versionOf(await finish(registry, await registry.beginPut(orderOf({ collection: { ...MNIST, collection: 'x' } }), NOW), [put('a', '1')])).version).toBe('v0')
  }, 60_000)
  test('what is damaged is replaced, and kept', async () => {
    const { where, file } = await world()
    writeFileSync(join(where, 'varve.db'), 'no database, but long enough to be taken for one'.repeat(99))
    const { kept } = replaceRegistry(where, file, true, NOW)
    expect(existsSync(kept ?? '')).toBe(true)
    expect(await faults(where)).toEqual([])
    expect(await manifest(await openRegistry(where), 'latest')).toEqual(['a=1'])
  })
})

async function attempt(act: () => unknown): Promise<unknown> {
  return act()
}
