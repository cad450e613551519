// `use`, `finish`, `put --run` and `lineage`, as people and programs read them.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { varveHere } from './here.ts'
import type { Said } from './here.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-lineage-'))
const [TREE, OUT, DATA] = ['tree/', 'out/', 'data'].map((name) => join(folder, name)) as [string, string, string]
afterAll(() => rmSync(folder, { recursive: true }))

function varve(...words: readonly string[]): Promise<Said> {
  return varveHere([...words, '--data', DATA])
}

async function said(...words: readonly string[]): Promise<string> {
  const { exit, stdout, stderr } = await varve(...words)
  // What a put does to older versions is another matter.
  expect({ exit, stderr: stderr.replace(/^vision\/mnist: .* lost .*; see varve log\n/, '') }).toEqual({ exit: 0, stderr: '' })
  return stdout
}

async function values(...words: readonly string[]): Promise<Record<string, unknown>[]> {
  return (await said(...words, '--json')).trimEnd().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>)
}

const MNIST = ['put', `${folder}/tree/`, '--name', 'vision/mnist', '--type', 'dataset'] as const
const CNN = ['put', `${folder}/out/`, '--name', 'vision/cnn', '--type', 'model'] as const
const NASTY = 'ev\u001b[31mil\u202e\n└─ run'

beforeAll(async () => {
  for (const path of [TREE, OUT]) mkdirSync(path)
  for (const name of ['a', 'b', 'c', 'd', '\u001b[2J']) writeFileSync(join(TREE, name), name)
  writeFileSync(join(OUT, 'weights'), '1')
  await said(...MNIST)
})

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
const DIGEST = expect.stringMatching(/^varve1:[0-9a-f]{64}$/)
const RUN = { name: 'train-7', entity: 'local', project: 'vision', kind: 'run', state: 'running', createdAt: TIME }

test('use prints exactly what is used; again it changes nothing', async () => {
  const first = await said('use', 'vision/mnist', '--run', 'train-7')
  expect(first).toMatch(/^local\/vision\/mnist:v0 {2}varve1:[0-9a-f]{64}\n$/)
  expect(await said('use', 'vision/mnist:latest', '--run', 'train-7')).toBe(first)
  expect(await values('use', 'vision/mnist:v0', '--run', 'train-7')).toEqual([{ artifact: 'vision/mnist', entity: 'local', version: 'v0', digest: DIGEST, run: RUN }])
  expect(await values('use', 'vision/mnist:v0', '--run', NASTY, '--project', 'lab')).toMatchObject([{ run: { name: NASTY, project: 'lab' } }])
})

describe('after more runs', () => {
  beforeAll(async () => {
    await said(...CNN, '--run', 'train-7')
    expect(await values(...CNN, '--run', 'train-8')).toMatchObject([{ version: 'v0', run: 'train-7' }])
    await said('use', 'vision/cnn', '--run', 'train-8')
  })

  test('a put says on stderr which running runs it marked, and nothing more on stdout', async () => {
    for (const name of ['a', 'b', 'c', '\u001b[2J']) writeFileSync(join(TREE, name), `${name} anew`)
    const { exit, stdout, stderr } = await varve(...MNIST)
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: 'vision/mnist: v0 is partly lost (4 entries); see varve log\nruns ev\\x1b[31mil\\u{202e}\\x0a└─ run, train-7 are marked: 4 entries of vision/mnist:v0 changed with v1: \\x1b[2J, a, b and 1 more\n' })
    expect(stdout).toMatch(/^vision\/mnist:v1 {2}\+0 ~4 -0 /)
  })

  test('lineage is a tree up and down; what is reached twice is gone on from once; no name drives the terminal', async () => {
    const tree = (await said('lineage', 'vision/mnist:v0')).split('\n')
    expect(tree[0]).toMatch(/^vision\/mnist:v0 {2}varve1:[0-9a-f]{64}$/)
    expect(tree.slice(1)).toEqual([
      'made by',
      '└─ put-1',
      'used by',
      '├─ run train-7 (vision, running)',
      '│  4 entries of vision/mnist:v0 changed with v1: \\x1b[2J, a, b and 1 more',
      '│  └─ vision/cnn:v0',
      '│     └─ run train-8 (vision, running)',
      '│        └─ vision/cnn:v0  (above)',
      '└─ run ev\\x1b[31mil\\u{202e}\\x0a└─ run (lab, running)',
      '   4 entries of vision/mnist:v0 changed with v1: \\x1b[2J, a, b and 1 more',
      '',
    ])
  })

  test('as JSON it is one edge a line, with all that a mark names', async () => {
    const cnn = { artifact: 'vision/cnn', entity: 'local', version: 'v0', type: 'model', digest: DIGEST, createdAt: TIME }
    const mnist = { artifact: 'vision/mnist', entity: 'local', version: 'v0', type: 'dataset', digest: DIGEST, createdAt: TIME }
    const mark = { artifact: 'vision/mnist', entity: 'local', version: 'v0', by: 'v1', at: TIME, entries: 4, paths: ['\u001b[2J', 'a', 'b', 'c'] }
    const other = { ...RUN, name: 'train-8' }
    const edges = [
      { direction: 'up', depth: 1, edge: 'output', version: cnn, run: RUN },
      { direction: 'up', depth: 1, edge: 'output', version: cnn, run: other },
      { direction: 'up', depth: 2, edge: 'input', version: cnn, run: other, marks: [] },
      { direction: 'up', depth: 2, edge: 'input', version: mnist, run: RUN, marks: [mark] },
      { direction: 'up', depth: 3, edge: 'output', version: mnist, run: { name: 'put-1', entity: 'local', project: 'vision', kind: 'put', createdAt: TIME } },
      { direction: 'down', depth: 1, edge: 'input', version: cnn, run: other, marks: [] },
      { direction: 'down', depth: 2, edge: 'output', version: cnn, run: other },
    ]
    expect(await values('lineage', 'vision/cnn:v0')).toEqual(edges)
    const near = await varve('lineage', 'vision/cnn:v0', '--json', '--depth', '1')
    expect([near.exit, near.stderr]).toEqual([0, 'nothing was looked for beyond 1 edge: --depth goes further\n'])
    expect(near.stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as unknown)).toEqual(edges.filter(({ depth }) => depth === 1))
  })

  test('finish says what changed while the run ran; after it nothing marks the run', async () => {
    expect(await said('finish', 'train-7')).toBe('run train-7 (vision, finished)\n  4 entries of vision/mnist:v0 changed with v1: \\x1b[2J, a, b and 1 more\n')
    expect(await values('finish', NASTY, '--project', 'local/lab', '--failed')).toMatchObject([{ state: 'failed', finishedAt: TIME, marks: [{ by: 'v1' }] }])
    writeFileSync(join(TREE, 'd'), 'd anew')
    await said(...MNIST)
    expect(await values('finish', 'train-7')).toEqual([{ ...RUN, state: 'finished', finishedAt: TIME, marks: [expect.objectContaining({ by: 'v1' })] }])
  })

  test('a run that nobody made, or several have, cannot be finished', async () => {
    expect(await varve('finish', 'nobody')).toEqual({ exit: 1, stdout: '', stderr: 'varve: no run nobody; varve use and varve put --run make runs\n' })
    await said('use', 'vision/mnist', '--run', 'train-7', '--project', 'lab')
    expect(await varve('finish', 'train-7')).toEqual({ exit: 1, stdout: '', stderr: 'varve: the run train-7 is one of local/lab, local/vision; say which with --project\n' })
  })
})

test.each([
  [['use', 'vision/mnist']],
  [['use', 'vision/mnist', '--run', '']],
  [['use', 'vision/mnist', '--run', 'r'.repeat(257)]],
  [['use', 'vision/mnist', '--run', 'r', '--project', 'a/b/c']],
  [['use', 'vision/mnist', '--run', 'r', '--project', '']],
  [[...CNN, '--project', 'lab']],
  [['lineage', 'vision/mnist', '--depth', '0']],
])('%j is wrong usage', async (words) => {
  const { exit, stdout, stderr } = await varve(...words)
  expect({ exit, stdout }).toEqual({ exit: 2, stdout: '' })
  expect(stderr).toMatch(/^varve: [^\n]+; [^\n]+\n$/)
})
