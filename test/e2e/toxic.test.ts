// needs: redis, moto, nginx, pubsub-fake, fake-gcs-server, toxiproxy
// Between Varve and each that it talks to stands a network that is slow, cuts answers short, resets and refuses. Nothing is ever removed here, so no version may say that
// something was; and when the network is well again the heads are what was written.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, start } from '../components.ts'
import type { Running } from '../components.ts'
import { freshBucket } from '../storage/gcs/bucket.ts'
import { topicAt } from '../storage/gcs/topic.ts'
import type { Owned as Topic } from '../storage/gcs/topic.ts'
import { gcsField, s3Field, webField } from './all-sources.ts'
import type { Field } from './all-sources.ts'
import { ownedBucket, toldQueue } from './bucket.ts'
import { site, until } from './site.ts'
import type { Daemon, Site } from './site.ts'

const NAMES = Array.from({ length: 24 }, (_, at) => `d${at % 3}/${at}.csv`)
const WEB = ['one.csv']
const THROUGH = ['redis', 'moto', 'nginx', 'pubsub', 'gcs'] as const

let components: Record<(typeof THROUGH)[number], Running>
let toxiproxy: Running
let topic: Topic
let place: Site
let daemon: Daemon
let fields: Readonly<Record<string, Field>>

async function tell(path: string, body: unknown, method = 'POST'): Promise<void> {
  const answer = await fetch(`${toxiproxy.url}${path}`, { method, ...(body !== undefined && { body: JSON.stringify(body) }) })
  if (!answer.ok) throw new Error(`toxiproxy: ${answer.status} ${await answer.text()}`)
}

beforeAll(async () => {
  const [redis, moto, nginx, pubsub, proxy] = await Promise.all([start('redis'), start('moto'), start('nginx'), start('pubsub-fake'), start('toxiproxy')])
  toxiproxy = proxy
  const host = `127.0.0.1:${pubsub.port}`
  topic = topicAt(host, 'toxic')
  await topic.make()
  const gcs = await start('fake-gcs-server', ['-event.pubsub-project-id', 'p', '-event.pubsub-topic', 't-toxic', '-event.list', 'finalize,delete,metadataUpdate,archive'], { PUBSUB_EMULATOR_HOST: host })
  components = { redis, moto, nginx, pubsub, gcs }
  const ports = Object.fromEntries(await Promise.all(THROUGH.map(async (name) => {
    const port = await freePort()
    await tell('/proxies', { name, listen: `127.0.0.1:${port}`, upstream: `127.0.0.1:${components[name].port}`, enabled: true })
    return [name, port]
  }))) as Record<(typeof THROUGH)[number], number>
  const at = (name: (typeof THROUGH)[number]): string => `http://127.0.0.1:${ports[name]}`
  const [bucket, google] = await Promise.all([ownedBucket(moto.url, true), freshBucket(gcs.url)])
  const queue = await toldQueue(bucket, 'toxic', 5)
  fields = { s3: s3Field(bucket, 'data/', NAMES), gcs: gcsField(google, 'data/', NAMES), web: webField(nginx, WEB) }
  await writeAll()
  place = site()
  place.configure({
    data: '.varve', queue: `redis://127.0.0.1:${ports.redis}/0`, defaults: { settle: '200ms', max_wait: '2s', poll: '2s', reconcile: '10s' },
    watch: [
      { name: 's3', location: `s3://${bucket.bucket}/data/`, artifact: 'toxic/s3', type: 'dataset', s3: { endpoint: at('moto'), region: 'us-east-1' }, events: { sqs: queue.url.replace(moto.url, at('moto')) } },
      { name: 'gcs', location: `gs://${google.name}/data/`, artifact: 'toxic/gcs', type: 'dataset', gcs: { endpoint: at('gcs') }, events: { pubsub: topic.subscription } },
      { name: 'web', location: `${at('nginx')}/one.csv`, artifact: 'toxic/web', type: 'dataset', http: { checksum: 'content' } },
    ],
  })
  daemon = place.run({ environment: { PUBSUB_EMULATOR_HOST: `127.0.0.1:${ports.pubsub}` } })
}, 180_000)
afterAll(async () => {
  await place.remove()
  await topic.close()
  await Promise.all([...Object.values(components), toxiproxy].map((component) => component.stop()))
}, 60_000)

let written = 0
async function writeAll(): Promise<void> {
  // No two writes have one size: so the size tells which it was.
  for (const field of Object.values(fields)) for (const path of field.names) {
    const bytes = Buffer.alloc(++written, 'x')
    await field.put(path, bytes)
    field.held.set(path, bytes.length)
  }
}

/** Each head is what was written, and no version ever said that something was removed. */
async function heads(): Promise<void> {
  for (const [name, { held }] of Object.entries(fields)) {
    const head = async (): Promise<string[]> => (await place.files(`toxic/${name}:latest`).catch(() => [])).map(({ path, sizeBytes }) => `${path} ${sizeBytes}`).sort()
    const wanted = [...held].map(([path, size]) => `${path} ${size}`).sort()
    await until(head, (lines) => lines.join() === wanted.join(), 120_000, 500)
    for (const { changes, version } of await place.log(`toxic/${name}`)) expect({ name, version, removed: changes.removed, moved: changes.moved }).toEqual({ name, version, removed: 0, moved: 0 })
  }
  if (daemon.child.exitCode !== null) throw new Error(`the daemon ended: ${daemon.logged()}`)
}

test('where all is well the heads are what was written', heads, 180_000)

test.each([
  ['is slow', { type: 'latency', attributes: { latency: 400, jitter: 300 } }],
  ['cuts each answer short', { type: 'limit_data', attributes: { bytes: 700 } }],
  ['says nothing any more, and closes', { type: 'timeout', attributes: { timeout: 500 } }],
  ['resets', { type: 'reset_peer', attributes: { timeout: 200 } }],
  ['tears what it carries into pieces', { type: 'slicer', attributes: { average_size: 60, size_variation: 40, delay: 200 } }],
  ['lets only a trickle through', { type: 'bandwidth', attributes: { rate: 2 } }],
])('a network that %s', async (_, toxic) => {
  for (const name of THROUGH) await tell(`/proxies/${name}/toxics`, { name: 'toxic', stream: 'downstream', toxicity: 1, ...toxic })
  await writeAll()
  await sleep(6_000)
  await writeAll()
  for (const name of THROUGH) await tell(`/proxies/${name}/toxics/toxic`, undefined, 'DELETE')
  await heads()
}, 240_000)

test('a network that is not there', async () => {
  for (const name of THROUGH) await tell(`/proxies/${name}`, { enabled: false })
  await writeAll()
  await sleep(6_000)
  for (const name of THROUGH) await tell(`/proxies/${name}`, { enabled: true })
  await heads()
  expect(await daemon.stop()).toMatchObject({ exit: 0 })
}, 240_000)
