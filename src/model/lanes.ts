import { LANE_BYTES, LANES, md5Lanes } from './md5.ts'
import type { Md5Lanes } from './md5.ts'

/** Where lanes take their files from, and what becomes of them. */
export interface Supply<File> {
  /** The next file to be hashed, or undefined when there is none. */
  open(): File | undefined
  /** Reads up to `length` bytes to `target` at `at`; fewer only at the end of the file. */
  fill(file: File, target: Uint8Array, at: number, length: number): number
  /** All was read; `digestTo` lays down the 16 bytes. */
  done(file: File, digestTo: (target: Uint8Array, at: number) => void): void
  /** Called once for each opened file, whatever happened. */
  close(file: File): void
}

interface Lane<File> {
  readonly number: number
  file: File | undefined
  sizeBytes: number
  /** Blocks in memory that are not run yet, and where they begin. */
  blocks: number
  pointer: number
  /** The padding is in memory: what is there is the last. */
  padded: boolean
}

/** Hashes many files, as many at a time as there are lanes: one that is done takes the next. */
export class Lanes<File> {
  readonly #md5: Md5Lanes = md5Lanes()

  /** Returns when `supply` has no more. Throws what it throws. */
  hash(supply: Supply<File>): void {
    const idle = { file: undefined, sizeBytes: 0, blocks: 0, pointer: 0, padded: false }
    const lanes = Array.from({ length: LANES }, (_, number): Lane<File> => ({ number, ...idle }))
    try {
      for (;;) {
        // All run as many blocks as the shortest of them has.
        let least = Infinity
        for (const lane of lanes) {
          if (lane.blocks === 0) this.#refill(lane, supply)
          if (lane.blocks !== 0) least = Math.min(least, lane.blocks)
        }
        if (least === Infinity) return
        this.#md5.blocks(least, lanes.map(({ pointer }) => pointer))
        for (const lane of lanes) {
          if (lane.blocks === 0) continue
          lane.blocks -= least
          lane.pointer += least * 64
        }
      }
    } finally {
      for (const lane of lanes) if (lane.file !== undefined) supply.close(lane.file)
    }
  }

  #refill(lane: Lane<File>, supply: Supply<File>): void {
    if (lane.file !== undefined && lane.padded) {
      supply.done(lane.file, (target, at) => this.#md5.digest(lane.number, target, at))
      const { file } = lane
      lane.file = undefined
      supply.close(file)
    }
    // A lane without a file runs over what its buffer holds, for nobody.
    lane.pointer = this.#md5.at(lane.number)
    if (lane.file === undefined) {
      lane.file = supply.open()
      if (lane.file === undefined) return
      lane.sizeBytes = 0
      this.#md5.reset(lane.number)
    }
    const length = supply.fill(lane.file, this.#md5.memory, lane.pointer, LANE_BYTES)
    lane.sizeBytes += length
    lane.padded = length < LANE_BYTES
    lane.blocks = lane.padded ? pad(this.#md5.memory, lane.pointer, length, lane.sizeBytes) : LANE_BYTES / 64
  }
}

/** Ends a message after `length` bytes at `at`: a one bit, zeros, and the bits of the whole in 64 bits. Gives the blocks from `at` on. */
function pad(memory: Uint8Array, at: number, length: number, sizeBytes: number): number {
  const blocks = Math.floor((length + 8) / 64) + 1
  const end = at + blocks * 64
  memory.fill(0, at + length, end)
  memory[at + length] = 0x80
  const bits = new DataView(memory.buffer, end - 8, 8)
  bits.setUint32(0, (sizeBytes * 8) >>> 0, true)
  bits.setUint32(4, Math.floor(sizeBytes / 2 ** 29), true)
  return blocks
}
