import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import { pair, secondsOf, varve } from './measure.ts'
import type { Result } from './measure.ts'
import { makeTree } from './tree.ts'

// A file younger than this at the look's start has no fingerprint.
const RACY_MS = 2_100

function run(data: string, ...words: readonly string[]): number {
  return secondsOf(process.execPath, [...varve(), ...words, '--data', data])
}

function put(tree: string, data: string): number {
  return run(data, 'put', `${tree}/`, '--name', 'bench/tree', '--type', 'dataset', '--max-objects', '2000000')
}

/** The restore of 20,000 local files of 10 KB, verified: the whole process, against `cp -r` and `md5sum -c` of the same. */
export async function restoreLocal(folder: string): Promise<readonly Result[]> {
  const tree = join(folder, 'tree')
  const data = join(folder, 'data')
  makeTree(tree, 20_000, 10_240)
  await sleep(RACY_MS)
  put(tree, data)
  const sums = join(folder, 'sums')
  secondsOf('sh', ['-c', 'cd "$0" && find . -type f -print0 | xargs -0 md5sum > "$1"', tree, sums])
  const fresh = (name: string): string => {
    const to = join(folder, name)
    rmSync(to, { recursive: true, force: true })
    return to
  }
  const ours = (): number => {
    const to = fresh('ours')
    return run(data, 'get', 'bench/tree', to)
  }
  const peer = (): number => {
    const to = fresh('peer')
    return secondsOf('sh', ['-c', 'cp -r "$0" "$1" && cd "$1" && md5sum --quiet -c "$2"', tree, to, sums])
  }
  const measured = pair(ours, peer)
  return [{ name: '20,000 x 10 KB, local restore / cp -r and md5sum -c', value: measured.ours / measured.peer, limit: 1, unit: 'x', detail: `${measured.ours.toFixed(3)} s / ${measured.peer.toFixed(3)} s` }]
}

/** The second restore of 200,000 files that are in place already: the whole process, against GNU find printing the same stats. */
export async function restoreAgain(folder: string): Promise<readonly Result[]> {
  const [tree, data, to] = [join(folder, 'tree'), join(folder, 'data'), join(folder, 'to')]
  makeTree(tree, 200_000, 0)
  await sleep(RACY_MS)
  put(tree, data)
  run(data, 'get', 'bench/tree', to)
  const again = run(data, 'get', 'bench/tree', to)
  const measured = pair(() => run(data, 'get', 'bench/tree', to), () => secondsOf('find', [to, '-type', 'f', '-printf', '%s %T@ %i %p\\n']))
  const detail = `${measured.ours.toFixed(3)} s / ${measured.peer.toFixed(3)} s, the very second ${again.toFixed(3)} s`
  return [{ name: '200,000 files in place, restore again / find -printf', value: measured.ours / measured.peer, limit: 1.5, unit: 'x', detail }]
}

/** The peak memory of a restore of 1,000,000 entries, in tmpfs: a disk would measure itself. */
export async function restoreMemory(): Promise<readonly Result[]> {
  const base = join('/dev/shm', `varve-bench-restore-${process.pid}`)
  try {
    mkdirSync(base)
    const [tree, data, to] = [join(base, 'tree'), join(base, 'data'), join(base, 'to')]
    makeTree(tree, 1_000_000, 0)
    await sleep(RACY_MS)
    put(tree, data)
    const peak = (): number => {
      const report = join(base, 'peak.mjs')
      writeFileSync(report, `process.on('exit', () => process.stderr.write(\`peak \${process.resourceUsage().maxRSS}\\n\`))`)
      const { status, stderr } = spawnSync(process.execPath, ['--import', report, ...varve(), 'get', 'bench/tree', to, '--data', data], { encoding: 'utf8' })
      if (status !== 0) throw new Error(stderr)
      return Number(/^peak (\d+)$/m.exec(stderr)?.[1]) / 1_024
    }
    const first = peak()
    return [{ name: 'peak memory of a restore of 1,000,000 entries', value: first, limit: 256, unit: ' MB', detail: `again, in place: ${peak().toFixed(0)} MB` }]
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
}
