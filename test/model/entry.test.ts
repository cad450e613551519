import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { SetDigest } from '../../src/model/digest.ts'
import { identityOf, mayBeSame, sameContent } from '../../src/model/entry.ts'
import type { Row } from '../../src/model/entry.ts'
import { describe as words, isFailure, isRetryable, scrub, VarveError } from '../../src/model/errors.ts'
import { settledAt } from '../../src/model/watch.ts'
import type { Watch } from '../../src/model/watch.ts'

const row = (over: Partial<Row> = {}): Row => ({ path: 'a', sizeBytes: 3, content: { digest: 'etag:x', checksums: { crc32c: 'one' } }, identity: 'etag:x 3', here: true, ...over })

describe('same content', () => {
  test('a checksum that both carry decides, whatever the ETags', () => {
    expect(sameContent(row(), { digest: 'etag:y', checksums: { crc32c: 'one' } }, 3)).toBe(true)
    expect(sameContent(row(), { digest: 'etag:x', checksums: { crc32c: 'two' } }, 3)).toBe(false)
  })
  test('with none in common, ETag and size decide', () => {
    expect(sameContent(row(), { digest: 'etag:x', checksums: { sha256: 'z' } }, 3)).toBe(true)
    expect(sameContent(row(), { digest: 'etag:x' }, 4)).toBe(false)
    expect(sameContent(row(), { digest: 'etag:y' }, 3)).toBe(false)
  })
  test('where the digest moves with metadata, what stands for the bytes decides, after the checksums', () => {
    const sealed = row({ content: { digest: 'etag:x' }, identity: 'generation:1 3' })
    expect(sameContent(sealed, { digest: 'etag:y', identity: 'generation:1' }, 3)).toBe(true)
    expect(sameContent(sealed, { digest: 'etag:y', identity: 'generation:2' }, 3)).toBe(false)
    expect(sameContent(sealed, { digest: 'etag:y', identity: 'generation:1' }, 4)).toBe(false)
    expect(sameContent(row({ identity: 'crc32c:one 3' }), { digest: 'etag:y', identity: 'crc32c:one', checksums: { crc32c: 'two' } }, 3)).toBe(false)
  })
  test('a HEAD is worth asking only where a checksum could still show it', () => {
    expect(mayBeSame(row(), { path: 'a', sizeBytes: 3, content: { digest: 'etag:y' } })).toBe(true)
    expect(mayBeSame(row(), { path: 'a', sizeBytes: 4, content: { digest: 'etag:y' } })).toBe(false)
    expect(mayBeSame(row({ content: { digest: 'etag:x' } }), { path: 'a', sizeBytes: 3, content: { digest: 'etag:y' } })).toBe(false)
  })
})

describe('the set digest', () => {
  const entries = fc.uniqueArray(fc.record({ path: fc.string(), identity: fc.string() }), { selector: (one) => one.path })
  const sum = (all: readonly { path: string; identity: string }[]) => {
    const digest = new SetDigest()
    for (const { path, identity } of all) digest.add(path, identity)
    return digest.toString()
  }
  test('does not depend on order, and removing undoes adding', () => {
    fc.assert(fc.property(entries, fc.string(), (all, extra) => {
      expect(sum([...all].reverse())).toBe(sum(all))
      const digest = new SetDigest(sum(all))
      digest.add(extra, 'x')
      digest.remove(extra, 'x')
      expect(digest.toString()).toBe(sum(all))
    }))
  })
  test('path and identity are told apart by length: no two entries collide by moving characters', () => {
    expect(sum([{ path: 'a', identity: 'bc 1' }])).not.toBe(sum([{ path: 'ab', identity: 'c 1' }]))
  })
  test('the text form is stable: what is stored today is read for ever', () => {
    expect(sum([])).toBe(`varve1:${'0'.repeat(64)}`)
    expect(sum([{ path: 'a', identity: 'md5:x 1' }])).toBe('varve1:cea53e05533367b47d409e6a1b693fea39d509944ba9854355dee2dd420cd226')
  })
})

test('an identity is what stands for the bytes, or the digest, and size', () => {
  expect(identityOf({ digest: 'etag:a:b' }, 7)).toBe('etag:a:b 7')
  expect(identityOf({ digest: 'etag:a:b', identity: 'md5:x' }, 7)).toBe('md5:x 7')
})

describe('errors', () => {
  test('carry no credentials, no URL query and no line break', () => {
    expect(words(new Error('redis://user:secret@h:1/0 and https://h/p?X-Amz-Signature=abc#f\nnext'))).toBe('redis://h:1/0 and https://h/p?… next')
    expect(scrub('redis://:secret@h:1/0')).toBe('redis://h:1/0')
    expect(scrub('redis://:sec@ret@h:1/0, http://u:p@ss@h/x')).toBe('redis://h:1/0, http://h/x')
  })
  test('know whether trying again may help; an unknown one is retried', () => {
    expect(isRetryable(new VarveError('LOCATION_DENIED', 'x'))).toBe(false)
    expect(isRetryable(new Error('x'))).toBe(true)
    expect(isFailure(new VarveError('HELD', 'x'), 'EMPTY')).toBe(false)
    expect(words(undefined)).toBe('undefined')
  })
})

test('settling: quiet for `settle` after the last hint, at most `max_wait` after the first; a time in the future does not wait for the clock', () => {
  const watch = { settleMs: 5, maxWaitMs: 20 } as Watch
  expect(settledAt(watch, undefined, undefined, 100)).toBe(100)
  expect(settledAt(watch, 90, 98, 100)).toBe(103)
  expect(settledAt(watch, 80, 99, 100)).toBe(100)
  expect(settledAt(watch, 900, 999, 100)).toBe(100)
  expect(settledAt(watch, 90, 999, 100)).toBe(100)
})
