// What a disk refuses, in one clear line: what, where, and what to do.
import { afterAll, expect, test } from '@jest/globals'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { hash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { diskFailure } from '../../src/restore/disk.ts'
import { perform } from '../../src/restore/local.ts'
import type { Way } from '../../src/restore/local.ts'
import { Draft } from '../../src/restore/receipt.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-disk-'))
// Always a tmpfs: it knows no reflinks, and is another file system than any other.
const memory = mkdtempSync('/dev/shm/varve-disk-')
afterAll(() => [folder, memory].forEach((one) => rmSync(one, { recursive: true })))

const MD5 = { by: 'md5', value: hash('md5', 'one', 'hex') } as const

/** What is said when a file of `from` cannot be placed in `to`. */
async function saidOf(from: string, to: string, way: Way): Promise<string> {
  for (const name of [from, to]) mkdirSync(name, { recursive: true })
  writeFileSync(join(from, 'a'), 'one')
  const failed: unknown = await perform({ kind: 'place', root: `${to}/`, way, temporary: join(to, 'temporary'), sources: [join(from, 'a')], paths: ['b'], sizes: [3], seals: [MD5], replace: [false] }).catch((error: unknown) => diskFailure(error))
  const { message, hint, code } = failed as { message: string; hint: string; code: string }
  return `${code}: ${message}; ${hint}`
}

test('a reflink or a hard link that cannot be names both files, why, and what can be done instead', async () => {
  const [from, to] = [join(memory, 'from'), join(memory, 'to')]
  const end = 'restore with --as copy'
  expect(await saidOf(from, to, 'reflink')).toMatch(new RegExp(`^DESTINATION_REFUSED: ${to}/b cannot be made a reflink to ${from}/a: this file system cannot share bytes between files \\(E[A-Z]+\\); ${end}$`))
  for (const [way, name] of [['reflink', 'reflink'], ['hardlink', 'hard link']] as const)
    expect(await saidOf(from, folder, way)).toBe(`DESTINATION_REFUSED: ${folder}/b cannot be made a ${name} to ${from}/a: they lie on different file systems (EXDEV); ${end}`)
})

test('a full disk names the file that it was too full for', async () => {
  const failed: unknown = await perform({ kind: 'write', root: `${folder}/`, path: 'd/large', replace: false, temporary: '/dev/full', bytes: Buffer.from('x') }).catch((error: unknown) => diskFailure(error))
  expect(failed).toMatchObject({ code: 'DESTINATION_REFUSED', message: `${folder}/d/large cannot be written: no space is left (ENOSPC)`, hint: 'make room, and run it again: what is in place stays' })
})

test('so does one that is full for a large file, which is poured elsewhere first', async () => {
  const pour = { place: `${folder}/d/large`, resume: false, seal: undefined } as const
  const said = { code: 'DESTINATION_REFUSED', message: `${folder}/d/large cannot be written: no space is left (ENOSPC)` }
  await perform({ kind: 'begin', file: '/dev/full', ...pour })
  expect(await perform({ kind: 'pour', chunks: [new Uint8Array([120])] }).catch((error: unknown) => diskFailure(error))).toMatchObject(said)
  await perform({ kind: 'end' })
  expect(await perform({ kind: 'begin', file: join(folder, 'none', 'p.part'), ...pour }).catch((error: unknown) => diskFailure(error))).toMatchObject({ message: expect.stringContaining(`${folder}/d/large`) })
})

test('a read-only file system is called so', () => {
  const failed = diskFailure(Object.assign(new Error("EROFS: read-only file system, mkdir '/mnt/x'"), { code: 'EROFS', syscall: 'mkdir', path: '/mnt/x' }))
  expect(failed).toMatchObject({ message: '/mnt/x cannot be written: its file system is mounted read-only (EROFS)', hint: 'mount it for writing, or name another destination' })
})

test('a source whose disk fails is a matter of that file', async () => {
  // Reading the memory of a process from its beginning fails as a disk does.
  const look = await perform({ kind: 'look', base: '', paths: ['/proc/self/mem'], sizes: [0], fingerprints: [], seals: [MD5], digest: 'all', follow: true })
  expect(look.outcomes).toEqual(['failing'])
  const place = await perform({ kind: 'place', root: `${folder}/`, way: 'copy', temporary: join(folder, 'temporary'), sources: ['/proc/self/mem'], paths: ['m'], sizes: [0], seals: [MD5], replace: [false] })
  expect(place.outcomes).toEqual(['failing'])
})

test('where a receipt cannot be written nothing is remembered, and nothing fails', async () => {
  const name = join(folder, 'receipt')
  symlinkSync('/dev/full', `${name}.entries.${process.pid}`)
  const draft = new Draft(name)
  // More than a stream takes at once.
  for (let at = 0; at < 5_000; at++) await draft.add({ path: `p${at}`, holds: 'x'.repeat(100), sizeBytes: 1, fingerprint: 'f', way: 'copy' })
  await draft.keep('order', (async function* () {})(), true, new AbortController().signal)
  expect(readdirSync(folder).filter((one) => one.startsWith('receipt'))).toEqual([])
})
