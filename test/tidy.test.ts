// The house keeps its own rules; and each rule is shown to catch what it is for: `test/fixtures/tidy/RULE/CASE/` is a source tree with one fault.
import { describe, expect, test } from '@jest/globals'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { RULES, violationsOf } from './tidy/rules.ts'
import { functionsOf, importsOf, sourcesOf } from './tidy/source.ts'

const FIXTURES = join(import.meta.dirname, 'fixtures', 'tidy')
const SRC = join(import.meta.dirname, '..', 'src')

const planted = readdirSync(FIXTURES).filter((rule) => rule !== 'clean').flatMap((rule) => readdirSync(join(FIXTURES, rule)).map((fault) => [rule, fault] as const))

test('the source tree keeps every rule', () => {
  expect(violationsOf(SRC)).toEqual([])
})

describe('each fault that is planted is caught, once, and by its rule', () => {
  test.each(planted)('%s: %s', (rule, fault) => {
    const found = violationsOf(join(FIXTURES, rule, fault))
    expect([found.map((one) => one.rule), found[0]?.at]).toEqual([[rule], expect.stringMatching(/^[\w/-]+\.ts:\d+$/)])
  })
  test('every rule has a fault planted', () => {
    expect([...new Set(planted.map(([rule]) => rule))].sort()).toEqual(Object.keys(RULES).sort())
  })
})

test('what only looks like a fault is none', () => {
  expect(violationsOf(join(FIXTURES, 'clean'))).toEqual([])
})

test('the reader finds what is there: every import, and every function with its lines', () => {
  const [source] = sourcesOf(join(FIXTURES, 'clean', 'queue'))
  expect(source && importsOf(source).map(({ specifier }) => specifier)).toEqual(['node:fs', 'node:path', '../model/lures.ts', '../model/lures.ts'])
  expect(source && functionsOf(source).map(({ line, lines }) => `${line}+${lines}`).sort()).toEqual(['12+3', '15+3', '20+3', '21+1', '24+3', '28+1', '28+3', '29+1', '35+3', '38+3'])
})
