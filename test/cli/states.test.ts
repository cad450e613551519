// long
// What a commit does to older versions, as people see it: known at once from the registry alone, told in a line, and better news never in the words of worse.
import { afterAll, describe, expect, test } from '@jest/globals'
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tellAll } from '../../src/cli/tell.ts'
import type { StateChange } from '../../src/model/version.ts'
import { varveHere } from './here.ts'
import { ended, says, start } from './process.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-states-'))
afterAll(() => rmSync(folder, { recursive: true }))
let count = 0
const fresh = (): string => {
  const where = join(folder, String(++count))
  for (const name of ['a', 'b', 'c']) mkdirSync(join(where, name), { recursive: true })
  return where
}

interface Place {
  write(path: string, text: string): void
  /** Records the folder `name` as p/NAME; answers what stderr says. */
  put(name: string): Promise<string>
  states(name: string): Promise<string[]>
  say(...words: readonly string[]): Promise<string>
}

function placeOf(where: string): Place {
  const run = async (...words: readonly string[]): Promise<{ stdout: string; stderr: string }> => {
    const { exit, stdout, stderr } = await varveHere([...words, '--data', join(where, 'data')])
    expect({ exit, stderr: exit === 0 ? '' : stderr }).toEqual({ exit: 0, stderr: '' })
    return { stdout, stderr }
  }
  return {
    write: (path, text) => writeFileSync(join(where, path), text),
    put: async (name) => (await run('put', join(where, name, '/'), '--name', `p/${name}`, '--type', 'd')).stderr,
    say: async (...words) => (await run(...words)).stdout,
    async states(name) {
      const lines = (await run('log', `p/${name}`, '--json')).stdout.trim().split('\n')
      return lines.map((line) => JSON.parse(line) as { version: string; restorability: { state: string } }).map(({ version, restorability: { state } }) => `${version} ${state}`).reverse()
    },
  }
}

describe('without a daemon', () => {
  test('what another artifact holds is not lost when it is overwritten, and lost when that goes too; what comes back anywhere is there again', async () => {
    const where = fresh()
    const { write, put, states, say } = placeOf(where)
    for (const [path, text] of [['a/x', 'one'], ['a/y', 'stays'], ['b/other', 'one']] as const) write(path, text)
    await put('a')
    await put('b')
    write('a/x', 'two')
    expect(await put('a')).toBe('')
    expect(await states('a')).toEqual(['v0 unpinned', 'v1 unpinned'])
    write('b/other', 'changed')
    expect(await put('b')).toBe('p/b: v0 is lost (1 entry); see varve log\np/a: v0 is partly lost (1 entry); see varve log\n')
    expect([await states('a'), await states('b')]).toEqual([['v0 partly lost', 'v1 unpinned'], ['v0 lost', 'v1 unpinned']])
    write('c/copy', 'one')
    expect(await put('c')).toBe('p/a: v0 can be restored again; see varve log\np/b: v0 can be restored again; see varve log\n')
    expect([await states('a'), await states('b')]).toEqual([['v0 unpinned', 'v1 unpinned'], ['v0 unpinned', 'v1 unpinned']])
    expect(await say('verify', 'p/a:v0')).toMatch(/2 entries can be restored, 1 from another place/)
    expect(await say('fsck')).toBe('sound\n')
  }, 60_000)

  test('what held the bytes may be gone where others hold them still: the next of them is found', async () => {
    const { write, put, states } = placeOf(fresh())
    for (const path of ['a/x', 'b/x', 'c/x']) write(path, 'one')
    for (const name of ['a', 'b', 'c']) await put(name)
    write('a/x', 'two')
    expect(await put('a')).toBe('')
    write('b/x', 'three')
    expect(await put('b')).toBe('')
    expect([await states('a'), await states('b')]).toEqual([['v0 unpinned', 'v1 unpinned'], ['v0 unpinned', 'v1 unpinned']])
    write('c/x', 'four')
    expect((await put('c')).split('\n').filter((line) => /^p\/[abc]: v0 is lost \(1 entry\); see varve log$/.test(line))).toHaveLength(3)
  }, 60_000)

  test('an import brings back what it names', async () => {
    const where = fresh()
    const { write, put, states, say } = placeOf(where)
    write('a/x', 'one')
    await put('a')
    await say('export', 'p/a:v0', join(where, 'v0'))
    write('a/x', 'two')
    expect(await put('a')).toBe('p/a: v0 is lost (1 entry); see varve log\n')
    await say('import', join(where, 'v0'), '--name', 'p/kept')
    expect(await states('a')).toEqual(['v0 unpinned', 'v1 unpinned'])
  }, 60_000)
})

test('a daemon tells what its commits did to older versions, of other artifacts too', async () => {
  const where = fresh()
  const watch = (name: string): string => `  - { name: ${name}, location: ${name}/, artifact: p/${name}, type: d }\n`
  writeFileSync(join(where, 'varve.yaml'), `data: data\nlisten: off\naudit: { every: off }\ndefaults: { settle: 100ms }\nwatch:\n${watch('a')}${watch('b')}`)
  const { write, states } = placeOf(where)
  // Whole at once: a file is not seen half-written.
  const place = (path: string, text: string): void => {
    write('whole', text)
    renameSync(join(where, 'whole'), join(where, path))
  }
  for (const [path, text] of [['a/x', 'one'], ['a/y', 'stays'], ['b/z', 'one']] as const) place(path, text)
  const child = start(where, 'run')
  const end = ended(child)
  try {
    await Promise.all([says(child, /p\/a:v0 /, 60_000), says(child, /p\/b:v0 /, 60_000)])
    const replaced = says(child, /p\/a:v1 /, 60_000)
    place('a/x', 'two')
    await replaced
    const lost = Promise.all([says(child, /p\/b: v0 is lost \(1 entry\); see varve log\n/, 60_000), says(child, /p\/a: v0 is partly lost \(1 entry\); see varve log\n/, 60_000)])
    place('b/z', 'changed')
    await lost
    const again = says(child, /p\/b: v0 can be restored again; see varve log\n/, 60_000)
    place('b/back', 'one')
    await again
    expect(await states('a')).toEqual(['v0 unpinned', 'v1 unpinned'])
  } finally {
    child.kill('SIGTERM')
  }
  expect((await end).exit).toBe(0)
}, 240_000)

test.each<readonly [StateChange['before'], StateChange['now'], string]>([
  [undefined, { state: 'lost', lost: 2 }, 'yellow p/a: v1 is lost (2 entries)'],
  ['pinned', { state: 'at risk', lost: 0, atRiskFrom: '2026-03-01T00:00:00.000Z' }, 'yellow p/a: v1 is at risk (from 2026-03-01)'],
  ['lost', { state: 'unpinned', lost: 0 }, 'green p/a: v1 can be restored again'],
  ['partly lost', { state: 'at risk', lost: 0, atRiskFrom: '2026-03-01T00:00:00.000Z' }, 'green p/a: v1 can be restored again (at risk from 2026-03-01)'],
  ['lost', { state: 'partly lost', lost: 1 }, 'green p/a: v1 is only partly lost now (1 entry)'],
  ['at risk', { state: 'pinned', lost: 0 }, 'green p/a: v1 is no longer at risk'],
  ['unpinned', { state: 'pinned', lost: 0 }, 'green p/a: v1 is pinned now'],
])('from %j to %j is told as %s', (before, now, told) => {
  const lines: string[] = []
  const screen = { say: (line: string) => void lines.push(line), paint: (colour: string, line: string) => `${colour} ${line}` } as unknown as Parameters<typeof tellAll>[0]
  tellAll(screen, 'local').restorability({ artifact: 'p/a', entity: 'local' }, [{ version: 'v1', ...(before !== undefined && { before }), now }])
  expect(lines).toEqual([`${told}; see varve log`])
})
