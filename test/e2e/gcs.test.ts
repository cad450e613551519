// needs: pubsub-fake, fake-gcs-server
// The whole way of a change (hear, request, look, record) on a bucket of GCS that tells a subscription.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { Bucket } from '@google-cloud/storage'
import { ended, startWith } from '../cli/process.ts'
import { freePort, start } from '../components.ts'
import type { Running } from '../components.ts'
import { freshBucket, put } from '../storage/gcs/bucket.ts'
import { topicAt } from '../storage/gcs/topic.ts'
import type { Owned } from '../storage/gcs/topic.ts'
import { says, site, until } from './site.ts'
import type { Daemon, How, Site } from './site.ts'
import { told } from './sqs-way.ts'

const ART = 'vision/mnist'
let pubsub: Running
let gcs: Running
let owned: Owned
let fates: number
let bucket: Bucket
let place: Site

beforeAll(async () => {
  fates = await freePort()
  pubsub = await start('pubsub-fake', [`${fates}`])
  const host = `127.0.0.1:${pubsub.port}`
  owned = topicAt(host, 'e2e')
  await owned.make()
  const events = ['-event.pubsub-project-id', 'p', '-event.pubsub-topic', 't-e2e', '-event.list', 'finalize,delete,metadataUpdate,archive']
  gcs = await start('fake-gcs-server', events, { PUBSUB_EMULATOR_HOST: host })
}, 120_000)
beforeEach(async () => {
  bucket = await freshBucket(gcs.url)
  place = site()
  place.configure({
    data: '.varve',
    watch: [{
      name: 'mnist', location: `gs://${bucket.name}/data/`, artifact: ART, type: 'dataset', settle: '300ms', max_wait: '3s', reconcile: '1h',
      gcs: { endpoint: gcs.url }, events: { pubsub: owned.subscription },
    }],
  })
})
afterEach(() => place.remove())
afterAll(async () => {
  await owned.close()
  await Promise.all([gcs.stop(), pubsub.stop()])
})

function run(how: How = {}): Daemon {
  return place.run({ ...how, environment: { PUBSUB_EMULATOR_HOST: `127.0.0.1:${pubsub.port}`, ...how.environment } })
}

/** Resolves when every message was acknowledged: those of other tests too. */
async function acknowledged(): Promise<void> {
  const left = async (): Promise<unknown[]> => ((await (await fetch(`http://127.0.0.1:${fates}`)).json()) as { Acks: number }[] | null ?? []).filter(({ Acks }) => Acks === 0)
  await until(left, (all) => all.length === 0, 30_000)
}

const settled = (head: string) => until(() => place.status(), ({ state, generation, committedGeneration, head: now }) => state === 'clean' && generation === committedGeneration && now === head, 60_000)
const paths = async (): Promise<string[]> => (await place.files(`${ART}:latest`)).map(({ path }) => path)
const generationOf = async (key: string): Promise<string> => `generation:${(await bucket.file(key).getMetadata())[0].generation}`

test('what is put, overwritten and deleted becomes versions by hint, one each; metadata, the same bytes and duplicates make none', async () => {
  await put(bucket, 'data/train/a+b c.png', 'one')
  await put(bucket, 'data/zero', '')
  await put(bucket, 'data/folder/', '')
  await put(bucket, 'data2/beside', 'not under the prefix')
  const daemon = run()
  await says(daemon, /vision\/mnist:v0 .*\n/, 20_000)
  const first = await generationOf('data/train/a+b c.png')
  expect((await place.files(`${ART}:v0`)).map(({ path, reference, sizeBytes, pin }) => [path, reference, sizeBytes, pin])).toEqual([
    ['train/a+b c.png', `gs://${bucket.name}/data/train/a+b c.png`, 3, first], ['zero', `gs://${bucket.name}/data/zero`, 0, await generationOf('data/zero')],
  ])
  await put(bucket, 'data/é=1/😀.png', 'new')
  await says(daemon, /vision\/mnist:v1 .*\n/, 10_000)
  await put(bucket, 'data/train/a+b c.png', 'two')
  await says(daemon, /vision\/mnist:v2 .*\n/, 10_000)
  const second = await generationOf('data/train/a+b c.png')
  await bucket.file('data/zero').delete()
  await says(daemon, /vision\/mnist:v3 .*\n/, 10_000)
  expect((await told(place)).slice(1)).toEqual(['v1 +1 ~0 -0 hint', 'v2 +0 ~1 -0 hint', 'v3 +0 ~0 -1 hint'])
  const [v3] = await place.log(ART)
  expect(v3?.certificate).toMatchObject({ kind: 'touch-up' })
  await bucket.file('data/train/a+b c.png').setMetadata({ metadata: { edited: 'yes' } })
  await put(bucket, 'data/train/a+b c.png', 'two')
  await put(bucket, 'data2/more', 'x')
  await acknowledged()
  await settled('v3')
  const third = await generationOf('data/train/a+b c.png')
  expect((await place.files(`${ART}:latest`))[0]).toMatchObject({ pin: second, latestPin: third, checksums: { md5: createHash('md5').update('two').digest('base64') } })
  // Each message ten times, and one that names nothing.
  const [attributes] = (await place.files(`${ART}:latest`)).map(({ path }) => ({ bucketId: bucket.name, objectId: `data/${path}`, eventType: 'OBJECT_DELETE', payloadFormat: 'NONE', overwrittenByGeneration: '1' }))
  for (let times = 0; times < 10; times++) await owned.publish(attributes as Record<string, string>)
  await put(bucket, 'data/last', 'x')
  await says(daemon, /vision\/mnist:v4 .*\n/, 10_000)
  await acknowledged()
  await settled('v4')
  expect(await told(place)).toHaveLength(5)
  expect(await paths()).toEqual(['last', 'train/a+b c.png', 'é=1/😀.png'])
  expect(await place.status()).toMatchObject({ reconcileFound: 0 })
  expect(await daemon.stop()).toMatchObject({ exit: 0, stderr: '' })
}, 120_000)

test('a Pub/Sub that is killed and has lost everything is heard again when it is back; what was not told meanwhile is found', async () => {
  await put(bucket, 'data/a', 'one')
  const daemon = run()
  await says(daemon, /vision\/mnist:v0 /, 20_000)
  await put(bucket, 'data/b', 'two')
  await says(daemon, /vision\/mnist:v1 /, 10_000)
  await acknowledged()
  await settled('v1')
  await pubsub.restart()
  await until(() => daemon.logged(), (text) => text.includes('the subscription is not heard'), 20_000)
  // Told to a topic that is not there.
  await put(bucket, 'data/c', 'three')
  await owned.make()
  await until(() => daemon.said(), (text) => text.includes('vision/mnist:v2 '), 60_000)
  expect(await paths()).toEqual(['a', 'b', 'c'])
  await put(bucket, 'data/d', 'four')
  await says(daemon, /vision\/mnist:v3 /, 20_000)
  expect((await told(place)).slice(1)).toEqual(['v1 +1 ~0 -0 hint', 'v2 +1 ~0 -0 hint', 'v3 +1 ~0 -0 hint'])
  expect(await daemon.stop()).toMatchObject({ exit: 0 })
}, 180_000)

test('while hints cannot be kept, messages stay upstream; with room it goes on by itself', async () => {
  const data = join(place.folder, '.varve')
  mkdirSync(data)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'varve-data', data])
  try {
    await put(bucket, 'data/a', 'one')
    const daemon = run()
    await says(daemon, /vision\/mnist:v0 /, 20_000)
    await acknowledged()
    await settled('v0')
    fillUp(join(data, 'ballast'))
    for (let i = 0; i < 5; i++) await put(bucket, `data/b${i}`, 'two')
    await until(() => daemon.logged(), (text) => text.includes('the disk under data is full'), 20_000)
    expect(await told(place)).toHaveLength(1)
    rmSync(join(data, 'ballast'))
    await says(daemon, /vision\/mnist:v1 /, 60_000)
    await acknowledged()
    await until(() => paths(), (all) => all.length === 6, 30_000)
    expect(await daemon.stop()).toMatchObject({ exit: 0 })
  } finally {
    execFileSync('umount', ['-l', data])
  }
}, 180_000)

test('killed between mark and acknowledgement: nothing is lost, nothing is there twice, and the message is acknowledged by the next', async () => {
  await put(bucket, 'data/a', 'one')
  const first = run()
  await says(first, /vision\/mnist:v0 /, 20_000)
  await acknowledged()
  await settled('v0')
  await first.stop()
  const before = (await place.status()).generation
  const daemon = run({ crashAt: 'before-ack:1' })
  // A daemon that dies while it looks leaves a lease of a minute: its start asks for all, and so does its ear.
  await until(() => place.status(), ({ state, generation, committedGeneration }) => state === 'clean' && generation === committedGeneration && generation >= before + 2, 20_000)
  await put(bucket, 'data/b', 'two')
  expect(await daemon.ended.then(({ exit }) => [exit, daemon.child.signalCode])).toEqual([null, 'SIGKILL'])
  const next = run()
  await settled('v1')
  await acknowledged()
  await settled('v1')
  expect(await paths()).toEqual(['a', 'b'])
  expect((await told(place)).map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual(['v0 +1', 'v1 +1'])
  expect(next.logged()).toBe('')
}, 120_000)

test('put finds the store by STORAGE_EMULATOR_HOST as the Python client wants it, a host alone, and asks nobody else', async () => {
  let asked = 0
  const metadata = createServer((_, response) => {
    asked++
    response.writeHead(200, { 'metadata-flavor': 'Google' }).end('x')
  }).listen(0, '127.0.0.1')
  await once(metadata, 'listening')
  await put(bucket, 'data/model.bin', 'weights')
  const { port } = metadata.address() as AddressInfo
  const environment = { STORAGE_EMULATOR_HOST: `127.0.0.1:${gcs.port}`, GCE_METADATA_HOST: `127.0.0.1:${port}`, METADATA_SERVER_DETECTION: '' }
  const words = ['put', `gs://${bucket.name}/data/model.bin`, '--name', 'vision/model', '--type', 'model', '--data', join(place.folder, '.other'), '--json']
  const { exit, stdout, stderr } = await ended(startWith(environment, place.folder, ...words))
  expect({ exit, stderr, asked }).toEqual({ exit: 0, stderr: '', asked: 0 })
  expect(JSON.parse(stdout)).toMatchObject({ artifact: 'vision/model', version: 'v0', entries: 1, sizeBytes: 7 })
  metadata.close()
}, 60_000)

/** Writes until not one page more fits. */
function fillUp(file: string): void {
  for (const size of [65_536, 4_096, 512])
    for (;;) {
      try {
        writeFileSync(file, Buffer.alloc(size), { flag: 'a' })
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        break
      }
    }
}
