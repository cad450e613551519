// needs: minio
// A real store: what it denies to whom, and how it tells of its notifications.
import { PutBucketNotificationConfigurationCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import type { S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { parseLocation } from '../../../src/model/location.ts'
import type { Diagnosis } from '../../../src/model/probe.ts'
import { probeS3 } from '../../../src/storage/s3/probe.ts'
import { freePort, start } from '../../components.ts'
import { watchOf } from '../../suite/registry-world.ts'
import { diagnosisOf, MEANS, outcomesOf } from '../probing.ts'
import { clientOf, freshBucket, useKeys } from './bucket.ts'

const ARN = 'arn:minio:sqs::VARVE:webhook'
let minio: Awaited<ReturnType<typeof start>>
let client: S3Client
let bucket: string

beforeAll(async () => {
  useKeys()
  // Nobody needs to listen for what is told of.
  const hook = { MINIO_NOTIFY_WEBHOOK_ENABLE_VARVE: 'on', MINIO_NOTIFY_WEBHOOK_ENDPOINT_VARVE: `http://127.0.0.1:${await freePort()}/hooks/store` }
  minio = await start('minio', [], hook)
  client = clientOf(minio.url)
  bucket = await freshBucket(client, true)
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'year=2026/a', Body: 'some bytes', ContentLength: 10 }))
}, 120_000)
afterAll(async () => {
  client.destroy()
  await minio.stop()
})

function probe(): Promise<readonly Diagnosis[]> {
  const location = { ...parseLocation(`s3://${bucket}/year=2026/`, '/'), endpoint: minio.url }
  const watch = watchOf({ locations: [location], s3: { endpoint: minio.url, region: 'us-east-1' }, events: { kind: 'webhook', path: '/hooks/store', tokenFile: '/none' } })
  return probeS3(watch, location, MEANS, new AbortController().signal)
}

const tell = (Events: readonly string[], Value: string): Promise<unknown> => client.send(new PutBucketNotificationConfigurationCommand({
  Bucket: bucket, NotificationConfiguration: { QueueConfigurations: [{ QueueArn: ARN, Events: [...Events] as never, Filter: { Key: { FilterRules: [{ Name: 'prefix', Value }] } } }] },
}))

test('a bucket of MinIO that tells its webhook works; one that does not is said not to', async () => {
  expect(diagnosisOf(await probe(), 'notifications')).toMatchObject({ outcome: 'fails', reason: expect.stringContaining('the bucket does not tell a webhook') })
  await tell(['s3:ObjectCreated:*', 's3:ObjectRemoved:*'], 'year=2026/')
  expect(outcomesOf(await probe())).toEqual(['reach', 'credentials', 'list', 'list versions', 'versioning', 'head', 'read', 'notifications', 'clock'].map((capability) => `${capability} works`))
  await tell(['s3:ObjectCreated:*'], 'year=2026/b')
  expect(diagnosisOf(await probe(), 'notifications')).toMatchObject({ outcome: 'degraded', reason: expect.stringMatching(/s3:ObjectRemoved:\* is not sent; only keys under year=2026\/b are told of/) })
})
