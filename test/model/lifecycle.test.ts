import { expect, test } from '@jest/globals'
import { goneAt, takesCurrent } from '../../src/model/lifecycle.ts'
import type { Expiry, Kept, Terms } from '../../src/model/lifecycle.ts'

const rule = (over: Partial<Expiry>): Expiry => ({ id: 'one', takes: 'noncurrent', prefixes: [''], asksMore: false, wholeDays: true, ...over })
const terms = (expiries: readonly Expiry[], keepsVersions = true): Terms => ({ expiries, keepsVersions, notes: [] })
const at = (iso: string): number => Date.parse(iso)
const kept = (...written: string[]): Kept[] => written.map((iso) => ({ marker: false, sizeBytes: 100, writtenMs: at(iso) }))
const day = (ms: number | undefined): string | undefined => (ms === undefined || Number.isNaN(ms) ? String(ms) : new Date(ms).toISOString())

// The example of the S3 user guide: 10:30 on the 15th and three days come to midnight of the 19th.
test('an older version is taken so many days after it was replaced, at midnight', () => {
  const three = terms([rule({ replacedDays: 3 })])
  expect(day(goneAt(three, 'k', kept('2014-01-15T10:30:00Z', '2013-01-01T00:00:00Z'), 1))).toBe('2014-01-19T00:00:00.000Z')
  expect(goneAt(three, 'k', kept('2014-01-15T10:30:00Z'), 0)).toBeUndefined()
})

test('the newest older versions are kept where the rule says so', () => {
  const two = terms([rule({ replacedDays: 1, newer: 2 + 1 })])
  const versions = kept('2026-01-04T00:00:00Z', '2026-01-03T00:00:00Z', '2026-01-02T00:00:00Z', '2026-01-01T00:00:00Z')
  expect(versions.map((_, index) => day(goneAt(two, 'k', versions, index)))).toEqual(['undefined', 'undefined', 'undefined', '2026-01-03T00:00:00.000Z'])
})

test('the first of several rules counts; prefix, suffix and size choose', () => {
  const some = terms([rule({ replacedDays: 9 }), rule({ replacedDays: 5, prefixes: ['a/', 'b/'], suffixes: ['.x'] }), rule({ replacedDays: 2, largerThan: 100 }), rule({ replacedDays: 2, smallerThan: 100 })])
  const versions = kept('2026-01-01T00:00:00Z', '2025-01-01T00:00:00Z')
  expect(['k', 'b/k.x', 'b/k.y', 'c/k.x'].map((key) => day(goneAt(some, key, versions, 1))?.slice(0, 10))).toEqual(['2026-01-10', '2026-01-06', '2026-01-10', '2026-01-10'])
})

test('what expires is taken at once where no versions are kept; else it is hidden, and taken as an older one', () => {
  const hides = rule({ takes: 'current', writtenDays: 10 })
  const one = kept('2026-01-01T12:00:00Z')
  expect(day(goneAt(terms([hides], false), 'k', one, 0))).toBe('2026-01-12T00:00:00.000Z')
  expect(goneAt(terms([hides]), 'k', one, 0)).toBeUndefined()
  expect(day(goneAt(terms([hides, rule({ replacedDays: 3 })]), 'k', one, 0))).toBe('2026-01-15T00:00:00.000Z')
  expect([terms([hides], false), terms([hides]), terms([hides, rule({ replacedDays: 3 })]), terms([rule({ replacedDays: 3 })])].map(takesCurrent)).toEqual([true, false, true, false])
})

test('a rule that asks for more than a listing tells may take it at a time that cannot be known; one that is known goes before', () => {
  const versions = kept('2026-01-01T00:00:00Z', '2025-01-01T00:00:00Z')
  const tagged = rule({ replacedDays: 1, asksMore: true })
  expect(goneAt(terms([tagged]), 'k', versions, 1)).toBeNaN()
  expect(day(goneAt(terms([tagged, rule({ replacedDays: 30 })]), 'k', versions, 1))).toBe('2026-01-31T00:00:00.000Z')
})

test('of GCS: all conditions must hold, either state counts, and days end by the hour', () => {
  const age = rule({ takes: 'either', writtenDays: 30, wholeDays: false })
  const versions = kept('2026-01-20T00:00:00Z', '2026-01-01T06:00:00Z')
  expect(day(goneAt(terms([age]), 'k', versions, 1))).toBe('2026-01-31T06:00:00.000Z')
  // What is current is hidden by the rule, and taken by it at once.
  expect(day(goneAt(terms([age]), 'k', versions, 0))).toBe('2026-02-19T00:00:00.000Z')
  expect(day(goneAt(terms([rule({ replacedDays: 7, newer: 1, wholeDays: false })]), 'k', versions, 1))).toBe('2026-01-27T00:00:00.000Z')
  expect(goneAt(terms([rule({ writtenBeforeMs: at('2025-01-01T00:00:00Z') })]), 'k', versions, 1)).toBeUndefined()
  expect(day(goneAt(terms([rule({ replacedBeforeMs: at('2026-02-01T00:00:00Z') })]), 'k', versions, 1))).toBe('2026-01-20T00:00:00.000Z')
})
