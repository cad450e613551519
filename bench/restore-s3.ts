import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { S3_KEYS, start } from '../test/components.ts'
import { programOf } from '../tools/components.ts'
import { median, varve } from './measure.ts'
import type { Result } from './measure.ts'

const OBJECTS = 8
const OBJECT_BYTES = 256 * 1024 * 1024
const CHUNK_BYTES = 16 * 1024 * 1024
const PAIRS = 3
// At least nine tenths of the throughput.
const LIMIT = 1 / 0.9

/** The restore of 2 GB in large objects of a MinIO beside it, verified: the whole process, against `rclone copy` of the same, which verifies, too. In tmpfs: a disk would measure itself. */
export async function restoreS3(): Promise<readonly Result[]> {
  const base = join('/dev/shm', `varve-bench-s3-${process.pid}`)
  mkdirSync(join(base, 'store'), { recursive: true })
  const minio = await start('minio', [], {}, join(base, 'store'))
  const env = {
    // What a machine's own proxy wants is not for loopback.
    ...process.env, AWS_CA_BUNDLE: undefined, AWS_ACCESS_KEY_ID: S3_KEYS.accessKeyId, AWS_SECRET_ACCESS_KEY: S3_KEYS.secretAccessKey, AWS_REGION: 'us-east-1', AWS_ENDPOINT_URL_S3: minio.url,
    RCLONE_CONFIG: join(base, 'rclone.conf'), RCLONE_CONFIG_M_TYPE: 's3', RCLONE_CONFIG_M_PROVIDER: 'Minio', RCLONE_CONFIG_M_ENV_AUTH: 'true', RCLONE_CONFIG_M_ENDPOINT: minio.url, RCLONE_CONFIG_M_REGION: 'us-east-1',
  }
  const secondsOf = async (command: string, args: readonly string[]): Promise<number> => {
    const started = performance.now()
    const child = spawn(command, args, { env, stdio: ['ignore', 'ignore', 'inherit'] })
    const [status] = (await once(child, 'exit')) as [number | null]
    if (status !== 0) throw new Error(`${command} ${args.join(' ')}: exit ${status}`)
    return (performance.now() - started) / 1_000
  }
  const run = (...words: readonly string[]): Promise<number> => secondsOf(process.execPath, [...varve(), ...words, '--data', join(base, 'data')])
  try {
    const client = new S3Client({ endpoint: minio.url, region: 'us-east-1', forcePathStyle: true, credentials: S3_KEYS })
    await client.send(new CreateBucketCommand({ Bucket: 'bench' }))
    client.destroy()
    makeObjects(join(base, 'from'))
    // Uploaded by the peer, which so keeps the MD5 that it verifies by.
    await secondsOf(programOf('rclone'), ['copy', join(base, 'from'), 'm:bench/data', '--s3-chunk-size', '16M'])
    rmSync(join(base, 'from'), { recursive: true })
    await run('put', 's3://bench/data/', '--name', 'bench/large', '--type', 'dataset')
    const sides = {
      ours: (to: string) => run('get', 'bench/large', to),
      peer: (to: string) => secondsOf(programOf('rclone'), ['copy', 'm:bench/data', to]),
    }
    const took: Record<keyof typeof sides, number[]> = { ours: [], peer: [] }
    for (let i = 0; i < PAIRS; i++)
      for (const side of ['ours', 'peer'] as const) {
        took[side].push(await sides[side](join(base, 'to')))
        rmSync(join(base, 'to'), { recursive: true })
      }
    const [ours, peer] = [median(took.ours), median(took.peer)]
    const rate = (seconds: number): string => `${Math.round((OBJECTS * OBJECT_BYTES) / seconds / 1e6)} MB/s`
    return [{ name: '2 GB of large objects from MinIO, restore / rclone copy', value: ours / peer, limit: Number(LIMIT.toFixed(2)), unit: 'x', detail: `${ours.toFixed(2)} s (${rate(ours)}) / ${peer.toFixed(2)} s (${rate(peer)})` }]
  } finally {
    await minio.stop()
    rmSync(base, { recursive: true, force: true })
  }
}

function makeObjects(folder: string): void {
  mkdirSync(folder)
  const chunk = randomBytes(CHUNK_BYTES)
  for (let at = 0; at < OBJECTS; at++) {
    const fd = openSync(join(folder, `large-${at}`), 'w')
    for (let from = 0; from < OBJECT_BYTES; from += CHUNK_BYTES) {
      chunk.writeUInt32LE(at * 1_000 + from / CHUNK_BYTES)
      writeSync(fd, chunk)
    }
    closeSync(fd)
  }
}
