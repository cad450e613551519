import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// A fingerprint is three 64-bit numbers in base64.
const WIDTH = 32
const HELD_MOST = 50_000

/** Fingerprints by number, taken in the order in which they were put: few in memory, many in a file that no name leads to. */
export class Shelf {
  #held = new Map<number, string>()
  #fd: number | undefined

  async put(at: number, fingerprint: string): Promise<void> {
    this.#held.set(at, fingerprint.padEnd(WIDTH))
    if (this.#held.size < HELD_MOST) return
    this.#fd ??= unnamed()
    for (const [number, text] of this.#held) writeSync(this.#fd, text, number * WIDTH, 'latin1')
    this.#held = new Map()
  }

  take(at: number): string {
    const held = this.#held.get(at)
    if (held !== undefined || this.#fd === undefined) return (held ?? '').trimEnd()
    const bytes = Buffer.alloc(WIDTH)
    readSync(this.#fd, bytes, 0, WIDTH, at * WIDTH)
    return bytes.toString('latin1').replace(/\0/g, '').trimEnd()
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }
}

function unnamed(): number {
  const file = join(tmpdir(), `varve-${randomUUID()}`)
  const fd = openSync(file, 'wx+', 0o600)
  rmSync(file)
  return fd
}
