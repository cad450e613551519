// A disk that is full: backup, export, restore-registry and import say so in one line, leave nothing half-written, and harm no registry.
import { execFileSync } from 'node:child_process'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRegistry } from '../../src/registry/open.ts'
import { MNIST, put, putAll } from '../suite/registry-world.ts'
import { fillUp } from '../e2e/full.ts'
import { varveHere } from './here.ts'

let where: string
let disk: string
const data = (): string => join(where, 'data')
beforeEach(async () => {
  where = mkdtempSync(join(tmpdir(), 'varve-full-'))
  disk = join(where, 'disk')
  mkdirSync(disk)
  // A registry of some 10 MB, and room for 3.
  const registry = await openRegistry(data(), { thread: false })
  await putAll(registry, Array.from({ length: 40_000 }, (_, i) => put(`a folder with a rather long name/${i}`, `${i}`)))
  await registry.close()
  expect(statSync(join(data(), 'varve.db')).size).toBeGreaterThan(4_000_000)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'varve-full', disk])
})
afterEach(() => {
  execFileSync('umount', ['-l', disk])
  rmSync(where, { recursive: true })
})

async function isFull(...words: readonly string[]): Promise<string> {
  const { exit, stdout, stderr } = await varveHere(words)
  expect({ words, exit, stdout, stderr }).toEqual({ words, exit: 1, stdout: '', stderr: expect.stringMatching(/^varve: [^\n]*(full|no space)[^\n]*\n$/i) })
  return stderr
}

async function said(...words: readonly string[]): Promise<string> {
  const { exit, stdout, stderr } = await varveHere(words)
  expect({ exit, stderr: exit === 0 ? '' : stderr }).toEqual({ exit: 0, stderr: '' })
  return stdout
}

test.each([['backup', []], ['export', ['vision/mnist:v0', '--format', 'jsonl']], ['export', ['vision/mnist:v0', '--format', 'parquet']]] as const)('%s %j makes no file, and keeps the one that it was to replace', async (verb, more) => {
  fillUp(join(disk, 'ballast'))
  const [name = '', ...flags] = more
  const words = (file: string, ...rest: readonly string[]): string[] => [verb, ...(name === '' ? [] : [name]), file, ...flags, ...rest, '--data', data()]
  await isFull(...words(join(disk, 'made')))
  rmSync(join(disk, 'ballast'))
  writeFileSync(join(disk, 'made'), 'former')
  fillUp(join(disk, 'ballast'))
  await isFull(...words(join(disk, 'made'), '--force'))
  expect([readdirSync(disk).sort(), statSync(join(disk, 'made')).size]).toEqual([['ballast', 'made'], 6])
  expect(await said('fsck', '--data', data())).toBe('sound\n')
}, 60_000)

test('a backup that does not fit leaves nothing', async () => {
  expect(await isFull('backup', join(disk, 'made'), '--data', data())).toMatch(/there is no room for a backup in .*disk \(/)
  expect(readdirSync(disk)).toEqual([])
}, 60_000)

test('restore-registry leaves the registry that is there, or none', async () => {
  await said('backup', join(where, 'copy'), '--data', data())
  await isFull('restore-registry', join(where, 'copy'), '--data', join(disk, 'data'))
  expect(readdirSync(join(disk, 'data')).filter((name) => name.startsWith('varve.db'))).toEqual([])
  const registry = await openRegistry(join(disk, 'data'), { thread: false })
  await putAll(registry, [put('a', '1')])
  await registry.close()
  await isFull('restore-registry', join(where, 'copy'), '--force', '--data', join(disk, 'data'))
  expect(await said('fsck', '--data', join(disk, 'data'))).toBe('sound\n')
  expect(JSON.parse(await said('show', 'vision/mnist:v0', '--json', '--data', join(disk, 'data')))).toMatchObject({ entries: 1 })
  expect(readdirSync(join(disk, 'data')).filter((name) => name.startsWith('varve.db.'))).toEqual([])
}, 60_000)

test('an import records nothing, and the artifact is what it was', async () => {
  await said('export', 'vision/mnist:v0', join(where, 'lines'), '--data', data())
  const registry = await openRegistry(join(disk, 'data'), { thread: false })
  await putAll(registry, [put('a', '1')], { collection: { ...MNIST, collection: 'other' } })
  await registry.close()
  await isFull('import', join(where, 'lines'), '--name', 'b/new', '--data', join(disk, 'data'))
  expect(await said('fsck', '--data', join(disk, 'data'))).toBe('sound\n')
  expect((await said('ls', '--json', '--data', join(disk, 'data'))).trim().split('\n').map((line) => (JSON.parse(line) as { artifact: string; versions: number }).versions).filter((versions) => versions > 0)).toEqual([1])
}, 60_000)
