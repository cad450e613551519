import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { varve } from './measure.ts'
import type { Result } from './measure.ts'
import { makeTree } from './tree.ts'

const LIMIT_MB = 256

interface Measured {
  /** Most memory that `varve put` had, and the daemon until its first version. */
  readonly putMb: number
  readonly daemonMb: number
  /** Median time of a hinted change, from request to commit. */
  readonly changeMs: number
}

async function measure(folder: string, files: number): Promise<Measured> {
  mkdirSync(folder, { recursive: true })
  try {
    const tree = join(folder, 'tree')
    makeTree(tree, files, 0)
    const [putMb, daemonMb] = [await peakOfPut(folder, `${tree}/`), await peakOfDaemon(folder, `${tree}/`)]
    const child = spawnSync(process.execPath, [join(import.meta.dirname, 'one-change.ts'), `${tree}/`, join(folder, 'changes'), join('d000', 'e00000', 'file-7.bin')], { encoding: 'utf8' })
    if (child.status !== 0) throw new Error(child.stderr)
    return { putMb, daemonMb, ...(JSON.parse(child.stdout) as { changeMs: number }) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function peakOfPut(folder: string, tree: string): Promise<number> {
  return peakOf(['put', tree, '--name', 'bench/put', '--type', 'dataset', '--data', join(folder, 'put'), '--max-objects', '2000000'])
}

function peakOfDaemon(folder: string, tree: string): Promise<number> {
  const config = join(folder, 'varve.yaml')
  writeFileSync(config, JSON.stringify({ data: join(folder, 'run'), listen: 'off', watch: [{ name: 'run', location: `file://${tree}`, artifact: 'bench/run', type: 'dataset', max_objects: 2_000_000 }] }))
  return peakOf(['run', '--config', config])
}

// Runs in the measured process before anything else: at its end it tells the most memory that it had.
const TELLING = `data:text/javascript,${encodeURIComponent("import { isMainThread } from 'node:worker_threads'; if (isMainThread) process.on('exit', () => process.stdout.write('peak KB ' + process.resourceUsage().maxRSS))")}`

/** The most memory (MB) that a command had, which is told to end when it has told of its first version. */
async function peakOf(words: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, ['--import', TELLING, ...varve(), ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
  let [recorded, peakKb] = [false, 0]
  for await (const line of createInterface(child.stdout)) {
    if (line.includes(':v0')) {
      recorded = true
      child.kill()
    }
    peakKb = Number(/^peak KB (\d+)/.exec(line)?.[1] ?? peakKb)
  }
  if (!recorded || peakKb === 0) throw new Error(`varve ${words.join(' ')}: no version`)
  return peakKb / 1_024
}

/** One change at 1,000,000 entries against one at 10,000, and the peak memory of scans of 1,000,000. On tmpfs: a disk would measure itself. */
export async function oneChange(): Promise<readonly Result[]> {
  const base = join('/dev/shm', `varve-bench-${process.pid}`)
  try {
    const small = await measure(join(base, 'small'), 10_000)
    const large = await measure(join(base, 'large'), 1_000_000)
    const memory = (who: string, of: (measured: Measured) => number): Result => ({ name: `peak memory of a scan of 1,000,000 entries, ${who}`, value: of(large), limit: LIMIT_MB, unit: ' MB', detail: `at 10,000: ${of(small).toFixed(0)} MB` })
    return [
      { name: 'one change, commit at 1,000,000 / at 10,000 entries', value: large.changeMs / small.changeMs, limit: 2, unit: 'x', detail: `${large.changeMs.toFixed(2)} ms / ${small.changeMs.toFixed(2)} ms` },
      memory('put', ({ putMb }) => putMb),
      memory('daemon', ({ daemonMb }) => daemonMb),
    ]
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
}
