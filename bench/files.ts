import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import { slowly } from '../test/storage/file/slow.ts'
import { pair, secondsOf, varve } from './measure.ts'
import type { Result } from './measure.ts'
import { makeTree } from './tree.ts'

// A file younger than this at the look's start is read again at the next one.
const RACY_MS = 2_100

function put(tree: string, data: string): number {
  return secondsOf(process.execPath, [...varve(), 'put', tree, '--name', 'bench/tree', '--type', 'dataset', '--data', data, '--max-objects', '2000000'])
}

/** The second scan of an unchanged tree of 200,000 files: the whole process, against GNU find printing the same stats. */
export async function unchangedScan(folder: string): Promise<readonly Result[]> {
  const tree = join(folder, 'tree')
  makeTree(tree, 200_000, 0)
  await sleep(RACY_MS)
  put(`${tree}/`, join(folder, 'data'))
  const { ours, peer } = pair(() => put(`${tree}/`, join(folder, 'data')), () => secondsOf('find', [tree, '-type', 'f', '-printf', '%s %T@ %i %p\\n']))
  return [{ name: 'unchanged 200,000 files, second scan / find -printf', value: ours / peer, limit: 1.5, unit: 'x', detail: `${ours.toFixed(3)} s / ${peer.toFixed(3)} s` }]
}

// What each call waits for on a file server that is not busy.
const DELAY = '1ms'

/** The second scan of 5,000 unchanged files where each call waits for 1 ms and nothing is cached: the whole process, against GNU find printing the same stats. */
export async function networkScan(folder: string): Promise<readonly Result[]> {
  const slow = await slowly(DELAY)
  try {
    makeTree(slow.behind, 5_000, 0)
    await sleep(RACY_MS)
    const data = join(folder, 'data')
    put(slow.root, data)
    const { ours, peer } = pair(() => put(slow.root, data), () => secondsOf('find', [slow.root, '-type', 'f', '-printf', '%s %T@ %i %p\\n']), 3)
    return [{ name: `unchanged 5,000 files at ${DELAY} a call, second scan / find -printf`, value: ours / peer, limit: 0.1, unit: 'x', detail: `${ours.toFixed(3)} s / ${peer.toFixed(3)} s` }]
  } finally {
    await slow.stop()
  }
}

/** The first scan of 20,000 files of 10 KB: the whole process, against md5sum on both cores. */
export async function firstScan(folder: string): Promise<readonly Result[]> {
  const tree = join(folder, 'tree')
  makeTree(tree, 20_000, 10_240)
  await sleep(RACY_MS)
  const data = join(folder, 'data')
  const ours = (): number => {
    rmSync(data, { recursive: true, force: true })
    return put(`${tree}/`, data)
  }
  const measured = pair(ours, () => secondsOf('sh', ['-c', 'find "$0" -type f -print0 | xargs -0 -P2 md5sum', tree]))
  const detail = `${measured.ours.toFixed(3)} s / ${measured.peer.toFixed(3)} s`
  return [{ name: '20,000 x 10 KB, first scan / xargs -P2 md5sum', value: measured.ours / measured.peer, limit: 1, unit: 'x', detail }]
}
