import { createHash } from 'node:crypto'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Lanes } from '../../src/model/lanes.ts'

interface Source {
  readonly bytes: Buffer
  got: number
}

const lanes = new Lanes<Source>()

/** The digests of `messages` by the lanes, which read as much at a time as `gulp` allows. */
function digests(messages: readonly Buffer[], gulp = Infinity): readonly string[] {
  const queue = messages.map((bytes) => ({ bytes, got: 0 }))
  const found = new Map<Buffer, string>()
  const open = new Set<Source>()
  lanes.hash({
    open: () => {
      const source = queue.shift()
      if (source !== undefined) open.add(source)
      return source
    },
    fill: (source, target, at, length) => {
      let filled = 0
      while (filled < length && source.got < source.bytes.length) {
        const more = Math.min(gulp, length - filled, source.bytes.length - source.got)
        target.set(source.bytes.subarray(source.got, source.got + more), at + filled)
        filled += more
        source.got += more
      }
      return filled
    },
    done: (source, digestTo) => {
      const digest = new Uint8Array(16)
      digestTo(digest, 0)
      found.set(source.bytes, Buffer.from(digest).toString('hex'))
    },
    close: (source) => expect(open.delete(source)).toBe(true),
  })
  expect(open.size).toBe(0)
  return messages.map((bytes) => found.get(bytes) ?? 'none')
}

const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex')

function message(length: number, seed: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, index) => index * 31 + seed * 17 + (index >> 8)))
}

test('the lanes agree with OpenSSL at every border of blocks, padding and buffers', () => {
  const sizes = [0, 1, 54, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 16_319, 16_320, 16_375, 16_376, 16_383, 16_384, 16_385, 16_439, 16_440, 32_767, 32_768, 32_769, 100_000]
  const messages = sizes.map((size, index) => message(size, index))
  expect(digests(messages)).toEqual(messages.map(md5))
})

test('the lanes agree with OpenSSL on every length of the first blocks', () => {
  const messages = Array.from({ length: 300 }, (_, size) => message(size, size))
  expect(digests(messages)).toEqual(messages.map(md5))
})

test('the lanes agree with OpenSSL whatever the sizes, their order and the length of reads', () => {
  const length = fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 16_300, max: 16_500 }), fc.integer({ min: 0, max: 70_000 }))
  fc.assert(
    fc.property(fc.array(length, { maxLength: 12 }), fc.integer({ min: 1, max: 20_000 }), (sizes, gulp) => {
      const messages = sizes.map((size, index) => message(size, index + size))
      expect(digests(messages, gulp)).toEqual(messages.map(md5))
    }),
    { numRuns: 60 },
  )
})

test('whatever is opened is closed, also when reading fails', () => {
  const open = new Set<number>()
  let next = 0
  const failing = new Lanes<number>()
  expect(() =>
    failing.hash({
      open: () => (open.add(next), next++),
      fill: (file) => {
        if (file === 2) throw new Error('the disk is broken')
        return 10
      },
      done: () => undefined,
      close: (file) => open.delete(file),
    }),
  ).toThrow('the disk is broken')
  expect(open.size).toBe(0)
})
