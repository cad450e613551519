import { afterAll, expect, test } from '@jest/globals'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fsck } from '../../src/registry/fsck.ts'
import { openRegistry } from '../../src/registry/open.ts'
import { put, putAll } from '../suite/registry-world.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-fsck-'))
afterAll(() => rmSync(folder, { recursive: true }))

// Changes every page, with so little memory that most are written back, and then waits for its end.
const HALF_WRITTEN = `
  const database = new (require('node:sqlite').DatabaseSync)(process.argv[1])
  database.exec('PRAGMA journal_mode = DELETE; PRAGMA cache_size = 2; BEGIN; UPDATE head SET digest = digest || 1')
  process.stdout.write('written')
  setInterval(() => undefined, 1_000)
`

test('what a killed process had half written is put back first', async () => {
  const registry = await openRegistry(folder, { thread: false })
  await putAll(registry, Array.from({ length: 3_000 }, (_, n) => put(`folder/${n}`, String(n))))
  await registry.close()
  const file = join(folder, 'varve.db')
  const child = spawn(process.execPath, ['-e', HALF_WRITTEN, file], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(statSync(`${file}-journal`).size).toBeGreaterThan(0)
  const faults = []
  for await (const fault of fsck(folder)) faults.push(fault)
  expect(faults).toEqual([])
})
