import { existsSync, writeFileSync } from 'node:fs'

/** Writes until not one page more fits. */
export function fillUp(file: string): void {
  for (const size of [65_536, 4_096, 512])
    for (;;) {
      try {
        writeFileSync(file, Buffer.alloc(size), { flag: 'a' })
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC' || !existsSync(file)) throw error
        break
      }
    }
}
