// The parts of a large object, digested several at a time from the file that they were written to: one chain of MD5 alone is slower than the line.
import { createHash } from 'node:crypto'
import { readSync } from 'node:fs'
import { Lanes } from '../model/lanes.ts'
import { LANES } from '../model/md5.ts'
import type { Sum } from './verify.ts'

/** Above, they may have left the memory of the system before they are read again. */
export const PART_MOST_BYTES = 64 * 1024 * 1024
const DIGEST_BYTES = 16

interface Part {
  readonly index: number
  readonly upTo: number
  at: number
}

/** The ETag of a multipart upload over `fd`, whose bytes are told of after they were written, from the first on. */
export function writtenParts(fd: number, partBytes: number): Sum {
  const lanes = new Lanes<Part>()
  const digests: Buffer[] = []
  let written = 0
  let next = 0
  const digest = (upTo: number): void =>
    lanes.hash({
      open: () => {
        const at = next * partBytes
        return at >= upTo ? undefined : { index: next++, at, upTo: Math.min(at + partBytes, upTo) }
      },
      fill: (part, target, at, length) => {
        const most = Math.min(length, part.upTo - part.at)
        let filled = 0
        for (let some = 1; some > 0 && filled < most; filled += some) some = readSync(fd, target, at + filled, most - filled, part.at + filled)
        part.at += filled
        return filled
      },
      done: ({ index }, digestTo) => digestTo((digests[index] = Buffer.alloc(DIGEST_BYTES)), 0),
      close: () => undefined,
    })
  const group = LANES * partBytes
  return {
    update: ({ length }) => {
      written += length
      const whole = Math.floor(written / group) * group
      if (whole > next * partBytes) digest(whole)
    },
    found: async () => {
      digest(written)
      return [`${createHash('md5').update(Buffer.concat(digests)).digest('hex')}-${digests.length}`]
    },
  }
}
