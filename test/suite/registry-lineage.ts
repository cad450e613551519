// Laws of lineage: edges are said once, a run is marked when and only when what it uses changed while it ran, and a graph of any shape is walked once.
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { EdgeView } from '../../src/model/version.ts'
import type { Recorded, Registry } from '../../src/registry/registry.ts'
import { all, begun, enrolled, failure, finish, lookAt, MNIST, NOW, orderOf, put, putAll, remove, versionOf, watchOf } from './registry-world.ts'
import type { OpenRegistry } from './registry.ts'

const CNN = { ...MNIST, collection: 'cnn' }
const ONE = { name: 'train-1' }

export function lineageSuite(open: OpenRegistry): void {
  describe('edges', () => edges(open))
  describe('marks', () => marks(open))
  describe('graphs', () => graphs(open))
  marksModel(open)
}

/** `run>version` of what a run made, `version>run` of what it used; `@` and its depth. */
async function graph(registry: Registry, name = MNIST, version = 'latest', depth = Infinity): Promise<{ up: string[]; down: string[] }> {
  const found = await all(registry.lineage(name, version, depth))
  const line = ({ edge, run, version: of, depth: at }: EdgeView): string => {
    const [runName, versionName] = [run.kind === 'run' ? run.name : run.kind, `${of.artifact.replace('vision/', '')}:${of.version}`]
    return `${edge === 'output' ? `${runName}>${versionName}` : `${versionName}>${runName}`}@${at}`
  }
  return { up: found.filter(({ direction }) => direction === 'up').map(line), down: found.filter(({ direction }) => direction === 'down').map(line) }
}

function markedOf(recorded: Recorded): unknown {
  return recorded.kind === 'recorded' ? recorded.marked.map(({ version, by, entries, paths, runs, names }) => ({ version, by, entries, paths, runs, names })) : recorded.kind
}

function edges(open: OpenRegistry): void {
  test('a use names the exact version and its run, once, however often it is said', async () => {
    const registry = await open()
    const { digest } = versionOf(await putAll(registry, [put('a', '1')], { aliases: ['prod'] }))
    const run = { name: 'train-1', entity: 'local', project: 'vision', kind: 'run', state: 'running', createdAt: new Date(NOW).toISOString() }
    for (const alias of ['prod', 'latest', 'v0']) expect(await registry.use(MNIST, alias, ONE, NOW)).toEqual({ artifact: 'vision/mnist', entity: 'local', version: 'v0', digest, run })
    expect(await graph(registry)).toEqual({ up: ['put>mnist:v0@1'], down: ['mnist:v0>train-1@1'] })
  })
  test('what is used must be there; then no run is made', async () => {
    const registry = await open()
    expect(await failure(registry.use(MNIST, 'latest', ONE, NOW))).toMatchObject({ code: 'NOT_FOUND' })
    await putAll(registry, [put('a', '1')])
    expect(await failure(registry.use(MNIST, 'v7', ONE, NOW))).toMatchObject({ code: 'NOT_FOUND' })
    expect(await failure(registry.endRun(ONE, 'finished', NOW))).toMatchObject({ code: 'NOT_FOUND', message: expect.stringMatching(/train-1/) })
  })
  test('a name is one run in its project, another in each other, and none of a watch or an unnamed put', async () => {
    const registry = await open()
    await enrolled(registry)
    await finish(registry, await begun(registry), [put('a', '1')])
    const lab = { entity: 'local', project: 'lab' }
    expect((await registry.use(MNIST, 'v0', { name: 'mnist' }, NOW)).run).toMatchObject({ project: 'vision', kind: 'run' })
    expect((await registry.use(MNIST, 'v0', { name: 'mnist', project: lab }, NOW)).run).toMatchObject({ project: 'lab' })
    await registry.use(MNIST, 'v0', { name: 'mnist', project: { entity: 'local', project: 'vision' } }, NOW)
    expect(await graph(registry)).toEqual({ up: ['watch>mnist:v0@1'], down: ['mnist:v0>mnist@1', 'mnist:v0>mnist@1'] })
    expect(await failure(registry.endRun({ name: 'mnist' }, 'finished', NOW))).toMatchObject({ code: 'CONFLICT', message: expect.stringMatching(/local\/lab, local\/vision/) })
    expect(await registry.endRun({ name: 'mnist', project: lab }, 'failed', NOW + 5)).toMatchObject({ project: 'lab', state: 'failed', finishedAt: new Date(NOW + 5).toISOString() })
    expect((await all(registry.lineage(MNIST, 'v0', 9))).map(({ run }) => run.state)).toEqual([undefined, 'running', 'failed'])
  })
  test('a put of a run is its output, also when the content was there already, and then there is no version', async () => {
    const registry = await open()
    expect(versionOf(await putAll(registry, [put('a', '1')], { run: ONE })).run).toBe('train-1')
    expect(await putAll(registry, [put('a', '1')], { run: { name: 'train-2' } })).toMatchObject({ kind: 'same', version: { index: 0, run: 'train-1' } })
    await putAll(registry, [put('a', '1')])
    expect(await graph(registry)).toEqual({ up: ['train-1>mnist:v0@1', 'train-2>mnist:v0@1'], down: [] })
    expect(versionOf(await putAll(registry, [put('a', '2')], { run: ONE })).index).toBe(1)
    expect(await graph(registry)).toEqual({ up: ['train-1>mnist:v1@1'], down: [] })
  })
  test('a put that recorded nothing leaves no run that it alone had made', async () => {
    const registry = await open()
    await putAll(registry, [put('a', '1')])
    await registry.use(MNIST, 'v0', ONE, NOW)
    for (const run of [ONE, { name: 'train-2' }]) await registry.release(await registry.beginPut(orderOf({ run }), NOW), { state: 'dirty', reason: 'no' }, NOW)
    expect(await failure(registry.endRun({ name: 'train-2' }, 'finished', NOW))).toMatchObject({ code: 'NOT_FOUND' })
    expect(await registry.endRun(ONE, 'finished', NOW)).toMatchObject({ state: 'finished', marks: [] })
  })
  test('a run of a put goes on while another put of it is on its way', async () => {
    const registry = await open()
    const [first, second] = [await registry.beginPut(orderOf({ run: ONE }), NOW), await registry.beginPut(orderOf({ run: ONE, collection: CNN }), NOW)]
    await registry.release(first, { state: 'dirty', reason: 'no' }, NOW)
    expect(versionOf(await finish(registry, second, [put('a', '1')])).run).toBe('train-1')
  })
  test('the watches of a collection are its own', async () => {
    const registry = await open()
    await registry.enroll([watchOf(), watchOf({ name: 'cnn', collection: CNN })], NOW)
    expect((await registry.watchesOf(CNN)).map(({ name, state }) => [name, state])).toEqual([['cnn', 'dirty']])
    expect(await failure(registry.watchesOf({ ...MNIST, entity: 'nobody' }))).toMatchObject({ code: 'NOT_FOUND' })
  })
}

function marks(open: OpenRegistry): void {
  test('a run is marked when entries of what it uses change or go while it runs, by a look and by a put, and names them', async () => {
    const registry = await open()
    await enrolled(registry)
    await finish(registry, await begun(registry), [put('a', '1'), put('b', '1'), put('c', '1')])
    await registry.use(MNIST, 'v0', ONE, NOW)
    await registry.use(MNIST, 'v0', { name: 'eval' }, NOW)
    expect(markedOf(await lookAt(registry, [put('new', '1')]))).toEqual([])
    expect(markedOf(await lookAt(registry, [put('new', '2')]))).toEqual([])
    expect(markedOf(await lookAt(registry, [put('a', '1')]))).toBe('same')
    const mark = { version: 'v0', by: 'v3', entries: 2, paths: ['a', 'c'] }
    expect(markedOf(await lookAt(registry, [put('a', '2'), remove('c'), remove('new')]))).toEqual([{ ...mark, runs: 2, names: ['eval', 'train-1'] }])
    expect(markedOf(await lookAt(registry, [put('a', '3')]))).toEqual([])
    const location = watchOf().locations[0]
    expect(markedOf(await putAll(registry, [put('b', '2')], { location }))).toEqual([{ version: 'v0', by: 'v5', entries: 1, paths: ['b'], runs: 2, names: ['eval', 'train-1'] }])
    const full = { artifact: 'vision/mnist', entity: 'local', at: new Date(NOW).toISOString() }
    const both = [{ ...full, ...mark }, { ...full, version: 'v0', by: 'v5', entries: 1, paths: ['b'] }]
    expect((await registry.endRun(ONE, 'finished', NOW)).marks).toEqual(both)
    expect((await all(registry.lineage(MNIST, 'v0', 1))).map((edge) => edge.marks)).toEqual([undefined, both, both])
  })
  test('one that ended is marked no more; one that uses again runs again, with all that it used', async () => {
    const registry = await open()
    await putAll(registry, [put('a', '1')])
    await putAll(registry, [put('x', '1')], { collection: CNN })
    await registry.use(MNIST, 'v0', ONE, NOW)
    await registry.endRun(ONE, 'finished', NOW)
    expect(markedOf(await putAll(registry, [put('a', '2')]))).toEqual([])
    await putAll(registry, [put('a', '2'), put('b', '1')])
    await registry.use(MNIST, 'latest', ONE, NOW)
    await registry.endRun(ONE, 'finished', NOW)
    expect((await registry.use(CNN, 'v0', ONE, NOW)).run).toMatchObject({ state: 'running' })
    expect(markedOf(await putAll(registry, [remove('b')]))).toMatchObject([{ version: 'v2', by: 'v3', paths: ['b'], names: ['train-1'] }])
    expect((await registry.endRun(ONE, 'finished', NOW)).marks).toHaveLength(1)
  })
  test('what a removed version changed, and the next one finds again, marks nobody twice; what it finds besides does', async () => {
    const registry = await open()
    const FORCED = { spared: { aliased: false, used: false }, head: true }
    await putAll(registry, [put('a', '1'), put('b', '1')])
    await registry.use(MNIST, 'v0', ONE, NOW)
    expect(markedOf(await putAll(registry, [put('a', '2')]))).toMatchObject([{ by: 'v1', names: ['train-1'] }])
    await registry.removeVersion(MNIST, 'v1', FORCED, NOW)
    await registry.use(MNIST, 'v0', { name: 'eval' }, NOW)
    // Only who has not heard is told.
    expect(markedOf(await putAll(registry, [put('a', '2')]))).toEqual([{ version: 'v0', by: 'v2', entries: 1, paths: ['a'], runs: 1, names: ['eval'] }])
    await registry.removeVersion(MNIST, 'v2', FORCED, NOW)
    expect(markedOf(await putAll(registry, [put('a', '2')]))).toEqual([])
    await registry.removeVersion(MNIST, 'v3', FORCED, NOW)
    expect(markedOf(await putAll(registry, [put('a', '2'), put('b', '2')]))).toMatchObject([{ by: 'v4', paths: ['a', 'b'], runs: 2 }])
    for (const name of ['train-1', 'eval']) expect((await registry.endRun({ name }, 'finished', NOW)).marks.map(({ by, paths }) => `${by} ${paths.join()}`)).toEqual(['v3 a', 'v4 a,b'])
  })
  test('of many entries and runs all are counted, and the first are named', async () => {
    const registry = await open()
    const paths = Array.from({ length: 1_200 }, (_, i) => `p${String(i).padStart(4, '0')}`)
    await putAll(registry, paths.map((path) => put(path, '1')))
    for (let i = 10; i < 35; i++) await registry.use(MNIST, 'v0', { name: `run-${i}` }, NOW)
    const recorded = await putAll(registry, paths.map(remove))
    const [marked] = recorded.kind === 'recorded' ? recorded.marked : []
    expect(marked).toMatchObject({ entries: 1_200, runs: 25 })
    expect([marked?.paths, marked?.names.length, marked?.names[0]]).toEqual([paths.slice(0, 1_000), 20, 'run-10'])
  })
}

function graphs(open: OpenRegistry): void {
  test('diamonds and cycles are walked once, as far as was asked', async () => {
    const registry = await open()
    await putAll(registry, [put('raw', '1')])
    for (const name of ['left', 'right']) {
      await registry.use(MNIST, 'v0', { name }, NOW)
      await putAll(registry, [put(name, '1')], { collection: { ...MNIST, collection: name }, run: { name } })
      await registry.use({ ...MNIST, collection: name }, 'v0', { name: 'join' }, NOW)
    }
    await putAll(registry, [put('m', '1')], { collection: CNN, run: { name: 'join' } })
    // It eats its own output, and hands back what it began with.
    await registry.use(CNN, 'v0', { name: 'loop' }, NOW)
    await putAll(registry, [put('raw', '1')], { run: { name: 'loop' } })
    const up = ['join>cnn:v0@1', 'left:v0>join@2', 'right:v0>join@2', 'left>left:v0@3', 'right>right:v0@3', 'mnist:v0>left@4', 'mnist:v0>right@4', 'put>mnist:v0@5', 'loop>mnist:v0@5', 'cnn:v0>loop@6']
    const down = ['cnn:v0>loop@1', 'loop>mnist:v0@2', 'mnist:v0>left@3', 'mnist:v0>right@3', 'left>left:v0@4', 'right>right:v0@4', 'left:v0>join@5', 'right:v0>join@5', 'join>cnn:v0@6']
    expect(await graph(registry, CNN)).toEqual({ up, down })
    const within = (most: number) => (line: string): boolean => Number(line.split('@')[1]) <= most
    for (const most of [1, 2, 5]) expect(await graph(registry, CNN, 'v0', most)).toEqual({ up: up.filter(within(most)), down: down.filter(within(most)) })
  })
  test('a run may use what it made, as when it logs to and reads from one artifact: both edges are shown, and marks come as to any user', async () => {
    const registry = await open()
    await putAll(registry, [put('a', '1')], { run: ONE })
    await registry.use(MNIST, 'v0', ONE, NOW)
    expect(await graph(registry)).toEqual({ up: ['train-1>mnist:v0@1', 'mnist:v0>train-1@2'], down: ['mnist:v0>train-1@1', 'train-1>mnist:v0@2'] })
    expect(markedOf(await putAll(registry, [put('a', '2')]))).toMatchObject([{ by: 'v1', names: ['train-1'] }])
  })
  test('thousands of runs of one version come in pages', async () => {
    const registry = await open()
    await putAll(registry, [put('a', '1')])
    for (let i = 0; i < 250; i++) await registry.use(MNIST, 'v0', { name: `run-${i}` }, NOW + i)
    const pages: number[] = []
    for await (const page of registry.lineage(MNIST, 'v0', 9)) pages.push(page.length)
    expect(pages).toEqual([1, 100, 100, 50])
  })
}

type Act =
  | { readonly do: 'use'; readonly run: string; readonly back: number }
  | { readonly do: 'finish'; readonly run: string }
  | { readonly do: 'commit'; readonly state: Readonly<Record<string, string>> }

const runs = fc.constantFrom('one', 'two')
const acts: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ do: fc.constant('use' as const), run: runs, back: fc.nat(2) }),
  fc.record({ do: fc.constant('finish' as const), run: runs }),
  fc.record({ do: fc.constant('commit' as const), state: fc.dictionary(fc.constantFrom('a', 'b', 'c/d', '😀'), fc.constantFrom('x', 'y'), { noNullPrototype: true }) }),
)

/** What a plain model knows: every version as a map, with since when each path is as it is; and of each run what it used and how it is marked. */
interface Model {
  readonly versions: (ReadonlyMap<string, { readonly text: string; readonly since: number }>)[]
  readonly used: Map<string, Set<number>>
  readonly running: Set<string>
  readonly marks: Map<string, Set<string>>
}

function marksModel(open: OpenRegistry): void {
  test('a run is marked if and only if entries that a version it uses had were closed while it ran; saying a use again changes nothing', async () => {
    const registry = await open()
    let count = 0
    await fc.assert(
      fc.asyncProperty(fc.array(acts, { maxLength: 14 }), async (wanted) => {
        const collection = { entity: 'local', project: `p${++count}`, collection: 'c' }
        const model: Model = { versions: [], used: new Map(), running: new Set(), marks: new Map() }
        await commit(registry, collection, model, { a: 'x', b: 'x' })
        for (const act of wanted) {
          if (act.do === 'commit') await commit(registry, collection, model, act.state)
          else if (act.do === 'use') await useIt(registry, collection, model, act.run, Math.max(0, model.versions.length - 1 - act.back))
          else if (model.used.has(act.run)) {
            await registry.endRun({ name: act.run, project: collection }, 'finished', NOW)
            model.running.delete(act.run)
          }
        }
        for (const [run, used] of model.used) {
          const { marks: found } = await registry.endRun({ name: run, project: collection }, 'finished', NOW)
          expect(found.map(({ version, by, paths }) => `${version} ${by} ${paths.join()}`).sort()).toEqual([...(model.marks.get(run) ?? [])].sort())
          for (const number of used) {
            const inputs = (await all(registry.lineage(collection, `v${number}`, 1))).filter(({ edge, run: of }) => edge === 'input' && of.name === run)
            expect(inputs).toHaveLength(1)
          }
        }
      }),
      { numRuns: 60 },
    )
  }, 60_000)
}

async function useIt(registry: Registry, collection: typeof MNIST, model: Model, run: string, number: number): Promise<void> {
  for (let times = 0; times < 2; times++) await registry.use(collection, `v${number}`, { name: run }, NOW)
  model.used.set(run, (model.used.get(run) ?? new Set()).add(number))
  model.running.add(run)
}

async function commit(registry: Registry, collection: typeof MNIST, model: Model, state: Readonly<Record<string, string>>): Promise<void> {
  const before = model.versions.at(-1) ?? new Map<string, { text: string; since: number }>()
  const by = model.versions.length
  const gone = [...before.keys()].filter((path) => !(path in state))
  const recorded = await putAll(registry, [...Object.entries(state).map(([path, text]) => put(path, text)), ...gone.map(remove)], { collection })
  if (recorded.kind !== 'recorded') return
  model.versions.push(new Map(Object.entries(state).map(([path, text]) => [path, before.get(path)?.text === text ? before.get(path) as { text: string; since: number } : { text, since: by }])))
  const closed = [...before].filter(([path, { text }]) => state[path] !== text)
  for (const run of model.running)
    for (const number of model.used.get(run) ?? []) {
      const paths = closed.filter(([, { since }]) => since <= number).map(([path]) => path)
      // The order of UTF-8 bytes is that of these few names.
      if (paths.length > 0) model.marks.set(run, (model.marks.get(run) ?? new Set()).add(`v${number} v${by} ${paths.sort().join()}`))
    }
}
