import { afterAll, afterEach, describe, expect, test } from '@jest/globals'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { backup } from '../../src/registry/backup.ts'
import { fsck } from '../../src/registry/fsck.ts'
import { daemonRuns, lockDaemon } from '../../src/registry/lock.ts'
import { refuseMount } from '../../src/registry/mount.ts'
import { FIRST } from '../../src/registry/migrations/0001-first.ts'
import { PLACES } from '../../src/registry/migrations/0002-places.ts'
import { openForReading, openRegistry as openIn, openRegistryIn } from '../../src/registry/open.ts'
import { onlyReading } from '../../src/registry/reading.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { translate } from '../../src/registry/failures.ts'
import { begun, enrolled, failure, finish, manifest, MNIST, NOW, orderOf, outcomeOf, put, putAll } from '../suite/registry-world.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-registry-'))
afterAll(() => rmSync(folder, { recursive: true }))
const opened: Registry[] = []
const children: ChildProcess[] = []
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const registry of opened.splice(0)) await registry.close().catch(() => undefined)
})

async function openRegistry(where: string, options: { readonly thread: boolean }): Promise<Registry> {
  const registry = await openIn(where, options)
  opened.push(registry)
  return registry
}

let count = 0
const fresh = (): string => join(folder, String(++count), 'data')

describe('opening', () => {
  test('makes the folder, keeps its id and what it has seen', async () => {
    const where = fresh()
    const first = await openRegistry(where, { thread: false })
    await putAll(first, [put('a', '1')])
    await first.close()
    for (const thread of [true, false]) {
      const again = await openRegistry(where, { thread })
      expect([again.id, await manifest(again, 'latest')]).toEqual([first.id, ['a=1']])
      await again.close()
    }
    const other = await openRegistry(fresh(), { thread: false })
    expect(other.id).not.toBe(first.id)
    await other.close()
  })
  test('an emptied one is no new one to who reads, nor to anybody where something tells that there was another', async () => {
    const where = fresh()
    await (await openRegistry(where, { thread: false })).close()
    const file = join(where, 'varve.db')
    writeFileSync(file, '')
    expect(await failure(openForReading(where))).toMatchObject({ code: 'NOT_FOUND', message: `no registry in ${where}: ${file} is empty` })
    expect(readFileSync(file)).toHaveLength(0)
    const evidence: readonly (readonly [at: string, name: string])[] = [['restored', 'x.entries'], ['', 'varve.db.20260102T030405.000Z']]
    for (const [at, name] of evidence) {
      mkdirSync(join(where, at), { recursive: true })
      writeFileSync(join(where, at, name), '')
      for (const open of [openForReading(where), openIn(where, { thread: false })])
        expect(await failure(open)).toMatchObject({ code: 'REGISTRY_REFUSED', message: expect.stringMatching(/varve\.db is empty, and .* tells that it was not always$/) })
      rmSync(join(where, at === '' ? name : at), { recursive: true })
    }
    // What a process leaves that was killed before it had made one.
    await (await openRegistry(where, { thread: false })).close()
    expect(readFileSync(file).length).toBeGreaterThan(0)
  })
  test('several processes and threads may open a new registry at the same time', async () => {
    const where = fresh()
    const several = await Promise.all([true, false, true].map((thread) => openRegistry(where, { thread })))
    expect(new Set(several.map(({ id }) => id)).size).toBe(1)
    await Promise.all(several.map((registry, i) => putAll(registry, [put('a', '1')], { collection: { ...MNIST, collection: `c${i}` } })))
    expect(await several[0]?.collections()).toHaveLength(3)
  })
  test.each([true, false])('a newer schema is refused, and left as it is (thread: %s)', async (thread) => {
    const where = fresh()
    await (await openRegistry(where, { thread: false })).close()
    const database = new DatabaseSync(join(where, 'varve.db'))
    database.exec('PRAGMA user_version = 99')
    database.close()
    expect(await failure(openRegistry(where, { thread }))).toMatchObject({ code: 'REGISTRY_REFUSED', message: expect.stringMatching(/schema 99/), hint: expect.stringMatching(/newer Varve/) })
  })
  test.each([0, 4, 99])('the database of another program is refused by all that opens it, and not touched (user_version %s)', async (known) => {
    const where = fresh()
    mkdirSync(where, { recursive: true })
    const file = join(where, 'varve.db')
    const database = new DatabaseSync(file)
    database.exec(`CREATE TABLE moz_places(id INTEGER, version TEXT); INSERT INTO moz_places VALUES (1, 'x'); PRAGMA user_version = ${known}`)
    database.close()
    const before = readFileSync(file)
    const checked = async (): Promise<void> => {
      for await (const fault of fsck(where)) throw new Error(fault.words)
    }
    const openings: readonly (() => Promise<unknown>)[] = [
      () => openRegistry(where, { thread: false }), () => openRegistry(where, { thread: true }), () => openForReading(where), () => onlyReading(file).all('SELECT 1', {}), checked,
      async () => backup(where, join(where, 'copy')),
    ]
    for (const opening of openings)
      expect(await failure(opening())).toMatchObject({ code: 'REGISTRY_REFUSED', message: expect.stringMatching(/varve\.db is no registry of Varve/), hint: expect.stringMatching(/another folder/) })
    expect(readFileSync(file)).toEqual(before)
    expect(existsSync(join(where, 'copy'))).toBe(false)
  })
  test.each(['', 'PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL'])('what a process leaves that was killed while it made a registry becomes one: after %j', async (begun) => {
    const where = fresh()
    mkdirSync(where, { recursive: true })
    writeFileSync(join(where, 'varve.db'), '')
    const database = new DatabaseSync(join(where, 'varve.db'))
    database.exec(begun)
    database.close()
    const registry = await openRegistry(where, { thread: false })
    await putAll(registry, [put('a', '1')])
    expect(await manifest(registry, 'latest')).toEqual(['a=1'])
  })
  test('a registry that knows no lineage yet keeps what it has, and learns it', async () => {
    const where = fresh()
    mkdirSync(where, { recursive: true })
    const database = new DatabaseSync(join(where, 'varve.db'))
    database.exec(`${FIRST} ${PLACES} PRAGMA user_version = 2;
      INSERT INTO entity VALUES (1, 'local'); INSERT INTO project VALUES (1, 1, 'vision'); INSERT INTO run VALUES (1, 1, 'mnist', 5), (2, 1, 'mnist', 6);
      INSERT INTO collection(id, project, name, type, next, head) VALUES (1, 1, 'mnist', 'dataset', 1, 0);
      INSERT INTO version VALUES (1, 0, 2, 7, 'hint', 'varve1:', 0, 0, '{}', '{}', NULL)`)
    database.close()
    const registry = await openRegistry(where, { thread: false })
    try {
      await registry.use(MNIST, 'v0', { name: 'mnist' }, NOW)
      const edges: string[] = []
      for await (const page of registry.lineage(MNIST, 'v0', 9)) edges.push(...page.map(({ edge, run }) => `${edge} ${run.kind} ${run.name}`))
      expect(edges).toEqual(['output watch mnist', 'input run mnist'])
    } finally {
      await registry.close()
    }
  })
  test.each([true, false])('a file that is no database, or a folder that cannot be made, is refused (thread: %s)', async (thread) => {
    const where = fresh()
    mkdirSync(where, { recursive: true })
    writeFileSync(join(where, 'varve.db'), 'no database, but long enough to be taken for one'.repeat(99))
    expect(await failure(openRegistry(where, { thread }))).toMatchObject({ code: 'REGISTRY_REFUSED' })
    expect(await failure(openRegistry(join(where, 'varve.db', 'sub'), { thread }))).toMatchObject({ code: 'REGISTRY_REFUSED' })
    expect(await failure(openRegistry('/proc/varve', { thread }))).toMatchObject({ code: 'REGISTRY_REFUSED', message: expect.stringContaining('/proc/varve') })
  })
  test('a folder on a network mount is refused, with what to do', () => {
    for (const type of [0x6969, 0x517b, 0xff534d42, 0xff534d42 | 0, 0xfe534d42, 0x65735546, 0x01021997, 0x00c36400, 0x0bd00bd0, 0x5346414f])
      expect(() => refuseMount('/data', type)).toThrow(expect.objectContaining({ code: 'REGISTRY_REFUSED', hint: expect.stringMatching(/local disk/) }))
    for (const type of [0xef53, 0x01021994, 0x794c7630, 0x58465342, 0x9123683e]) refuseMount('/data', type)
  })
  test('what SQLite and the disk say becomes what Varve says', () => {
    const codes = [{ errcode: 13 }, { errcode: 10 | (3 << 8) }, { code: 'ENOSPC' }, { errcode: 5 }, { errcode: 517 }, { errcode: 14 }, { code: 'EACCES' }].map(
      (error) => (translate({ message: 'no', ...error }) as { code: string }).code,
    )
    expect(codes).toEqual(['REGISTRY_FULL', 'REGISTRY_FULL', 'REGISTRY_FULL', 'REGISTRY_BUSY', 'REGISTRY_BUSY', 'REGISTRY_REFUSED', 'REGISTRY_REFUSED'])
    const other = new Error('a defect')
    expect(translate(other)).toBe(other)
  })
})

describe('transactions', () => {
  test('who opened a database before can write no more, and what it left half done is undone', async () => {
    const database = new DatabaseSync(':memory:')
    const before = await openRegistryIn(database)
    await enrolled(before)
    await finish(before, await begun(before), [put('a', '1')])
    database.exec(`BEGIN IMMEDIATE; UPDATE watch SET state = 'held'; DELETE FROM head`)
    const after = await openRegistryIn(database)
    expect([(await after.watchRow('mnist'))?.state, await manifest(after, 'latest')]).toEqual(['clean', ['a=1']])
    expect(await failure(before.request([{ watch: 'mnist', path: 'a', cause: 'hint' }], NOW))).toMatchObject({ code: 'REGISTRY_BUSY' })
    await before.close()
    expect((await after.watchRow('mnist'))?.generation).toBe(1)
  })
  test('transactions that were asked for at once follow one another, whatever becomes of the first', async () => {
    const registry = await openRegistryIn(new DatabaseSync(':memory:'))
    await enrolled(registry)
    const hints = Array.from({ length: 20 }, (_, i) => registry.request([{ watch: 'mnist', path: `p${i}`, cause: 'hint' }], NOW))
    const failing = [failure(registry.accept('mnist', NOW)), failure(registry.addAlias(MNIST, 'v9', 'x'))]
    const read = registry.watchRow('mnist')
    await Promise.all([...hints, ...failing])
    expect((await read)?.generation).toBe(21)
    expect((await begun(registry)).paths).toHaveLength(20)
  })
  test('dirty without a request is the whole: nobody knows what was lost', async () => {
    const database = new DatabaseSync(':memory:')
    const registry = await openRegistryIn(database)
    await enrolled(registry)
    await finish(registry, await begun(registry), [])
    await registry.request([{ watch: 'mnist', path: 'a', cause: 'hint' }], NOW)
    database.exec('DELETE FROM request')
    expect(await begun(registry)).toMatchObject({ whole: true, paths: [] })
  })
  test('reads go on during a long commit', async () => {
    const registry = await openRegistry(fresh(), { thread: true })
    const looking = await registry.beginPut(orderOf(), NOW)
    const findings = Array.from({ length: 50_000 }, (_, i) => put(`p/${i}`, String(i)))
    await registry.stage(looking, findings)
    const tally = await registry.tally(looking)
    let done = false
    const recording = registry.record(looking, outcomeOf(tally), NOW).finally(() => (done = true))
    let during = 0
    while (!done) {
      await registry.collections()
      if (!done) during++
    }
    expect([(await recording).kind, during > 3]).toEqual(['recorded', true])
    await registry.close()
  })
  test('the scratch of a look that nobody owns is swept when watches are enrolled', async () => {
    const database = new DatabaseSync(':memory:')
    const registry = await openRegistryIn(database)
    await enrolled(registry)
    const mine = await begun(registry)
    const yesterday = await registry.beginPut(orderOf({ collection: { ...MNIST, collection: 'old' } }), NOW - 25 * 3_600_000)
    await registry.stage(yesterday, [put('b', '1'), { op: 'directory', path: '' }, { op: 'skip', path: 'c', reason: 'fifo' }])
    await registry.stage(mine, [put('a', '1')])
    await registry.enroll([], NOW)
    const left = database.prepare('SELECT look FROM scratch UNION SELECT look FROM scratch_skip UNION SELECT look FROM scratch_directory UNION SELECT id FROM look').all()
    expect(left).toEqual([{ look: mine.id }])
    expect(await finish(registry, { ...yesterday }, []).catch((error: { code: string }) => error.code)).toBe('OVERTAKEN')
  })
})

describe('the daemon lock', () => {
  test('one daemon at a time on one folder, seen by all', () => {
    const where = fresh()
    expect(daemonRuns(where)).toBe(false)
    expect(existsSync(where)).toBe(false)
    const unlock = lockDaemon(where)
    expect(daemonRuns(where)).toBe(true)
    expect(() => lockDaemon(where)).toThrow(expect.objectContaining({ code: 'REGISTRY_REFUSED', hint: expect.stringMatching(/stop it first/) }))
    unlock()
    expect(daemonRuns(where)).toBe(false)
    lockDaemon(where)()
  })
  test('dies with its process, however that ends', async () => {
    const where = fresh()
    const child = spawnHelper(`(await import(${source('lock.ts')})).lockDaemon(${JSON.stringify(where)}); globalThis.gc(); console.log('locked'); setInterval(() => {}, 1000)`)
    await said(child, 'locked')
    expect(daemonRuns(where)).toBe(true)
    await killed(child)
    expect(daemonRuns(where)).toBe(false)
    lockDaemon(where)()
  })
})

describe('kill -9', () => {
  test.each([true, false])('in the middle of a commit leaves the old head whole (thread: %s)', async (thread) => {
    const where = fresh()
    const registry = await openRegistry(where, { thread: false })
    await putAll(registry, [put('a', '1'), put('p/3', 'old')])
    await registry.close()
    const child = spawnHelper(`
      const { openRegistry } = await import(${source('open.ts')})
      const registry = await openRegistry(${JSON.stringify(where)}, { thread: ${String(thread)} })
      const looking = await registry.beginPut(${JSON.stringify(orderOf())}, ${NOW})
      const content = { digest: 'md5:new' }
      for (let i = 0; i < 60; i++) await registry.stage(looking, Array.from({ length: 1000 }, (_, k) => ({ op: 'put', path: 'p/' + (i * 1000 + k), sizeBytes: 3, content })))
      const tally = await registry.tally(looking)
      console.log('recording')
      await new Promise((resolve) => setTimeout(resolve, 20))
      await registry.record(looking, { ...${JSON.stringify(outcomeOf({ changes: { added: 0, modified: 0, removed: 0, moved: 0, bytesAdded: 0, bytesRemoved: 0 }, entries: 0, sizeBytes: 0, digest: '', skippedByReason: {}, skipped: [] }))}, tally }, ${NOW})
      console.log('recorded')`)
    await said(child, 'recording')
    await new Promise((resolve) => setTimeout(resolve, 60))
    const recorded = await killed(child)
    expect(recorded).not.toContain('recorded\n')
    const after = await openRegistry(where, { thread: false })
    expect(await manifest(after, 'latest')).toEqual(['a=1', 'p/3=old'])
    expect((await after.version(MNIST, 'latest')).index).toBe(0)
    expect(await putAll(after, [put('a', '2')])).toMatchObject({ version: { index: 1, entries: 2 } })
    await after.close()
  }, 30_000)
})

type Child = ReturnType<typeof spawnHelper>

function source(name: string): string {
  return JSON.stringify(new URL(`../../src/registry/${name}`, import.meta.url).href)
}

function spawnHelper(code: string) {
  const child = spawn(process.execPath, ['--expose-gc', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const heard = { text: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (heard.text += text))
  return { child, heard }
}

function said({ child, heard }: Child, word: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = (): void => void (heard.text.includes(word) && resolve())
    child.stdout.on('data', look)
    child.on('exit', () => reject(new Error(`ended before it said ${word}`)))
    look()
  })
}

function killed({ child, heard }: Child): Promise<string> {
  return new Promise((resolve) => {
    child.on('close', () => resolve(heard.text))
    child.kill('SIGKILL')
  })
}
