import { afterAll, describe, expect, test } from '@jest/globals'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fsck } from '../../src/registry/fsck.ts'
import { openRegistry } from '../../src/registry/open.ts'
import type { Fault } from '../../src/registry/registry.ts'
import { begun, enrolled, finish, orderOf, put, putAll } from '../suite/registry-world.ts'

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

describe('what would stop who reads it is a fault', () => {
  const sound = async (): Promise<string> => {
    const where = mkdtempSync(join(folder, 'texts-'))
    const registry = await openRegistry(where, { thread: false })
    await putAll(registry, [put('a', '1'), put('d/b', '22', { content: { digest: 'etag:x', etag: 'x', checksums: { crc32c: 'AA==' } } })])
    await putAll(registry, [put('a', '2')])
    await enrolled(registry, { locations: [orderOf().location] })
    await finish(registry, await begun(registry), [])
    await registry.close()
    return where
  }
  const faultsOf = async (where: string): Promise<Fault[]> => {
    const faults: Fault[] = []
    for await (const fault of fsck(where)) faults.push(fault)
    return faults
  }
  const own = (words: string): RegExp => new RegExp(`^${words}`)

  test.each<readonly [string, string | undefined, RegExp]>([
    [`UPDATE version SET certificate = 'no JSON' WHERE number = 1`, 'vision/mnist', own('the certificate of v1 is no JSON$')],
    [`UPDATE version SET certificate = '{}' WHERE number = 0`, 'vision/mnist', own('the certificate of v0 lacks startedAt$')],
    [`UPDATE version SET certificate = json_set(certificate, '$.notes', 'none')`, 'vision/mnist', own('the certificate of v[01] says of notes what cannot be$')],
    [`UPDATE version SET changes = '[]' WHERE number = 1`, 'vision/mnist', own('what changed in v1 is none$')],
    [`UPDATE location SET json = '{}'`, 'vision/mnist', own('location 1 .* says \\{\\}, which is no place: there lies "(a|d/b)" from v[01]')],
    [`UPDATE location SET json = '{'`, 'vision/mnist', own('location 1 .* is no JSON: ')],
    [`UPDATE location SET json = json_set(json, '$.bucket', 'other')`, 'vision/mnist', own('location 1 .* says .*other.*, which is another place: ')],
    [`UPDATE head SET checksums = '{' WHERE path = 'd/b'`, 'vision/mnist', own('"d/b" has checksums that cannot be read, from v0$')],
    [`UPDATE past SET checksums = '[1]'`, 'vision/mnist', own('"a" has checksums that cannot be read, from v0$')],
    [`UPDATE head SET digest = 'md5:other' WHERE path = 'a'`, 'vision/mnist', own('"a" has the digest md5:other, and is known by md5:2, from v1$')],
    [`UPDATE head SET digest = 'etag:y' WHERE path = 'd/b'`, 'vision/mnist', own('"d/b" has the digest etag:y, and the ETag x, from v0$')],
    [`UPDATE watch SET aliases = 'prod'`, 'vision/mnist', own('what the watch mnist has as aliases is no JSON$')],
    [`UPDATE watch SET aliases = '[1]'`, 'vision/mnist', own('what the watch mnist has as aliases is none$')],
    [`UPDATE watch SET last_look = json_set(last_look, '$.endedAt', 'never')`, 'vision/mnist', own('the last look of the watch mnist says of endedAt what cannot be$')],
    [`UPDATE watch SET last_look = '{'`, 'vision/mnist', own('the last look of the watch mnist is no JSON$')],
    [`UPDATE watch SET hearing = '{"sqs":{"reason":1}}'`, 'vision/mnist', own('how the watch mnist hears is none$')],
    [`INSERT INTO audit(collection, begun_at, notes) VALUES (1, 0, '{}')`, 'vision/mnist', own('what the audit noted is none$')],
    ['DELETE FROM meta', undefined, own('the registry has no id: ')],
  ])('%s', async (damage, artifact, words) => {
    const where = await sound()
    expect(await faultsOf(where)).toEqual([])
    const database = new DatabaseSync(join(where, 'varve.db'))
    database.exec(damage)
    database.close()
    const faults = await faultsOf(where)
    expect(faults.length).toBeGreaterThan(0)
    for (const fault of faults) expect(fault).toEqual({ ...(artifact !== undefined && { artifact }), words: expect.stringMatching(words) })
  })
})
