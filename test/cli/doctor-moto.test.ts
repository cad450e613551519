// needs: moto
// The doctor on buckets and queues that are set up well and wrongly.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PutBucketNotificationConfigurationCommand } from '@aws-sdk/client-s3'
import type { QueueConfiguration } from '@aws-sdk/client-s3'
import { CreateQueueCommand, GetQueueAttributesCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Probe } from '../../src/model/probe.ts'
import { freePort, S3_KEYS, start } from '../components.ts'
import { ownedBucket } from '../e2e/bucket.ts'
import type { Owned } from '../e2e/bucket.ts'
import { outcomesOf } from '../storage/probing.ts'
import { ended, says, startWith } from './process.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-doctor-'))
const ALL = ['s3:ObjectCreated:*', 's3:ObjectRemoved:*', 's3:LifecycleExpiration:*']
let moto: Awaited<ReturnType<typeof start>>
let sqs: SQSClient
let good: Owned
let bad: Owned

beforeAll(async () => {
  moto = await start('moto')
  sqs = new SQSClient({ endpoint: moto.url, region: 'us-east-1', credentials: S3_KEYS })
  ;[good, bad] = await Promise.all([ownedBucket(moto.url, true), ownedBucket(moto.url, false)])
  for (const owned of [good, bad]) await owned.put('data/mnist/a', 'some bytes')
}, 60_000)
afterAll(async () => {
  sqs.destroy()
  for (const owned of [good, bad]) owned.client.destroy()
  await moto.stop()
  rmSync(folder, { recursive: true })
})

const arnOf = (name: string): string => `arn:aws:sqs:us-east-1:123456789012:${name}`

async function queueOf(name: string, attributes: Record<string, string>): Promise<string> {
  return (await sqs.send(new CreateQueueCommand({ QueueName: name, Attributes: attributes }))).QueueUrl as string
}

async function tell(owned: Owned, ...rules: readonly { readonly queue: string; readonly events: readonly string[]; readonly prefix?: string }[]): Promise<void> {
  const QueueConfigurations = rules.map(({ queue, events, prefix }): QueueConfiguration => ({
    QueueArn: arnOf(queue), Events: [...events] as never, ...(prefix !== undefined && { Filter: { Key: { FilterRules: [{ Name: 'prefix', Value: prefix }] } } }),
  }))
  await owned.client.send(new PutBucketNotificationConfigurationCommand({ Bucket: owned.bucket, NotificationConfiguration: { QueueConfigurations } }))
}

/** What `varve doctor` says of a prefix of a bucket that a queue tells of: the exit, and what does not work. */
async function doctor(owned: Owned, url: string, key = 'data/mnist/'): Promise<{ exit: number | null; troubles: string[]; probes: Probe[] }> {
  const watch = { name: 'mnist', location: `s3://${owned.bucket}/${key}`, artifact: 'vision/mnist', type: 'dataset', events: { sqs: url }, s3: { endpoint: moto.url, region: 'us-east-1' } }
  writeFileSync(join(folder, 'varve.yaml'), JSON.stringify({ data: 'data', listen: 'off', watch: [watch] }))
  const environment = { AWS_ACCESS_KEY_ID: S3_KEYS.accessKeyId, AWS_SECRET_ACCESS_KEY: S3_KEYS.secretAccessKey }
  const { exit, stdout, stderr } = await ended(startWith(environment, folder, 'doctor', '--json'))
  expect(stderr).toBe('')
  expect(stdout).not.toContain(S3_KEYS.secretAccessKey)
  const probes = stdout.split('\n').slice(0, -1).map((line) => JSON.parse(line) as Probe)
  return { exit, probes, troubles: outcomesOf(probes).filter((line) => !line.endsWith('works')) }
}

test('where all is set up well all works, and messages stay where they are', async () => {
  const dead = await queueOf('dead', {})
  const policy = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { Service: 's3.amazonaws.com' }, Action: 'sqs:SendMessage', Resource: arnOf('well'), Condition: { ArnEquals: { 'aws:SourceArn': `arn:aws:s3:::${good.bucket}` } } }] }
  const url = await queueOf('well', { Policy: JSON.stringify(policy), RedrivePolicy: JSON.stringify({ deadLetterTargetArn: arnOf('dead'), maxReceiveCount: 5 }) })
  await tell(good, { queue: 'well', events: ALL, prefix: 'data/' })
  await sqs.send(new SendMessageCommand({ QueueUrl: url, MessageBody: 'one' }))
  const waiting = async (of: string): Promise<string | undefined> => (await sqs.send(new GetQueueAttributesCommand({ QueueUrl: of, AttributeNames: ['All'] }))).Attributes?.['ApproximateNumberOfMessages']
  const before = await waiting(url)
  expect(Number(before)).toBeGreaterThan(0)
  const { exit, troubles, probes } = await doctor(good, url)
  expect({ exit, troubles }).toEqual({ exit: 0, troubles: [] })
  expect(probes.map(({ capability }) => capability)).toEqual([
    'reach', 'credentials', 'list', 'list versions', 'versioning', 'head', 'read', 'notifications', 'clock',
    'receive', 'delete', 'message size', 'dead letters', 'retention', 'encryption', 'sender', 'data',
  ])
  expect([await waiting(url), await waiting(dead)]).toEqual([before, '0'])
}, 60_000)

test('where nearly all is set up wrongly each fault is named, and nothing of it fails the watch that can still look', async () => {
  const url = await queueOf('ill', { MaximumMessageSize: '1024', MessageRetentionPeriod: '60', KmsMasterKeyId: 'alias/aws/sqs' })
  await tell(bad, { queue: 'ill', events: ['s3:ObjectCreated:Put'], prefix: 'data/mnist/train/' })
  const { exit, troubles, probes } = await doctor(bad, url)
  expect(troubles).toEqual([
    'versioning degraded', 'notifications degraded', 'message size degraded', 'dead letters degraded', 'retention degraded', 'encryption fails', 'sender degraded sqs:SendMessage',
  ])
  expect(exit).toBe(1)
  expect(probes.find(({ capability }) => capability === 'notifications')?.reason).toMatch(/ObjectCreated:Post and .* is not sent; s3:ObjectRemoved:\* is not sent; .*only keys under data\/mnist\/train\/ are told of; what is not told is found only by the scan every 360 min/)
  for (const { outcome, action } of probes) if (outcome !== 'works') expect(action).toEqual(expect.any(String))
}, 60_000)

test.each([
  ['the bucket tells another queue', 'data/mnist/', [{ queue: 'dead', events: ALL }]],
  ['the filter is another prefix', 'data/mnist/', [{ queue: 'heard', events: ALL, prefix: 'data/mnist2/' }]],
  ['the filter is not encoded', 'year=2026/', [{ queue: 'heard', events: ALL, prefix: 'year=2026/' }]],
])('a queue that hears nothing fails: %s', async (_, key, rules) => {
  const url = await queueOf('heard', {})
  await tell(good, ...rules)
  const { exit, troubles } = await doctor(good, url, key)
  expect(troubles).toContain('notifications fails')
  expect(exit).toBe(1)
}, 60_000)

test('a queue or a bucket that is not there is named', async () => {
  const { exit, troubles, probes } = await doctor({ ...good, bucket: 'no-such-bucket' }, `${moto.url}/123456789012/no-such-queue`)
  expect({ exit, troubles }).toEqual({ exit: 1, troubles: ['reach fails', 'receive fails'] })
  expect(probes.filter(({ outcome }) => outcome === 'fails').map(({ reason }) => reason)).toEqual(['s3://no-such-bucket/data/mnist/ is not there', `${moto.url}/123456789012/no-such-queue is not there`])
}, 60_000)

test('beside the daemon of a store that posts, its listener and the token are probed', async () => {
  const events = { webhook: { path: '/hooks/store', token_file: 'token' } }
  const watch = { name: 'posted', location: `s3://${good.bucket}/data/`, artifact: 'vision/posted', type: 'dataset', events, s3: { endpoint: moto.url, region: 'us-east-1' } }
  writeFileSync(join(folder, 'token'), 'the-secret-token\n')
  writeFileSync(join(folder, 'varve.yaml'), JSON.stringify({ data: 'data', listen: `127.0.0.1:${await freePort()}`, watch: [watch] }))
  const environment = { AWS_ACCESS_KEY_ID: S3_KEYS.accessKeyId, AWS_SECRET_ACCESS_KEY: S3_KEYS.secretAccessKey }
  const troubles = async (): Promise<string[]> => {
    const { stdout } = await ended(startWith(environment, folder, 'doctor', '--json'))
    expect(stdout).not.toContain('the-secret-token')
    return stdout.split('\n').slice(0, -1).map((line) => JSON.parse(line) as Probe).filter(({ capability }) => ['token', 'listener'].includes(capability))
      .map(({ capability, outcome, reason }) => `${capability} ${outcome} ${reason ?? ''}`.trim())
  }
  expect(await troubles()).toEqual(['token works', 'listener works free, for no daemon runs'])
  const daemon = startWith(environment, folder, 'run')
  const end = ended(daemon)
  try {
    await says(daemon, /^vision\/posted:v0 /m, 60_000)
    expect(await troubles()).toEqual(['token works', 'listener works the running daemon is ready'])
  } finally {
    daemon.kill('SIGTERM')
    await end
  }
}, 120_000)
