// One side of the GCS listing, in a process of its own: `serve N` is the store, `varve URL` and `library URL` list it, and tell how many objects and how many µs of CPU.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openGcsStore } from '../src/storage/gcs/store.ts'

// Listings before the one that is measured, so that both sides are compiled and connected.
const WARMING = 2

/** The rows are ready before anybody asks, and the same for both: the peer, who names no fields, would get five times as much from Google. */
async function serve(count: number): Promise<void> {
  const rows = Array.from({ length: count }, (_, at) => JSON.stringify({
    name: `data/part/${String(at).padStart(8, '0')}.parquet`, generation: `${1_700_000_000_000_000 + at}`, size: `${at}`,
    md5Hash: createHash('md5').update(`${at}`).digest('base64'), crc32c: 'mnG7TA==', etag: Buffer.from(`${at}`).toString('base64'),
  }))
  const server = createServer((request, response) => {
    const query = new URL(request.url as string, 'http://host').searchParams
    const from = Number(query.get('pageToken') ?? 0)
    const end = from + Number(query.get('maxResults') ?? 1_000)
    const next = end < count ? `"nextPageToken":"${end}",` : ''
    response.writeHead(200, { 'content-type': 'application/json' }).end(`{"kind":"storage#objects",${next}"items":[${rows.slice(from, end).join(',')}]}`)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`)
  process.stdin.resume().on('end', () => process.exit())
}

async function ours(endpoint: string): Promise<number> {
  const store = await openGcsStore({ scheme: 'gs', endpoint, bucket: 'fake', prefix: 'data/' }, { endpoint })
  let count = 0
  for await (const span of store.scan(Date.now(), new AbortController().signal)) for (const { content } of span.entries()) if (content !== undefined) count++
  await store.close()
  return count
}

async function library(apiEndpoint: string): Promise<number> {
  const { Storage } = await import('@google-cloud/storage')
  const [files] = await new Storage({ projectId: 'p', apiEndpoint }).bucket('fake').getFiles({ prefix: 'data/' })
  return files.filter(({ metadata }) => metadata.etag !== undefined).length
}

const [what, told = ''] = process.argv.slice(2)
if (what === 'serve') await serve(Number(told))
else {
  const list = what === 'varve' ? ours : library
  for (let times = 0; times < WARMING; times++) await list(told)
  const before = process.cpuUsage()
  const count = await list(told)
  const { user, system } = process.cpuUsage(before)
  process.stdout.write(`${count} ${user + system}\n`)
}
