// Laws of removal: what stays is as it was, an index never comes back, and whoever looks or puts meanwhile is overtaken.
import { describe, expect, test } from '@jest/globals'
import { parseLocation } from '../../src/model/location.ts'
import { all, begun, changes, enrolled, failure, finish, lookAt, manifest, MNIST, NOW, outcomeOf, orderOf, put, putAll, remove, versionOf } from './registry-world.ts'
import type { Registry, Removal } from '../../src/registry/registry.ts'
import type { OpenRegistry } from './registry.ts'

const FORCED: Removal = { spared: { aliased: false, used: false }, head: true }
const CAREFUL: Removal = { spared: { aliased: true, used: true }, head: true }

const rm = (registry: Registry, version: string, removal = CAREFUL): Promise<unknown> => registry.removeVersion(MNIST, version, removal, NOW)
const numbers = async (registry: Registry): Promise<string[]> => (await all(registry.versions(MNIST))).map(({ version }) => version)

export function retainSuite(open: OpenRegistry): void {
  describe('removing versions', () => removing(open))
  describe('removing the newest', () => newest(open))
}

/** v0 to v3, each with another `a`; `b` was in v0 and v1, `c` since v2. */
async function four(registry: Registry): Promise<void> {
  await putAll(registry, [put('a', '0'), put('b', '1')])
  await putAll(registry, [put('a', '1')])
  await putAll(registry, [put('a', '2'), remove('b'), put('c', '1')])
  await putAll(registry, [put('a', '3')])
}

function removing(open: OpenRegistry): void {
  test('the others list as they did, and diffs and names know the gap', async () => {
    const registry = await open()
    await four(registry)
    await rm(registry, 'v1')
    expect([await manifest(registry, 'v0'), await manifest(registry, 'v2'), await manifest(registry, 'v3')]).toEqual([['a=0', 'b=1'], ['a=2', 'c=1'], ['a=3', 'c=1']])
    expect(await numbers(registry)).toEqual(['v3', 'v2', 'v0'])
    expect([await changes(registry, 'v0', 'v2'), await changes(registry, 'v3', 'v0')]).toEqual([['~a', 'b>c'], ['~a', 'c>b']])
    expect(await failure(registry.version(MNIST, 'v1'))).toMatchObject({ code: 'NOT_FOUND', message: 'no version v1 of vision/mnist: it has 3 of v0 to v3, aliases latest' })
    await rm(registry, 'v0')
    expect([await numbers(registry), await manifest(registry, 'v2')]).toEqual([['v3', 'v2'], ['a=2', 'c=1']])
    expect((await registry.collections())[0]).toMatchObject({ versions: 2, head: 'v3', entries: 2 })
  })
  test('history names the first version that is left to show a change', async () => {
    const registry = await open()
    await four(registry)
    const told = async (path: string): Promise<string[]> => (await registry.history(MNIST, path)).map(({ change, version }) => `${change} ${version}`)
    await rm(registry, 'v2')
    expect([await told('a'), await told('b'), await told('c')]).toEqual([['added v0', 'modified v1', 'modified v3'], ['added v0', 'removed v3'], ['added v3']])
    await rm(registry, 'v0')
    expect([await told('a'), await told('b')]).toEqual([['added v1', 'modified v3'], ['added v1', 'removed v3']])
    await rm(registry, 'v1')
    expect(await told('a')).toEqual(['added v3'])
    expect(await failure(told('b'))).toMatchObject({ code: 'NOT_FOUND' })
  })
  test('what went and came back between two versions that are left did not change', async () => {
    const registry = await open()
    for (const text of ['A', 'B', 'A']) await putAll(registry, [put('a', text), put('x', text === 'B' ? '2' : '1')])
    await rm(registry, 'v1')
    expect((await registry.history(MNIST, 'a')).map(({ change, version }) => `${change} ${version}`)).toEqual(['added v0'])
    expect(await changes(registry, 'v0', 'v2')).toEqual([])
  })
  test('one with an alias, or that a run used, stays unless it is forced, and says so', async () => {
    const registry = await open()
    await four(registry)
    await registry.addAlias(MNIST, 'v1', 'prod')
    await registry.addAlias(MNIST, 'v1', 'best')
    await registry.use(MNIST, 'v1', { name: 'train-2' }, NOW)
    await registry.use(MNIST, 'v2', { name: 'train-1' }, NOW)
    expect(await failure(rm(registry, 'prod'))).toMatchObject({ code: 'CONFLICT', message: 'vision/mnist:v1 bears the aliases best, prod and was used by the run train-2' })
    expect(await failure(rm(registry, 'v2'))).toMatchObject({ code: 'CONFLICT', message: 'vision/mnist:v2 was used by the run train-1' })
    expect((await all(registry.removable(MNIST))).map(({ version, aliases, users }) => [version, aliases, users])).toEqual([
      ['v3', ['latest'], []], ['v2', [], ['train-1']], ['v1', ['best', 'prod'], ['train-2']], ['v0', [], []],
    ])
    expect(await failure(rm(registry, 'v3', { ...FORCED, head: false }))).toMatchObject({ code: 'CONFLICT', message: 'vision/mnist:v3 is the newest version' })
    expect(await rm(registry, 'v1', FORCED)).toEqual({
      artifact: 'vision/mnist', entity: 'local', version: 'v1', createdAt: new Date(NOW).toISOString(), entries: 2, sizeBytes: 2, aliases: ['best', 'prod'], users: ['train-2'],
    })
    expect(await failure(registry.version(MNIST, 'prod'))).toMatchObject({ code: 'NOT_FOUND' })
    expect(await numbers(registry)).toEqual(['v3', 'v2', 'v0'])
  })
  test('a look that is under way goes on when an older version goes', async () => {
    const registry = await open()
    await four(registry)
    const looking = await registry.beginPut(orderOf(), NOW)
    await rm(registry, 'v2')
    expect(versionOf(await finish(registry, looking, [put('a', '4')])).version).toBe('v4')
    expect([await manifest(registry, 'v1'), await manifest(registry, 'v3'), await manifest(registry, 'v4')]).toEqual([['a=1', 'b=1'], ['a=3', 'c=1'], ['a=4', 'c=1']])
  })
}

function newest(open: OpenRegistry): void {
  test('the one before is newest again, with its entries, counts and digest, and the next takes the next unused index', async () => {
    const registry = await open()
    await four(registry)
    const v1 = await registry.version(MNIST, 'v1')
    await rm(registry, 'v3')
    await rm(registry, 'v2')
    expect(await registry.version(MNIST, 'latest')).toEqual({ ...v1, aliases: ['latest'] })
    expect([await manifest(registry, 'latest'), (await registry.collections())[0]]).toMatchObject([['a=1', 'b=1'], { head: 'v1', entries: 2, sizeBytes: 2, versions: 2 }])
    const again = versionOf(await putAll(registry, [put('a', '2'), remove('b'), put('c', '1')]))
    expect(again).toMatchObject({ version: 'v4', entries: 2, changes: { added: 0, modified: 1, removed: 0, moved: 1 } })
    expect(await changes(registry, 'v1', 'v4')).toEqual(['~a', 'b>c'])
    expect((await registry.history(MNIST, 'b')).map(({ change, version }) => `${change} ${version}`)).toEqual(['added v0', 'removed v4'])
  })
  test('with a gap below, the newest that is left is newest', async () => {
    const registry = await open()
    await four(registry)
    await rm(registry, 'v2')
    await rm(registry, 'v3')
    expect([await numbers(registry), await manifest(registry, 'latest')]).toEqual([['v1', 'v0'], ['a=1', 'b=1']])
  })
  test('of the only one stays a collection as before its first version, but for the index', async () => {
    const registry = await open()
    await putAll(registry, [put('a', '1')])
    await rm(registry, 'v0')
    expect(await registry.collections()).toEqual([{ artifact: 'vision/mnist', entity: 'local', type: 'dataset', versions: 0, next: 'v1', entries: 0, sizeBytes: 0 }])
    expect(await failure(registry.version(MNIST, 'latest'))).toMatchObject({ message: 'no version latest of vision/mnist: it has none any more' })
    const looking = await registry.beginPut(orderOf(), NOW)
    expect(looking.base).toBeUndefined()
    expect(versionOf(await finish(registry, looking, [put('a', '1')]))).toMatchObject({ version: 'v1', changes: { added: 1 }, entries: 1 })
    // A put that finds nothing takes back only what it made itself.
    await rm(registry, 'v1')
    await registry.release(await registry.beginPut(orderOf(), NOW), { state: 'dirty', reason: '' }, NOW)
    expect(versionOf(await putAll(registry, [put('a', '1')])).version).toBe('v2')
  })
  test('a put that has only begun has made no collection yet, and one whose process died is taken away with it', async () => {
    const registry = await open()
    const dead = { ...MNIST, collection: 'dead' }
    await registry.beginPut(orderOf({ collection: dead }), NOW)
    expect(await registry.collections()).toEqual([])
    for (const collection of [dead, MNIST]) expect(await failure(all(registry.versions(collection)))).toMatchObject({ code: 'NOT_FOUND' })
    const looking = await registry.beginPut(orderOf(), NOW + 25 * 3_600_000)
    expect(versionOf(await finish(registry, looking, [put('a', '1')]))).toMatchObject({ version: 'v0' })
    // Of what it made nothing is left: another type may have the name.
    expect(await registry.beginPut(orderOf({ collection: dead, type: 'model' }), NOW)).toMatchObject({ type: 'model' })
    expect((await registry.collections()).map(({ artifact }) => artifact)).toEqual(['vision/mnist'])
  })
  test('every watch of it is asked for the whole, trusts no signature, and finds what lies there again', async () => {
    const registry = await open()
    await enrolled(registry)
    await finish(registry, await begun(registry), [put('d/a', '1'), { op: 'directory', path: 'd/', signature: 'one' }, put('b', '1'), { op: 'directory', path: '', signature: 'root' }])
    await lookAt(registry, [remove('d/a'), { op: 'undirectory', path: 'd/' }, { op: 'skip', path: 'pipe', reason: 'fifo' }])
    await rm(registry, 'v1')
    expect(await registry.watchRow('mnist')).toMatchObject({ state: 'dirty', generation: 3, committedGeneration: 2 })
    const looking = await begun(registry)
    expect(looking).toMatchObject({ whole: true, cause: 'cli', trustSignatures: false, foreign: false, skips: 0, base: { index: 0, entries: 2, sizeBytes: 2 } })
    // A directory that is not known is not missed when it is gone.
    expect((await all(registry.directories(looking))).map(({ path }) => path)).toEqual(['', 'd/'])
    expect((await registry.rowsAt(looking, ['d/a']))[0]).not.toHaveProperty('fingerprint')
    expect(versionOf(await finish(registry, looking, [remove('d/a')]))).toMatchObject({ version: 'v2', entries: 1, changes: { removed: 1 } })
  })
  test('a look that is under way is overtaken, whether it began before or after what was removed', async () => {
    const registry = await open()
    await enrolled(registry)
    await finish(registry, await begun(registry), [put('a', '1')])
    await lookAt(registry, [put('a', '2')])
    await registry.request([{ watch: 'mnist', path: '*', cause: 'cli' }], NOW)
    const looking = await begun(registry)
    await registry.stage(looking, [put('a', '3')])
    const tally = await registry.tally(looking)
    await rm(registry, 'v1')
    expect(await registry.renew(looking, 1, NOW)).toBe(false)
    expect(await registry.record(looking, outcomeOf(tally), NOW)).toEqual({ kind: 'overtaken' })
    expect(await failure(registry.stage(looking, [put('a', '3')]))).toMatchObject({ code: 'OVERTAKEN' })
    expect(await manifest(registry, 'latest')).toEqual(['a=1'])
    expect(versionOf(await finish(registry, await begun(registry), [put('a', '3')])).version).toBe('v2')
  })
  test('a put that began on what is newest again commits nothing: it never saw that head', async () => {
    const registry = await open()
    await putAll(registry, [put('a', '1')])
    const first = await registry.beginPut(orderOf(), NOW)
    await registry.stage(first, [put('a', '9')])
    const tally = await registry.tally(first)
    await putAll(registry, [put('a', '2')])
    await rm(registry, 'v1')
    expect(await registry.record(first, outcomeOf(tally), NOW)).toEqual({ kind: 'overtaken' })
  })
  test('a held look is judged anew', async () => {
    const registry = await open()
    await enrolled(registry)
    await finish(registry, await begun(registry), [put('a', '1')])
    await lookAt(registry, [put('b', '1')])
    await registry.request([{ watch: 'mnist', path: '*', cause: 'cli' }], NOW)
    const looking = await begun(registry)
    await registry.stage(looking, [remove('a'), remove('b')])
    await registry.release(looking, { state: 'held', reason: 'all is gone', held: { digest: 'varve1:0' } }, NOW)
    await rm(registry, 'v1')
    expect(await registry.watchRow('mnist')).toMatchObject({ state: 'dirty' })
    expect(await registry.watchRow('mnist')).not.toHaveProperty('heldDigest')
    expect(await failure(registry.accept('mnist', NOW))).toMatchObject({ code: 'CONFLICT' })
  })
  test('a head of a location that the watch had before is not taken for another owner', async () => {
    const registry = await open()
    await enrolled(registry)
    await finish(registry, await begun(registry), [put('a', '1')])
    await enrolled(registry, { locations: [parseLocation('file:///elsewhere/', '/')] })
    expect(versionOf(await finish(registry, await begun(registry), [put('a', '1')])).version).toBe('v1')
    await rm(registry, 'v1')
    const looking = await begun(registry)
    expect(looking).toMatchObject({ foreign: false, trustSignatures: false })
    expect((await registry.rowsAt(looking, ['a']))[0]?.here).toBe(false)
    expect(versionOf(await finish(registry, looking, [put('a', '1')]))).toMatchObject({ version: 'v2', changes: { modified: 1 } })
  })
}
