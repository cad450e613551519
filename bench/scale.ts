import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Result } from './measure.ts'
import { makeTree } from './tree.ts'

interface Measured {
  readonly peakMb: number
  readonly changeMs: number
}

/** What one process takes for the first scan of a tree (peak memory) and for single hinted changes after it (median time from request to commit). */
function measure(folder: string, files: number): Measured {
  mkdirSync(folder, { recursive: true })
  const tree = join(folder, 'tree')
  makeTree(tree, files, 0)
  const child = spawnSync(process.execPath, [join(import.meta.dirname, 'one-change.ts'), `${tree}/`, join(folder, 'data'), join('d000', 'e00000', 'file-7.bin')], { encoding: 'utf8' })
  rmSync(folder, { recursive: true, force: true })
  if (child.status !== 0) throw new Error(child.stderr)
  return JSON.parse(child.stdout) as Measured
}

/** One change at 1,000,000 entries against one at 10,000, and the peak memory of the scan of 1,000,000. On tmpfs: a disk would measure itself. */
export async function oneChange(): Promise<readonly Result[]> {
  const base = join('/dev/shm', `varve-bench-${process.pid}`)
  try {
    const small = measure(join(base, 'small'), 10_000)
    const large = measure(join(base, 'large'), 1_000_000)
    return [
      { name: 'one change, commit at 1,000,000 / at 10,000 entries', value: large.changeMs / small.changeMs, limit: 2, unit: 'x', detail: `${large.changeMs.toFixed(2)} ms / ${small.changeMs.toFixed(2)} ms` },
      { name: 'peak memory of a scan of 1,000,000 entries', value: large.peakMb, limit: 256, unit: ' MB', detail: `at 10,000: ${small.peakMb.toFixed(0)} MB` },
    ]
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
}
