// needs: moto, minio, versitygw
import { DeleteObjectCommand, PutBucketNotificationConfigurationCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { CreateQueueCommand, SQSClient } from '@aws-sdk/client-sqs'
import { describe, expect, test } from '@jest/globals'
import { setTimeout as sleep } from 'node:timers/promises'
import { sqsSource } from '../../../src/storage/s3/sqs.ts'
import { S3_KEYS, start } from '../../components.ts'
import { scanned, storeSuite } from '../../suite/store.ts'
import { clientOf, freshBucket, openAt, s3Ground, useKeys } from './bucket.ts'

const signal = new AbortController().signal

// Of the nastiest names, those with `//`, `.` and `..`, no real component keeps all: they are asked of the fake.
storeSuite('MinIO with versions', () => s3Ground('minio', true), { many: 1_050, nastier: ['c\u0001x'] })
storeSuite('MinIO without versions', () => s3Ground('minio', false), { many: 1_050 })
storeSuite('versitygw with versions', () => s3Ground('versitygw', true), { many: 1_050 })
storeSuite('moto with versions', () => s3Ground('moto', true), { many: 1_050, refuses: ['line\nbreak'] })

describe.each(['minio', 'versitygw'] as const)('versions in %s', (component) => {
  test('keys whose versions straddle page edges are listed once, with the newest pin; deleted ones are not, undeleted ones are', async () => {
    const running = await start(component)
    const client = clientOf(running.url)
    const bucket = await freshBucket(client, true)
    const put = (Key: string, Body: string) => client.send(new PutObjectCommand({ Bucket: bucket, Key, Body, ContentLength: Body.length }))
    const remove = (Key: string, VersionId?: string) => client.send(new DeleteObjectCommand({ Bucket: bucket, Key, VersionId }))
    // Three versions each: the thousandth row lies within a key.
    const keys = Array.from({ length: 350 }, (_, at) => `d/${String(at).padStart(4, '0')}`)
    const pins = new Map<string, string | undefined>()
    const left = [...keys]
    await Promise.all(Array.from({ length: 8 }, async () => {
      for (let key = left.pop(); key !== undefined; key = left.pop())
        for (const body of ['one', 'two', 'three']) pins.set(key, (await put(key, body)).VersionId)
    }))
    const deleted = keys.filter((_, at) => at % 50 === 0)
    const markers = await Promise.all(deleted.map((key) => remove(key)))
    const undeleted = deleted[2] as string
    await remove(undeleted, markers[2]?.VersionId)
    const store = await openAt(running.url, bucket, 'd/')
    const { entries, end } = await scanned(store, signal)
    const expected = keys.filter((key) => !deleted.includes(key) || key === undeleted)
    expect([...entries.values()].map(({ path, content }) => [`d/${path}`, content?.pin])).toEqual(expected.map((key) => [key, `versionId:${pins.get(key)}`]))
    // 1,056 rows, and versitygw ends with an empty page.
    expect(end.requests).toBeLessThanOrEqual(3)
    const found = []
    for await (const one of store.find([deleted[0]!.slice(2), undeleted.slice(2)], 0, signal)) found.push(one.kind)
    expect(found).toEqual(['absent', 'entry'])
    await store.close()
    client.destroy()
    await running.stop()
  }, 120_000)
})

test('what moto tells a queue of a bucket is heard, its test event is not, and what was heard is gone', async () => {
  useKeys()
  const running = await start('moto')
  const client = clientOf(running.url)
  const bucket = await freshBucket(client, false)
  const sqs = new SQSClient({ endpoint: running.url, region: 'us-east-1', credentials: S3_KEYS })
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'mnist' }))
  await client.send(new PutBucketNotificationConfigurationCommand({
    Bucket: bucket,
    NotificationConfiguration: { QueueConfigurations: [{ QueueArn: 'arn:aws:sqs:us-east-1:123456789012:mnist', Events: ['s3:ObjectCreated:*', 's3:ObjectRemoved:*'] }] },
  }))
  const keys: string[] = []
  const lines: string[] = []
  const stop = new AbortController()
  const clock = { now: Date.now, monotonic: () => performance.now(), random: Math.random, sleep: (ms: number, until?: AbortSignal) => sleep(ms, undefined, until === undefined ? {} : { signal: until }).catch(() => undefined) }
  const log = { info: () => undefined, warn: (_: unknown, message: string) => void lines.push(message) }
  const source = sqsSource({ url: QueueUrl as string, access: {}, locations: [{ scheme: 's3', bucket, prefix: 'data/' }] }, clock, log)
  const listening = source.listen(async (hints) => void keys.push(...hints.filter((hint) => !hint.whole).map((hint) => hint.key)), stop.signal)
  const names = ['data/a b+c', 'data/é=1/😀', 'data/100%']
  for (const Key of names) await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: 'x' }))
  await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'data/100%' }))
  for (let tries = 0; tries < 200 && keys.length < 4; tries++) await sleep(50)
  expect(keys.sort()).toEqual([...names, 'data/100%'].sort())
  expect(lines).toEqual([])
  stop.abort()
  await listening
  sqs.destroy()
  client.destroy()
  await running.stop()
}, 60_000)
