// Names that a destination takes for the same as others: it alone can say which.
import { afterAll, expect, test } from '@jest/globals'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Holding } from '../../src/model/entry.ts'
import { parseLocation } from '../../src/model/location.ts'
import { extrasOf } from '../../src/restore/extras.ts'
import { Names } from '../../src/restore/names.ts'
import type { Folding } from '../../src/restore/names.ts'
import { enter, foldingOf } from '../../src/restore/room.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-names-'))
afterAll(() => rmSync(folder, { recursive: true }))

// As XFS with ascii-ci has it: other letters than these are told apart.
const ascii: Folding = { folds: true, same: (name, other) => name.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) === other.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) }

test('only what the file system itself takes for the same collides, by file and by folder', () => {
  const told = (folding: Folding | undefined): readonly string[] => {
    const names = new Names('/to/', folding)
    return ['A', 'D/x', 'STRASSE', 'a', 'd/X', 'd/y', 'straße', 'É', 'é'].flatMap((path) => (names.trouble(path) === undefined ? [] : [`${path}: ${names.trouble(path)}`]))
  }
  const same = (name: string): string => `this file system takes "${name}" for the same name`
  expect(told(ascii)).toEqual([`a: ${same('A')}`, `d/X: ${same('D/x')}`, `d/y: ${same('D')}`])
  expect(told({ folds: true, same: (name, other) => name.toLowerCase() === other.toLowerCase() })).toEqual([`a: ${same('A')}`, `d/X: ${same('D/x')}`, `d/y: ${same('D')}`, `é: ${same('É')}`])
  expect(told(undefined)).toEqual([])
})

test('what is listed under another name than it was given is no extra', async () => {
  for (const name of ['a', 'straße', 'other']) writeFileSync(join(folder, name), '')
  const holdings = ['A', 'STRASSE'].map((path): Holding => ({ path, sizeBytes: 0, content: { digest: 'md5:' }, location: parseLocation('/from/', '/'), key: `/from/${path}` }))
  const pages = { all: async function* () {
    yield { from: 0, holdings }
  } }
  const receipt = { entries: async function* () {} }
  expect((await extrasOf(`${folder}/`, pages, receipt, ascii)).map(({ path }) => path)).toEqual(['other', 'straße'])
  expect((await extrasOf(`${folder}/`, pages, receipt)).map(({ path }) => path)).toEqual(['a', 'other', 'straße'])
})

test('a destination is asked, and where nothing may be written its own name tells', () => {
  const to = join(folder, 'Here')
  mkdirSync(to)
  const room = enter(to)
  expect([room.folding.folds, room.folding.same('a', 'A'), room.folding.same('a', 'a')]).toEqual([false, false, true])
  room.leave(false)
  expect(foldingOf(join(to, 'not/there')).folds).toBe(false)
  symlinkSync(to, join(folder, 'hERE'))
  expect(foldingOf(to).folds).toBe(true)
})
