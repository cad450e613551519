// Laws of what a look reads and stages: rows as the look would leave them, and what becomes of a finding.
import { describe, expect, test } from '@jest/globals'
import { SetDigest } from '../../src/model/digest.ts'
import { comparePaths } from '../../src/model/location.ts'
import { WHOLE } from '../../src/model/watch.ts'
import type { Finding } from '../../src/registry/registry.ts'
import { all, begun, enrolled, finish, lookAt, manifest, MNIST, NOW, orderOf, outcomeOf, put, putAll, remove, sorted, versionOf } from './registry-world.ts'
import type { OpenRegistry } from './registry.ts'

export function entriesSuite(open: OpenRegistry): void {
  describe('rows', () => rows(open))
  describe('findings', () => findings(open))
  describe('the same bytes again', () => refreshes(open))
  describe('skips and directories', () => skips(open))
}

const STRANGE = ['a', 'a b', `a'"`, 'a\nb', 'a-b', 'a/b', 'a0', '～', '😀', '\ue000', 'é', '%', '\\', '*']

function rows(open: OpenRegistry): void {
  test('rows come in the order of their UTF-8 bytes, as they were recorded', async () => {
    const registry = await open()
    await putAll(registry, [...STRANGE].reverse().map((path) => put(path, path)))
    const looking = await registry.beginPut(orderOf(), NOW)
    const found = await registry.rowsBetween(looking, { after: '' }, 100)
    expect(found.map(({ path }) => path)).toEqual(sorted(STRANGE))
    expect(await registry.rowsAt(looking, [...STRANGE, 'nowhere'])).toEqual(found)
    expect(await manifest(registry, 'v0')).toEqual(sorted(STRANGE).map((path) => `${path}=${path}`))
    for (const path of STRANGE) expect((await all(registry.entries(MNIST, 'v0', path)))[0]?.path).toBe(path)
  })
  test('a row keeps all that was known', async () => {
    const registry = await open()
    const content = { digest: 'etag:"x"', etag: 'x', pin: 'versionId:1', checksums: { crc32c: 'AAAA', sha256: 'é"' } }
    await putAll(registry, [put('a', 'abc', { content, fingerprint: 'stamp' }), put('b', '')])
    const looking = await registry.beginPut(orderOf(), NOW)
    expect(await registry.rowsBetween(looking, { after: '' }, 9)).toEqual([
      { path: 'a', sizeBytes: 3, content, identity: 'etag:"x" 3', fingerprint: 'stamp', here: true },
      { path: 'b', sizeBytes: 0, content: { digest: 'md5:' }, identity: 'md5: 0', here: true },
    ])
    expect(await all(registry.entries(MNIST, 'v0', 'a'))).toEqual([{ path: 'a', reference: 's3://bucket/mnist/a', sizeBytes: 3, ...content }])
  })
  test('a stretch is read page by page, without what lies outside', async () => {
    const registry = await open()
    const paths = Array.from({ length: 25 }, (_, i) => `p${String(i).padStart(2, '0')}`)
    await putAll(registry, paths.map((path) => put(path, path)))
    const looking = await registry.beginPut(orderOf(), NOW)
    const stretch = async (after: string, upTo: string | undefined, limit: number): Promise<string[]> =>
      (await registry.rowsBetween(looking, { after, ...(upTo !== undefined && { upTo }) }, limit)).map(({ path }) => path)
    expect(await stretch('p03', 'p06', 9)).toEqual(['p04', 'p05', 'p06'])
    expect(await stretch('p03', undefined, 2)).toEqual(['p04', 'p05'])
    expect(await stretch('p24', undefined, 2)).toEqual([])
  })
  test('children of a directory are those that lie directly in it, however much lies deeper', async () => {
    const registry = await open()
    const deep = Array.from({ length: 3_000 }, (_, i) => `d/deep/${i % 7}/${i}`)
    const direct = ['d/a', 'd/deep', 'd/deep-er', 'd/deep0', 'd/z', 'd/～', 'd/😀', 'd/éé']
    await putAll(registry, [...deep, ...direct, 'd', 'd-', 'd0', 'c/x'].map((path) => put(path, path)))
    const looking = await registry.beginPut(orderOf(), NOW)
    const children = async (directory: string, after = directory, limit = 100): Promise<string[]> =>
      (await registry.rowsIn(looking, directory, after, limit)).map(({ path }) => path)
    expect(await children('d/')).toEqual(sorted(direct))
    expect(await children('')).toEqual(['d', 'd-', 'd0'])
    expect(await children('d/', 'd/deep', 2)).toEqual(['d/deep-er', 'd/deep0'])
    expect(await children('d/deep/')).toEqual([])
    expect(await children('d/deep/3/')).toHaveLength(100)
    expect([await registry.hasRowsUnder(looking, 'd'), await registry.hasRowsUnder(looking, 'd/a'), await registry.hasRowsUnder(looking, 'd-')]).toEqual([true, false, false])
  })
  test('rows are those of the head as the look would leave them', async () => {
    const registry = await open()
    await putAll(registry, ['a', 'b', 'd/x', 'd/y'].map((path) => put(path, path)))
    const looking = await registry.beginPut(orderOf(), NOW)
    await registry.stage(looking, [put('b', 'new'), remove('a'), put('d/w', 'w'), remove('d/x'), remove('d/y'), remove('nowhere'), { op: 'refresh', path: 'no' }])
    const line = ({ path, identity }: { path: string; identity: string }): string => `${path}=${identity}`
    expect((await registry.rowsBetween(looking, { after: '' }, 9)).map(line)).toEqual(['b=md5:new 3', 'd/w=md5:w 1'])
    expect((await registry.rowsIn(looking, 'd/', 'd/', 9)).map(line)).toEqual(['d/w=md5:w 1'])
    expect((await registry.rowsAt(looking, ['a', 'b', 'd/x'])).map(line)).toEqual(['b=md5:new 3'])
    await registry.stage(looking, [remove('d/w')])
    expect(await registry.hasRowsUnder(looking, 'd')).toBe(false)
    expect(await manifest(registry, 'latest')).toEqual(['a=a', 'b=b', 'd/x=d/x', 'd/y=d/y'])
  })
}

function findings(open: OpenRegistry): void {
  test('the last finding of a path counts, judged against the head alone', async () => {
    const registry = await open()
    await putAll(registry, [put('a', '1'), put('b', '1')])
    const looking = await registry.beginPut(orderOf(), NOW)
    await registry.stage(looking, [put('a', '2'), put('a', '1'), remove('b'), put('c', '1'), put('c', '2')])
    await registry.stage(looking, [put('b', '3'), remove('c')])
    const tally = await registry.tally(looking)
    expect(tally.changes).toEqual({ added: 0, modified: 1, removed: 0, moved: 0, bytesAdded: 1, bytesRemoved: 1 })
    await registry.record(looking, outcomeOf(tally), NOW)
    expect(await manifest(registry, 'v1')).toEqual(['a=1', 'b=3'])
  })
  test('what the head has already makes no version, however it is put', async () => {
    const registry = await open()
    await putAll(registry, [put('a', '1', { content: { digest: 'etag:1', checksums: { crc32c: 'x' } } })])
    const again: Finding[] = [put('a', '1', { content: { digest: 'etag:1' } }), put('a', '1', { content: { digest: 'etag:2', checksums: { crc32c: 'x' } } })]
    for (const finding of again) expect(await putAll(registry, [finding, remove('nowhere')])).toMatchObject({ kind: 'same', version: { version: 'v0' } })
    // The row was refreshed to etag:2; what it was made with is still the same content.
    expect(await putAll(registry, [put('a', '1', { content: { digest: 'etag:1' } })])).toMatchObject({ kind: 'same' })
    expect(await putAll(registry, [put('a', '1', { content: { digest: 'etag:1', checksums: { crc32c: 'y' } } })])).toMatchObject({ kind: 'same' })
    expect(await putAll(registry, [put('a', '1', { content: { digest: 'etag:3', checksums: { crc32c: 'z' } } })])).toMatchObject({ kind: 'recorded' })
  })
  test('the same path at another location is modified', async () => {
    const registry = await open()
    await putAll(registry, [put('a', '1')])
    const elsewhere = { ...orderOf().location, endpoint: 'http://127.0.0.1:9000' }
    expect(versionOf(await putAll(registry, [put('a', '1')], { location: elsewhere })).changes).toMatchObject({ modified: 1 })
    expect((await registry.rowsAt(await registry.beginPut(orderOf(), NOW), ['a']))[0]?.here).toBe(false)
  })
  test('a move is one removed and one added path of the same content, not empty, unique on both sides', async () => {
    const registry = await open()
    await putAll(registry, [put('one', '1'), put('two', '22'), put('twin', '22'), put('empty', ''), put('stays', '333')])
    const version = versionOf(
      await putAll(registry, ['one', 'two', 'empty'].map(remove).concat([put('uno', '1'), put('dos', '22'), put('leer', ''), put('copy', '333'), put('copy2', '4444'), put('copy3', '4444')])),
    )
    expect(version.changes).toEqual({ added: 4, modified: 0, removed: 1, moved: 2, bytesAdded: 11, bytesRemoved: 0 })
    expect((await all(registry.diff(MNIST, 'v0', 'v1'))).filter(({ change }) => change === 'moved').map(({ path, from }) => [from, path])).toEqual([['two', 'dos'], ['one', 'uno']])
    const twins = versionOf(await putAll(registry, [remove('twin'), remove('dos'), put('tres', '22')]))
    expect(twins.changes).toMatchObject({ added: 1, removed: 2, moved: 0 })
  })
  test('counts, bytes and digest move by what changed', async () => {
    const registry = await open()
    await putAll(registry, [put('a', '1'), put('b', '22'), put('c', '333')])
    const version = versionOf(await putAll(registry, [put('a', '4444'), remove('b'), put('d', '55555')]))
    expect(version).toMatchObject({ entries: 3, sizeBytes: 12, changes: { added: 1, modified: 1, removed: 1, moved: 0, bytesAdded: 9, bytesRemoved: 3 } })
    const digest = new SetDigest()
    for (const [path, text] of [['a', '4444'], ['c', '333'], ['d', '55555']] as const) digest.add(path, `md5:${text} ${text.length}`)
    expect(version.digest).toBe(digest.toString())
  })
  test('more rows than a page hold', async () => {
    const registry = await open()
    const paths = Array.from({ length: 10_001 }, (_, i) => `p/${i}`)
    await putAll(registry, paths.map((path) => put(path, path)))
    expect((await all(registry.entries(MNIST, 'v0'))).map(({ path }) => path)).toEqual([...paths].sort(comparePaths))
    const version = versionOf(await putAll(registry, paths.map((path) => put(path, `${path}!`))))
    expect(version.changes.modified).toBe(paths.length)
    expect((await all(registry.diff(MNIST, 'v0', 'v1'))).map(({ path }) => path)).toEqual([...paths].sort(comparePaths))
    expect((await manifest(registry, 'v0'))[0]).toBe('p/0=p/0')
    const gone = versionOf(await putAll(registry, paths.slice(1).map(remove)))
    expect(gone).toMatchObject({ entries: 1, digest: (await registry.version(MNIST, 'v2')).digest })
    const digest = new SetDigest()
    digest.add('p/0', 'md5:p/0! 4')
    expect(gone.digest).toBe(digest.toString())
  })
}

function refreshes(open: OpenRegistry): void {
  test('the row keeps identity and pin, and gains the newest stamps, checksums and pin', async () => {
    const registry = await open()
    await enrolled(registry)
    const content = { digest: 'etag:1', etag: '1', pin: 'versionId:1', checksums: { crc32c: 'x' } }
    const { digest } = versionOf(await finish(registry, await begun(registry), [put('a', 'abc', { content, fingerprint: 'old' })]))
    const newer = { digest: 'etag:2', etag: '2', pin: 'versionId:2', checksums: { crc32c: 'x', sha256: 'y' } }
    expect(await lookAt(registry, [{ op: 'refresh', path: 'a', content: newer, fingerprint: 'new' }])).toMatchObject({ kind: 'same', version: { digest } })
    await registry.request([{ watch: 'mnist', path: 'a', cause: 'hint' }], NOW)
    const looking = await begun(registry)
    expect(await registry.rowsAt(looking, ['a'])).toEqual([
      { path: 'a', sizeBytes: 3, content: { ...newer, pin: 'versionId:1' }, identity: 'etag:1 3', latestPin: 'versionId:2', fingerprint: 'new', here: true },
    ])
    expect(await all(registry.entries(MNIST, 'v0'))).toMatchObject([{ pin: 'versionId:1', latestPin: 'versionId:2', etag: '2' }])
    // Without content only the stamps are new; a row that may be racy has none.
    await finish(registry, looking, [{ op: 'refresh', path: 'a' }])
    await registry.request([{ watch: 'mnist', path: 'a', cause: 'hint' }], NOW)
    const [row] = await registry.rowsAt(await begun(registry), ['a'])
    expect(row).toMatchObject({ content: { etag: '2', checksums: { sha256: 'y' } }, latestPin: 'versionId:2' })
    expect(row?.fingerprint).toBeUndefined()
  })
  test('where the digest moves with metadata the row keeps the newest; what stands for the bytes is compared and counted', async () => {
    const registry = await open()
    const etag = (n: number, generation: number, over: object = {}): Finding =>
      put('a', 'abc', { content: { digest: `etag:${n}`, etag: `${n}`, pin: `generation:${generation}`, identity: 'md5:x', checksums: { md5: 'x', crc32c: 'y' }, ...over } })
    const rowNow = async (): Promise<unknown> => (await registry.rowsAt(await registry.beginPut(orderOf(), NOW), ['a']))[0]
    const counted = new SetDigest()
    counted.add('a', 'md5:x 3')
    expect(versionOf(await putAll(registry, [etag(1, 1)])).digest).toBe(counted.toString())
    // An edit of metadata, the same bytes written again, and again as a composite of parts.
    const same: readonly (readonly [Finding, number, string | undefined])[] = [
      [etag(2, 1), 2, undefined], [etag(3, 2), 3, 'generation:2'], [etag(4, 2), 4, 'generation:2'], [etag(5, 3, { identity: 'crc32c:y', checksums: { crc32c: 'y' } }), 5, 'generation:3'],
    ]
    for (const [finding, n, latestPin] of same) {
      expect(await putAll(registry, [finding])).toMatchObject({ kind: 'same', version: { version: 'v0', digest: counted.toString() } })
      expect(await rowNow()).toMatchObject({ content: { digest: `etag:${n}`, etag: `${n}`, pin: 'generation:1', checksums: { md5: 'x', crc32c: 'y' } }, identity: 'md5:x 3' })
      expect((await all(registry.entries(MNIST, 'v0')))[0]?.latestPin).toBe(latestPin)
    }
    expect(versionOf(await putAll(registry, [etag(6, 4, { identity: 'md5:z', checksums: { md5: 'z', crc32c: 'y' } })])).changes).toMatchObject({ modified: 1 })
    // The same bytes under another name, whatever its etag.
    const moved = put('b', 'abc', { content: { digest: 'etag:7', identity: 'md5:z', checksums: { md5: 'z', crc32c: 'y' } } })
    expect(versionOf(await putAll(registry, [remove('a'), moved])).changes).toMatchObject({ moved: 1, added: 0, removed: 0 })
  })
  test('without any checksum what stands for the bytes decides: another etag of it is the same, another of them is not', async () => {
    const registry = await open()
    const sealed = (n: number, generation: number): Finding => put('a', 'abc', { content: { digest: `etag:${n}`, etag: `${n}`, identity: `generation:${generation}` } })
    await putAll(registry, [sealed(1, 1)])
    expect(await putAll(registry, [sealed(2, 1)])).toMatchObject({ kind: 'same' })
    expect(versionOf(await putAll(registry, [sealed(3, 2)])).changes).toMatchObject({ modified: 1 })
  })
  test('stamps are stored beside a version, too', async () => {
    const registry = await open()
    await putAll(registry, [put('a', '1'), put('b', '1')])
    await putAll(registry, [{ op: 'refresh', path: 'a', fingerprint: 'new' }, put('b', '2')])
    expect((await registry.rowsAt(await registry.beginPut(orderOf(), NOW), ['a']))[0]?.fingerprint).toBe('new')
    expect((await registry.history(MNIST, 'a')).map(({ version }) => version)).toEqual(['v0'])
  })
}

function skips(open: OpenRegistry): void {
  test('skip rows are inherited, and belong to the versions in which they were so', async () => {
    const registry = await open()
    await enrolled(registry)
    const skip = (path: string, reason: 'fifo' | 'loop' | 'unreadable-directory'): Finding => ({ op: 'skip', path, reason })
    await finish(registry, await begun(registry), [put('a', '1'), skip('f', 'fifo'), skip('d/g', 'fifo'), skip('d/e/', 'unreadable-directory')])
    expect(versionOf(await lookAt(registry, [put('a', '2')])).certificate.skipped).toHaveLength(3)
    expect((await lookAt(registry, [skip('f', 'loop'), { op: 'unskip', path: 'd/g' }, skip('h', 'fifo')])).kind).toBe('same')
    expect((await lookAt(registry, [{ op: 'unskip', path: 'h' }])).kind).toBe('same')
    const third = versionOf(await lookAt(registry, [put('a', '3')]))
    expect(third.certificate).toMatchObject({ skippedByReason: { loop: 1, 'unreadable-directory': 1 }, skipped: [{ path: 'd/e/', reason: 'unreadable-directory' }, { path: 'f', reason: 'loop' }] })
    const named = async (version: string): Promise<string[]> => (await all(registry.skipped(MNIST, version))).map(({ path, reason }) => `${path}:${reason}`)
    expect([await named('v0'), await named('v1'), await named('v2')]).toEqual([
      ['d/e/:unreadable-directory', 'd/g:fifo', 'f:fifo'],
      ['d/e/:unreadable-directory', 'd/g:fifo', 'f:fifo'],
      ['d/e/:unreadable-directory', 'f:loop'],
    ])
  })
  test('a look reads the skips of its stretch as it would leave them', async () => {
    const registry = await open()
    await enrolled(registry)
    await finish(registry, await begun(registry), [...['a', 'd/b', 'd/e/', 'd/e/f', ''].map((path): Finding => ({ op: 'skip', path, reason: 'fifo' })), put('z', '1')])
    await registry.request([{ watch: 'mnist', path: WHOLE, cause: 'cli' }], NOW)
    const looking = await begun(registry)
    expect(looking.skips).toBe(5)
    const paths = async (cover: Parameters<typeof registry.skipsIn>[1]): Promise<string[]> => (await registry.skipsIn(looking, cover)).map(({ path }) => path)
    expect(await paths({ directory: '' })).toEqual(['', 'a'])
    expect(await paths({ directory: 'd/' })).toEqual(['d/b'])
    expect(await paths({ directory: 'd/e/' })).toEqual(['d/e/', 'd/e/f'])
    expect(await paths({ after: 'a', upTo: 'd/e/' })).toEqual(['d/b', 'd/e/'])
    await registry.stage(looking, [{ op: 'unskip', path: 'a' }, { op: 'unskip', path: 'd/b' }, { op: 'skip', path: 'n', reason: 'fifo' }])
    expect(await paths({ after: '' })).toEqual(['d/e/', 'd/e/f', 'n'])
  })
  test('an entry that was staged as skipped is no skip', async () => {
    const registry = await open()
    const looking = await registry.beginPut(orderOf(), NOW)
    await registry.stage(looking, [{ op: 'skip', path: 'a', reason: 'unreadable' }, { op: 'skip', path: 'b', reason: 'unreadable' }, put('b', '1')])
    await registry.stage(looking, [put('a', '1')])
    expect(await registry.tally(looking)).toMatchObject({ entries: 2, skipped: [], skippedByReason: {} })
  })
  test('directories and their signatures are those of the last look, in path order', async () => {
    const registry = await open()
    const directory = (path: string, signature?: string): Finding => ({ op: 'directory', path, ...(signature === undefined ? {} : { signature }) })
    await putAll(registry, [put('a', '1'), directory('', 'root'), directory('d/'), directory('b/', 'B'), directory('～/', 'F'), directory('😀/', 'E')])
    await putAll(registry, [directory('d/', 'D'), directory('b/'), { op: 'undirectory', path: '～/' }])
    const looking = await registry.beginPut(orderOf(), NOW)
    expect(await all(registry.directories(looking))).toEqual([{ path: '', signature: 'root' }, { path: 'b/' }, { path: 'd/', signature: 'D' }, { path: '😀/', signature: 'E' }])
    expect(looking.trustSignatures).toBe(true)
  })
}
