// long
// rm, prune, export, import, backup, restore-registry and fsck as people type them: one process each, or this one with everything real but the streams.
import { afterAll, describe, expect, test } from '@jest/globals'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { exportVersion } from '../../src/cli/export.ts'
import { execute } from '../../src/cli/program.ts'
import { screenOn } from '../../src/cli/screen.ts'
import { compose, systemClock } from '../../src/compose.ts'
import { environment } from '../../src/config.ts'
import { parseLocation } from '../../src/model/location.ts'
import type { Location } from '../../src/model/location.ts'
import type { Clock } from '../../src/model/clock.ts'
import { openRegistry } from '../../src/registry/open.ts'
import type { Finding, Registry } from '../../src/registry/registry.ts'
import { NAMES, NASTIER } from '../suite/names.ts'
import { begun, failure, finish, MNIST, NOW, orderOf, put, putAll, remove, watchOf } from '../suite/registry-world.ts'
import { ended, says, start } from './process.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-retain-cli-'))
afterAll(() => rmSync(folder, { recursive: true }))
let count = 0
const fresh = (): string => {
  const where = join(folder, String(++count))
  mkdirSync(where)
  return where
}

interface Said { readonly exit: number; readonly stdout: string; readonly stderr: string }

async function varveAt(clock: Clock, where: string, ...words: readonly string[]): Promise<Said> {
  const [stdout, stderr] = [new PassThrough({ highWaterMark: 2 ** 24 }), new PassThrough()]
  const surroundings = environment({})
  const screen = screenOn(stdout, stderr, surroundings, systemClock.monotonic, new AbortController().signal)
  const exit = await execute([...words, '--data', join(where, 'data')], { screen, surroundings, clock, input: () => process.stdin, signal: new AbortController().signal, opener: compose(clock, surroundings, screen), self: 'varve' })
  return { exit, stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') }
}

const varve = (where: string, ...words: readonly string[]): Promise<Said> => varveAt(systemClock, where, ...words)

async function said(where: string, ...words: readonly string[]): Promise<string> {
  const { exit, stdout, stderr } = await varve(where, ...words)
  expect({ exit, stderr: exit === 0 ? '' : stderr }).toEqual({ exit: 0, stderr: '' })
  return stdout
}

async function within(where: string, act: (registry: Registry) => Promise<unknown>): Promise<void> {
  const registry = await openRegistry(join(where, 'data'), { thread: false })
  try {
    await act(registry)
  } finally {
    await registry.close()
  }
}

const versions = async (where: string, name = 'vision/mnist'): Promise<string[]> => (await said(where, 'log', name, '--json')).trim().split('\n').map((line) => (JSON.parse(line) as { version: string }).version)

/** v0 to v4 of vision/mnist, a day apart, the last one a day old; v1 is `prod`, v2 was used. */
const DAY_MS = 86_400_000
async function five(where: string): Promise<void> {
  await within(where, async (registry) => {
    for (let i = 0; i < 5; i++) {
      const looking = await registry.beginPut(orderOf(), NOW)
      await finish(registry, looking, [put('a', String(i))])
    }
    await registry.addAlias(MNIST, 'v1', 'prod')
    await registry.use(MNIST, 'v2', { name: 'train' }, NOW)
  })
  const { DatabaseSync } = await import('node:sqlite')
  const database = new DatabaseSync(join(where, 'data/varve.db'))
  database.exec(`UPDATE version SET created_at = ${NOW} + number * ${DAY_MS}`)
  database.close()
}
const later: Clock = { ...systemClock, now: () => NOW + 5 * DAY_MS }

describe('rm', () => {
  test('of the newest: what lies there is recorded under the next index, and what is gone with its folder is not missed', async () => {
    const where = fresh()
    mkdirSync(join(where, 'tree/sub/deep'), { recursive: true })
    for (const [path, text] of [['a', '1'], ['sub/deep/x', 'x'], ['sub/y', 'y']] as const) writeFileSync(join(where, 'tree', path), text)
    const record = (): Promise<string> => said(where, 'put', join(where, 'tree/'), '--name', 'p/x', '--type', 'd')
    await record()
    rmSync(join(where, 'tree/sub'), { recursive: true })
    writeFileSync(join(where, 'tree/a'), '22')
    expect(await record()).toContain('p/x:v1  +0 ~1 -2')
    expect(JSON.parse(await said(where, 'rm', 'p/x:latest', '--json'))).toEqual({
      artifact: 'p/x', entity: 'local', version: 'v1', createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/), entries: 1, sizeBytes: 2, aliases: ['latest'], users: [],
    })
    expect(await said(where, 'fsck')).toBe('sound\n')
    expect(await record()).toContain('p/x:v2  +0 ~1 -2')
    expect((await said(where, 'files', 'p/x:v2', '--json')).trim().split('\n')).toHaveLength(1)
    expect(await versions(where, 'p/x')).toEqual(['v2', 'v0'])
    expect(await said(where, 'fsck')).toBe('sound\n')
  })
  test('of a version with an alias or a user wants --force; of a whole artifact is wrong usage', async () => {
    const where = fresh()
    await five(where)
    expect(await varve(where, 'rm', 'vision/mnist:prod')).toEqual({ exit: 1, stdout: '', stderr: 'varve: vision/mnist:v1 bears the alias prod; it stays; --force removes it all the same\n' })
    expect(await varve(where, 'rm', 'vision/mnist:v2')).toMatchObject({ exit: 1, stderr: 'varve: vision/mnist:v2 was used by the run train; it stays; --force removes it all the same\n' })
    expect(await varve(where, 'rm', 'vision/mnist', '--force')).toMatchObject({ exit: 2, stderr: expect.stringMatching(/^varve: vision\/mnist names no version, and an artifact is not removed as a whole; .*\n$/) })
    expect(await said(where, 'rm', 'vision/mnist:prod', '--force')).toContain('removed: vision/mnist:v1  (1 entry, 1 B, ')
    expect(await versions(where)).toEqual(['v4', 'v3', 'v2', 'v0'])
    expect(await varve(where, 'rm', 'vision/mnist:v1')).toMatchObject({ exit: 1, stderr: 'varve: no version v1 of vision/mnist: it has 4 of v0 to v4, aliases latest\n' })
  })
})

describe('beside a running daemon', () => {
  test('what is removed is found again, a backup is taken, and nothing is put in its place', async () => {
    const where = fresh()
    mkdirSync(join(where, 'tree'))
    writeFileSync(join(where, 'tree/a'), '1')
    writeFileSync(join(where, 'varve.yaml'), 'data: data\nlisten: off\ndefaults: { settle: 100ms }\nwatch:\n  - { name: tree, location: tree/, artifact: p/x, type: d }\n')
    const child = start(where, 'run')
    const end = ended(child)
    try {
      await says(child, /p\/x:v0 /, 60_000)
      const second = says(child, /p\/x:v1 /, 60_000)
      writeFileSync(join(where, 'tree/a'), '22')
      await second
      const third = says(child, /p\/x:v2 {2}\+0 ~1 -0/, 60_000)
      await said(where, 'rm', 'p/x:v1')
      await third
      await said(where, 'backup', join(where, 'backup'))
      expect(await varve(where, 'restore-registry', join(where, 'backup'), '--force')).toMatchObject({ exit: 1, stderr: expect.stringMatching(/^varve: a daemon works on /) })
      expect(await said(where, 'fsck')).toBe('sound\n')
      expect(await versions(where, 'p/x')).toEqual(['v2', 'v0'])
    } finally {
      child.kill('SIGTERM')
      await end
    }
    await said(where, 'restore-registry', join(where, 'backup'), '--force')
    expect(await versions(where, 'p/x')).toEqual(['v2', 'v0'])
  }, 240_000)
})

describe('prune', () => {
  test.each<readonly [readonly string[], readonly string[]]>([
    [['--keep-last', '1'], ['v0', 'v3']],
    [['--keep-last', '2'], ['v0']],
    [['--keep-last', '1', '--force'], ['v0', 'v1', 'v2', 'v3']],
    [['--keep-last', '1', '--keep-aliased', '--force'], ['v0', 'v2', 'v3']],
    [['--keep-used', '--force'], ['v0', 'v1', 'v3']],
    [['--keep-aliased'], ['v0', 'v3']],
    [['--older-than', '5d'], ['v0']],
    [['--older-than', '2d', '--keep-last', '3', '--force'], ['v0', 'v1']],
    [['--older-than', '0d', '--keep-last', '2'], ['v0']],
    [['--keep-last', '9'], []],
    [['--older-than', '90d'], []],
  ])('%j removes %j, and only says so with --dry-run', async (rules, gone) => {
    const where = fresh()
    await five(where)
    const run = async (...more: readonly string[]): Promise<string[]> => {
      const { exit, stdout, stderr } = await varveAt(later, where, 'prune', 'vision/mnist', ...rules, ...more, '--json')
      expect({ exit, stderr: stderr.replace(/^[\d.]+ k?B given back to the disk\n$/, '') }).toEqual({ exit: 0, stderr: '' })
      return stdout.split('\n').filter((line) => line !== '').map((line) => (JSON.parse(line) as { version: string }).version)
    }
    expect(await run('--dry-run')).toEqual(gone)
    expect(await versions(where)).toHaveLength(5)
    expect(await run()).toEqual(gone)
    expect(await versions(where)).toEqual(['v4', 'v3', 'v2', 'v1', 'v0'].filter((version) => !gone.includes(version)))
    expect(await run()).toEqual([])
    expect(await said(where, 'fsck')).toBe('sound\n')
  })
  test.each([[['vision/mnist']], [['vision/mnist', '--force']], [['vision', '--keep-last', '1']], [['vision/mnist:v1', '--keep-last', '1']], [['vision/mnist', '--keep-last', '0']], [['vision/mnist', '--older-than', '90']], [['vision/mnist', '--older-than', '0d']], [['vision/mnist', '--older-than', '0s', '--force']]])(
    '%j is wrong usage', async (words) => {
      expect(await varve(fresh(), 'prune', ...words)).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringMatching(/^varve: [^\n]+\n$/) })
    })
  test('that is killed in the middle leaves a sound registry, and goes on', async () => {
    const where = fresh()
    await within(where, async (registry) => {
      for (let i = 0; i < 60; i++) await putAll(registry, Array.from({ length: 300 }, (_, n) => put(`p${n}`, `${i}.${n}`)))
    })
    const words = ['prune', 'vision/mnist', '--keep-last', '2', '--data', join(where, 'data')]
    const child = start(where, ...words)
    const end = ended(child)
    await says(child, /removed: vision\/mnist:v3 /, 60_000)
    child.kill('SIGKILL')
    await end
    expect(await said(where, 'fsck')).toBe('sound\n')
    expect((await versions(where)).length).toBeGreaterThanOrEqual(2)
    await said(where, ...words.slice(0, 4))
    expect(await versions(where)).toEqual(['v59', 'v58'])
    expect(await said(where, 'fsck')).toBe('sound\n')
  }, 120_000)
})

describe('export and import', () => {
  const SECRET = 'http://key:secret@127.0.0.1:9000'
  async function seed(where: string): Promise<void> {
    const collection = (name: string): typeof MNIST => ({ ...MNIST, collection: name })
    const names = [...new Set([...NAMES, ...NASTIER])]
    const wide = (path: string, i: number): Finding => put(path, `t${i}`, {
      content: { digest: `etag:e${i}`, etag: `e${i}`, ...(i % 2 === 0 && { pin: `versionId:${i}` }), ...(i % 3 === 0 && { checksums: { crc32c: `c${i}==`, sha256: 'x' } }), ...(i % 5 === 0 && { identity: `md5:i${i}` }) },
    })
    await within(where, async (registry) => {
      await putAll(registry, names.map(wide), { collection: collection('s3'), aliases: ['prod'] })
      await putAll(registry, [{ op: 'refresh', path: 'plain', content: { digest: 'etag:new', etag: 'new', pin: 'versionId:new' } }, put('é', 'other'), remove('a b')], { collection: collection('s3') })
      await putAll(registry, names.map(wide), { collection: collection('elsewhere'), location: { ...parseLocation('s3://other-bucket/', '/'), endpoint: SECRET } })
      await putAll(registry, names.map(wide), { collection: collection('gcs'), location: parseLocation('gs://bucket/a#b%20/', '/') })
      const files = names.filter((name) => !/(^|\/)(\.{0,2})(\/|$)/.test(name) && !name.includes('\0'))
      await putAll(registry, [...files.map(wide), ...[...new Set(files.map((path) => path.slice(0, path.lastIndexOf('/') + 1)))].map((path): Finding => ({ op: 'directory', path }))],
        { collection: collection('files'), location: parseLocation('file:///data/mnist%20%C3%A9/', '/') })
      const web = await registry.beginPut(orderOf({ collection: collection('web'), location: parseLocation('https://host:8443/a%20b/c%2Fd.csv?v=1', '/') }), NOW)
      await finish(registry, web, [put('c%2Fd.csv', '1')], { lone: ['c%2Fd.csv'] })
      const lone = await registry.beginPut(orderOf({ collection: collection('lone'), location: parseLocation('s3://bucket/dir/key#1', '/') }), NOW)
      await finish(registry, lone, [put('key#1', '1')], { lone: ['key#1'] })
      const at = (text: string, where_: string): Location => ({ ...parseLocation(text, '/'), at: where_ })
      await registry.enroll([watchOf({ name: 'several', collection: collection('several'), locations: [at('s3://bucket/t/', 'train/'), at('gs://bucket/v/', 'val/')] })], NOW)
      await finish(registry, await begun(registry, 'several'), [put('train/t/x', '1'), put('train/y', '2'), put('val/y', '3')])
    })
  }
  const NAMES_OF = ['s3', 'elsewhere', 'gcs', 'files', 'web', 'lone', 'several']

  test.each(NAMES_OF)('of %s comes back byte for byte, by both formats, with the same digest; once more it is unchanged', async (name) => {
    const [where, elsewhere] = [fresh(), fresh()]
    await seed(where)
    const file = (one: string): string => join(where, one)
    await said(where, 'export', `vision/${name}:latest`, file('one.jsonl'))
    await said(where, 'export', `vision/${name}:latest`, file('one.parquet'), '--format', 'parquet')
    const entries = (one: string): string => readFileSync(file(one), 'utf8').replace(/^.*\n/, '')
    const first = entries('one.jsonl')
    expect(first).not.toBe('')
    expect(await said(where, 'export', `vision/${name}:latest`)).toBe(readFileSync(file('one.jsonl'), 'utf8'))
    const [view] = [JSON.parse(await said(where, 'show', `vision/${name}:latest`, '--json')) as { digest: string; entries: number; sizeBytes: number }]
    for (const [format, target] of [['one.jsonl', 'b/lines'], ['one.parquet', 'b/columns']] as const) {
      const made = JSON.parse(await said(elsewhere, 'import', file(format), '--name', target, '--alias', 'new', '--json')) as object
      expect(made).toMatchObject({ version: 'v0', digest: view.digest, entries: view.entries, sizeBytes: view.sizeBytes, cause: 'put', type: 'dataset', aliases: ['latest', 'new'] })
      await said(elsewhere, 'export', `${target}:new`, file('again.jsonl'), '--force')
      expect(entries('again.jsonl')).toBe(first)
      expect(await said(elsewhere, 'import', file('one.jsonl'), '--name', target)).toBe(`unchanged: ${target}:v0\n`)
      await said(elsewhere, 'export', `${target}:new`, file('again.jsonl'), '--force')
      expect(entries('again.jsonl')).toBe(first)
    }
    expect(await said(elsewhere, 'fsck')).toBe('sound\n')
    for (const one of ['one.jsonl', 'one.parquet']) expect(readFileSync(file(one), 'latin1')).not.toContain('secret')
  })
  test('what is imported over another version is the difference, and another type or a watch is refused', async () => {
    const where = fresh()
    await seed(where)
    const file = (name: string): string => join(where, name)
    await said(where, 'export', 'vision/s3:v0', file('v0'))
    await said(where, 'export', 'vision/s3:v1', file('v1'))
    expect(await said(where, 'import', file('v0'), '--name', 'b/x')).toMatch(/^b\/x:v0 {2}\+\d+ ~0 -0/)
    expect(await said(where, 'import', file('v1'), '--name', 'b/x')).toMatch(/^b\/x:v1 {2}\+0 ~1 -1/)
    expect(await varve(where, 'import', file('v1'), '--name', 'b/x', '--type', 'model')).toMatchObject({ exit: 1, stderr: expect.stringMatching(/is a collection of type dataset, and this is of type model; /) })
    expect(await varve(where, 'import', file('v1'), '--name', 'vision/several')).toMatchObject({ exit: 1, stderr: expect.stringMatching(/^varve: local\/vision\/several is kept by the watch several at /) })
    expect(await said(where, 'import', file('v0'), '--name', 'vision/s3')).toMatch(/^vision\/s3:v2 {2}\+1 ~1 -0/)
    expect(await said(where, 'fsck')).toBe('sound\n')
  })
  test('a file that is not right is refused by its line, and nothing is made', async () => {
    const where = fresh()
    await seed(where)
    const good = await said(where, 'export', 'vision/several:v0')
    const [head = '', ...lines] = good.trimEnd().split('\n')
    const changed = (index: number, over: object): string => [head, ...lines.map((line, i) => (i === index ? JSON.stringify({ ...(JSON.parse(line) as object), ...over }) : line))].join('\n')
    const cases: readonly (readonly [string, RegExp])[] = [
      [[head.replace(/"createdAt":"[^"]*"/, '"createdAt":"never"'), ...lines].join('\n'), /line 1: createdAt of its version is "never", which is no time/],
      ['', /it is empty/], ['{}', /line 1: it is no header/], ['nonsense', /line 1: it is no JSON/], [lines.join('\n'), /line 1: it is no header/],
      [`${head}\n${lines[0]}\n{"path"`, /line 3: it is no JSON/], [[head, ...lines.slice(1)].join('\n'), /it holds 2 entries, and its version has 3/],
      [[head, lines[1], lines[0], lines[2]].join('\n'), /entry 2: the path "train\/t\/x" does not come after "train\/y"/], [[head, lines[0], ...lines].join('\n'), /does not come after/],
      [changed(1, { sizeBytes: -1 }), /line 3: sizeBytes is no size/], [changed(1, { path: '' }), /line 3: path is no text/], [changed(0, { digest: 'none' }), /line 2: digest has not the form alg:value/],
      [changed(0, { digest: 'md5:2' }), /its entries have the digest/], [changed(2, { reference: 'ftp://x/y' }), /line 4: the scheme of ftp/], [changed(2, { reference: 'https://u:p@host/y' }), /line 4: .*holds a user or password/],
      [changed(2, { reference: 'https://host/y?X-Amz-Signature=1' }), /line 4: .*signature or a key/], [changed(2, { reference: 'file:///a%62' }), /is not written as Varve writes it/],
      [changed(1, { endpoint: 'http://k:s@h' }), /line 3: the endpoint is no plain URL/], [changed(1, { checksums: [1] }), /line 3: checksums is no map/], [changed(1, { extra: 1 }), /line 3: "extra" is not known/],
      [changed(1, { sizeBytes: 3 }), /entries have \d+ bytes/],
    ]
    for (const [text, words] of cases) {
      writeFileSync(join(where, 'bad'), text)
      const { exit, stdout, stderr } = await varve(where, 'import', join(where, 'bad'), '--name', 'b/bad')
      expect({ exit, stdout, stderr }).toEqual({ exit: 2, stdout: '', stderr: expect.stringMatching(words) })
      expect(stderr).toMatch(/^varve: [^\n]+\n$/)
      expect(stderr).not.toMatch(/u:p|k:s/)
    }
    await said(where, 'export', 'vision/s3:v0', join(where, 'good'), '--format', 'parquet')
    const bytes = readFileSync(join(where, 'good'))
    for (const cut of [10, bytes.length - 9, bytes.length - 200]) {
      writeFileSync(join(where, 'bad'), bytes.subarray(0, cut))
      expect(await varve(where, 'import', join(where, 'bad'), '--name', 'b/bad')).toMatchObject({ exit: 2, stderr: expect.stringMatching(/^varve: [^\n]+\n$/) })
    }
    expect(await said(where, 'ls', '--json')).not.toContain('b/bad')
    expect(await said(where, 'fsck')).toBe('sound\n')
  })
  test('a file that is there is kept, unless it is forced', async () => {
    const where = fresh()
    await seed(where)
    const file = join(where, 'kept')
    writeFileSync(file, 'kept')
    expect(await varve(where, 'export', 'vision/s3:v0', file)).toMatchObject({ exit: 1, stderr: expect.stringMatching(/is there already; name another file, or give --force\n$/) })
    expect(readFileSync(file, 'utf8')).toBe('kept')
    await said(where, 'export', 'vision/s3:v0', file, '--force')
    expect(readFileSync(file, 'utf8')).toMatch(/^\{"varve":"version\/1"/)
    expect(await varve(where, 'export', 'vision/s3:v0', join(where, 'absent/x'))).toMatchObject({ exit: 2, stderr: expect.stringMatching(/cannot be written/) })
    expect(await varve(where, 'export', 'vision/s3:v7', join(where, 'none'))).toMatchObject({ exit: 1 })
    expect(readdirSync(where).filter((name) => !['data', 'kept'].includes(name))).toEqual([])
  })
})

describe('- is stdout and stdin', () => {
  test('both formats go through a pipe and back; a terminal gets no Parquet, and nothing is called -', async () => {
    const where = fresh()
    await five(where)
    for (const format of ['jsonl', 'parquet']) {
      const out = start(where, 'export', 'vision/mnist:v3', '-', '--format', format, '--data', 'data')
      const into = start(where, 'import', '-', '--name', `b/${format}`, '--data', 'data')
      out.stdout?.pipe(into.stdin as NonNullable<typeof into.stdin>)
      const [exit, imported] = await Promise.all([new Promise((resolve) => out.on('close', resolve)), ended(into)])
      expect([exit, imported.exit]).toEqual([0, 0])
      expect(imported.stdout).toMatch(/^b\/\w+:v0 {2}\+1 ~0 -0/)
      expect(await versions(where, `b/${format}`)).toHaveLength(1)
    }
    const screen = { terminal: true } as unknown as ReturnType<typeof screenOn>
    const context = { screen, surroundings: environment({}) } as unknown as Parameters<typeof exportVersion>[0]
    expect(await failure(exportVersion(context, 'vision/mnist:v3', '-', { format: 'parquet', data: join(where, 'data') }))).toMatchObject({ code: 'USAGE', message: 'Parquet is no text for a terminal' })
    const bad = start(where, 'import', '-', '--name', 'b/bad', '--data', 'data')
    bad.stdin?.end('{"varve":"version/1"}')
    expect(await ended(bad)).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringMatching(/^varve: stdin line 1: [^\n]+\n$/) })
    expect(await varve(where, 'backup', '-')).toMatchObject({ exit: 2 })
    expect(readdirSync(where)).toEqual(['data'])
  }, 60_000)
})

describe('backup, restore-registry and fsck', () => {
  test('a backup is a file that is checked, takes the place of none, and comes back', async () => {
    const where = fresh()
    await five(where)
    const file = join(where, 'varve.backup')
    expect(await said(where, 'backup', file)).toMatch(/varve\.backup {2}\([\d.]+ kB, checked\)\n$/)
    expect(await varve(where, 'backup', file)).toMatchObject({ exit: 1, stderr: expect.stringMatching(/is there already/) })
    const size = statSync(file).size
    await said(where, 'rm', 'vision/mnist:v4')
    await said(where, 'backup', file, '--force')
    expect(statSync(file).size).toBeLessThanOrEqual(size)
    expect(await varve(where, 'restore-registry', file)).toMatchObject({ exit: 1, stderr: expect.stringMatching(/^varve: there is a registry in /) })
    await said(where, 'rm', 'vision/mnist:v3')
    await said(where, 'restore-registry', file, '--force')
    expect(await versions(where)).toEqual(['v3', 'v2', 'v1', 'v0'])
    const other = fresh()
    await said(other, 'restore-registry', file)
    expect(await versions(other)).toEqual(['v3', 'v2', 'v1', 'v0'])
    expect(await said(other, 'fsck')).toBe('sound\n')
    expect(readdirSync(where).filter((name) => name.includes('part'))).toEqual([])
    const none = fresh()
    writeFileSync(join(where, 'garbage'), 'no registry')
    expect(await varve(none, 'restore-registry', join(where, 'garbage'))).toMatchObject({ exit: 1, stderr: expect.stringMatching(/garbage is no registry of Varve/) })
    expect(readdirSync(none)).toEqual([])
  })
  test('an artifact whose versions were all removed says so, and what the next will be called', async () => {
    const where = fresh()
    await five(where)
    await said(where, 'prune', 'vision/mnist', '--keep-last', '1', '--force')
    await said(where, 'rm', 'vision/mnist:latest', '--force')
    expect(await varve(where, 'log', 'vision/mnist')).toMatchObject({ exit: 0, stdout: '', stderr: 'no versions any more: all were removed, and the next will be v5\n' })
  })
  test('fsck answers 1 with a line for each fault, 3 where there is nothing to check', async () => {
    const where = fresh()
    await five(where)
    const { DatabaseSync } = await import('node:sqlite')
    const database = new DatabaseSync(join(where, 'data/varve.db'))
    database.exec('UPDATE version SET entries = 5 WHERE number IN (1, 3)')
    database.close()
    expect(await varve(where, 'fsck')).toEqual({ exit: 1, stdout: 'vision/mnist: v1 has 1 entries, and says 5\nvision/mnist: v3 has 1 entries, and says 5\n', stderr: '' })
    expect(await varve(where, 'fsck', '--json')).toMatchObject({ exit: 1, stdout: expect.stringMatching(/^\{"artifact":"vision\/mnist","words":"v1 has 1 entries, and says 5"\}\n/) })
    expect((await varve(join(where, 'absent'), 'fsck')).exit).toBe(3)
  })
})
