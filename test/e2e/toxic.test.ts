// needs: redis, moto, nginx, pubsub-fake, fake-gcs-server, minio, versitygw, toxiproxy
// Between Varve and each that it talks to stands a network that is slow, cuts answers short, resets and refuses. Nothing is ever removed here, so no version may say that
// something was; and when the network is well again the heads are what was written.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { PutBucketNotificationConfigurationCommand } from '@aws-sdk/client-s3'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
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
// `hook`: what MinIO posts to us.
const THROUGH = ['redis', 'moto', 'nginx', 'pubsub', 'gcs', 'minio', 'versitygw', 'hook'] as const
type Through = (typeof THROUGH)[number]
const TOKEN = 'a-token-of-the-test'

let components: readonly Running[] = []
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
  const [ports, listen] = [Object.fromEntries(await Promise.all(THROUGH.map(async (name) => [name, await freePort()]))) as Record<Through, number>, await freePort()]
  const at = (name: Through): string => `http://127.0.0.1:${ports[name]}`
  const [redis, moto, nginx, pubsub, versitygw, minio, proxy] = await Promise.all([
    start('redis'), start('moto'), start('nginx'), start('pubsub-fake'), start('versitygw'),
    start('minio', [], {
      MINIO_NOTIFY_WEBHOOK_ENABLE_VARVE: 'on', MINIO_NOTIFY_WEBHOOK_ENDPOINT_VARVE: `${at('hook')}/hooks/minio`, MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_VARVE: `Bearer ${TOKEN}`,
    }),
    start('toxiproxy'),
  ])
  toxiproxy = proxy
  const host = `127.0.0.1:${pubsub.port}`
  topic = topicAt(host, 'toxic')
  await topic.make()
  const gcs = await start('fake-gcs-server', ['-event.pubsub-project-id', 'p', '-event.pubsub-topic', 't-toxic', '-event.list', 'finalize,delete,metadataUpdate,archive'], { PUBSUB_EMULATOR_HOST: host })
  components = [redis, moto, nginx, pubsub, versitygw, minio, gcs]
  const behind: Readonly<Record<Through, number>> = {
    redis: redis.port, moto: moto.port, nginx: nginx.port, pubsub: pubsub.port, gcs: gcs.port, minio: minio.port, versitygw: versitygw.port, hook: listen,
  }
  for (const name of THROUGH) await tell('/proxies', { name, listen: `127.0.0.1:${ports[name]}`, upstream: `127.0.0.1:${behind[name]}`, enabled: true })
  const [bucket, google, posting, second] = await Promise.all([ownedBucket(moto.url, true), freshBucket(gcs.url), ownedBucket(minio.url, true), ownedBucket(versitygw.url, true)])
  const queue = await toldQueue(bucket, 'toxic', 5)
  await posting.client.send(new PutBucketNotificationConfigurationCommand({
    Bucket: posting.bucket, NotificationConfiguration: { QueueConfigurations: [{ QueueArn: 'arn:minio:sqs::VARVE:webhook', Events: ['s3:ObjectCreated:*', 's3:ObjectRemoved:*'] }] },
  }))
  fields = { s3: s3Field(bucket, 'data/', NAMES), gcs: gcsField(google, 'data/', NAMES), web: webField(nginx, WEB), minio: s3Field(posting, 'data/', NAMES), versitygw: s3Field(second, 'data/', NAMES) }
  await writeAll()
  place = site()
  writeFileSync(join(place.folder, 'token'), TOKEN)
  const s3 = (name: Through): object => ({ endpoint: at(name), region: 'us-east-1' })
  const watch = (name: string, location: string, more: object): object => ({ name, location, artifact: `toxic/${name}`, type: 'dataset', ...more })
  place.configure({
    data: '.varve', queue: `redis://127.0.0.1:${ports.redis}/0`, listen: `127.0.0.1:${listen}`, defaults: { settle: '200ms', max_wait: '2s', poll: '2s', reconcile: '10s' },
    watch: [
      watch('s3', `s3://${bucket.bucket}/data/`, { s3: s3('moto'), events: { sqs: queue.url.replace(moto.url, at('moto')) } }),
      watch('gcs', `gs://${google.name}/data/`, { gcs: { endpoint: at('gcs') }, events: { pubsub: topic.subscription } }),
      watch('web', `${at('nginx')}/one.csv`, { http: { checksum: 'content' } }),
      watch('minio', `s3://${posting.bucket}/data/`, { s3: s3('minio'), events: { webhook: { path: '/hooks/minio', token_file: 'token' } } }),
      watch('versitygw', `s3://${second.bucket}/data/`, { s3: s3('versitygw') }),
    ],
  })
  daemon = place.run({ environment: { PUBSUB_EMULATOR_HOST: `127.0.0.1:${ports.pubsub}` } })
}, 180_000)
afterAll(async () => {
  await place.remove()
  await topic.close()
  await Promise.all([...components, toxiproxy].map((component) => component.stop()))
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

test('where all is well the heads are what was written, and what is posted is heard', async () => {
  await heads()
  const heard = async (): Promise<boolean> => {
    await writeAll()
    await heads()
    return (await place.log('toxic/minio')).some(({ cause }) => cause === 'hint')
  }
  await until(heard, Boolean, 120_000, 500)
}, 300_000)

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
