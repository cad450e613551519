// long
// What `--json` prints is a promise: exactly these keys, one object per line, nothing else on stdout. Real processes, a real folder.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { varve } from './process.ts'
import type { Ended } from './process.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-json-'))
const NAME = 'vision/mnist'
const PUT = ['put', 'tree/', '--name', NAME, '--type', 'dataset'] as const
const MADE: Ended[] = []

beforeAll(async () => {
  mkdirSync(join(folder, 'tree/sub'), { recursive: true })
  for (const [path, text] of [['a.txt', 'a\n'], ['empty', ''], ['gone', 'gone'], ['old', 'the same bytes'], ['sub/b #%20.txt', 'bb']] as const)
    writeFileSync(join(folder, 'tree', path), text)
  execFileSync('mkfifo', [join(folder, 'tree/pipe')])
  MADE.push(await varve(folder, ...PUT, '--alias', 'staging', '--description', 'first', '--json'))
  MADE.push(await varve(folder, ...PUT, '--json'))
  writeFileSync(join(folder, 'tree/a.txt'), 'A\n')
  writeFileSync(join(folder, 'tree/new\n'), 'new')
  rmSync(join(folder, 'tree/gone'))
  renameSync(join(folder, 'tree/old'), join(folder, 'tree/renamed'))
  MADE.push(await varve(folder, ...PUT, '--json'))
}, 60_000)
afterAll(() => rmSync(folder, { recursive: true }))

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const DIGEST = expect.stringMatching(/^varve1:[0-9a-f]{64}$/)
const MD5 = expect.stringMatching(/^md5:[A-Za-z0-9+/]{22}==$/)

const CERTIFICATE = {
  startedAt: TIME, endedAt: TIME, kind: 'scan', seen: expect.any(Number), recorded: 5, skipped: [{ path: 'pipe', reason: 'fifo' }],
  skippedByReason: { fifo: 1 }, filtered: 0, changedUnderLook: [], consistent: expect.any(Boolean), requests: 0, notes: [],
}
const V0 = {
  artifact: NAME, entity: 'local', version: 'v0', index: 0, type: 'dataset', aliases: ['latest', 'staging'], digest: DIGEST, createdAt: TIME,
  entries: 5, sizeBytes: 22, cause: 'put', changes: { added: 5, modified: 0, removed: 0, moved: 0, bytesAdded: 22, bytesRemoved: 0 },
  run: expect.any(String), description: 'first', certificate: CERTIFICATE, restorability: { state: 'unpinned', lost: 0 },
}
// One was overwritten and one removed since; the third only moved.
const V0_NOW = { ...V0, aliases: ['staging'], restorability: { state: 'partly lost', lost: 2 } }
const V1 = {
  artifact: NAME, entity: 'local', version: 'v1', index: 1, type: 'dataset', aliases: ['latest'], digest: DIGEST, createdAt: TIME,
  entries: 5, sizeBytes: 21, cause: 'put', changes: { added: 1, modified: 1, removed: 1, moved: 1, bytesAdded: 5, bytesRemoved: 6 },
  run: expect.any(String), certificate: CERTIFICATE, restorability: { state: 'unpinned', lost: 0 },
}

function entry(path: string, sizeBytes: number): object {
  const reference = expect.stringMatching(/^file:\/\/\/[^\s]+$/)
  return { path, reference, sizeBytes, digest: MD5 }
}

async function lines(...words: readonly string[]): Promise<unknown[]> {
  const { exit, stdout, stderr } = await varve(folder, ...words, '--json')
  expect({ exit, stderr }).toEqual({ exit: words[0] === 'diff' ? 1 : 0, stderr: '' })
  return values(stdout)
}

function values(stdout: string): unknown[] {
  expect(stdout).toMatch(/^(.+\n)*$/)
  return stdout.split('\n').slice(0, -1).map((line) => JSON.parse(line) as unknown)
}

test('put prints the version that it made, or the one that it found', () => {
  expect(MADE.map(({ exit, stderr }) => `${exit} ${stderr}`)).toEqual(['0 ', '0 ', '0 vision/mnist: v0 is partly lost (2 entries); see varve log\n'])
  expect(values(MADE[0]?.stdout ?? '')).toEqual([V0])
  expect(values(MADE[1]?.stdout ?? '')).toEqual([V0])
  expect(values(MADE[2]?.stdout ?? '')).toEqual([V1])
})

test('log prints versions, newest first', async () => {
  expect(await lines('log', NAME)).toEqual([V1, V0_NOW])
})

test('show prints one version, by number or alias; all that it skipped, on demand', async () => {
  expect(await lines('show', `${NAME}:staging`)).toEqual([V0_NOW])
  expect(await lines('show', `local/${NAME}`)).toEqual([V1])
  expect(await lines('show', `${NAME}:v0`, '--skipped')).toEqual([{ path: 'pipe', reason: 'fifo' }])
})

test('files prints entries in path order: all, one, or those under a path', async () => {
  const sub = entry('sub/b #%20.txt', 2)
  expect(await lines('files', `${NAME}:v0`)).toEqual([entry('a.txt', 2), entry('empty', 0), entry('gone', 4), entry('old', 14), sub])
  expect(await lines('files', `${NAME}:v1`, 'sub')).toEqual([sub])
  expect(await lines('files', `${NAME}:v1`, 'sub/')).toEqual([sub])
  expect(await lines('files', `${NAME}:v1`, 'new\n')).toEqual([entry('new\n', 3)])
})

test('a reference is a file URI that leads to the file', async () => {
  const [found] = await lines('files', `${NAME}:v1`, 'sub')
  expect(found).toMatchObject({ reference: `file://${join(folder, 'tree/sub')}/b%20%23%2520.txt` })
})

test('diff prints what turns one version into the other, and answers 1; 0 and nothing when they are the same', async () => {
  expect(await lines('diff', `${NAME}:staging`, 'latest')).toEqual([
    { change: 'modified', path: 'a.txt', before: entry('a.txt', 2), after: entry('a.txt', 2) },
    { change: 'removed', path: 'gone', before: entry('gone', 4) },
    { change: 'added', path: 'new\n', after: entry('new\n', 3) },
    { change: 'moved', path: 'renamed', from: 'old', before: entry('old', 14), after: entry('renamed', 14) },
  ])
  // In full, as it is written elsewhere, it is the same.
  for (const other of ['latest', `${NAME}:latest`, `local/${NAME}:v1`]) {
    expect(await varve(folder, 'diff', `${NAME}:v1`, other, '--json')).toEqual({ exit: 0, stdout: '', stderr: '' })
    expect(await lines('diff', `${NAME}:staging`, other)).toHaveLength(4)
  }
})

test('history prints when a path changed, oldest first', async () => {
  expect(await lines('history', NAME, 'a.txt')).toEqual([
    { change: 'added', path: 'a.txt', after: entry('a.txt', 2), version: 'v0' },
    { change: 'modified', path: 'a.txt', before: entry('a.txt', 2), after: entry('a.txt', 2), version: 'v1' },
  ])
})

test('ls prints collections', async () => {
  const one = { artifact: NAME, entity: 'local', type: 'dataset', versions: 2, head: 'v1', next: 'v2', entries: 5, sizeBytes: 21, updatedAt: TIME }
  expect(await lines('ls')).toEqual([one])
  expect(await lines('ls', 'vision')).toEqual([one])
})

test('an alias goes to the version that is named, and goes away', async () => {
  expect(await varve(folder, 'alias', 'add', `${NAME}:v0`, 'prod')).toMatchObject({ exit: 0, stderr: '' })
  expect(await lines('show', `${NAME}:prod`)).toMatchObject([{ version: 'v0' }])
  expect(await varve(folder, 'alias', 'add', `${NAME}:v1`, 'prod')).toMatchObject({ exit: 0, stderr: '' })
  expect(await lines('show', `${NAME}:prod`)).toMatchObject([{ version: 'v1' }])
  expect(await varve(folder, 'alias', 'rm', `${NAME}:v1`, 'prod')).toMatchObject({ exit: 0, stderr: '' })
  expect(await varve(folder, 'show', `${NAME}:prod`)).toMatchObject({ exit: 1, stderr: expect.stringMatching(/^varve: [^\n]+\n$/) })
})

test('artifacts of one name are told apart by their entities, wherever a watch is named', async () => {
  const where = join(folder, 'entities')
  mkdirSync(join(where, 'files'), { recursive: true })
  writeFileSync(join(where, 'files/a'), 'a')
  const watch = (name: string, artifact: string, type = 'd'): string => `  - { name: ${name}, location: files/, artifact: ${artifact}, type: ${type} }`
  writeFileSync(join(where, 'varve.yaml'), ['watch:', watch('here', 'a/b'), watch('there', 'e/a/b')].join('\n'))
  expect((await varve(where, 'scan', 'here')).stdout).toBe('a/b:v0\n')
  expect((await varve(where, 'scan', 'there')).stdout).toBe('e/a/b:v0\n')
  const shown = (await varve(where, 'status')).stdout
  expect(shown).toMatch(/^here +a\/b +clean/m)
  expect(shown).toMatch(/^there +e\/a\/b +clean/m)
  expect((await varve(where, 'status', '--json')).stdout.trim().split('\n').map((line) => JSON.parse(line) as object)).toMatchObject([{ artifact: 'a/b', entity: 'local' }, { artifact: 'a/b', entity: 'e' }])
  writeFileSync(join(where, 'varve.yaml'), ['watch:', watch('here', 'a/b'), watch('there', 'e/a/b', 'other')].join('\n'))
  expect((await varve(where, 'scan', 'there')).stderr).toContain('e/a/b is a collection of type d, and this is of type other')
  rmSync(where, { recursive: true })
})

test('status prints watches, and answers 1 when one is not well', async () => {
  writeFileSync(join(folder, 'watches.yaml'), [
    'data: data',
    'watch:',
    '  - { name: good, location: tree/, artifact: a/good, type: dataset }',
    '  - { name: gone, location: absent/, artifact: a/gone, type: dataset }',
  ].join('\n'))
  const watches = (...words: readonly string[]): Promise<Ended> => varve(folder, ...words, '--config', 'watches.yaml')
  expect(await watches('scan', 'good')).toMatchObject({ exit: 0, stdout: 'a/good:v0\n', stderr: '' })
  expect(await watches('scan', 'good', '--wait')).toMatchObject({ exit: 0, stdout: 'unchanged: a/good:v0\n' })
  expect(await watches('scan', 'gone', '--wait')).toMatchObject({ exit: 1, stdout: '', stderr: expect.stringMatching(/^varve: .*unavailable.*\n$/) })
  const { exit, stdout, stderr } = await watches('status', '--json')
  expect(exit).toBe(1)
  expect(stderr).toContain('no daemon runs')
  const common = {
    entity: 'local', location: expect.stringMatching(/^file:\/\/\//), reconcileFound: 0, generation: expect.any(Number), committedGeneration: expect.any(Number),
    pollEveryMs: 60_000, nextReconcileAt: TIME,
  }
  const lastLook = { kind: 'scan', startedAt: TIME, endedAt: TIME, outcome: 'same', requests: 0 }
  expect(values(stdout)).toEqual([
    { ...common, watch: 'gone', artifact: 'a/gone', state: 'unavailable', reason: expect.any(String), action: expect.any(String), lastLook: { kind: 'scan', startedAt: TIME, endedAt: TIME, outcome: 'failed' } },
    { ...common, watch: 'good', artifact: 'a/good', state: 'clean', head: 'v0', lastLook },
  ])
}, 30_000)

test.each([['absent/'], ['hollow/'], ['hollow']])('a put of nothing (%s) exits 1 and records nothing', async (location) => {
  mkdirSync(join(folder, 'hollow'), { recursive: true })
  const { exit, stdout, stderr } = await varve(folder, 'put', location, '--name', 'a/none', '--type', 't', '--data', 'nothing')
  expect({ exit, stdout, stderr }).toEqual({ exit: 1, stdout: '', stderr: expect.stringMatching(/^varve: [^\n]+\n$/) })
  expect((await varve(folder, 'log', 'a/none', '--data', 'nothing', '--json')).stdout).toBe('')
})

test('above max_objects a put fails, and the last version stays', async () => {
  const { exit, stderr } = await varve(folder, ...PUT, '--max-objects', '4')
  expect({ exit, stderr }).toEqual({ exit: 1, stderr: expect.stringContaining('more than 4 entries') })
  expect(await lines('log', NAME)).toHaveLength(2)
})

test('nothing is written beside the data folder', () => {
  expect(readdirSync(folder).toSorted()).toEqual(['.varve', 'data', 'hollow', 'tree', 'watches.yaml'])
})
