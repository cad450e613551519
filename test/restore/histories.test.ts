// long
// Random histories of writes, deletes, reverts and expiries: each version that can still be restored comes back as the model has it; each other one is refused with exactly the lost paths.
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { MNIST } from '../suite/registry-world.ts'
import { lostOf, RestoreWorld, treeOf } from './world.ts'

const PATHS = ['a', 'd/b', 'd/c', 'é', 'o/😀']
const TEXTS = ['', 'x', 'y', 'long '.repeat(9)]

type Act = { readonly act: 'put'; readonly path: string; readonly text: string } | { readonly act: 'remove' | 'expire'; readonly path: string } | { readonly act: 'record' }

const path = fc.constantFrom(...PATHS)
const acts = fc.array(fc.oneof(
  { weight: 4, arbitrary: fc.record({ act: fc.constant('put' as const), path, text: fc.constantFrom(...TEXTS) }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('remove' as const), path }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('expire' as const), path }) },
  { weight: 3, arbitrary: fc.record({ act: fc.constant('record' as const) }) },
), { minLength: 3, maxLength: 24 })

/** Object versions of each path, newest first; undefined is a delete marker. */
class Model {
  readonly #versioned: boolean
  readonly kept = new Map<string, { readonly text: string | undefined; readonly pin: string }[]>()
  readonly recorded: Map<string, string>[] = []
  #puts = 0

  constructor(versioned: boolean) {
    this.#versioned = versioned
  }

  put(path: string, text: string): void {
    this.#lay(path, { text, pin: `versionId:${++this.#puts}` })
  }

  remove(path: string): void {
    if (!this.kept.has(path)) return
    if (this.#versioned) this.#lay(path, { text: undefined, pin: '' })
    else this.kept.delete(path)
  }

  /** All but the newest of a path go. */
  expire(path: string): readonly string[] {
    const [newest, ...older] = this.kept.get(path) ?? []
    if (newest !== undefined) this.kept.set(path, [newest])
    return older.map(({ pin }) => pin)
  }

  now(): Map<string, string> {
    return new Map([...this.kept].flatMap(([path, [newest]]) => (newest?.text === undefined ? [] : [[path, newest.text] as const])))
  }

  /** Bytes are found at every path that a version ever had them at. */
  isThere(text: string): boolean {
    return [...this.kept].some(([path, versions]) => versions.some((one) => one.text === text) && this.recorded.some((version) => version.get(path) === text))
  }

  #lay(path: string, one: { readonly text: string | undefined; readonly pin: string }): void {
    this.kept.set(path, [one, ...(this.#versioned ? (this.kept.get(path) ?? []) : [])])
  }
}

async function play(world: RestoreWorld, model: Model, act: Act): Promise<void> {
  if (act.act === 'put') {
    model.put(act.path, act.text)
    world.memory.put(act.path, act.text)
  } else if (act.act === 'remove') {
    model.remove(act.path)
    if (world.memory.at(act.path).kind === 'entry') world.memory.remove(act.path)
  } else if (act.act === 'expire') for (const pin of model.expire(act.path)) world.memory.expire(act.path, pin)
  else {
    const now = model.now()
    // From none nothing is made, and from some to none a guard holds.
    if (now.size === 0) return
    const { index } = await world.record(MNIST)
    model.recorded[index] = now
  }
}

test.each([['with versions', true], ['without versions', false]] as const)('histories of a store %s', async (_name, versioned) => {
  await fc.assert(fc.asyncProperty(acts, async (history) => {
    const world = await new RestoreWorld({ versioned }).open()
    try {
      const model = new Model(versioned)
      for (const act of history) await play(world, model, act)
      for (const [index, version] of model.recorded.entries()) {
        const lost = [...version].filter(([, text]) => !model.isThere(text)).map(([at]) => at)
        const to = world.place()
        const came = await world.get(`v${index}`, to)
        expect([...Object.keys(lostOf(came))].sort()).toEqual(lost.sort())
        const expected = Object.fromEntries([...version].map(([at, text]) => [at, text]))
        expect(treeOf(to) ?? {}).toEqual(lost.length === 0 ? expected : {})
        if (lost.length === 0 || lost.length === version.size) continue
        await world.get(`v${index}`, to, { partial: true })
        expect(treeOf(to)).toEqual(Object.fromEntries(Object.entries(expected).filter(([at]) => !lost.includes(at))))
      }
    } finally {
      await world.close()
    }
  }), { numRuns: 25 })
}, 600_000)
