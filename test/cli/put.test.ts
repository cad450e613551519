// A put that is refused leaves nothing that it made; one that is not leaves a registry, whoever else makes one.
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeAside } from '../../src/registry/aside.ts'
import { openRegistry } from '../../src/registry/open.ts'
import { Web } from '../fakes/web.ts'
import { varve } from './process.ts'
import type { Ended } from './process.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-put-'))
  for (const name of ['tree', 'empty']) mkdirSync(join(folder, name))
  for (const name of ['a', 'b', 'c']) writeFileSync(join(folder, 'tree', name), name)
})
afterEach(() => rmSync(folder, { recursive: true }))

const put = (location: string, data: string, ...more: readonly string[]): Promise<Ended> => varve(folder, 'put', location, '--name', 'a/b', '--type', 't', '--data', data, ...more)

const REFUSED = [['no such folder', 'absent/'], ['nothing in it', 'empty/'], ['too many', 'tree/', '--max-objects', '2'], ['no such store', 'http://127.0.0.1:1/x']] as const

test.each(REFUSED)('a put that is refused (%s) leaves nothing where there was nothing, and what was there where something was', async (_, location, ...more) => {
  expect((await put(location, 'deep/er/data', ...more)).exit).not.toBe(0)
  expect(readdirSync(folder).sort()).toEqual(['empty', 'tree'])
  mkdirSync(join(folder, 'mine'))
  for (const data of ['mine', 'mine/data']) expect((await put(location, data, ...more)).exit).not.toBe(0)
  expect(readdirSync(join(folder, 'mine'))).toEqual([])
  writeFileSync(join(folder, 'mine', 'notes'), 'x')
  expect((await put(location, 'mine', ...more)).exit).not.toBe(0)
  expect(readdirSync(join(folder, 'mine'))).toEqual(['notes'])
  expect(await put('tree/', 'mine')).toMatchObject({ exit: 0 })
  expect((await put(location, 'mine', ...more)).exit).not.toBe(0)
  expect(readdirSync(join(folder, 'mine')).sort()).toEqual(['notes', 'varve.db'])
  expect((await varve(folder, 'ls', '--data', 'mine')).stdout).toMatch(/a\/b +t +v0/)
}, 60_000)

test('what put is advised, it can do', async () => {
  const web = await Web.start()
  web.served = { body: 'one' }
  const { exit, stderr } = await put(`${web.url}/a.csv`, 'data')
  await web.stop()
  expect({ exit, stderr }).toEqual({ exit: 2, stderr: expect.stringMatching(/its changes would not show; set http\.checksum: content, .* \(of put: in a watch of this location and artifact, in the configuration\)\n$/) })
}, 60_000)

test('two that both make the registry both record', async () => {
  const both = await Promise.all(['x/one', 'x/two'].map((name) => varve(folder, 'put', 'tree/', '--name', name, '--type', 't', '--data', 'data')))
  expect(both.map(({ exit, stderr }) => ({ exit, stderr }))).toEqual([{ exit: 0, stderr: '' }, { exit: 0, stderr: '' }])
  expect((await varve(folder, 'ls', '--data', 'data')).stdout).toMatch(/x\/one .*\nx\/two /)
  expect(readdirSync(join(folder, 'data'))).toEqual(['varve.db'])
}, 60_000)

test('where another was faster, its registry stays, and nothing of this one', async () => {
  const data = join(folder, 'data')
  const aside = await makeAside(data)
  const other = await openRegistry(data, { thread: false })
  expect(await aside?.keep()).toBe(false)
  expect(await makeAside(data)).toBeUndefined()
  await other.close()
  expect(readdirSync(data)).toEqual(['varve.db'])
  const again = await openRegistry(data, { thread: false })
  expect(again.id).toBe(other.id)
  await again.close()
})

test('what a put left that was killed goes a day later, and nothing else', async () => {
  const data = join(folder, 'data')
  mkdirSync(data)
  const old = ['varve.db.00000000-0000-4000-8000-000000000000', 'varve.db.00000000-0000-4000-8000-000000000000-wal']
  const kept = ['varve.db.11111111-0000-4000-8000-000000000000', 'varve.db.backup']
  for (const name of [...old, ...kept]) writeFileSync(join(data, name), 'x')
  const longAgo = Date.now() / 1_000 - 2 * 86_400
  for (const name of [...old, 'varve.db.backup']) utimesSync(join(data, name), longAgo, longAgo)
  expect(await put('tree/', 'data')).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^a\/b:v0 /) })
  expect(readdirSync(data).sort()).toEqual(['varve.db', ...kept])
  expect(existsSync(join(data, 'varve.db-wal'))).toBe(false)
})
