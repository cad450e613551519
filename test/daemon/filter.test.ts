import { expect, test } from '@jest/globals'
import { filterOf } from '../../src/daemon/filter.ts'

test('a pattern takes names that hold a line break, or begin with a dot, like others', () => {
  const kept = filterOf({ include: ['d/**'], exclude: ['**/*.tmp'] })
  expect(['d/a\nb', 'd/.hidden', 'd/a\n.tmp', 'e/a'].map((path) => kept.takes(path))).toEqual([true, true, false, false])
  expect(filterOf({ include: [], exclude: ['d/**'] }).dropsAll('d')).toBe(true)
})
