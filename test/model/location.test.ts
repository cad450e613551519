import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { baseName, comparePaths, directoryOf, formatLocation, formatReference, keyOf, locationIdentity, overlaps, parseLocation, pathOf } from '../../src/model/location.ts'

const at = (text: string) => parseLocation(text, '/work')

describe('a location', () => {
  test('after the bucket, s3 text is the literal key: no query, no decoding', () => {
    for (const key of ['a#b/', 'a?b/', 'a%20b/', 'a+b/', ' a b /', 'a//b/', '../x/', 'a\nb/', '😀/～/']) {
      const location = at(`s3://bucket/${key}`)
      expect(location.prefix).toBe(key)
      expect(formatLocation(location)).toBe(`s3://bucket/${key}`)
    }
  })

  test("a prefix ends at a `/`: mnist never covers mnist2, and may be an object or a folder", () => {
    const location = at('s3://bucket/datasets/mnist')
    expect(location.object).toBe('datasets/mnist')
    expect(pathOf(location, 'datasets/mnist/a')).toBe('a')
    expect(pathOf(location, 'datasets/mnist')).toBe('mnist')
    expect(pathOf(location, 'datasets/mnist2/a')).toBeUndefined()
    expect(pathOf(location, 'datasets/mnist/')).toBeUndefined()
    expect(keyOf(location, 'mnist', true)).toBe('datasets/mnist')
    expect(keyOf(location, 'mnist', false)).toBe('datasets/mnist/mnist')
  })

  test('a whole bucket covers every key', () => {
    for (const text of ['s3://bucket', 's3://bucket/']) {
      expect(at(text).prefix).toBe('')
      expect(pathOf(at(text), 'a/b')).toBe('a/b')
    }
  })

  test('file text is a URI: decoded, a raw space taken as it is; bare text is a path against its base', () => {
    expect(at('file:///mnt/a%20b/').prefix).toBe('/mnt/a b/')
    expect(at('file:///mnt/a b/').prefix).toBe('/mnt/a b/')
    expect(at('file://localhost/mnt/x/').prefix).toBe('/mnt/x/')
    expect(at('../data/./x/').prefix).toBe('/data/x/')
    expect(at('a%20b/').prefix).toBe('/work/a%20b/')
    expect(at('/').prefix).toBe('/')
    expect(at('.').object).toBeUndefined()
    expect(at('data').object).toBe('/work/data')
  })

  test.each([
    ['', /empty/], ['ftp://x/y', /not supported/], ['http://x/', /names no object/], ['http://x', /names no object/], ['http://u:secret@x/y', /user or password/], ['http://x/y#z', /#/], ['https://x/y?X-Amz-Signature=1', /holds a signature or a key/], ['gs://A/b', /bucket/], ['s3://', /bucket/], ['s3://a/b', /bucket/], ['file://host/x', /three slashes|not a local/], ['file:///a%ZZ', /percent/], ['file:///a%2Fb/', /holds %2F/], [`gs://bucket/${'é'.repeat(512)}x`, /has 1025 bytes/], ['file:///a%00b/', /NUL/], ['a\0b', /NUL/],
  ])('%j is refused in words', (text, words) => {
    expect(() => at(text)).toThrow(words)
  })

  test('a reference to a file comes back as the same path, whatever its name', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', minLength: 1 }), (name) => {
      fc.pre(!/[\0/\ud800-\udfff]/.test(name) && name !== '.' && name !== '..')
      const location = at('file:///root/')
      const reference = formatReference(location, `/root/${name}`)
      expect(reference).not.toMatch(/[\s#?]/)
      expect(at(`${reference}/`).prefix).toBe(`/root/${name}/`)
    }))
  })

  test('the same bucket at another endpoint is another place', () => {
    expect(locationIdentity({ ...at('s3://bucket/a/'), endpoint: 'http://127.0.0.1:9000' })).not.toBe(locationIdentity(at('s3://bucket/a/')))
  })

  test('overlaps: either lies within the other', () => {
    expect(overlaps(at('s3://bucket/a/b/'), 'bucket', 'a/')).toBe(true)
    expect(overlaps(at('s3://bucket/a/b/'), 'bucket', 'a/b/c/')).toBe(true)
    expect(overlaps(at('s3://bucket/a/b/'), 'bucket', 'a/c/')).toBe(false)
    expect(overlaps(at('s3://bucket/a/b/'), 'other', 'a/')).toBe(false)
  })
})

test('paths order as their UTF-8 bytes do, astral characters included', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
    expect(Math.sign(comparePaths(a, b))).toBe(Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))))
  }))
  expect(comparePaths('\u{ff5e}', '\u{1f600}')).toBeLessThan(0)
})

test('a path is its folder and its base name', () => {
  expect([directoryOf('a/b/c'), baseName('a/b/c'), directoryOf('c'), baseName('c')]).toEqual(['a/b/', 'c', '', 'c'])
})
