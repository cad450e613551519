// For who may not write: answers are whole and new, whoever comes and goes beside it.
import { afterAll, afterEach, expect, test } from '@jest/globals'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { DatabaseSync } from 'node:sqlite'
import type { Connection } from '../../src/registry/connection.ts'
import { openRegistry } from '../../src/registry/open.ts'
import { onlyReading } from '../../src/registry/reading.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-reading-'))
afterAll(() => rmSync(folder, { recursive: true }))
const open: Connection[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

let count = 0
/** A registry with a table beside it that takes many pages, all of whose rows are equal. */
async function made(): Promise<string> {
  const where = join(folder, String(++count))
  await (await openRegistry(where, { thread: false })).close()
  const file = join(where, 'varve.db')
  const database = new DatabaseSync(file)
  database.exec(`CREATE TABLE page(x, filling); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) INSERT INTO page SELECT 0, hex(randomblob(1000)) FROM n`)
  database.close()
  return file
}

function reading(file: string): () => Promise<unknown> {
  const connection = onlyReading(file)
  open.push(connection)
  return async () => (await connection.all('SELECT min(x) AS least, max(x) AS most, count(*) AS rows FROM page', {}))[0]
}

const all = (x: number): object => ({ least: x, most: x, rows: 400 })

test('a writer that comes, writes and goes is seen at once, and nothing is made beside the file', async () => {
  const file = await made()
  const ask = reading(file)
  expect(await ask()).toEqual(all(0))
  expect(readdirSync(join(file, '..'))).toEqual(['varve.db'])
  const writer = new DatabaseSync(file)
  expect(await ask()).toEqual(all(0))
  writer.exec('UPDATE page SET x = 1')
  expect(await ask()).toEqual(all(1))
  writer.exec('UPDATE page SET x = 2')
  expect(await ask()).toEqual(all(2))
  writer.close()
  expect(await ask()).toEqual(all(2))
})

test('no answer is torn, and none goes back, while a writer comes and goes all the time', async () => {
  const file = await made()
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '-e', `
    const { DatabaseSync } = require('node:sqlite')
    for (let i = 1; i <= 300; i++) {
      const database = new DatabaseSync(process.argv[1], { timeout: 30000 })
      database.exec('UPDATE page SET x = ' + i)
      database.close()
    }`, file], { stdio: 'inherit' })
  const ended = once(child, 'exit')
  let last = 0
  while (child.exitCode === null) {
    // Each time anew: so it begins at any moment of the writer's.
    const { least, most, rows } = (await reading(file)()) as { least: number; most: number; rows: number }
    expect([most, rows]).toEqual([least, 400])
    expect(least).toBeGreaterThanOrEqual(last)
    last = least
    await open.pop()?.close()
    await setImmediate()
  }
  expect(await ended).toEqual([0, null])
  expect(await reading(file)()).toEqual(all(300))
}, 120_000)

test('it writes nothing', async () => {
  const connection = onlyReading(await made())
  open.push(connection)
  await expect(connection.begin(true)).rejects.toMatchObject({ code: 'REGISTRY_REFUSED', message: expect.stringMatching(/may not write to .*varve\.db$/) })
  await expect(connection.all('DELETE FROM page', {})).rejects.toMatchObject({ code: 'REGISTRY_REFUSED' })
})
