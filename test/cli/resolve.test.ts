// long
// `resolve`: the exact version, once all that was heard is recorded; and its entries for loaders.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { Context } from '../../src/cli/context.ts'
import { parseLocation } from '../../src/model/location.ts'
import { openRegistryIn } from '../../src/registry/open.ts'
import type { Finding, Registry } from '../../src/registry/registry.ts'
import { begun, enrolled, finish, NOW, put, putAll } from '../suite/registry-world.ts'
import { varveHere } from './here.ts'
import type { Said } from './here.ts'
import { ended, says, start, varve } from './process.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-resolve-'))
afterAll(() => rmSync(folder, { recursive: true }))

let registry: Registry
beforeEach(async () => {
  registry = await openRegistryIn(new DatabaseSync(':memory:'))
})
afterEach(() => registry.close())

interface Beside {
  /** A daemon runs. */
  readonly runs: boolean
  /** What happens while the command sleeps, one at a time. */
  readonly happens?: (() => Promise<unknown>)[]
}

/** `resolve` over the registry of this test, by a clock that goes on by a second with each sleep. */
function resolve(words: readonly string[], beside: Beside = { runs: false }): Promise<Said> {
  let ms = 0
  const happens = [...(beside.happens ?? [])]
  const over = (real: Context): Partial<Context> => ({
    clock: {
      ...real.clock,
      monotonic: () => ms,
      async sleep() {
        ms += 1_000
        await happens.shift()?.()
      },
    },
    opener: { ...real.opener, registry: async () => ({ ...registry, close: async () => undefined }), daemonRuns: async () => beside.runs },
  })
  return varveHere(['resolve', ...words, '--data', folder], over)
}

async function hint(path: string): Promise<void> {
  await registry.request([{ watch: 'mnist', path, cause: 'hint' }], NOW)
}

async function look(findings: readonly Finding[]): Promise<void> {
  await finish(registry, await begun(registry), findings)
}

test('one line that every other command takes', async () => {
  await putAll(registry, [put('a', '1')], { aliases: ['prod'] })
  await putAll(registry, [put('a', '2')])
  for (const [name, version] of [['vision/mnist', 'v1'], ['vision/mnist:latest', 'v1'], ['vision/mnist:prod', 'v0'], ['local/vision/mnist:v0', 'v0']] as const)
    expect(await resolve([name])).toEqual({ exit: 0, stdout: `local/vision/mnist:${version}\n`, stderr: '' })
  const { stdout } = await resolve(['vision/mnist', '--json'])
  const { digest } = await registry.version({ entity: 'local', project: 'vision', collection: 'mnist' }, 'v1')
  const createdAt = new Date(NOW).toISOString()
  expect(JSON.parse(stdout)).toEqual({ reference: 'local/vision/mnist:v1', artifact: 'vision/mnist', entity: 'local', version: 'v1', digest, createdAt, entries: 1, sizeBytes: 1 })
})

describe('--wait-settled', () => {
  test('what nobody watches is settled', async () => {
    await putAll(registry, [put('a', '1')])
    expect(await resolve(['vision/mnist', '--wait-settled', '1m'])).toEqual({ exit: 0, stdout: 'local/vision/mnist:v0\n', stderr: '' })
  })
  test('without a daemon it fails at once, unless all was recorded, and says so in either case', async () => {
    await enrolled(registry)
    await look([put('a', '1')])
    const settled = await resolve(['vision/mnist', '--wait-settled', '1m'])
    expect(settled).toEqual({ exit: 0, stdout: 'local/vision/mnist:v0\n', stderr: `no daemon runs on ${folder}: what has changed since it ran was not heard\n` })
    await hint('a')
    const slept = async (): Promise<never> => Promise.reject(new Error('it waited'))
    expect(await resolve(['vision/mnist', '--wait-settled', '1m'], { runs: false, happens: [slept] })).toEqual({
      exit: 1, stdout: '', stderr: `varve: no daemon runs on ${folder}, so that nothing will settle: mnist is dirty; start it with varve run\n`,
    })
  })
  test('beside a daemon it waits until what was heard is recorded, and names the version after that', async () => {
    await enrolled(registry)
    await look([put('a', '1')])
    await hint('a')
    const happens = [async () => undefined, () => hint('b'), () => look([put('a', '2')])]
    expect(await resolve(['vision/mnist', '--wait-settled', '1m'], { runs: true, happens })).toEqual({ exit: 0, stdout: 'local/vision/mnist:v1\n', stderr: '' })
  })
  test('a first version is waited for', async () => {
    await enrolled(registry)
    expect(await resolve(['vision/mnist', '--wait-settled', '1m'], { runs: true, happens: [() => look([put('a', '1')])] })).toMatchObject({ exit: 0, stdout: 'local/vision/mnist:v0\n' })
  })
  test('after that time it fails with the state, the reason and what to do; a daemon that ends meanwhile is not waited for', async () => {
    await enrolled(registry)
    await look([put('a', '1')])
    await hint('a')
    await registry.release(await begun(registry), { state: 'held', reason: 'all is gone', action: 'run: varve accept mnist', held: {} }, NOW)
    expect(await resolve(['vision/mnist', '--wait-settled', '90s'], { runs: true })).toEqual({
      exit: 1, stdout: '', stderr: 'varve: not settled within 1.5 min: mnist is held: all is gone; run: varve accept mnist\n',
    })
  })
  test('a watch that does not hear is said to be so', async () => {
    await enrolled(registry)
    await look([put('a', '1')])
    await registry.setHearing(['mnist'], 'sqs', { reason: 'denied' })
    const { exit, stdout, stderr } = await resolve(['vision/mnist', '--wait-settled', '1m'], { runs: true })
    expect([exit, stdout]).toEqual([0, 'local/vision/mnist:v0\n'])
    expect(stderr).toMatch(/^mnist does not hear now/)
  })
  test.each(['5', 'soon', '', '-1s'])('%j is no duration', async (text) => {
    expect(await resolve(['vision/mnist', `--wait-settled=${text}`])).toMatchObject({ exit: 2, stdout: '' })
  })
  test('a real daemon, a real folder', async () => {
    const here = join(folder, 'real')
    mkdirSync(join(here, 'tree'), { recursive: true })
    writeFileSync(join(here, 'tree/a'), '1')
    writeFileSync(join(here, 'varve.yaml'), 'listen: "off"\nwatch: [{ name: w, location: ./tree/, artifact: demo/files, type: dataset, settle: 2s, poll: 1s }]\n')
    const daemon = start(here, 'run')
    const gone = ended(daemon)
    try {
      await says(daemon, /demo\/files:v0 /, 60_000)
      expect(await varve(here, 'use', 'demo/files', '--run', 'train-7')).toMatchObject({ exit: 0, stderr: '' })
      const marked = says(daemon, /run train-7 is marked: 1 entry of demo\/files:v0 changed with v1: a\n/, 60_000)
      writeFileSync(join(here, 'tree/a'), '22')
      const isDirty = async (): Promise<boolean> => {
        const [view] = (await varve(here, 'status', '--json')).stdout.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as { generation: number; committedGeneration: number; head: string })
        return view !== undefined && (view.generation > view.committedGeneration || view.head !== 'v0')
      }
      for (const end = Date.now() + 60_000; !(await isDirty()); ) expect(Date.now()).toBeLessThan(end)
      expect(await varve(here, 'resolve', 'demo/files', '--wait-settled', '1m')).toEqual({ exit: 0, stdout: 'local/demo/files:v1\n', stderr: '' })
      await marked
    } finally {
      daemon.kill('SIGTERM')
      await gone
    }
  }, 240_000)
})

const NASTY = 'a,"b"\r\nc\u0001é😀 #?.tar'

describe('--format', () => {
  const content = (pin: string): { digest: string; etag: string; pin: string } => ({ digest: 'etag:e', etag: 'e', pin })
  beforeEach(async () => {
    await putAll(registry, [put('dir/shard-0.tar', '1', { content: content('versionId:v:1') }), put('dir/shard-1.tar.gz', '22', { content: content('versionId:2') }), put(NASTY, '', { content: content('versionId:3') })])
    const location = { ...parseLocation('gs://bucket/g/', '/'), endpoint: 'http://127.0.0.1:9000' }
    const collection = { entity: 'local', project: 'vision', collection: 'gcs' }
    await putAll(registry, [put('x.txt', '1', { content: content('generation:1754000000000001') })], { location, collection })
  })
  const uri = `s3://bucket/mnist/${NASTY}`

  test('json: one object a line', async () => {
    const { exit, stdout, stderr } = await resolve(['vision/mnist', '--format', 'json'])
    expect([exit, stderr]).toEqual([0, ''])
    expect(stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as unknown)).toEqual([
      { path: NASTY, uri, versionId: '3', size: 0, digest: 'etag:e' },
      { path: 'dir/shard-0.tar', uri: 's3://bucket/mnist/dir/shard-0.tar', versionId: 'v:1', size: 1, digest: 'etag:e' },
      { path: 'dir/shard-1.tar.gz', uri: 's3://bucket/mnist/dir/shard-1.tar.gz', versionId: '2', size: 2, digest: 'etag:e' },
    ])
    expect(JSON.parse((await resolve(['vision/gcs', '--format', 'json'])).stdout)).toEqual(
      { path: 'x.txt', uri: 'gs://bucket/g/x.txt', generation: '1754000000000001', size: 1, digest: 'etag:e', endpoint: 'http://127.0.0.1:9000' },
    )
  })
  test('csv: RFC 4180', async () => {
    const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`
    expect(await resolve(['vision/mnist', '--format', 'csv'])).toEqual({
      exit: 0,
      stdout: [
        'path,uri,versionId,generation,size,digest,endpoint', `${quoted(NASTY)},${quoted(uri)},3,,0,etag:e,`,
        'dir/shard-0.tar,s3://bucket/mnist/dir/shard-0.tar,v:1,,1,etag:e,', 'dir/shard-1.tar.gz,s3://bucket/mnist/dir/shard-1.tar.gz,2,,2,etag:e,', '',
      ].join('\r\n'),
      stderr: '',
    })
    expect((await resolve(['vision/gcs', '--format', 'csv'])).stdout).toMatch(/\r\nx\.txt,gs:\/\/bucket\/g\/x\.txt,,1754000000000001,1,etag:e,http:\/\/127\.0\.0\.1:9000\r\n$/)
  })
  test('wandb: the manifest, and what its client cannot fetch', async () => {
    const { exit, stdout, stderr } = await resolve(['vision/mnist', '--format', 'wandb'])
    expect([exit, stderr]).toEqual([0, '1 entry has a # or ? in the key, where the wandb client ends it: it cannot fetch them\n'])
    const { contents, ...rest } = JSON.parse(stdout) as { contents: Record<string, unknown> }
    expect(rest).toEqual({ version: 1, storagePolicy: 'wandb-storage-policy-v1', storagePolicyConfig: { storageLayout: 'V2' } })
    expect(Object.entries(contents)).toEqual([
      [NASTY, { digest: 'e', ref: uri, size: 0, extra: { etag: 'e', versionID: '3' } }],
      ['dir/shard-0.tar', { digest: 'e', ref: 's3://bucket/mnist/dir/shard-0.tar', size: 1, extra: { etag: 'e', versionID: 'v:1' } }],
      ['dir/shard-1.tar.gz', { digest: 'e', ref: 's3://bucket/mnist/dir/shard-1.tar.gz', size: 2, extra: { etag: 'e', versionID: '2' } }],
    ])
  })
  test('webdataset: the shards alone, and how many entries are none', async () => {
    expect(await resolve(['vision/mnist', '--format', 'webdataset'])).toEqual({
      exit: 0, stdout: 's3://bucket/mnist/dir/shard-0.tar\ns3://bucket/mnist/dir/shard-1.tar.gz\n', stderr: '1 shard is left out: the name holds a line end\n',
    })
    expect(await resolve(['vision/gcs', '--format', 'webdataset'])).toEqual({ exit: 0, stdout: '', stderr: '1 entry is left out: neither .tar nor .tar.gz\n' })
  })
  test('a version without entries is an empty list', async () => {
    await enrolled(registry, { name: 'void', collection: { entity: 'local', project: 'vision', collection: 'void' } })
    await finish(registry, await begun(registry, 'void'), [put('a', '1')])
    await registry.request([{ watch: 'void', path: '*', cause: 'cli' }], NOW)
    await finish(registry, await begun(registry, 'void'), [{ op: 'remove', path: 'a' }])
    expect(JSON.parse((await resolve(['vision/void', '--format', 'wandb'])).stdout)).toMatchObject({ contents: {} })
    expect((await resolve(['vision/void', '--format', 'csv'])).stdout.split('\r\n')).toHaveLength(2)
  })
  test('it goes on with the version that the name stood for, though the alias moves', async () => {
    await enrolled(registry, { name: 'many', collection: { entity: 'local', project: 'vision', collection: 'many' } })
    const paths = Array.from({ length: 12_000 }, (_, i) => `p${String(i).padStart(5, '0')}`)
    await finish(registry, await begun(registry, 'many'), paths.map((path) => put(path, '1')))
    const before = registry
    let pages = 0
    registry = {
      ...before,
      async *entries(...asked) {
        for await (const page of before.entries(...asked)) {
          yield page
          if (++pages === 1) {
            await before.request([{ watch: 'many', path: '*', cause: 'cli' }], NOW)
            await finish(before, await begun(before, 'many'), paths.slice(6_000).map((path) => ({ op: 'remove', path })))
          }
        }
      },
    }
    expect((await resolve(['vision/many', '--format', 'json'])).stdout.split('\n')).toHaveLength(12_001)
    expect(pages).toBeGreaterThan(1)
  })
})

test('who has read enough ends it quietly', async () => {
  const here = join(folder, 'many')
  mkdirSync(join(here, 'tree'), { recursive: true })
  for (let i = 0; i < 3_000; i++) writeFileSync(join(here, 'tree', `file-with-a-long-name-that-fills-the-pipe-${i}`), '')
  expect(await varve(here, 'put', 'tree/', '--name', 'a/b', '--type', 't')).toMatchObject({ exit: 0 })
  for (const format of ['json', 'csv', 'wandb']) {
    const child = start(here, 'resolve', 'a/b', '--format', format)
    child.stdout?.once('data', () => child.stdout?.destroy())
    let complaints = ''
    child.stderr?.on('data', (chunk) => (complaints += String(chunk)))
    const exit = await new Promise((done) => child.on('close', done))
    expect({ exit, complaints }).toEqual({ exit: 0, complaints: '' })
  }
}, 120_000)
