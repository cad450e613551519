import { readFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { environment } from '../../src/config.ts'
import { loadConfig } from '../../src/config-load.ts'

const EXAMPLE = readFileSync(new URL('../../config/example.yaml', import.meta.url), 'utf8')
const CUT = fc.record({
  at: fc.nat({ max: EXAMPLE.length }),
  length: fc.nat({ max: 12 }),
  text: fc.oneof(fc.constantFrom('${', '$', '"', '[', '{', '- ', ': ', '&a ', '*a', '\n', '\t', '!!map ', '|', '? ', '<<: *a', '---', '%'), fc.string()),
})

test('whatever is done to a file, it is taken, or refused with the place of each mistake', () => {
  fc.assert(fc.property(fc.array(CUT, { minLength: 1, maxLength: 4 }), (cuts) => {
    const text = cuts.reduce((whole, { at, length, text }) => whole.slice(0, at) + text + whole.slice(at + length), EXAMPLE)
    const lines = text.split('\n')
    try {
      expect(loadConfig(text, '/c.yaml', environment({})).watches.length).toBeGreaterThan(0)
    } catch (error) {
      expect(error).toMatchObject({ code: 'CONFIG_INVALID' })
      for (const line of (error as Error).message.split('\n')) {
        const [, row, column] = /^\/c\.yaml:(\d+):(\d+): \S.*$/.exec(line) ?? []
        expect(Number(row)).toBeLessThanOrEqual(lines.length)
        expect(Number(column)).toBeLessThanOrEqual(lines[Number(row) - 1]!.length + 1)
      }
    }
  }), { numRuns: 1_000 })
})
