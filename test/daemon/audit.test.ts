// The audit over the real registry and a bucket that keeps versions: what it says of each version is what the bucket can still give.
import { hash } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { askAnew, audit } from '../../src/daemon/audit.ts'
import { VarveError } from '../../src/model/errors.ts'
import type { Question } from '../../src/model/fate.ts'
import { parseLocation } from '../../src/model/location.ts'
import type { Location } from '../../src/model/location.ts'
import type { Restorability, StateChange } from '../../src/model/version.ts'
import type { CollectionName } from '../../src/model/watch.ts'
import { openRegistryIn } from '../../src/registry/open.ts'
import type { Finding, Registry } from '../../src/registry/registry.ts'
import type { Inventory } from '../../src/storage/storage.ts'
import { FakeVersions } from '../fakes/versions.ts'
import { HandClock } from '../laws/clock.ts'
import { all, begun, enrolled, finish, MNIST, orderOf, put, putAll, remove } from '../suite/registry-world.ts'

const DAY = 86_400_000
let clock: HandClock
let bucket: FakeVersions
let database: DatabaseSync
let registry: Registry
let told: StateChange[]
beforeEach(async () => {
  // After what the registry's world writes.
  clock = new HandClock(Date.UTC(2026, 0, 3))
  bucket = new FakeVersions(clock.now)
  database = new DatabaseSync(':memory:')
  registry = await openRegistryIn(database)
  told = []
})
afterEach(async () => {
  await registry.close()
  database.close()
})

interface Running {
  stop(): Promise<void>
}

const openInventory = async ({ scheme }: { scheme: string }): Promise<Inventory | undefined> => (scheme === 's3' ? bucket.open() : undefined)

function parts(): Parameters<typeof audit>[0] {
  const nothing = (): void => undefined
  return {
    registry, clock, watches: [], log: { info: nothing, warn: nothing, error: nothing },
    tell: { recorded: nothing, state: nothing, progress: nothing, restorability: (_: unknown, changes: readonly StateChange[]) => void told.push(...changes) },
  }
}

function run(requestsPerHour = 1_000_000, everyMs = DAY): Running {
  const stop = new AbortController()
  const ended = audit(parts(), { everyMs, requestsPerHour, openInventory }, stop.signal).catch((error: unknown) => {
    if (!stop.signal.aborted) throw error
  })
  return {
    async stop() {
      stop.abort()
      await ended
    },
  }
}

/** Lets one pass over all that is due run to its end. */
async function pass(): Promise<void> {
  const running = run()
  await clock.pass(DAY / 24)
  await running.stop()
}

/** Puts into the bucket, and looks: one version more. */
async function recorded(changes: Readonly<Record<string, string | undefined>>, collection: CollectionName = MNIST): Promise<void> {
  const findings = Object.entries(changes).map(([path, text]): Finding => {
    const key = `mnist/${path}`
    if (text !== undefined) return put(path, text, { content: bucket.put(key, text) })
    bucket.remove(key)
    return remove(path)
  })
  await clock.pass(1_000)
  await putAll(registry, findings, { collection })
}

async function states(collection: CollectionName = MNIST): Promise<string[]> {
  return (await all(registry.versions(collection))).toReversed().map(({ version, restorability: { state, lost } }) => `${version} ${state}${lost > 0 ? ` ${lost}` : ''}`)
}

async function restorabilityOf(version: string): Promise<Restorability> {
  return (await registry.version(MNIST, version)).restorability
}

async function pinOf(version: string, path: string): Promise<string> {
  return (await all(registry.entries(MNIST, version, path)))[0]?.pin ?? ''
}

describe('what is lost', () => {
  test('a pin that is gone is lost, whatever versions share it; what stands is not', async () => {
    await recorded({ a: 'one', b: 'two' })
    await recorded({ c: 'three' })
    await recorded({ a: 'four' })
    const pin = await pinOf('v0', 'a')
    await pass()
    expect(await states()).toEqual(['v0 pinned', 'v1 pinned', 'v2 pinned'])
    bucket.destroy(pin)
    expect(await states()).toEqual(['v0 pinned', 'v1 pinned', 'v2 pinned'])
    await clock.pass(DAY)
    await pass()
    expect(await states()).toEqual(['v0 partly lost 1', 'v1 partly lost 1', 'v2 pinned'])
    expect(await registry.losses(MNIST, 'v0', 10)).toEqual([{ path: 'a', reason: 'expired', words: expect.any(String) }])
    expect(told.map(({ version, before, now }) => [version, before, now.state])).toEqual([['v0', 'pinned', 'partly lost'], ['v1', 'pinned', 'partly lost']])
    expect((await restorabilityOf('v1')).auditedAt).toBe(new Date(clock.now() - DAY / 24).toISOString())
  })

  test('what only its bytes could tell is there as long as the object version that was read is, and is no refuge of others', async () => {
    await recorded({ a: 'same', b: 'same' })
    const pins = [await pinOf('v0', 'a'), await pinOf('v0', 'b')]
    const read = bucket.put('mnist/a', 'in other parts').pin
    bucket.put('mnist/b', 'other')
    for (const pin of pins) bucket.destroy(pin)
    for await (const { of, rows } of registry.rowsToAsk(MNIST, 'v0', ['a'])) await registry.recordFates(of, rows.map((row) => [row, { fate: 'elsewhere', proof: read as string }]))
    for (let day = 0; day < 2; day++) {
      await pass()
      expect([await states(), (await registry.losses(MNIST, 'v0', 10)).map(({ path }) => path)]).toEqual([['v0 partly lost 1'], ['b']])
      await clock.pass(DAY)
    }
    bucket.destroy(read as string)
    await pass()
    expect(await states()).toEqual(['v0 lost 2'])
  })

  test('many that are lost are looked for among many entries at once, and of a content that many have the one that lasts is found', async () => {
    const named = (text: string, n: number): Finding => put(`p${n}`, text, { content: { digest: `etag:${hash('md5', text, 'hex')}`, etag: hash('md5', text, 'hex'), ...(text === 'same' && n < 11_000 ? {} : { pin: `versionId:${text}.${n}` }) } })
    const [many, other] = [{ ...MNIST, collection: 'many' }, { ...MNIST, collection: 'other' }]
    await putAll(registry, Array.from({ length: 40_000 }, (_, n) => named(n < 12_000 ? 'same' : `text ${n}`, n)), { collection: many })
    await putAll(registry, Array.from({ length: 4_000 }, (_, n) => named(n === 0 ? 'same' : `text ${39_000 + n}`, n + 20_000)), { collection: other })
    const pages = await all((async function* () {
      for await (const question of registry.rowsToAsk(other, 'v0', Array.from({ length: 4_000 }, (_, n) => `p${n + 20_000}`))) yield [question]
    })())
    const [{ of, rows }] = pages as [Question]
    const startedMs = performance.now()
    const found = await registry.refuges(of, rows)
    // Each row against each text would be 160 million comparisons, which take minutes.
    expect(performance.now() - startedMs).toBeLessThan(60_000)
    expect([pages.length, rows.length, found.filter((refuge) => refuge !== undefined).length, found[0]]).toEqual([1, 4_000, 1_000, { pinned: true, collection: 1, path: 'p11000', since: 0 }])
  })

  test('of what somebody has found nowhere at all, no row of another artifact is believed that nobody has asked about', async () => {
    const other = { ...MNIST, collection: 'other' }
    await recorded({ a: 'same' })
    await recorded({ b: 'same' }, other)
    for (const [collection, path] of [[MNIST, 'a'], [other, 'b']] as const) bucket.destroy((await all(registry.entries(collection, 'v0', path)))[0]?.pin ?? '')
    const questions = async function* (): AsyncGenerator<Question> {
      for await (const question of registry.rowsToAsk(MNIST, 'v0', ['a'])) yield { ...question, lost: new Set(['a']) }
    }
    expect(await askAnew(parts(), openInventory, questions(), new AbortController().signal)).toEqual([])
    expect([await states(), await states(other)]).toEqual([['v0 lost 1'], ['v0 pinned']])
  })

  test('the newest version of an artifact that no watch looks at is audited, too, until a put brings it anew; of a watched one it is for a look to say', async () => {
    const watched = { ...MNIST, collection: 'watched' }
    await enrolled(registry, { locations: [parseLocation('s3://bucket/mnist/', '/')], collection: watched })
    await recorded({ w: 'one' }, watched)
    await recorded({ a: 'two', b: 'three' })
    for (const [collection, path] of [[watched, 'w'], [MNIST, 'b']] as const) {
      const pin = (await all(registry.entries(collection, 'v0', path)))[0]?.pin ?? ''
      bucket.put(`mnist/${path}`, 'another')
      bucket.destroy(pin)
    }
    await pass()
    expect([await states(watched), await states()]).toEqual([['v0 pinned'], ['v0 partly lost 1']])
    expect(told.map(({ version, now }) => [version, now.state])).toEqual([['v0', 'partly lost']])
    expect(await registry.losses(MNIST, 'v0', 10)).toEqual([{ path: 'b', reason: 'expired', words: expect.any(String) }])
    // A lost entry is nobody's refuge.
    await recorded({ x: 'three' }, { ...MNIST, collection: 'other' })
    bucket.destroy((await all(registry.entries({ ...MNIST, collection: 'other' }, 'v0', 'x')))[0]?.pin ?? '')
    await clock.pass(DAY)
    await pass()
    expect([await states(), await states({ ...MNIST, collection: 'other' })]).toEqual([['v0 partly lost 1'], ['v0 lost 1']])
    await recorded({ b: 'three' })
    expect(await states()).toEqual(['v0 pinned'])
    await recorded({ b: 'four' })
    await clock.pass(DAY)
    await pass()
    expect(await states()).toEqual(['v0 pinned', 'v1 pinned'])
    expect((await states({ ...MNIST, collection: 'other' }))).toEqual(['v0 pinned'])
  })

  test('the same bytes by another version of the key, at another key or in another artifact are found, and lost when they go, too', async () => {
    const other = { ...MNIST, collection: 'other' }
    await recorded({ a: 'one', b: 'two', c: 'three' })
    const again = bucket.put('mnist/a', 'one').pin as string
    await recorded({ a: 'x', b: 'x', c: 'x', d: 'two' })
    await recorded({ e: 'three' }, other)
    const pins = await Promise.all(['a', 'b', 'c'].map((path) => pinOf('v0', path)))
    for (const pin of pins) bucket.destroy(pin)
    await pass()
    expect(await states()).toEqual(['v0 pinned', 'v1 pinned'])
    await recorded({ d: 'x' })
    await clock.pass(DAY)
    await pass()
    expect(await states()).toEqual(['v0 pinned', 'v1 pinned', 'v2 pinned'])
    bucket.destroy(again)
    bucket.destroy(await pinOf('v1', 'd'))
    await clock.pass(DAY)
    await pass()
    expect(await states()).toEqual(['v0 partly lost 2', 'v1 partly lost 1', 'v2 pinned'])
    const [last] = await all(registry.entries(other, 'v0', 'e'))
    await recorded({ e: 'x' }, other)
    bucket.destroy(last?.pin ?? '')
    // Neither is the other's refuge.
    for (let passes = 0; passes < 2; passes++) {
      await clock.pass(DAY)
      await pass()
    }
    expect([...(await states()), ...(await states(other))]).toEqual(['v0 lost 3', 'v1 partly lost 1', 'v2 pinned', 'v0 lost 1', 'v1 pinned'])
  })

  test('without pins what was overwritten or removed is lost at once; moved or reverted it is there, until that changes', async () => {
    bucket.versioned = false
    await recorded({ a: 'one', b: 'two', c: '' })
    expect(await states()).toEqual(['v0 unpinned'])
    await recorded({ a: 'changed' })
    expect(await states()).toEqual(['v0 partly lost 1', 'v1 unpinned'])
    expect(await registry.losses(MNIST, 'v0', 10)).toEqual([{ path: 'a', reason: 'overwritten', words: expect.any(String) }])
    await recorded({ a: 'one', b: undefined, moved: 'two' })
    expect(await states()).toEqual(['v0 unpinned', 'v1 partly lost 1', 'v2 unpinned'])
    await recorded({ moved: undefined })
    expect(await states()).toEqual(['v0 partly lost 1', 'v1 partly lost 2', 'v2 partly lost 1', 'v3 unpinned'])
    await recorded({ a: 'third' })
    expect(await states()).toEqual(['v0 partly lost 2', 'v1 partly lost 2', 'v2 partly lost 2', 'v3 partly lost 1', 'v4 unpinned'])
    await recorded({ a: undefined, c: undefined })
    expect(await states()).toEqual(['v0 lost 3', 'v1 lost 3', 'v2 lost 3', 'v3 lost 2', 'v4 lost 2', 'v5 pinned'])
    expect((await registry.losses(MNIST, 'v0', 2)).map(({ path, reason }) => `${path} ${reason}`)).toEqual(['a overwritten', 'b removed'])
    await pass()
    expect(await states()).toEqual(['v0 lost 3', 'v1 lost 3', 'v2 lost 3', 'v3 lost 2', 'v4 lost 2', 'v5 pinned'])
    // Elsewhere nobody looked at commit.
    await recorded({ x: 'two' }, { ...MNIST, collection: 'other' })
    await clock.pass(DAY)
    await pass()
    expect((await states()).slice(0, 2)).toEqual(['v0 partly lost 2', 'v1 partly lost 2'])
  })

  test('what lies at a place that nobody looks at any more is asked for as long as it can be', async () => {
    bucket.versioned = false
    await recorded({ a: 'one', b: 'two' })
    const away = { location: parseLocation('s3://bucket/away/', '/') }
    await putAll(registry, [put('a', 'one', { content: bucket.put('away/a', 'one') }), remove('b')], away)
    expect(await states()).toEqual(['v0 unpinned', 'v1 unpinned'])
    await pass()
    expect(await states()).toEqual(['v0 unpinned', 'v1 unpinned'])
    bucket.put('mnist/a', 'changed')
    bucket.put('away/c', 'two')
    await clock.pass(DAY)
    await pass()
    // The newest version has the bytes of `a`, too.
    expect(await states()).toEqual(['v0 unpinned', 'v1 unpinned'])
    bucket.remove('mnist/b')
    await clock.pass(DAY)
    await pass()
    expect(await states()).toEqual(['v0 partly lost 1', 'v1 unpinned'])
    await putAll(registry, [put('a', 'other', { content: bucket.put('away/a', 'other') })], away)
    expect(await states()).toEqual(['v0 lost 2', 'v1 lost 1', 'v2 unpinned'])
  })

  test('what lies at such a place and cannot be asked for is as it was', async () => {
    const at = (path: string): { location: Location } => ({ location: parseLocation(`file:///${path}/`, '/') })
    await putAll(registry, [put('a', 'one'), put('b', 'two')], at('data'))
    await putAll(registry, [put('a', 'three'), remove('b')], at('other'))
    await pass()
    expect(await states()).toEqual(['v0 unpinned', 'v1 unpinned'])
    await putAll(registry, [put('a', 'four')], at('other'))
    await pass()
    expect(await states()).toEqual(['v0 unpinned', 'v1 lost 1', 'v2 unpinned'])
    // Of the newest version nothing is left but what the one before it had.
    for (const version of ['v2', 'v1']) await registry.removeVersion(MNIST, version, { spared: { aliased: false, used: false }, head: true }, clock.now())
    expect(await states()).toEqual(['v0 unpinned'])
  })

  test('an object in the place of a prefix of its name leaves what lay under that, until it is a prefix again', async () => {
    const order = { location: parseLocation('s3://bucket/data', '/') }
    const looked = async (findings: readonly Finding[], lone: readonly string[]): Promise<string[]> => {
      await finish(registry, await registry.beginPut(orderOf(order), clock.now()), findings, { lone })
      return states()
    }
    await looked([put('a', 'one'), put('b', 'two')], [])
    expect(await looked([put('data', 'three'), remove('a'), remove('b')], ['data'])).toEqual(['v0 unpinned', 'v1 unpinned'])
    expect(await looked([put('data', 'four')], ['data'])).toEqual(['v0 unpinned', 'v1 lost 1', 'v2 unpinned'])
    expect(await looked([remove('data'), put('a', 'one')], [])).toEqual(['v0 partly lost 1', 'v1 lost 1', 'v2 lost 1', 'v3 unpinned'])
  })

  test('files are never asked for, and found in the registry', async () => {
    const order = { location: parseLocation('file:///data/', '/') }
    const file = (path: string, text: string): Finding => put(path, text, { content: { digest: `md5:${bucket.put('elsewhere', text).etag && Buffer.from(bucket.put('elsewhere', text).etag as string, 'hex').toString('base64')}` } })
    await putAll(registry, [file('a', 'one'), file('b', 'two')], order)
    await putAll(registry, [file('a', 'changed')], order)
    expect(await states()).toEqual(['v0 partly lost 1', 'v1 unpinned'])
    await recorded({ copy: 'one' }, { ...MNIST, collection: 'other' })
    const before = bucket.requests.length
    await registry.nextAudit(DAY, clock.now())
    await pass()
    expect(await states()).toEqual(['v0 unpinned', 'v1 unpinned'])
    // Those of the other artifact's own bucket: its rules, and its one entry.
    expect(bucket.requests.length - before).toBe(2)
  })
})

describe('what is at risk', () => {
  const older = { id: 'old', takes: 'noncurrent', prefixes: ['mnist/'], replacedDays: 30, asksMore: false, wholeDays: true } as const

  test('the first day on which rules take an entry is the version\'s; what another version keeps is safe', async () => {
    bucket.expiries = [older]
    await recorded({ a: 'one', b: 'two', c: 'same' })
    await recorded({ a: 'x' })
    await clock.pass(5 * DAY)
    await recorded({ b: 'x' })
    await recorded({ c: 'y' })
    await recorded({ c: 'same' })
    expect(await states()).toEqual(['v0 pinned', 'v1 pinned', 'v2 pinned', 'v3 pinned', 'v4 pinned'])
    await pass()
    // Replaced on the third and the eighth of January; `c` is there as the current version.
    expect(await states()).toEqual(['v0 at risk', 'v1 at risk', 'v2 pinned', 'v3 at risk', 'v4 pinned'])
    expect((await restorabilityOf('v0')).atRiskFrom).toBe('2026-02-03T00:00:00.000Z')
    expect((await restorabilityOf('v1')).atRiskFrom).toBe('2026-02-08T00:00:00.000Z')
    bucket.expiries = [{ ...older, asksMore: true }]
    await clock.pass(DAY)
    await pass()
    expect(await restorabilityOf('v0')).not.toHaveProperty('atRiskFrom')
    bucket.expiries = []
    await clock.pass(DAY)
    await pass()
    expect(await states()).toEqual(['v0 pinned', 'v1 pinned', 'v2 pinned', 'v3 pinned', 'v4 pinned'])
  })

  test('what only object versions elsewhere hold is at risk with the last of them, and lost when that is taken', async () => {
    const [near, far] = ['near', 'far'].map((collection) => ({ ...MNIST, collection })) as [CollectionName, CollectionName]
    const expiry = async (name: CollectionName): Promise<Restorability> => (await registry.version(name, 'v0')).restorability
    bucket.expiries = [{ ...older, prefixes: ['mnist/n', 'mnist/f'] }]
    await recorded({ n: 'one' }, near)
    await recorded({ n: 'x' }, near)
    await clock.pass(5 * DAY)
    await recorded({ f: 'one' }, far)
    await recorded({ f: 'x' }, far)
    await recorded({ a: 'one', b: 'same' })
    await recorded({ a: 'x' })
    bucket.destroy(await pinOf('v0', 'a'))
    await pass()
    expect([await states(near), await states(far), await states()]).toEqual([['v0 at risk', 'v1 pinned'], ['v0 at risk', 'v1 pinned'], ['v0 at risk', 'v1 pinned']])
    expect((await restorabilityOf('v0')).atRiskFrom).toBe((await expiry(far)).atRiskFrom)
    expect((await expiry(near)).atRiskFrom).toBe('2026-02-03T00:00:00.000Z')
    // Nobody knows of one when it goes, so nobody knows when the last does.
    bucket.expiries = [{ ...older, prefixes: ['mnist/n'], asksMore: true }, { ...older, prefixes: ['mnist/f'] }]
    await clock.pass(DAY)
    await pass()
    expect(await restorabilityOf('v0')).toEqual({ state: 'at risk', lost: 0, auditedAt: expect.any(String) })
    bucket.expiries = [{ ...older, prefixes: ['mnist/f'] }]
    await clock.pass(DAY)
    await pass()
    expect(await states()).toEqual(['v0 pinned', 'v1 pinned'])
    for (const name of [near, far]) bucket.destroy((await all(registry.entries(name, 'v0')))[0]?.pin ?? '')
    // None of the three is another's refuge.
    for (let passes = 0; passes < 3; passes++) {
      await clock.pass(DAY)
      await pass()
    }
    expect([await states(near), await states(far), await states()]).toEqual([['v0 lost 1', 'v1 pinned'], ['v0 lost 1', 'v1 pinned'], ['v0 partly lost 1', 'v1 pinned']])
  })

  test('where no versions are kept, rules take what is current: the head is at risk until it is another, or the rules are', async () => {
    bucket.versioned = false
    bucket.expiries = [{ ...older, takes: 'current', replacedDays: undefined, writtenDays: 10 } as never]
    await recorded({ a: 'one' })
    await pass()
    expect(await states()).toEqual(['v0 at risk'])
    expect((await restorabilityOf('v0')).atRiskFrom).toBe('2026-01-13T00:00:00.000Z')
    await recorded({ a: 'two' })
    expect(await states()).toEqual(['v0 lost 1', 'v1 unpinned'])
    await clock.pass(DAY)
    await pass()
    expect(await states()).toEqual(['v0 lost 1', 'v1 at risk'])
    bucket.expiries = []
    await clock.pass(DAY)
    await pass()
    expect(await states()).toEqual(['v0 lost 1', 'v1 unpinned'])
  })
})

describe('what gives no answer changes nothing', () => {
  test.each(['LOCATION_DENIED', 'STORAGE_UNAVAILABLE', 'LOCATION_MISSING'] as const)('%s: the states stay, the reason is said, and it is asked again', async (code) => {
    await recorded({ a: 'one', b: 'two' })
    await recorded({ a: 'x', b: 'x' })
    bucket.destroy(await pinOf('v0', 'a'))
    await pass()
    bucket.destroy(await pinOf('v0', 'b'))
    bucket.failure = new VarveError(code, 's3://bucket/ gives no answer')
    await clock.pass(DAY)
    const running = run()
    await clock.pass(60_000)
    expect(await restorabilityOf('v0')).toMatchObject({ state: 'partly lost', lost: 1, auditedAt: '2026-01-03T00:00:02.000Z', notes: ['not all could be asked: s3://bucket/ gives no answer'] })
    bucket.failure = undefined
    await clock.pass(DAY / 24 + 60_000)
    await running.stop()
    expect(await restorabilityOf('v0')).toMatchObject({ state: 'lost', lost: 2 })
    expect(await restorabilityOf('v0')).not.toHaveProperty('notes')
  })

  test('what a listing lacks and is there by name is not lost', async () => {
    await recorded({ 'd/a': 'one', 'd/b': 'two', c: 'three' })
    await recorded({ 'd/a': 'x', 'd/b': 'x', c: 'x' })
    for (const path of ['d/a', 'd/b']) bucket.hidden.add(`mnist/${path}`)
    bucket.destroy(await pinOf('v0', 'c'))
    await pass()
    expect(await restorabilityOf('v0')).toMatchObject({ state: 'partly lost', lost: 1, notes: ['the listing of mnist/d/ lacks mnist/d/a, which is there when asked for by name'] })
  })

  test('rules that may not be read are a note', async () => {
    bucket.notes = ['the lifecycle rules of s3://bucket/ could not be read: s3:GetLifecycleConfiguration is not allowed']
    await recorded({ a: 'one' })
    await pass()
    expect(await restorabilityOf('v0')).toEqual({ state: 'pinned', lost: 0, auditedAt: expect.any(String), notes: bucket.notes })
  })

  test('an artifact whose watch is held or unavailable is left alone', async () => {
    await enrolled(registry, { locations: [parseLocation('s3://bucket/mnist/', '/')] })
    await recorded({ a: 'one' })
    await registry.release(await begun(registry), { state: 'unavailable', reason: 'it is gone' }, clock.now())
    expect(await registry.nextAudit(DAY, clock.now())).toBeUndefined()
  }, 10_000)
})

describe('the way it goes', () => {
  test('no hour has more requests than the budget, and every row is asked in the end', async () => {
    bucket.pageSize = 10
    const texts = (text: string): Record<string, string> => Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`${1_000 + i}`, `${text} ${i}`]))
    await recorded(texts('one'))
    await recorded(texts('two'))
    const pins = (await all(registry.entries(MNIST, 'v0'))).map(({ pin }) => pin ?? '')
    for (const pin of pins) bucket.destroy(pin)
    const running = run(20)
    await clock.pass(DAY)
    await running.stop()
    expect(await states()).toEqual(['v0 lost 500', 'v1 pinned'])
    const { requests } = bucket
    expect(requests.length).toBeGreaterThan(50)
    for (const [i, at] of requests.entries()) expect(requests.slice(i).filter((other) => other < at + 3_600_000).length).toBeLessThanOrEqual(20)
  }, 60_000)

  test('stopped in the middle, it goes on where it was; the one that waited longest comes first, each once a day', async () => {
    bucket.pageSize = 10
    const rows = Object.fromEntries(Array.from({ length: 1_500 }, (_, i) => [`${10_000 + i}`, `${i}`]))
    await recorded(rows)
    await recorded(Object.fromEntries(Object.keys(rows).map((path) => [path, 'x'])))
    const running = run(3_600)
    await clock.pass(250_000)
    await running.stop()
    const turn = await registry.nextAudit(DAY, clock.now())
    expect(turn?.after).toEqual({ path: '10999', since: 1 })
    bucket.requests.length = 0
    await pass()
    // The last 500 keys, five of a page.
    expect(bucket.requests.length).toBeLessThan(110)
    expect(await registry.nextAudit(DAY, clock.now())).toBeUndefined()
    await recorded({ a: 'one' }, { ...MNIST, collection: 'new' })
    expect((await registry.nextAudit(DAY, clock.now()))?.artifact).toBe('vision/new')
    await pass()
    await clock.pass(DAY)
    expect((await registry.nextAudit(DAY, clock.now()))?.artifact).toBe('vision/mnist')
  }, 60_000)
})

test('random histories: of every version exactly what the bucket can no longer give is lost', async () => {
  const PATHS = ['a', 'b', 'c/d']
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('write' as const), path: fc.constantFrom(...PATHS), text: fc.constantFrom('x', 'yy', 'zzz', 'wwww') }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), path: fc.constantFrom(...PATHS), text: fc.constant('') }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('destroy' as const), path: fc.constantFrom(...PATHS), text: fc.nat({ max: 9 }).map(String) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('audit' as const), path: fc.constant(''), text: fc.constant('') }) },
  )
  let count = 0
  await fc.assert(fc.asyncProperty(fc.boolean(), fc.array(step, { maxLength: 12 }), async (versioned, steps) => {
    database = new DatabaseSync(':memory:')
    registry = await openRegistryIn(database)
    bucket = new FakeVersions(clock.now)
    bucket.versioned = versioned
    const collection = { ...MNIST, collection: `c${++count}` }
    const versions: Map<string, string>[] = []
    const current = new Map<string, string>()
    for (const { kind, path, text } of [{ kind: 'write' as const, path: 'a', text: 'x' }, ...steps]) {
      if (kind === 'audit') {
        await clock.pass(DAY)
        await pass()
      } else if (kind === 'destroy') {
        // What is current, too: of an artifact without a watch nothing but the audit would see it.
        const [entry] = await all(registry.entries(collection, `v${Number(text) % versions.length}`, path)).catch(() => [])
        if (entry?.pin !== undefined) bucket.destroy(entry.pin)
      } else if (kind === 'write' ? current.get(path) !== text : current.has(path)) {
        await recorded({ [path]: kind === 'write' ? text : undefined }, collection)
        if (kind === 'write') current.set(path, text)
        else current.delete(path)
        versions.push(new Map(current))
      }
    }
    const lostNow = (): number[] => {
      const texts = bucket.texts()
      return versions.map((version) => [...version.values()].filter((text) => !texts.has(text)).length)
    }
    // Between audits more may seem lost than is, never less.
    if (!versioned) for (const [n, { restorability }] of (await all(registry.versions(collection))).toReversed().entries()) expect(restorability.lost).toBeGreaterThanOrEqual(lostNow()[n] ?? 0)
    // What was found in a row that turned out lost itself is looked for once more.
    for (let passes = 0; passes < 3; passes++) {
      await clock.pass(DAY)
      await pass()
    }
    const expected = lostNow().map((lost, n) => [`v${n}`, lost])
    const views = (await all(registry.versions(collection))).toReversed()
    expect(views.map(({ version, restorability: { lost } }) => [version, lost])).toEqual(expected)
    for (const { version, entries, restorability: { state, lost } } of views) {
      expect((await registry.losses(collection, version, 10)).length).toBe(lost)
      expect([version, state]).toEqual([version, lost === 0 ? (versioned || entries === 0 ? 'pinned' : 'unpinned') : lost === entries ? 'lost' : 'partly lost'])
    }
    const counted = (await registry.versionStates()).filter(({ artifact }) => artifact.endsWith(`/${collection.collection}`))
    expect(counted.reduce((sum, one) => sum + one.versions, 0)).toBe(versions.length)
    await registry.close()
    database.close()
  }), { numRuns: 100 })
  database = new DatabaseSync(':memory:')
  registry = await openRegistryIn(database)
}, 120_000)
