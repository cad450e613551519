import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { median } from './measure.ts'
import type { Result } from './measure.ts'

const OBJECTS = 50_000
const PAIRS = 5
const LIMIT = 0.15

/** CPU that listing 50,000 objects of a GCS bucket takes, against Google's client library listing the same: each in a process of its own, from the same server. */
export async function gcsListing(): Promise<readonly Result[]> {
  const lister = join(import.meta.dirname, 'gcs-lister.ts')
  const server = spawn(process.execPath, [lister, 'serve', String(OBJECTS)], { stdio: ['pipe', 'pipe', 'inherit'] })
  try {
    const [url] = (await once(createInterface(server.stdout), 'line')) as [string]
    const perObject = (who: 'varve' | 'library'): number => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [lister, who, url], { encoding: 'utf8' })
      const [objects, cpuUs] = stdout.trim().split(' ').map(Number) as [number, number]
      if (status !== 0 || objects !== OBJECTS) throw new Error(`${who}: exit ${status}, ${stdout}${stderr}`)
      return cpuUs / objects
    }
    const ours: number[] = []
    const peer: number[] = []
    for (let i = 0; i < PAIRS; i++) {
      ours.push(perObject('varve'))
      peer.push(perObject('library'))
    }
    const perSecond = (us: number): string => `${Math.round(1_000 / us)}k`
    const detail = `${perSecond(median(ours))} objects per CPU second, @google-cloud/storage ${perSecond(median(peer))}`
    return [{ name: 'CPU of a GCS listing, against the client library', value: median(ours) / median(peer), limit: LIMIT, unit: '', detail }]
  } finally {
    server.stdin.end()
    server.kill()
  }
}
