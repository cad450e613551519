import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { start } from '../test/components.ts'
import { putMany } from '../test/e2e/many.ts'
import { varve } from './measure.ts'
import type { Result } from './measure.ts'

const OBJECTS = 50_000
// Objects of one listing page.
const PAGE = 1_000
const KEYS = { accessKeyId: 'varve', secretAccessKey: 'varve-secret' }

/** Requests that a first look at 50,000 objects of a versioned MinIO bucket makes, counted on the wire by a proxy that passes everything on. */
export async function listing(folder: string): Promise<readonly Result[]> {
  const minio = await start('minio')
  const proxy = await countingProxy(minio.url)
  try {
    await fill(minio.url)
    const before = proxy.count()
    const env = { ...process.env, AWS_ACCESS_KEY_ID: KEYS.accessKeyId, AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey, AWS_REGION: 'us-east-1', AWS_ENDPOINT_URL_S3: proxy.url }
    const args = [...varve(), 'put', 's3://bench/data/', '--name', 'bench/listing', '--type', 'dataset', '--data', join(folder, 'data'), '--max-objects', String(OBJECTS)]
    const started = performance.now()
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'inherit', 'inherit'] })
    const [status] = (await once(child, 'exit')) as [number]
    if (status !== 0) throw new Error(`varve put: exit ${status}`)
    const requests = proxy.count() - before
    return [{ name: 'requests to list 50,000 objects on MinIO', value: requests, limit: Math.ceil(OBJECTS / PAGE) + 1, unit: '', detail: `${((performance.now() - started) / 1000).toFixed(2)} s for the whole put` }]
  } finally {
    await proxy.close()
    await minio.stop()
  }
}

async function fill(endpoint: string): Promise<void> {
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: KEYS })
  await client.send(new CreateBucketCommand({ Bucket: 'bench' }))
  await client.send(new PutBucketVersioningCommand({ Bucket: 'bench', VersioningConfiguration: { Status: 'Enabled' } }))
  await putMany(client, 'bench', Array.from({ length: OBJECTS }, (_, i) => [`data/${String(i).padStart(6, '0')}`, `object ${i}`]))
  client.destroy()
}

async function countingProxy(target: string): Promise<{ url: string; count(): number; close(): Promise<void> }> {
  let requests = 0
  const { hostname, port } = new URL(target)
  const server = createServer((incoming, outgoing) => {
    requests++
    const onward = request({ hostname, port, method: incoming.method, path: incoming.url, headers: incoming.headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    })
    onward.on('error', (error) => outgoing.destroy(error))
    incoming.pipe(onward)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    count: () => requests,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
