// needs: minio, versitygw
// Stores that tell Varve themselves: they post to its listener, and it answers only when what they told is marked.
import { CompleteMultipartUploadCommand, CreateMultipartUploadCommand, PutBucketNotificationConfigurationCommand, UploadPartCommand } from '@aws-sdk/client-s3'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { freePort, start } from '../components.ts'
import type { Running } from '../components.ts'
import { ownedBucket } from './bucket.ts'
import type { Owned } from './bucket.ts'
import { says, site, until } from './site.ts'
import type { Site } from './site.ts'
import { told } from './sqs-way.ts'

const ART = 'vision/mnist'
const TOKEN = 'a-token-that-nobody-guesses'

let place: Site
let store: Running
let queue: string
let port: number
beforeEach(async () => {
  place = site()
  port = await freePort()
  queue = mkdtempSync(join(tmpdir(), 'varve-minio-queue-'))
  writeFileSync(join(place.folder, 'token'), `${TOKEN}\n`)
})
afterEach(async () => {
  await place.remove()
  await store.stop()
  rmSync(queue, { recursive: true })
})

/** Only what was heard makes versions here: neither poll nor reconcile comes before the test has ended. */
function configure(owned: Owned): void {
  place.configure({
    data: '.varve', listen: `127.0.0.1:${port}`,
    watch: [{
      name: 'mnist', location: `s3://${owned.bucket}/data/`, artifact: ART, type: 'dataset', settle: '300ms', max_wait: '3s', reconcile: '1d', poll: '1d',
      s3: { endpoint: owned.endpoint, region: 'us-east-1' }, events: { webhook: { path: '/hooks/store', token_file: 'token' } },
    }],
  })
}

/** MinIO with a webhook, which keeps on disk what it could not post where it is told to, and a versioned bucket that tells it everything. */
async function minio(token: string, keeps: boolean): Promise<Owned> {
  store = await start('minio', [], {
    MINIO_NOTIFY_WEBHOOK_ENABLE_VARVE: 'on', MINIO_NOTIFY_WEBHOOK_ENDPOINT_VARVE: `http://127.0.0.1:${port}/hooks/store`,
    MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_VARVE: token, ...(keeps && { MINIO_NOTIFY_WEBHOOK_QUEUE_DIR_VARVE: queue }),
  })
  const owned = await ownedBucket(store.url, true)
  await owned.client.send(new PutBucketNotificationConfigurationCommand({
    Bucket: owned.bucket,
    NotificationConfiguration: { QueueConfigurations: [{ QueueArn: 'arn:minio:sqs::VARVE:webhook', Events: ['s3:ObjectCreated:*', 's3:ObjectRemoved:*'] }] },
  }))
  return owned
}

/** What MinIO has not been able to post. */
function waiting(): number {
  return readdirSync(queue, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length
}

async function upload(owned: Owned, Key: string): Promise<string | undefined> {
  const { UploadId } = await owned.client.send(new CreateMultipartUploadCommand({ Bucket: owned.bucket, Key }))
  const Parts = []
  for (const PartNumber of [1, 2]) {
    const Body = Buffer.alloc(5 * 1024 * 1024, PartNumber)
    Parts.push({ PartNumber, ETag: (await owned.client.send(new UploadPartCommand({ Bucket: owned.bucket, Key, UploadId, PartNumber, Body }))).ETag })
  }
  return (await owned.client.send(new CompleteMultipartUploadCommand({ Bucket: owned.bucket, Key, UploadId, MultipartUpload: { Parts } }))).VersionId
}

test('each kind of change in MinIO is heard, and is one version: put, overwrite, delete marker, undelete, removed version, multipart', async () => {
  const owned = await minio(`Bearer ${TOKEN}`, false)
  configure(owned)
  await owned.put('data/a', 'one')
  const daemon = place.run()
  await says(daemon, /vision\/mnist:v0 /, 60_000)
  const next = async (version: number, act: () => Promise<string | undefined>): Promise<string | undefined> => {
    const id = await act()
    await says(daemon, new RegExp(`vision/mnist:v${version} `), 60_000)
    return id
  }
  await next(1, () => owned.put('data/é=1/a+b c%20.png', 'new'))
  const second = await next(2, () => owned.put('data/a', 'two'))
  const marker = await next(3, () => owned.remove('data/a'))
  await next(4, () => owned.remove('data/a', marker))
  await next(5, () => owned.remove('data/a', second))
  const parts = await next(6, () => upload(owned, 'data/large'))
  expect((await told(place)).slice(1)).toEqual([
    'v1 +1 ~0 -0 hint', 'v2 +0 ~1 -0 hint', 'v3 +0 ~0 -1 hint', 'v4 +1 ~0 -0 hint', 'v5 +0 ~1 -0 hint', 'v6 +1 ~0 -0 hint',
  ])
  const files = await place.files(`${ART}:latest`)
  expect(files.find(({ path }) => path === 'large')).toMatchObject({ sizeBytes: 10 * 1024 * 1024, pin: `versionId:${parts}`, endpoint: store.url })
  const now = await owned.current('data/')
  expect(files.map(({ path, pin }) => [`data/${path}`, pin])).toEqual([...now].map(([key, id]) => [key, `versionId:${id}`]))
  // What lies beside the prefix is told, too, and changes nothing.
  await owned.put('data2/beside', 'x')
  expect(await place.status()).toMatchObject({ state: 'clean', head: 'v6', reconcileFound: 0 })
  expect(await daemon.stop()).toMatchObject({ exit: 0, stderr: '' })
}, 180_000)

test('what MinIO could not post waits on its disk: while nobody listens, and while the token is wrong', async () => {
  const owned = await minio(TOKEN, true)
  configure(owned)
  await owned.put('data/a', 'one')
  const first = place.run()
  await says(first, /vision\/mnist:v0 /, 60_000)
  await until(waiting, (count) => count === 0, 60_000)
  await first.kill()
  await owned.put('data/b', 'while nobody listens')
  await owned.remove('data/a')
  await until(waiting, (count) => count === 2, 60_000)
  const second = place.run()
  await says(second, /vision\/mnist:v1 /, 60_000)
  await until(waiting, (count) => count === 0, 60_000)
  await until(() => place.status(), ({ state }) => state === 'clean', 60_000)
  expect((await told(place)).slice(1)).toEqual(['v1 +1 ~0 -1 startup'])
  // Another token now, without a restart: MinIO is refused, and keeps what it has to say.
  writeFileSync(join(place.folder, 'token'), 'another')
  await until(async () => (await fetch(`http://127.0.0.1:${port}/hooks/store`, { method: 'POST', headers: { authorization: `Bearer ${TOKEN}` } })).status, (status) => status === 401, 60_000)
  await owned.put('data/c', 'while the token is wrong')
  await until(() => second.logged(), (text) => /"posts":\d+,"msg":"posts that did not show the token were refused"/.test(text), 60_000)
  await until(waiting, (count) => count === 1, 60_000)
  expect((await told(place)).length).toBe(2)
  writeFileSync(join(place.folder, 'token'), `Bearer ${TOKEN}\n`)
  await says(second, /vision\/mnist:v2 /, 60_000)
  await until(waiting, (count) => count === 0, 60_000)
  expect((await told(place)).at(-1)).toBe('v2 +1 ~0 -0 hint')
  const { exit, stderr } = await second.stop()
  expect([exit, stderr.includes(TOKEN), stderr.includes('another')]).toEqual([0, false, false])
}, 180_000)

test('versitygw shows the token as the password of the URL that it posts to; its raw keys are found, and without the token it is refused', async () => {
  // It needs somebody to listen when it starts, and does not mind a refusal.
  place.configure({
    data: '.varve', listen: `127.0.0.1:${port}`,
    watch: [{ name: 'none', location: 's3://none/', artifact: 'a/none', type: 't', s3: { endpoint: 'http://127.0.0.1:1', region: 'us-east-1' }, events: { webhook: { path: '/hooks/store', token_file: 'token' } } }],
  })
  const early = place.run()
  await says(early, /listening on/, 60_000)
  store = await start('versitygw', ['--event-webhook-url', `http://varve:${TOKEN}@127.0.0.1:${port}/hooks/store`])
  const owned = await ownedBucket(store.url, true)
  await early.stop()
  configure(owned)
  await owned.put('data/a', 'one')
  const daemon = place.run()
  await says(daemon, /vision\/mnist:v0 /, 60_000)
  const keys = ['a+b', 'a%20b', '100%', 'é/😀 x']
  for (const [at, key] of keys.entries()) {
    await owned.put(`data/${key}`, key)
    await says(daemon, new RegExp(`vision/mnist:v${at + 1} `), 60_000)
  }
  await owned.remove('data/a')
  await says(daemon, /vision\/mnist:v5 /, 60_000)
  expect((await told(place)).slice(1)).toEqual([...keys.map((_, at) => `v${at + 1} +1 ~0 -0 hint`), 'v5 +0 ~0 -1 hint'])
  expect((await place.files(`${ART}:latest`)).map(({ path }) => path)).toEqual(['100%', 'a%20b', 'a+b', 'é/😀 x'])
  expect(daemon.logged()).toBe('')
  writeFileSync(join(place.folder, 'token'), 'another')
  await until(async () => (await owned.put('data/refused', 'x'), daemon.logged()), (text) => text.includes('posts that did not show the token were refused'), 60_000, 1_000)
  expect((await told(place)).length).toBe(6)
}, 180_000)
