// The contract of the registry as laws, for every implementation. `open` gives a fresh one; what it opened it closes itself.
import { describe, expect, test } from '@jest/globals'
import { parseLocation } from '../../src/model/location.ts'
import { WHOLE } from '../../src/model/watch.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { begun, enrolled, failure, finish, lookAt, manifest, MNIST, NOW, orderOf, outcomeOf, put, putAll, remove, versionOf, watchOf } from './registry-world.ts'

export type OpenRegistry = () => Promise<Registry>

/** The writing half: requests, leases, the fence, the base check. */
export function ledgerSuite(open: OpenRegistry): void {
  describe('enrolling', () => enrolling(open))
  describe('requests', () => requests(open))
  describe('the fence', () => fence(open))
  describe('generations', () => generations(open))
  describe('verdicts', () => verdicts(open))
  describe('put beside watch', () => putBesideWatch(open))
  describe('hearing', () => hearing(open))
}

function enrolling(open: OpenRegistry): void {
  test('a new watch is asked for as a whole, by its configuration, and trusts no signature', async () => {
    const registry = await open()
    await enrolled(registry)
    expect(await registry.watchRow('mnist')).toMatchObject({ state: 'dirty', generation: 1, committedGeneration: 0 })
    expect(await begun(registry)).toMatchObject({ whole: true, paths: [], cause: 'config', trustSignatures: false, foreign: false, skips: 0 })
  })
  test('the same watch again asks for nothing', async () => {
    const registry = await open()
    await enrolled(registry)
    await finish(registry, await begun(registry), [put('a', '1')])
    await enrolled(registry, { aliases: ['prod'], settleMs: 1 })
    expect(await registry.watchRow('mnist')).toMatchObject({ state: 'clean', generation: 1 })
    await registry.request([{ watch: 'mnist', path: 'a', cause: 'hint' }], NOW)
    expect(await begun(registry)).toMatchObject({ trustSignatures: true, whole: false, paths: ['a'] })
  })
  test.each([{ include: ['*.png'] }, { exclude: ['x'] }, { onUnreadable: 'skip' as const }, { locations: [parseLocation('file:///elsewhere/', '/')] as const }])(
    'a watch that decides otherwise is looked at anew: %j',
    async (over) => {
      const registry = await open()
      await enrolled(registry)
      await finish(registry, await begun(registry), [put('a', '1')], { root: 'here' })
      await enrolled(registry, over)
      const looking = await begun(registry)
      expect(looking).toMatchObject({ whole: true, cause: 'config', trustSignatures: false, foreign: false })
      expect(looking.root).toBe('locations' in over ? undefined : 'here')
      expect((await registry.rowsAt(looking, ['a']))[0]?.here).toBe(!('locations' in over))
    },
  )
  test('a look under another configuration is overtaken', async () => {
    const registry = await open()
    await enrolled(registry)
    const looking = await begun(registry)
    await registry.stage(looking, [put('a', '1')])
    const tally = await registry.tally(looking)
    await enrolled(registry, { exclude: ['a'] })
    expect(await registry.record(looking, outcomeOf(tally), NOW)).toEqual({ kind: 'overtaken' })
    expect(await failure(registry.stage(looking, [put('a', '1')]))).toMatchObject({ code: 'OVERTAKEN' })
  })
  test('a watch that is gone is not listed and not looked at; one that comes back starts as new', async () => {
    const registry = await open()
    await enrolled(registry)
    await finish(registry, await begun(registry), [put('a', '1')], { root: 'here' })
    await registry.enroll([], NOW)
    expect([await registry.watchRows(), await registry.watchViews(NOW), await registry.watchRow('mnist')]).toEqual([[], [], undefined])
    await registry.request([{ watch: 'mnist', path: 'a', cause: 'hint' }], NOW)
    expect(await registry.begin('mnist', 'one', 1, NOW)).toBeUndefined()
    expect(await manifest(registry, 'latest')).toEqual(['a=1'])
    await enrolled(registry)
    const looking = await begun(registry)
    expect(looking).toMatchObject({ whole: true, cause: 'config', trustSignatures: false, base: { index: 0, entries: 1, sizeBytes: 1 } })
    expect(looking.root).toBeUndefined()
  })
  test('a collection has one type and one watch', async () => {
    const registry = await open()
    await enrolled(registry)
    expect(await failure(registry.enroll([watchOf(), watchOf({ name: 'other' })], NOW))).toMatchObject({ code: 'CONFLICT', message: expect.stringMatching(/mnist and other/) })
    expect((await registry.watchRows()).map(({ name }) => name)).toEqual(['mnist'])
    await enrolled(registry, { type: 'model' })
    await finish(registry, await begun(registry), [put('a', '1')])
    // Of another type it is refused nothing but the look.
    await enrolled(registry, { type: 'dataset' })
    await registry.request([{ watch: 'mnist', path: WHOLE, cause: 'startup' }], NOW)
    expect([(await begun(registry)).type, (await registry.collections())[0]?.type]).toEqual(['model', 'model'])
  })
  test('a watch that finds a head of another location says so', async () => {
    const registry = await open()
    await putAll(registry, [put('a', '1')])
    await enrolled(registry)
    const looking = await begun(registry)
    expect(looking.foreign).toBe(true)
    await registry.release(looking, { state: 'held', reason: 'of another location', held: {} }, NOW)
    await registry.accept('mnist', NOW)
    expect((await begun(registry)).foreign).toBe(false)
  })
}

function requests(open: OpenRegistry): void {
  test('what is requested is looked at, and nothing else', async () => {
    const registry = await open()
    await enrolled(registry)
    await finish(registry, await begun(registry), [])
    expect(await registry.begin('mnist', 'one', 1, NOW)).toBeUndefined()
    const paths = ['b', 'a', `it's "so"\n`, '😀', '～']
    await registry.request([...paths.map((path) => ({ watch: 'mnist', path, cause: 'hint' as const })), { watch: 'nobody', path: 'x', cause: 'hint' }], NOW)
    expect(await begun(registry)).toMatchObject({ whole: false, cause: 'hint', generation: 2, paths: ['a', 'b', `it's "so"\n`, '～', '😀'] })
  })
  test('more than 1,000 paths become the whole', async () => {
    const registry = await open()
    await enrolled(registry)
    await finish(registry, await begun(registry), [])
    const hints = (from: number, count: number): { watch: string; path: string; cause: 'hint' }[] =>
      Array.from({ length: count }, (_, i) => ({ watch: 'mnist', path: `p${from + i}`, cause: 'hint' }))
    await registry.request(hints(0, 1_000), NOW)
    expect((await begun(registry)).paths).toHaveLength(1_000)
    await registry.request(hints(1_000, 1), NOW)
    expect(await begun(registry)).toMatchObject({ whole: true, paths: [], cause: 'hint' })
    await registry.request(hints(5_000, 2_000), NOW)
    expect(await begun(registry)).toMatchObject({ whole: true, paths: [] })
  })
  test('the whole and names beside it: both, with the strongest cause', async () => {
    const registry = await open()
    await enrolled(registry)
    await finish(registry, await begun(registry), [])
    const whole = (cause: 'startup' | 'cli' | 'interval'): { watch: string; path: string; cause: typeof cause } => ({ watch: 'mnist', path: WHOLE, cause })
    await registry.request([whole('startup'), whole('cli'), { watch: 'mnist', path: 'a', cause: 'hint' }], NOW)
    await registry.request([whole('interval')], NOW)
    expect(await begun(registry)).toMatchObject({ whole: true, paths: ['a'], cause: 'cli' })
  })
  test('only hints settle, and a retry waits unless a person asks', async () => {
    const registry = await open()
    await enrolled(registry)
    await registry.release(await begun(registry), { state: 'backoff', reason: 'no', retryAt: NOW + 9 }, NOW)
    await registry.request([{ watch: 'mnist', path: WHOLE, cause: 'interval' }], NOW)
    const before = await registry.watchRow('mnist')
    expect(before).toMatchObject({ retryAt: NOW + 9, attempts: 1, state: 'backoff', reason: 'no' })
    expect([before?.firstHintAt, before?.lastHintAt]).toEqual([undefined, undefined])
    await registry.request([{ watch: 'mnist', path: 'a', cause: 'hint' }], NOW + 1)
    await registry.request([{ watch: 'mnist', path: 'a', cause: 'hint' }], NOW + 2)
    expect(await registry.watchRow('mnist')).toMatchObject({ firstHintAt: NOW + 1, lastHintAt: NOW + 2, retryAt: NOW + 9 })
    await registry.request([{ watch: 'mnist', path: WHOLE, cause: 'cli' }], NOW)
    expect((await registry.watchRow('mnist'))?.retryAt).toBeUndefined()
  })
}

function fence(open: OpenRegistry): void {
  test('one look at a time: another owner waits for the lease to end', async () => {
    const registry = await open()
    await enrolled(registry)
    const first = await begun(registry)
    expect(await registry.begin('mnist', 'two', 60_000, NOW + 59_999)).toBeUndefined()
    expect(await registry.renew(first, 60_000, NOW + 30_000)).toBe(true)
    expect(await registry.begin('mnist', 'two', 60_000, NOW + 60_000)).toBeUndefined()
    const second = await begun(registry, 'mnist', 'two', NOW + 90_000)
    expect(second.epoch).toBe(first.epoch + 1)
    expect(await registry.renew(first, 60_000, NOW)).toBe(false)
    expect(await registry.extend(first, NOW)).toBeUndefined()
  })
  test('the lease of one that was killed ends when another of its name enrolls; no other lease does', async () => {
    const registry = await open()
    const watch = await enrolled(registry)
    const killed = await begun(registry, 'mnist', 'daemon')
    await registry.stage(killed, [put('a', '1')])
    await registry.enroll([watch], NOW, 'another')
    expect(await registry.renew(killed, 60_000, NOW)).toBe(true)
    await registry.enroll([watch], NOW, 'daemon')
    expect((await registry.watchRow('mnist'))?.leaseUntil).toBeUndefined()
    expect((await registry.watchViews(NOW))[0]?.state).toBe('dirty')
    expect(await registry.renew(killed, 60_000, NOW)).toBe(false)
    expect(await failure(registry.stage(killed, [put('a', '1')]))).toMatchObject({ code: 'OVERTAKEN' })
    expect(await finish(registry, await begun(registry, 'mnist', 'two'), [put('a', '2')])).toMatchObject({ kind: 'recorded', version: { index: 0 } })
  })
  test('an overtaken look writes nothing at all, also when nothing differs', async () => {
    const registry = await open()
    await enrolled(registry)
    const first = await begun(registry)
    await registry.stage(first, [put('a', '1'), { op: 'skip', path: 's', reason: 'fifo' }, { op: 'directory', path: '' }])
    const tally = await registry.tally(first)
    const second = await begun(registry, 'mnist', 'two', NOW + 60_000)
    expect(await registry.record(first, outcomeOf(tally), NOW)).toEqual({ kind: 'overtaken' })
    expect(await registry.record(first, outcomeOf({ ...tally, changes: { ...tally.changes, added: 0 } }), NOW)).toEqual({ kind: 'overtaken' })
    await registry.release(first, { state: 'backoff', reason: 'too late' }, NOW)
    const row = await registry.watchRow('mnist')
    expect(row).toMatchObject({ committedGeneration: 0, state: 'looking', leaseUntil: NOW + 120_000 })
    expect(row?.reason).toBeUndefined()
    expect(await finish(registry, second, [put('a', '2')])).toMatchObject({ kind: 'recorded', version: { index: 0, entries: 1 } })
    expect(await registry.record(second, outcomeOf(tally), NOW)).toEqual({ kind: 'overtaken' })
    expect(await manifest(registry, 'latest')).toEqual(['a=2'])
  })
  test('a holder whose lease has expired, but whom nobody overtook, may commit', async () => {
    const registry = await open()
    await enrolled(registry)
    expect(await finish(registry, await begun(registry, 'mnist', 'one', NOW - 3_600_000), [put('a', '1')])).toMatchObject({ kind: 'recorded' })
  })
  test('a look whose base another commit moved records nothing', async () => {
    const registry = await open()
    await enrolled(registry)
    const looking = await begun(registry)
    const order = orderOf({ location: watchOf().locations[0] })
    const [one, two] = [await registry.beginPut(order, NOW), await registry.beginPut(order, NOW)]
    expect(await finish(registry, one, [put('a', '1')])).toMatchObject({ kind: 'recorded' })
    expect(await finish(registry, two, [put('a', '1')])).toEqual({ kind: 'overtaken' })
    expect(await finish(registry, looking, [])).toEqual({ kind: 'overtaken' })
    expect(await registry.watchRow('mnist')).toMatchObject({ committedGeneration: 0 })
  })
}

function generations(open: OpenRegistry): void {
  test('what was requested during a look causes another one; only what the look covered goes', async () => {
    const registry = await open()
    await enrolled(registry)
    await finish(registry, await begun(registry), [])
    await registry.request([{ watch: 'mnist', path: 'a', cause: 'hint' }, { watch: 'mnist', path: 'b', cause: 'hint' }], NOW)
    const looking = await begun(registry)
    await registry.request([{ watch: 'mnist', path: 'b', cause: 'hint' }], NOW + 3)
    await registry.request([{ watch: 'mnist', path: 'c', cause: 'hint' }], NOW + 4)
    await finish(registry, looking, [put('a', '1')])
    expect(await registry.watchRow('mnist')).toMatchObject({ state: 'dirty', generation: 4, committedGeneration: 2, firstHintAt: NOW + 3, lastHintAt: NOW + 4 })
    expect(await begun(registry)).toMatchObject({ whole: false, paths: ['b', 'c'], generation: 4 })
  })
  test('what changed under the look is asked for anew in the same commit', async () => {
    const registry = await open()
    await enrolled(registry)
    await finish(registry, await begun(registry), [put('a', '1')], { changedUnderLook: ['a', 'b'] })
    const row = await registry.watchRow('mnist')
    expect(row).toMatchObject({ state: 'dirty', generation: 2, committedGeneration: 1 })
    expect(row?.firstHintAt).toBeUndefined()
    expect(await begun(registry)).toMatchObject({ whole: false, paths: ['a', 'b'] })
    await finish(registry, await begun(registry), [], { changedUnderLook: [WHOLE] })
    expect(await begun(registry)).toMatchObject({ whole: true })
  })
  test('a look that goes on takes in what was asked for since, and commits that', async () => {
    const registry = await open()
    await enrolled(registry)
    const looking = await begun(registry)
    expect(await registry.extend(looking, NOW)).toMatchObject({ whole: false, paths: [], generation: 1 })
    await registry.request([{ watch: 'mnist', path: 'a', cause: 'hint' }], NOW)
    const extended = await registry.extend(looking, NOW)
    expect(extended).toMatchObject({ id: looking.id, epoch: looking.epoch, whole: false, paths: ['a'], generation: 2, cause: 'config' })
    await registry.request([{ watch: 'mnist', path: WHOLE, cause: 'cli' }], NOW)
    expect(await registry.extend(extended ?? looking, NOW)).toMatchObject({ whole: true, paths: [], generation: 3, cause: 'cli' })
    await finish(registry, extended ?? looking, [])
    expect(await registry.watchRow('mnist')).toMatchObject({ generation: 3, committedGeneration: 2, state: 'dirty' })
  })
}

function verdicts(open: OpenRegistry): void {
  test('a look that recorded nothing deletes no request, and says why', async () => {
    const registry = await open()
    await enrolled(registry)
    await registry.release(await begun(registry), { state: 'unavailable', reason: 'gone', action: 'mount it' }, NOW)
    expect((await registry.watchViews(NOW))[0]).toMatchObject({ watch: 'mnist', artifact: 'vision/mnist', entity: 'local', location: 'file:///data/mnist/', state: 'unavailable', reason: 'gone', action: 'mount it' })
    expect(await begun(registry)).toMatchObject({ whole: true, generation: 1 })
  })
  test('a look whose lease has expired does not go on for those who ask', async () => {
    const registry = await open()
    await enrolled(registry)
    await begun(registry)
    const stateAt = async (nowMs: number): Promise<string | undefined> => (await registry.watchViews(nowMs))[0]?.state
    expect([await stateAt(NOW), await stateAt(NOW + 60_000)]).toEqual(['looking', 'dirty'])
  })
  test('a first look that finds nothing makes no version', async () => {
    const registry = await open()
    await enrolled(registry)
    expect(await finish(registry, await begun(registry), [], { state: 'empty' })).toEqual({ kind: 'same' })
    expect(await registry.watchRow('mnist')).toMatchObject({ state: 'empty', committedGeneration: 1, lastLook: { outcome: 'same' } })
    // What was asked for since is not answered by that.
    await registry.request([{ watch: 'mnist', path: 'a', cause: 'hint' }], NOW)
    expect([(await registry.watchRow('mnist'))?.state, (await registry.watchViews(NOW))[0]?.state]).toEqual(['dirty', 'dirty'])
    expect(await lookAt(registry, [put('a', '')])).toMatchObject({ kind: 'recorded', version: { index: 0 } })
  })
  test('consent that comes while a look goes on is not used up by it, however it ends', async () => {
    const registry = await open()
    await enrolled(registry)
    await finish(registry, await begun(registry), ['a', 'b'].map((path) => put(path, path)))
    const hold = async (meanwhile: () => Promise<void>): Promise<void> => {
      await registry.request([{ watch: 'mnist', path: WHOLE, cause: 'interval' }], NOW)
      const looking = await begun(registry)
      await registry.stage(looking, [remove('a')])
      await meanwhile()
      await registry.release(looking, { state: 'held', reason: 'many', held: { digest: 'varve1:00', root: 'disk' } }, NOW)
    }
    await hold(async () => undefined)
    await hold(() => registry.accept('mnist', NOW))
    const looking = await begun(registry)
    expect(looking.accepted).toEqual({ root: 'disk' })
    await registry.stage(looking, [remove('a'), remove('b')])
    expect(await registry.removedBeyondAccepted(looking, 10)).toEqual(['b'])
  })
  test('consent covers what the held look removed, and is used up by the commit or by another hold; to a root it stays as long as that is the one that is held', async () => {
    const registry = await open()
    await enrolled(registry)
    await finish(registry, await begun(registry), ['a', 'b', 'c'].map((path) => put(path, path)))
    expect(await failure(registry.accept('mnist', NOW))).toMatchObject({ code: 'CONFLICT', message: expect.stringMatching(/clean, not held/) })
    expect(await failure(registry.accept('mnits', NOW))).toMatchObject({ code: 'NOT_FOUND', message: expect.stringMatching(/there is mnist/) })
    const hold = async (paths: readonly string[]): Promise<readonly string[]> => {
      await registry.request([{ watch: 'mnist', path: WHOLE, cause: 'interval' }], NOW)
      const looking = await begun(registry)
      await registry.stage(looking, paths.map(remove))
      const beyond = await registry.removedBeyondAccepted(looking, 10)
      await registry.release(looking, { state: 'held', reason: 'many', held: { digest: 'varve1:00', root: 'disk' } }, NOW)
      return beyond
    }
    expect(await hold(['a', 'b'])).toEqual(['a', 'b'])
    expect((await registry.watchViews(NOW))[0]).toMatchObject({ state: 'held', heldDigest: 'varve1:00' })
    await registry.accept('mnist', NOW)
    expect(await hold(['b', 'c'])).toEqual(['c'])
    const unasked = await begun(registry)
    expect(unasked.accepted).toEqual({ root: 'disk' })
    await registry.stage(unasked, ['a', 'b', 'c'].map(remove))
    expect(await registry.removedBeyondAccepted(unasked, 10)).toEqual(['a', 'b', 'c'])
    expect(await Promise.all(['a/', '/', 'a', 'd'].map((path) => registry.removes(unasked, path)))).toEqual([false, false, true, false])
    await registry.release(unasked, { state: 'held', reason: 'many', held: { root: 'another' } }, NOW)
    const other = await begun(registry)
    expect(other.accepted).toBeUndefined()
    await registry.release(other, { state: 'held', reason: 'many', held: {} }, NOW)
    await hold(['a'])
    await registry.accept('mnist', NOW)
    await registry.release(await begun(registry), { state: 'unavailable', reason: 'away' }, NOW)
    const looking = await begun(registry)
    expect(looking).toMatchObject({ accepted: { root: 'disk' }, cause: 'cli', whole: true })
    await registry.stage(looking, [remove('a')])
    expect(await registry.removedBeyondAccepted(looking, 10)).toEqual([])
    await finish(registry, looking, [])
    expect((await registry.watchViews(NOW))[0]).toMatchObject({ state: 'clean', head: 'v1' })
    await registry.request([{ watch: 'mnist', path: WHOLE, cause: 'interval' }], NOW)
    expect((await begun(registry)).accepted).toBeUndefined()
  })
}

function hearing(open: OpenRegistry): void {
  test('what keeps a watch from being heard is its reason while its looks meet no trouble; it is deaf until that is over, or until it is enrolled anew', async () => {
    const registry = await open()
    const watch = await enrolled(registry)
    await finish(registry, await begun(registry), [put('a', '1')])
    const view = async (): Promise<unknown> => {
      const [one] = await registry.watchViews(NOW)
      return [one?.state, one?.reason, one?.action, one?.limits, (await registry.watchRow('mnist'))?.deaf]
    }
    expect(await view()).toEqual(['clean', undefined, undefined, undefined, false])
    await registry.setHearing(['mnist', 'other'], 'sqs q', { reason: 'gone', action: 'make it' })
    await registry.setHearing(['mnist'], 'files /x/', { limits: 'one level' })
    expect(await view()).toEqual(['clean', 'sqs q: gone', 'make it', 'one level', true])
    await registry.setHearing(['mnist'], 'sqs q', { limits: 'half' })
    expect(await view()).toEqual(['clean', undefined, undefined, 'half; one level', false])
    await registry.setHearing(['mnist'], 'sqs q', {})
    await registry.setHearing(['mnist'], 'queue', { reason: 'Redis is down' })
    expect(await view()).toEqual(['clean', 'queue: Redis is down', undefined, 'one level', false])
    await registry.enroll([watch], NOW)
    expect(await view()).toEqual(['clean', undefined, undefined, undefined, false])
  })
}

function putBesideWatch(open: OpenRegistry): void {
  test('a put of another location to a watched collection is refused, naming the watch', async () => {
    const registry = await open()
    await enrolled(registry)
    expect(await failure(registry.beginPut(orderOf(), NOW))).toMatchObject({ code: 'CONFLICT', message: expect.stringMatching(/watch mnist at file:\/\/\/data\/mnist\/, not at s3/) })
    expect((await registry.beginPut(orderOf({ location: watchOf().locations[0], type: 'model' }), NOW)).type).toBe('dataset')
  })
  test('a put that makes a version sends the watch to look; one that finds nothing new does not', async () => {
    const registry = await open()
    await enrolled(registry)
    const location = watchOf().locations[0]
    await finish(registry, await begun(registry), [put('a', '1')])
    expect(await putAll(registry, [put('a', '1')], { location })).toMatchObject({ kind: 'same', version: { index: 0 } })
    expect(await registry.watchRow('mnist')).toMatchObject({ state: 'clean' })
    expect(await putAll(registry, [put('a', '2')], { location })).toMatchObject({ kind: 'recorded', version: { index: 1, cause: 'put' } })
    expect(await registry.watchRow('mnist')).toMatchObject({ state: 'dirty' })
    expect(await begun(registry)).toMatchObject({ whole: true, cause: 'put', trustSignatures: false, foreign: false, base: { index: 1 } })
  })
  test('a put that recorded nothing leaves no collection behind', async () => {
    const registry = await open()
    await registry.release(await registry.beginPut(orderOf({ type: 'modle' }), NOW), { state: 'dirty', reason: 'no' }, NOW)
    expect(await registry.collections()).toEqual([])
    expect(versionOf(await putAll(registry, [put('a', '1')], { description: 'first', aliases: ['best'] }))).toMatchObject({
      artifact: 'vision/mnist', entity: 'local', version: 'v0', type: 'dataset', aliases: ['latest', 'best'], description: 'first', run: expect.stringMatching(/^put-\d+$/),
      createdAt: new Date(NOW).toISOString(), entries: 1, sizeBytes: 1,
    })
    expect(versionOf(await putAll(registry, [put('a', '1')], { aliases: ['prod'] })).aliases).toEqual(['latest', 'best', 'prod'])
    expect((await registry.version(MNIST, 'prod')).version).toBe('v0')
  })
}
