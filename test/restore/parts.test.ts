import { createHash } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { writtenParts } from '../../src/restore/parts.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-parts-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** As S3 defines the ETag of a multipart upload. */
function etagOf(bytes: Buffer, partBytes: number): string {
  const digests: Buffer[] = []
  for (let at = 0; at < bytes.length; at += partBytes) digests.push(createHash('md5').update(bytes.subarray(at, at + partBytes)).digest())
  return `${createHash('md5').update(Buffer.concat(digests)).digest('hex')}-${digests.length}`
}

test('parts of any size, written in chunks of any size, come to the ETag of the upload', async () => {
  const file = join(folder, 'file')
  await fc.assert(fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200_000, size: 'max' }), fc.integer({ min: 1_000, max: 60_000 }), fc.integer({ min: 500, max: 70_000 }), async (array, partBytes, chunkBytes) => {
    const bytes = Buffer.from(array)
    const fd = openSync(file, 'w+')
    try {
      const sum = writtenParts(fd, partBytes)
      for (let at = 0; at < bytes.length; at += chunkBytes) {
        const chunk = bytes.subarray(at, at + chunkBytes)
        writeSync(fd, chunk)
        sum.update(chunk)
      }
      expect(await sum.found()).toEqual([etagOf(bytes, partBytes)])
    } finally {
      closeSync(fd)
    }
  }), { numRuns: 60 })
})
