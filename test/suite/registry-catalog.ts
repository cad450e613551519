// Laws of reading: versions, ranges, diffs, history, aliases, and what is said where a name is wrong.
import { describe, expect, test } from '@jest/globals'
import { hash } from 'node:crypto'
import { parseLocation } from '../../src/model/location.ts'
import type { EntryView } from '../../src/model/version.ts'
import { all, begun, changes, enrolled, failure, finish, lookAt, manifest, MNIST, NOW, orderOf, put, putAll, remove, versionOf } from './registry-world.ts'
import type { OpenRegistry } from './registry.ts'

export function catalogSuite(open: OpenRegistry): void {
  describe('versions', () => versions(open))
  describe('diffs and history', () => diffs(open))
  describe('names', () => names(open))
  describe('holdings', () => holdings(open))
}

const md5 = (text: string): { readonly hex: string; readonly base64: string } => ({ hex: hash('md5', text, 'hex'), base64: hash('md5', text, 'base64') })

function holdings(open: OpenRegistry): void {
  test('a holding says where its bytes lay: location, full key, pin, and the fingerprint of what the head still has', async () => {
    const registry = await open()
    await putAll(registry, [
      put('a', 'x', { content: { digest: 'etag:e1', etag: 'e1', pin: 'versionId:1', checksums: { crc32c: 'AAAA' } }, fingerprint: 'f1' }), put('d/b', 'y'), put('d-', 'z'), put('d/e/c', 'w'),
    ])
    await putAll(registry, [put('a', 'changed')])
    const location = parseLocation('s3://bucket/mnist/', '/')
    expect(await all(registry.holdings(MNIST, 'v0', 'a'))).toEqual([
      { path: 'a', sizeBytes: 1, content: { digest: 'etag:e1', etag: 'e1', pin: 'versionId:1', checksums: { crc32c: 'AAAA' } }, location, key: 'mnist/a' },
    ])
    expect((await all(registry.holdings(MNIST, 'v0'))).map(({ path }) => path)).toEqual(['a', 'd-', 'd/b', 'd/e/c'])
    expect((await all(registry.holdings(MNIST, 'latest', 'd'))).map(({ path }) => path)).toEqual(['d/b', 'd/e/c'])
    expect((await all(registry.holdings(MNIST, 'latest', 'nothing')))).toEqual([])
    expect((await failure(all(registry.holdings(MNIST, 'v9')))).code).toBe('NOT_FOUND')
  })
  test('more holdings than a page come in order, each once; the fingerprint and latestPin of a refresh are told', async () => {
    const registry = await open()
    const paths = Array.from({ length: 10_007 }, (_, at) => `p${String(at).padStart(5, '0')}`)
    await putAll(registry, paths.map((path) => put(path, path)))
    await putAll(registry, [{ op: 'refresh', path: 'p00000', content: { digest: 'md5:p00000', pin: 'versionId:2' }, fingerprint: 'f2' }])
    const found = await all(registry.holdings(MNIST, 'v0'))
    expect(found.map(({ path }) => path)).toEqual(paths)
    expect(found[0]).toMatchObject({ latestPin: 'versionId:2', fingerprint: 'f2' })
  })
  test('the same content is found in any notation: an ETag that is an MD5, an MD5 of a file, a checksum; never itself, and never by another size', async () => {
    const registry = await open()
    const { hex, base64 } = md5('one')
    const other = { ...MNIST, collection: 'other' }
    await putAll(registry, [
      put('s3', 'one', { content: { digest: `etag:${hex}`, etag: hex, pin: 'versionId:1' } }),
      put('parts', 'two', { content: { digest: `etag:${md5('p').hex}-2`, etag: `${md5('p').hex}-2`, checksums: { crc64nvme: 'CCCC' } } }),
      put('opaque', 'six', { content: { digest: 'etag:opaque', etag: 'opaque', pin: 'versionId:9' } }),
    ])
    await putAll(registry, [
      put('file', 'one', { content: { digest: `md5:${base64}` } }), put('longer', 'longer', { content: { digest: `md5:${base64}` } }),
      put('gcs', 'one', { content: { digest: 'etag:CAE=', etag: 'CAE=', identity: `md5:${base64}`, pin: 'generation:7' } }),
      put('copy', 'two', { content: { digest: 'etag:e9', etag: 'e9', checksums: { crc64nvme: 'CCCC' } } }),
    ], { collection: other, location: parseLocation('s3://elsewhere/q/', '/') })
    // Rows of the past count, too.
    await putAll(registry, [remove('copy')], { collection: other, location: parseLocation('s3://elsewhere/q/', '/') })
    const wanted = await all(registry.holdings(MNIST, 'v0'))
    const same = await registry.sameContent(wanted)
    const names = (path: string): string[] => (same.get(path) ?? []).map(({ key }) => key).sort()
    expect([names('s3'), names('parts'), names('opaque')]).toEqual([['q/file', 'q/gcs'], ['q/copy'], []])
    expect(await registry.sameContent([])).toEqual(new Map())
  })
  test('of a content that many have, a few places are told, those that are there now first', async () => {
    const registry = await open()
    const many = Array.from({ length: 100 }, (_, at) => `p${String(at).padStart(2, '0')}`)
    await putAll(registry, many.map((path) => put(path, '')))
    await putAll(registry, many.slice(0, 95).map(remove))
    const same = await registry.sameContent(await all(registry.holdings(MNIST, 'v0')))
    const places = same.get('p00') ?? []
    expect([places.length, places.slice(0, 5).map(({ path }) => path).sort()]).toEqual([16, many.slice(95)])
  })
}

function versions(open: OpenRegistry): void {
  test('every version stays as it was, whatever came after', async () => {
    const registry = await open()
    await putAll(registry, [put('a', '1'), put('b', '1')])
    await putAll(registry, [put('a', '2'), put('c', '1')])
    await putAll(registry, [remove('b')])
    await putAll(registry, [put('b', '3')])
    expect([await manifest(registry, 'v0'), await manifest(registry, 'v1'), await manifest(registry, 'v2'), await manifest(registry, 'v3')]).toEqual([
      ['a=1', 'b=1'], ['a=2', 'b=1', 'c=1'], ['a=2', 'c=1'], ['a=2', 'b=3', 'c=1'],
    ])
    const listed = await all(registry.versions(MNIST))
    expect(listed.map(({ version, aliases }) => [version, aliases])).toEqual([['v3', ['latest']], ['v2', []], ['v1', []], ['v0', []]])
    expect(await registry.version(MNIST, 'v1')).toEqual(listed[2])
    expect(await registry.collections()).toEqual([
      { artifact: 'vision/mnist', entity: 'local', type: 'dataset', versions: 4, head: 'v3', next: 'v4', entries: 3, sizeBytes: 3, updatedAt: new Date(NOW).toISOString() },
    ])
  })
  test('more versions than a page holds come newest first', async () => {
    const registry = await open()
    for (let i = 0; i < 102; i++) await putAll(registry, [put('a', String(i))])
    const listed = await all(registry.versions(MNIST))
    expect([listed.length, listed[0]?.index, listed.at(-1)?.index]).toEqual([102, 101, 0])
  })
  test('back to what was before is a version of its own, with the digest of then', async () => {
    const registry = await open()
    const digests: string[] = []
    for (const text of ['A', 'B', 'A']) digests.push(versionOf(await putAll(registry, [put('a', text)])).digest)
    expect(digests[2]).toBe(digests[0])
    expect(digests[1]).not.toBe(digests[0])
    expect(await changes(registry, 'v0', 'v2')).toEqual([])
    expect((await registry.history(MNIST, 'a')).map(({ change, version }) => `${change} ${version}`)).toEqual(['added v0', 'modified v1', 'modified v2'])
  })
  test('everything gone is a version without entries', async () => {
    const registry = await open()
    await putAll(registry, [put('a', '1')])
    expect(versionOf(await putAll(registry, [remove('a')]))).toMatchObject({ entries: 0, sizeBytes: 0, digest: `varve1:${'0'.repeat(64)}` })
    expect(await manifest(registry, 'latest')).toEqual([])
  })
  test('a watch moves its aliases with each version, and only then', async () => {
    const registry = await open()
    await enrolled(registry, { aliases: ['staging'] })
    const first = versionOf(await finish(registry, await begun(registry), [put('a', '1')]))
    expect(first).toMatchObject({ aliases: ['latest', 'staging'], run: 'mnist', cause: 'config' })
    await lookAt(registry, [put('a', '2')])
    expect((await registry.version(MNIST, 'staging')).index).toBe(1)
    await registry.addAlias(MNIST, 'v0', 'staging')
    await lookAt(registry, [])
    expect((await registry.version(MNIST, 'staging')).index).toBe(0)
  })
  test('a lone object is referred to by itself', async () => {
    const registry = await open()
    const location = parseLocation('s3://bucket/dir/key#1', '/')
    const looking = await registry.beginPut(orderOf({ location }), NOW)
    await finish(registry, looking, [put('key#1', '1')], { lone: ['key#1'] })
    expect((await all(registry.entries(MNIST, 'v0'))).map(({ reference }) => reference)).toEqual(['s3://bucket/dir/key#1'])
  })
  test('each entry says which store has it, though its reference is the same in another', async () => {
    const registry = await open()
    await putAll(registry, [put('a', '1'), put('b', '1')])
    await putAll(registry, [put('a', '2')], { location: { ...orderOf().location, endpoint: 'http://127.0.0.1:9000' } })
    const places = (entries: readonly EntryView[]): unknown[] => entries.map(({ path, reference, endpoint }) => [path, reference, endpoint])
    const [here, there] = [['b', 's3://bucket/mnist/b', undefined], ['a', 's3://bucket/mnist/a', 'http://127.0.0.1:9000']]
    expect(places(await all(registry.entries(MNIST, 'latest')))).toEqual([there, here])
    expect((await all(registry.entries(MNIST, 'v0'))).some((entry) => 'endpoint' in entry)).toBe(false)
    const [change] = await all(registry.diff(MNIST, 'v0', 'v1'))
    expect([change?.before?.endpoint, change?.after?.endpoint]).toEqual([undefined, 'http://127.0.0.1:9000'])
    expect((await registry.history(MNIST, 'a')).map(({ after }) => after?.endpoint)).toEqual([undefined, 'http://127.0.0.1:9000'])
  })
  test('entries of one path are that entry, and all that lies under it', async () => {
    const registry = await open()
    await putAll(registry, ['a', 'a-b', 'a/c', 'a/d/e', 'b'].map((path) => put(path, path)))
    const under = async (path: string): Promise<string[]> => (await all(registry.entries(MNIST, 'latest', path))).map((entry) => entry.path)
    expect([await under('a'), await under('a/'), await under('a/d'), await under('b')]).toEqual([['a', 'a/c', 'a/d/e'], ['a/c', 'a/d/e'], ['a/d/e'], ['b']])
    expect(await failure(under('c'))).toMatchObject({ code: 'NOT_FOUND', message: 'no entry "c" in vision/mnist:v0' })
  })
}

function diffs(open: OpenRegistry): void {
  test('a diff of any two versions, both ways', async () => {
    const registry = await open()
    await putAll(registry, [put('a', '1'), put('b', '1!'), put('c', '1'), put('same', '1')])
    await putAll(registry, [put('a', '2'), remove('b'), put('d', '2?')])
    await putAll(registry, [put('a', '3'), put('b2', '1!'), remove('d')])
    await putAll(registry, [put('a', '1'), put('d', '4')])
    expect(await changes(registry, 'v0', 'v1')).toEqual(['~a', '-b', '+d'])
    expect(await changes(registry, 'v1', 'v0')).toEqual(['~a', '+b', '-d'])
    expect(await changes(registry, 'v0', 'v2')).toEqual(['~a', 'b>b2'])
    expect(await changes(registry, 'v2', 'v0')).toEqual(['~a', 'b2>b'])
    expect(await changes(registry, 'v0', 'v3')).toEqual(['b>b2', '+d'])
    expect(await changes(registry, 'v2', 'v2')).toEqual([])
    const [moved] = await all(registry.diff(MNIST, 'v0', 'v3'))
    expect(moved).toMatchObject({ from: 'b', before: { path: 'b', reference: 's3://bucket/mnist/b' }, after: { path: 'b2', reference: 's3://bucket/mnist/b2' } })
  })
  test('two diffs read at the same time do not meet, and one may be left half read', async () => {
    const registry = await open()
    await putAll(registry, [put('a', '1')])
    await putAll(registry, [put('b', '1!')])
    await putAll(registry, [remove('a')])
    const one = registry.diff(MNIST, 'v0', 'v1')[Symbol.asyncIterator]()
    const first = await one.next()
    expect(await changes(registry, 'v1', 'v2')).toEqual(['-a'])
    expect(first.done === true ? [] : first.value.map(({ path }) => path)).toEqual(['b'])
    await one.return?.()
  })
  test('the history of a path, oldest first', async () => {
    const registry = await open()
    await putAll(registry, [put('a', '1'), put('b', '1')])
    await putAll(registry, [put('a', '2')])
    await putAll(registry, [remove('a')])
    await putAll(registry, [put('b', '2')])
    await putAll(registry, [put('a', '2')])
    expect((await registry.history(MNIST, 'a')).map(({ change, version, before, after }) => [change, version, before?.digest, after?.digest])).toEqual([
      ['added', 'v0', undefined, 'md5:1'], ['modified', 'v1', 'md5:1', 'md5:2'], ['removed', 'v2', 'md5:2', undefined], ['added', 'v4', undefined, 'md5:2'],
    ])
    expect(await failure(registry.history(MNIST, 'c'))).toMatchObject({ code: 'NOT_FOUND', message: 'no version of vision/mnist ever had "c"' })
  })
}

function names(open: OpenRegistry): void {
  test('aliases are moved and taken by hand, but for those that Varve gives', async () => {
    const registry = await open()
    await putAll(registry, [put('a', '1')], { aliases: ['ünï"code😀'] })
    await putAll(registry, [put('a', '2')])
    await registry.addAlias(MNIST, 'latest', 'prod')
    await registry.addAlias(MNIST, 'v0', 'prod')
    expect((await registry.version(MNIST, 'prod')).aliases).toEqual(['prod', 'ünï"code😀'])
    expect(await failure(registry.removeAlias(MNIST, 'v1', 'prod'))).toMatchObject({ code: 'NOT_FOUND', message: 'vision/mnist:v1 does not bear the alias prod: it has none' })
    await registry.removeAlias(MNIST, 'prod', 'prod')
    expect((await registry.version(MNIST, 'v0')).aliases).toEqual(['ünï"code😀'])
    await registry.addAlias(MNIST, 'v0', 'a'.repeat(128))
    for (const alias of ['latest', 'v7', '', 'a b', 'a/b', 'a:b', 'a\u0007', 'a\u2003b', 'a'.repeat(129)]) expect(await failure(registry.addAlias(MNIST, 'v0', alias))).toMatchObject({ code: 'USAGE' })
  })
  test('what is missing is named, with what there is', async () => {
    const registry = await open()
    const words = async (promise: Promise<unknown>): Promise<string> => {
      const { code, message } = await failure(promise)
      expect(code).toBe('NOT_FOUND')
      return message
    }
    expect(await words(registry.version(MNIST, 'v0'))).toBe('no collection vision/mnist of local: there is nothing yet')
    await enrolled(registry)
    expect(await words(registry.version(MNIST, 'latest'))).toBe('no version latest of vision/mnist: it has none yet')
    await finish(registry, await begun(registry), [put('a', '1')])
    await registry.addAlias(MNIST, 'v0', 'staging')
    expect(await words(registry.version(MNIST, 'v9'))).toBe('no version v9 of vision/mnist: it has v0, aliases latest, staging')
    await lookAt(registry, [put('a', '2')])
    expect(await words(all(registry.diff(MNIST, 'v0', 'prod')))).toBe('no version prod of vision/mnist: it has v0 to v1, aliases latest, staging')
    expect(await words(registry.version({ ...MNIST, collection: 'mnits' }, 'v0'))).toBe('no collection vision/mnits: vision has mnist')
    expect(await words(all(registry.entries({ ...MNIST, project: 'speech' }, 'v0')))).toBe('no collection speech/mnist: local has the projects vision')
    expect(await words(registry.history({ ...MNIST, entity: 'acme' }, 'a'))).toBe('no collection vision/mnist of acme: there is only what belongs to local')
    expect(await words(registry.collections('speech'))).toBe('no project speech: there is vision')
    expect((await registry.collections('local/vision')).map(({ artifact }) => artifact)).toEqual(['vision/mnist'])
  })
  test('collections come in name order, of all entities and projects', async () => {
    const registry = await open()
    for (const [entity, project, collection] of [['b', 'p', 'z'], ['a', 'q', 'y'], ['a', 'p', 'x'], ['a', 'p', 'a']] as const)
      await putAll(registry, [put('a', '1')], { collection: { entity, project, collection } })
    const listed = async (project?: string): Promise<string[]> => (await registry.collections(project)).map(({ entity, artifact }) => `${entity}/${artifact}`)
    expect(await listed()).toEqual(['a/p/a', 'a/p/x', 'a/q/y', 'b/p/z'])
    expect([await listed('p'), await listed('a/p')]).toEqual([['a/p/a', 'a/p/x', 'b/p/z'], ['a/p/a', 'a/p/x']])
  })
}
