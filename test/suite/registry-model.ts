// The registry against a plain model: maps of path to content, one for each version.
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { SetDigest } from '../../src/model/digest.ts'
import { comparePaths } from '../../src/model/location.ts'
import { changeLine, all, manifest, MNIST, putAll, put, remove, sorted } from './registry-world.ts'
import type { OpenRegistry } from './registry.ts'

type State = ReadonlyMap<string, string>

const PATHS = ['a', 'a/b', 'a-', 'b/c/d', 'b/c', 'é', '～', '😀', '\ue000x']
const states = fc.array(fc.dictionary(fc.constantFrom(...PATHS), fc.constantFrom('', 'x', 'y', 'zz'), { noNullPrototype: true }), { minLength: 1, maxLength: 6 })

export function modelSuite(open: OpenRegistry): void {
  test('entries of every version, diffs of every pair and set digests are those of a plain model', async () => {
    const registry = await open()
    let count = 0
    await fc.assert(
      fc.asyncProperty(states, async (wanted) => {
        const collection = { ...MNIST, collection: `c${++count}` }
        const versions: State[] = []
        let now: State = new Map()
        for (const next of wanted.map((state): State => new Map(Object.entries(state)))) {
          const gone = [...now.keys()].filter((path) => !next.has(path))
          const recorded = await putAll(registry, [...[...next].map(([path, text]) => put(path, text)), ...gone.map(remove)], { collection })
          const differs = gone.length > 0 || [...next].some(([path, text]) => now.get(path) !== text)
          expect(recorded.kind).toBe(differs ? 'recorded' : 'same')
          if (differs) versions.push(next)
          now = next
        }
        for (const [n, state] of versions.entries()) {
          expect(await manifest(registry, `v${n}`, collection)).toEqual(sorted(state.keys()).map((path) => `${path}=${state.get(path) ?? ''}`))
          const { digest, entries, sizeBytes, changes } = await registry.version(collection, `v${n}`)
          expect([digest, entries, sizeBytes]).toEqual([digestOf(state), state.size, sizeOf(state)])
          const { added, modified, removed, moved, bytesAdded, bytesRemoved } = changes
          expect(sizeOf(versions[n - 1] ?? new Map()) + bytesAdded - bytesRemoved).toBe(sizeBytes)
          if (n > 0) expect(added + modified + removed + moved).toBe(diffOf(versions[n - 1] ?? new Map(), state).length)
          for (const [m, other] of versions.entries()) expect((await all(registry.diff(collection, `v${m}`, `v${n}`))).map(changeLine)).toEqual(diffOf(other, state))
        }
      }),
      { numRuns: 40 },
    )
  }, 60_000)
}

function sizeOf(state: State): number {
  return [...state.values()].reduce((sum, text) => sum + text.length, 0)
}

function digestOf(state: State): string {
  const digest = new SetDigest()
  for (const [path, text] of state) digest.add(path, `md5:${text} ${text.length}`)
  return digest.toString()
}

function diffOf(before: State, after: State): string[] {
  const removed = [...before.keys()].filter((path) => !after.has(path))
  const added = [...after.keys()].filter((path) => !before.has(path))
  const only = (paths: string[], state: State, text: string): string | undefined => {
    const same = paths.filter((path) => state.get(path) === text)
    return same.length === 1 ? same[0] : undefined
  }
  const moves = new Map<string, string>()
  for (const path of added) {
    const text = after.get(path) ?? ''
    const from = only(added, after, text) === undefined ? undefined : only(removed, before, text)
    if (text !== '' && from !== undefined) moves.set(path, from)
  }
  const gone = new Set(moves.values())
  const lines: [string, string][] = []
  for (const path of added) lines.push([path, moves.has(path) ? `${moves.get(path) ?? ''}>${path}` : `+${path}`])
  for (const path of removed) if (!gone.has(path)) lines.push([path, `-${path}`])
  for (const [path, text] of after) if (before.has(path) && before.get(path) !== text) lines.push([path, `~${path}`])
  return lines.sort(([a], [b]) => comparePaths(a, b)).map(([, line]) => line)
}
