import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { VarveError } from '../../src/model/errors.ts'
import { bytesOf, shownRange } from '../../src/storage/body.ts'

const going = new AbortController().signal
const whole = (take: number) => ({ skip: 0, take, more: false })
const translate = (error: unknown): VarveError => new VarveError('LOCATION_MISSING', 'translated', { cause: error })

async function read(bytes: AsyncIterable<Uint8Array>, restMs = 0): Promise<number> {
  let came = 0
  for await (const chunk of bytes) {
    came += chunk.length
    if (restMs > 0) await sleep(restMs)
  }
  return came
}

test('who reads slowly is not silent: only waiting for the store counts', async () => {
  const chunks = Array.from({ length: 4 }, () => Buffer.alloc(10))
  expect(await read(bytesOf(Readable.from(chunks), whole(40), 'x', translate, going, 200), 300)).toBe(40)
})

test('what drips for ever is given up: next to nothing in each stretch of silence', async () => {
  async function* drip(): AsyncGenerator<Buffer> {
    for (;;) {
      await sleep(20)
      yield Buffer.alloc(1)
    }
  }
  const stream = Readable.from(drip())
  await expect(read(bytesOf(stream, whole(1_000_000), 'x', translate, going, 300))).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', message: expect.stringMatching(/silent/) })
  expect(stream.destroyed).toBe(true)
})

test('what the stream throws is said in the words of its scheme, and ends it', async () => {
  const stream = new Readable({ read: () => undefined })
  stream.push(Buffer.alloc(5))
  const bytes = bytesOf(stream, whole(10), 'x', translate, going)[Symbol.asyncIterator]()
  await bytes.next()
  stream.destroy(new Error('odd'))
  await expect(bytes.next()).rejects.toMatchObject({ code: 'LOCATION_MISSING' })
})

test('what lies behind a range is not waited for', async () => {
  const stream = new Readable({ read: () => undefined })
  stream.push(Buffer.alloc(100))
  expect(await read(bytesOf(stream, { skip: 10, take: 20, more: true }, 'x', translate, going))).toBe(20)
  expect(stream.destroyed).toBe(true)
})

test('another range than the one that was asked for is refused, also where the whole was', () => {
  const range = { from: 5, upTo: 10 }
  expect(shownRange('bytes 5-9/20', range, 'x')).toEqual({ part: whole(5), sizeBytes: 20 })
  expect(shownRange(undefined, range, 'x')).toBe(undefined)
  for (const header of ['bytes 4-9/20', 'bytes 5-8/20', 'bytes 5-9/*', 'items 5-9/20', '']) expect(() => shownRange(header, range, 'x')).toThrow(expect.objectContaining({ code: 'STORAGE_INVALID' }))
  expect(() => shownRange('bytes 0-9/10', undefined, 'x')).toThrow(expect.objectContaining({ code: 'STORAGE_INVALID' }))
  expect(() => shownRange('bytes 5-7/8', range, 'x')).toThrow(expect.objectContaining({ code: 'OVERTAKEN' }))
})
