// long
// backup, restore-registry, import, export and prune that are killed at any moment: what is there is the old or the new, whole; a second try works, and nothing of the first is left.
import { afterAll, describe, expect, test } from '@jest/globals'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openRegistry } from '../../src/registry/open.ts'
import { put, putAll } from '../suite/registry-world.ts'
import { varveHere } from './here.ts'
import { ended, start } from './process.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-killed-'))
afterAll(() => rmSync(folder, { recursive: true }))
const ROWS = 6_000
const MOMENTS = 5

let count = 0
/** A folder of its own, with a copy of a registry of some size: `versions` of vision/mnist. */
const seeds = new Map<number, string>()
async function seeded(versions: number): Promise<string> {
  const where = join(folder, String(++count))
  mkdirSync(join(where, 'data'), { recursive: true })
  if (!seeds.has(versions)) {
    const seed = join(folder, `seed-${versions}`)
    const registry = await openRegistry(seed, { thread: false })
    for (let i = 0; i < versions; i++) await putAll(registry, Array.from({ length: ROWS }, (_, n) => put(`folder/${n}`, `${i}.${n}`)))
    await registry.close()
    seeds.set(versions, join(seed, 'varve.db'))
  }
  copyFileSync(seeds.get(versions) as string, join(where, 'data/varve.db'))
  return where
}

async function said(where: string, ...words: readonly string[]): Promise<string> {
  const { exit, stdout, stderr } = await varveHere([...words, '--data', join(where, 'data')])
  expect({ exit, stderr: exit === 0 ? '' : stderr }).toEqual({ exit: 0, stderr: '' })
  return stdout
}

const versions = async (where: string, name = 'vision/mnist'): Promise<string> =>
  (await said(where, 'log', name, '--json')).split('\n').filter((line) => line !== '').map((line) => (JSON.parse(line) as { version: string }).version).join(' ')

/** Has each of several runs killed at another moment of the time that a whole one takes, and `check` what is left. */
async function killedAtAnyMoment(prepare: () => Promise<string>, words: (where: string) => readonly string[], check: (where: string) => Promise<void>): Promise<void> {
  const whole = await prepare()
  const startedMs = performance.now()
  expect((await ended(start(whole, ...words(whole), '--data', 'data'))).exit).toBe(0)
  const tookMs = performance.now() - startedMs
  await check(whole)
  for (let moment = 1; moment <= MOMENTS; moment++) {
    const where = await prepare()
    const child = start(where, ...words(where), '--data', 'data')
    const end = ended(child)
    // What takes long is the end: the first half is the start of a process.
    await Promise.race([sleep(tookMs * (0.3 + (0.7 * moment) / MOMENTS)), end])
    child.kill('SIGKILL')
    await end
    await check(where)
  }
}

const left = (where: string): string[] => readdirSync(where).filter((name) => name !== 'data').sort()

describe('killed at any moment', () => {
  test('a backup is not there, or whole', async () => {
    await killedAtAnyMoment(() => seeded(2), () => ['backup', 'copy'], async (where) => {
      const made = existsSync(join(where, 'copy'))
      expect(await said(where, 'fsck')).toBe('sound\n')
      await said(where, 'backup', join(where, 'copy'), ...(made ? ['--force'] : []))
      expect(left(where)).toEqual(['copy'])
      const other = join(where, 'other')
      mkdirSync(other)
      await said(other, 'restore-registry', join(where, 'copy'))
      expect([await said(other, 'fsck'), await versions(other)]).toEqual(['sound\n', 'v1 v0'])
    })
  }, 240_000)

  test('an export is not there, or whole', async () => {
    await killedAtAnyMoment(() => seeded(2), () => ['export', 'vision/mnist:v1', 'copy', '--format', 'parquet'], async (where) => {
      if (existsSync(join(where, 'copy'))) await said(where, 'import', join(where, 'copy'), '--name', 'b/first')
      await said(where, 'export', 'vision/mnist:v1', join(where, 'copy'), '--format', 'parquet', '--force')
      await said(where, 'import', join(where, 'copy'), '--name', 'b/second')
      expect(left(where)).toEqual(['copy'])
    })
  }, 240_000)

  test('restore-registry leaves the old registry, or the new one', async () => {
    const prepare = async (): Promise<string> => {
      const where = await seeded(2)
      await said(where, 'backup', join(where, 'copy'))
      await said(where, 'rm', 'vision/mnist:v0')
      return where
    }
    await killedAtAnyMoment(prepare, () => ['restore-registry', 'copy', '--force'], async (where) => {
      expect(await said(where, 'fsck')).toBe('sound\n')
      expect(['v1', 'v1 v0']).toContain(await versions(where))
      await said(where, 'restore-registry', join(where, 'copy'), '--force')
      expect([await said(where, 'fsck'), await versions(where)]).toEqual(['sound\n', 'v1 v0'])
      // What was in its place is kept, each time whole.
      const kept = readdirSync(join(where, 'data')).filter((name) => !/^(varve\.db|daemon\.lock(-journal)?)$/.test(name))
      expect(kept.filter((name) => !/^varve\.db\.\d{8}T[\d.]+Z$/.test(name))).toEqual([])
      for (const name of kept) {
        const other = join(where, name)
        mkdirSync(join(other, 'data'), { recursive: true })
        copyFileSync(join(where, 'data', name), join(other, 'data/varve.db'))
        expect(await said(other, 'fsck')).toBe('sound\n')
      }
    })
  }, 240_000)

  test('restore-registry into an empty folder leaves none, or the new one', async () => {
    const prepare = async (): Promise<string> => {
      const where = await seeded(2)
      await said(where, 'backup', join(where, 'copy'))
      rmSync(join(where, 'data'), { recursive: true })
      return where
    }
    await killedAtAnyMoment(prepare, () => ['restore-registry', 'copy'], async (where) => {
      if (existsSync(join(where, 'data/varve.db'))) expect([await said(where, 'fsck'), await versions(where)]).toEqual(['sound\n', 'v1 v0'])
      else {
        await said(where, 'restore-registry', join(where, 'copy'))
        expect([await said(where, 'fsck'), await versions(where)]).toEqual(['sound\n', 'v1 v0'])
      }
      expect(readdirSync(join(where, 'data')).filter((name) => !/^(varve\.db|daemon\.lock(-journal)?)$/.test(name))).toEqual([])
    })
  }, 240_000)

  test('an import has recorded its version, or none', async () => {
    const prepare = async (): Promise<string> => {
      const where = await seeded(1)
      await said(where, 'export', 'vision/mnist:v0', join(where, 'copy'))
      return where
    }
    await killedAtAnyMoment(prepare, () => ['import', 'copy', '--name', 'b/new'], async (where) => {
      expect(await said(where, 'fsck')).toBe('sound\n')
      const there = (await said(where, 'ls', '--json')).includes('"b/new"')
      if (there) expect(['', 'v0']).toContain(await versions(where, 'b/new'))
      const second = await said(where, 'import', join(where, 'copy'), '--name', 'b/new')
      expect(second).toMatch(/^b\/new:v0 |^unchanged: b\/new:v0\n/)
      expect([await said(where, 'fsck'), await versions(where, 'b/new'), await versions(where)]).toEqual(['sound\n', 'v0', 'v0'])
    })
  }, 240_000)

  test('prune has removed some versions, whole', async () => {
    await killedAtAnyMoment(() => seeded(5), () => ['prune', 'vision/mnist', '--keep-last', '1'], async (where) => {
      expect(await said(where, 'fsck')).toBe('sound\n')
      expect(['v4 v3 v2 v1 v0', 'v4 v3 v2 v1', 'v4 v3 v2', 'v4 v3', 'v4']).toContain(await versions(where))
      await said(where, 'prune', 'vision/mnist', '--keep-last', '1')
      expect([await said(where, 'fsck'), await versions(where)]).toEqual(['sound\n', 'v4'])
    })
  }, 240_000)
})
