import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isFailure } from '../../../src/model/errors.ts'
import { parseObject, parsePage } from '../../../src/storage/gcs/page.ts'

const ROW = { name: 'a', generation: '1', size: '5', etag: 'CAE=', md5Hash: 'XUFAKrxLKna5cZ2REBfFkg==', crc32c: 'mnG7TA==' }
const page = (more: object): string => JSON.stringify({ kind: 'storage#objects', ...more })

test('a page is its rows and where the next begins; one without objects is a page', () => {
  const row = { key: 'a', generation: '1', sizeBytes: 5, etag: 'CAE=', md5: ROW.md5Hash, crc32c: ROW.crc32c, live: true }
  expect(parsePage(page({ items: [ROW], nextPageToken: 'b' }), 'fake')).toEqual({ rows: [row], next: 'b' })
  expect(parsePage(page({}), 'fake')).toEqual({ rows: [], next: undefined })
  expect(parseObject(JSON.stringify({ kind: 'storage#object', ...ROW }), 'fake')).toEqual(row)
})

describe('what is no whole page is refused', () => {
  const REFUSED: readonly (readonly [string, string])[] = [
    ['nothing', ''], ['half of one', page({ items: [ROW] }).slice(0, -3)], ['two', page({}) + page({})], ['null', 'null'], ['a list', '[]'], ['an empty object', '{}'],
    ['an error with status 200', '{"error":{"code":503}}'], ['HTML', '<html></html>'], ['another kind', '{"kind":"storage#object"}'], ['items that are no list', page({ items: {} })],
    ['a token that is no text', page({ nextPageToken: 7 })], ['a token that is null', page({ nextPageToken: null })], ['an empty token', page({ nextPageToken: '' })],
    ['a row that is none', page({ items: [null] })], ['an empty name', page({ items: [{ ...ROW, name: '' }] })], ['half a character', '{"kind":"storage#objects","items":[{"name":"\\ud800","generation":"1","size":"5","etag":"x"}]}'],
    ['a size that is negative', page({ items: [{ ...ROW, size: '-1' }] })], ['a size beyond all', page({ items: [{ ...ROW, size: '9'.repeat(30) }] })], ['a size that is a number', page({ items: [{ ...ROW, size: 5 }] })],
    ['a generation that is none', page({ items: [{ ...ROW, generation: 'x' }] })], ['an etag that is empty', page({ items: [{ ...ROW, etag: '' }] })], ['a checksum that is none', page({ items: [{ ...ROW, crc32c: '' }] })],
  ]
  test.each(REFUSED)('%s', (_, text) => {
    expect(() => parsePage(text, 'fake')).toThrow(expect.objectContaining({ code: 'STORAGE_INVALID' }))
  })

  test('no text makes it throw anything else, nor does any JSON under the names that are read', () => {
    const refused = (text: string): boolean => {
      try {
        parsePage(text, 'fake')
        return true
      } catch (error) {
        return isFailure(error, 'STORAGE_INVALID')
      }
    }
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom('1', 'a', '', null))
    const row = fc.dictionary(fc.constantFrom('name', 'generation', 'size', 'etag', 'md5Hash', 'crc32c'), value)
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => refused(text)))
    fc.assert(fc.property(fc.record({ items: fc.oneof(value, fc.array(row)), nextPageToken: value }), (more) => refused(page(more))), { numRuns: 500 })
  })
})
