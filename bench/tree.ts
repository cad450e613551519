import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Makes `files` files of `sizeBytes`, 100 a directory, each with bytes of its own; their times lie well in the past of any later look. */
export function makeTree(root: string, files: number, sizeBytes: number): void {
  for (let at = 0; at < files; at += 100) {
    const directory = join(root, `d${String(Math.floor(at / 10_000)).padStart(3, '0')}`, `e${String(at / 100).padStart(5, '0')}`)
    mkdirSync(directory, { recursive: true })
    for (let i = at; i < Math.min(at + 100, files); i++) {
      const bytes = Buffer.alloc(sizeBytes, i % 251)
      if (sizeBytes >= 4) bytes.writeUInt32LE(i)
      writeFileSync(join(directory, `file-${i}.bin`), bytes)
    }
  }
}
