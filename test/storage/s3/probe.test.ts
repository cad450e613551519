// What the doctor says of a bucket and of a queue that deny, lack, hang or lie elsewhere; and that it changes nothing.
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseLocation } from '../../../src/model/location.ts'
import type { Diagnosis } from '../../../src/model/probe.ts'
import type { Watch } from '../../../src/model/watch.ts'
import { probeHook } from '../../../src/storage/s3/probe-hook.ts'
import { probeQueue, sendersOf } from '../../../src/storage/s3/probe-queue.ts'
import { probeS3 } from '../../../src/storage/s3/probe.ts'
import { FakeS3 } from '../../fakes/s3.ts'
import type { Fault, Kind } from '../../fakes/s3.ts'
import { FakeSqs } from '../../fakes/sqs.ts'
import { FakeSts } from '../../fakes/sts.ts'
import { realClock } from '../../laws/world.ts'
import { watchOf } from '../../suite/registry-world.ts'
import { diagnosisOf, MEANS, outcomesOf } from '../probing.ts'
import { useKeys } from './bucket.ts'

const { signal } = new AbortController()
let fake: FakeS3
let queue: FakeSqs

beforeEach(async () => {
  useKeys()
  fake = await FakeS3.start()
  queue = await FakeSqs.start()
})
afterEach(async () => {
  await fake.stop()
  await queue.stop()
})

function probe(over: Partial<Watch> = {}, key = 'd/', bucket = 'fake', means = MEANS): Promise<readonly Diagnosis[]> {
  const location = { ...parseLocation(`s3://${bucket}/${key}`, '/'), endpoint: fake.url }
  return probeS3(watchOf({ locations: [location], s3: { endpoint: fake.url, region: 'us-east-1' }, ...over }), location, means, signal)
}

const denying = (...kinds: readonly Kind[]) => (kind: Kind): Fault | undefined => (kinds.includes(kind) ? 'denied' : undefined)

describe('a bucket', () => {
  beforeEach(() => {
    fake.put('d/', '')
    fake.put('d/a', 'some bytes')
  })

  test('where all is allowed works, and nothing is sent to it but questions', async () => {
    expect(outcomesOf(await probe())).toEqual(['reach works', 'credentials works', 'list works', 'list versions works', 'versioning works', 'head works', 'read works', 'clock works'])
    expect(fake.requests.toSorted()).toEqual(['get', 'head', 'objects', 'versioning', 'versions'])
  })

  test('that holds nothing yet tells by what is not there whether objects may be read', async () => {
    expect(outcomesOf(await probe({}, 'empty/'))).toContain('head works')
    fake.fault = denying('head', 'get')
    expect(outcomesOf(await probe({}, 'empty/'))).toEqual(expect.arrayContaining(['head fails s3:GetObject', 'read degraded s3:GetObject']))
  })

  test.each<[Kind[], string[]]>([
    [['objects'], ['list fails s3:ListBucket', 'list versions works', 'head works', 'read works']],
    [['versions'], ['list works', 'list versions degraded s3:ListBucketVersions', 'head works', 'read works']],
    [['versioning'], ['versioning works']],
    [['versioning', 'versions'], ['versioning degraded s3:GetBucketVersioning']],
    [['head'], ['list works', 'head fails s3:GetObject', 'read works']],
    [['get'], ['list works', 'head works', 'read degraded s3:GetObjectVersion']],
    [['get', 'versions'], ['read degraded s3:GetObject']],
    [['objects', 'versions', 'head', 'get'], ['list fails s3:ListBucket', 'list versions degraded s3:ListBucketVersions']],
  ])('that denies %j says which permission is missing', async (kinds, expected) => {
    fake.fault = denying(...kinds)
    const diagnoses = await probe()
    expect(outcomesOf(diagnoses)).toEqual(expect.arrayContaining(['reach works', 'credentials works', ...expected]))
    for (const { permission, action } of diagnoses) if (permission !== undefined) expect(action).toContain(permission)
  })

  test('of which nothing may be known is not said to deny what was not seen to be denied', async () => {
    fake.fault = denying('objects', 'versions', 'head', 'get')
    expect((await probe()).map(({ capability }) => capability)).not.toContain('head')
  })

  test('that says who is denied, and why, is quoted', async () => {
    fake.fault = denying('objects')
    fake.message = 'User: arn:aws:iam::123456789012:user/reader is not authorized to perform: s3:ListBucket on resource: &quot;arn:aws:s3:::fake&quot; because no identity-based policy allows the s3:ListBucket action'
    expect(diagnosisOf(await probe(), 'list')?.reason).toMatch(/as arn:aws:iam::123456789012:user\/reader: no identity-based policy allows/)
  })

  test('without versioning cannot bring back, and without a listing of versions there are no pins', async () => {
    fake.versioned = false
    expect(diagnosisOf(await probe(), 'versioning')).toMatchObject({ outcome: 'degraded', reason: expect.stringMatching(/^it is off: what is overwritten or removed cannot be brought back/) })
    fake.fault = (kind) => (kind === 'versions' || kind === 'versioning' ? 'not-offered' : undefined)
    expect(outcomesOf(await probe())).toEqual(expect.arrayContaining(['list versions degraded', 'versioning degraded']))
  })

  test.each([
    [30, 'degraded', ' s ahead of'], [-60, 'degraded', ' s behind'], [1_200, 'fails', ' s ahead of'], [2, 'works', undefined],
  ])('whose clock is %d s off: %s', async (ahead, outcome, words) => {
    fake.aheadMs = ahead * 1_000
    expect(diagnosisOf(await probe(), 'clock')).toMatchObject({ outcome, ...(words !== undefined && { reason: expect.stringContaining(words), action: expect.stringContaining('synchronised') }) })
  })
})

describe('a bucket that cannot be asked ends with one answer', () => {
  test('it is not there', async () => {
    expect(outcomesOf(await probe({}, 'd/', 'other'))).toEqual(['reach fails', 'credentials works', 'clock works'])
  })

  test('it lies in another region, which is named', async () => {
    fake.fault = () => 'elsewhere'
    expect(diagnosisOf(await probe(), 'reach')).toEqual({ capability: 'reach', outcome: 'fails', reason: 'the bucket lies in eu-west-1, and was asked for in us-east-1', action: 'set s3.region to eu-west-1' })
  })

  test('the credentials have run out', async () => {
    fake.fault = () => 'expired'
    expect(outcomesOf(await probe())).toEqual(['reach works', 'credentials fails', 'clock works'])
  })

  test('there are no credentials', async () => {
    const saved = { ...process.env }
    Object.assign(process.env, { AWS_EC2_METADATA_DISABLED: 'true', AWS_SHARED_CREDENTIALS_FILE: '/nowhere', AWS_CONFIG_FILE: '/nowhere' })
    delete process.env['AWS_ACCESS_KEY_ID']
    try {
      expect(outcomesOf(await probe())).toEqual(['credentials fails'])
    } finally {
      process.env = saved
    }
  })

  test('it never answers', async () => {
    fake.fault = () => 'silent'
    const diagnoses = await probe({}, 'd/', 'fake', { clock: realClock(), boundMs: 3_000 })
    expect(outcomesOf(diagnoses)).toEqual(['reach fails', 'credentials works'])
    expect(diagnosisOf(diagnoses, 'reach')).toMatchObject({ reason: 'no answer within 3 s', action: 'check endpoint and network' })
  })

  test('one question is never answered: the others are', async () => {
    fake.put('d/a', 'x')
    fake.fault = (kind) => (kind === 'versions' ? 'silent' : undefined)
    const diagnoses = await probe({}, 'd/', 'fake', { clock: realClock(), boundMs: 3_000 })
    expect(outcomesOf(diagnoses)).toEqual(expect.arrayContaining(['list works', 'list versions fails', 'versioning works', 'head works', 'read works']))
  })
})

describe('a role', () => {
  const role = 'arn:aws:iam::123456789012:role/reader'
  const sts = async (use: (fake: FakeSts) => Promise<void>): Promise<void> => {
    const fakeSts = await FakeSts.start()
    try {
      await use(fakeSts)
    } finally {
      await fakeSts.stop()
    }
  }
  const access = (stsEndpoint: string): Partial<Watch> => ({ s3: { endpoint: fake.url, region: 'us-east-1', role, stsEndpoint } })

  test('that may be assumed is who asks, and says until when', async () => {
    await sts(async ({ url }) => {
      expect(diagnosisOf(await probe(access(url)), 'credentials')).toMatchObject({ outcome: 'works', reason: expect.stringMatching(/until \d{4}-/) })
      expect(fake.keyIds.every((id) => id.startsWith('ASIA'))).toBe(true)
    })
  })

  test('that may not be assumed names the permission', async () => {
    await sts(async (fakeSts) => {
      fakeSts.refuses = [403, 'AccessDenied']
      expect(outcomesOf(await probe(access(fakeSts.url)))).toEqual(['credentials fails sts:AssumeRole'])
    })
  })
})

describe('a webhook', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'varve-hook-')), 'token')
  afterAll(() => rmSync(dirname(file), { recursive: true }))

  test('needs a token, which is not shown', async () => {
    writeFileSync(file, 'the-secret-token\n')
    expect(await probeHook(file, MEANS, signal)).toEqual([{ capability: 'token', outcome: 'works' }])
    writeFileSync(file, 'the secret token\n')
    const diagnoses = await probeHook(file, MEANS, signal)
    expect(diagnoses).toEqual([{ capability: 'token', outcome: 'fails', reason: expect.stringContaining('holds no token'), action: expect.stringContaining('openssl rand') }])
    expect(JSON.stringify(diagnoses)).not.toContain('secret token')
    expect(await probeHook(`${file}-not-there`, MEANS, signal)).toMatchObject([{ outcome: 'fails', reason: expect.stringContaining('ENOENT') }])
  })

  test('is not looked for in the notifications of a store that does not say them', async () => {
    expect(diagnosisOf(await probe({ events: { kind: 'webhook', path: '/hooks/gw', tokenFile: file } }), 'notifications')).toBeUndefined()
  })
})

describe('notifications', () => {
  const heard = { events: { kind: 'sqs', url: 'https://sqs.us-east-1.amazonaws.com/123456789012/mnist' } } as const
  const rule = (...events: readonly string[]): string =>
    `<QueueConfiguration><Queue>arn:aws:sqs:us-east-1:123456789012:mnist</Queue>${events.map((event) => `<Event>s3:${event}</Event>`).join('')}</QueueConfiguration>`

  test('are looked at where there is a queue', async () => {
    expect(diagnosisOf(await probe(heard), 'notifications')).toMatchObject({ outcome: 'fails', action: expect.stringContaining('s3:ObjectCreated:*, s3:ObjectRemoved:*, s3:LifecycleExpiration:* for keys under d/') })
    fake.notifications = rule('ObjectCreated:*', 'ObjectRemoved:*')
    expect(diagnosisOf(await probe(heard), 'notifications')).toMatchObject({ outcome: 'degraded', reason: expect.stringContaining('s3:LifecycleExpiration:* is not sent') })
    fake.notifications = rule('ObjectCreated:*', 'ObjectRemoved:*', 'LifecycleExpiration:*')
    expect(diagnosisOf(await probe(heard), 'notifications')).toEqual({ capability: 'notifications', outcome: 'works', reason: 'the bucket tells the queue mnist' })
  })

  test('that may not be looked at are said not to be known', async () => {
    fake.fault = denying('notification')
    expect(outcomesOf(await probe(heard))).toContain('notifications degraded s3:GetBucketNotification')
  })
})

describe('a queue', () => {
  const WELL = { MaximumMessageSize: '262144', MessageRetentionPeriod: '345600', RedrivePolicy: '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead","maxReceiveCount":"5"}' }
  const probed = (url = queue.url) => probeQueue({ url, access: { region: 'us-east-1' }, locations: [] }, MEANS, signal)

  test('that is well works, and loses no message', async () => {
    queue.attributes = { ...WELL, ApproximateNumberOfMessages: '1' }
    queue.send('one')
    const { diagnoses } = await probed()
    expect(outcomesOf(diagnoses)).toEqual(['receive works', 'delete works', 'message size works', 'dead letters works', 'retention works', 'encryption works'])
    expect(diagnosisOf(diagnoses, 'receive')?.reason).toMatch(/left there; its receive count rose by one/)
    expect(queue.left()).toEqual(['one'])
    expect((await probed()).diagnoses).toEqual(diagnoses)
  })

  test.each([
    ['ReceiveMessage', 'receive fails sqs:ReceiveMessage'], ['DeleteMessageBatch', 'delete fails sqs:DeleteMessage'], ['GetQueueAttributes', 'attributes degraded sqs:GetQueueAttributes'],
  ])('that denies %s: %s', async (action, expected) => {
    queue.attributes = WELL
    queue.denied.add(action)
    const { diagnoses } = await probed()
    expect(outcomesOf(diagnoses)).toContain(expected)
    expect(diagnoses.filter(({ outcome }) => outcome !== 'works')).toHaveLength(1)
    if (action !== 'GetQueueAttributes') expect(diagnoses.find(({ outcome }) => outcome === 'fails')?.reason).toContain('as arn:aws:iam::123456789012:user/reader')
  })

  test.each<[string, Record<string, string>, string, string]>([
    ['takes only small messages', { MaximumMessageSize: '1024' }, 'message size degraded', '1024 bytes'],
    ['forgets soon', { MessageRetentionPeriod: '600' }, 'retention degraded', '10 min'],
    ['has no dead-letter queue', { RedrivePolicy: '' }, 'dead letters degraded', 'there is no dead-letter queue'],
    ['gives up after one failure', { RedrivePolicy: '{"maxReceiveCount":1}' }, 'dead letters degraded', 'maxReceiveCount is 1'],
    ['is encrypted with a key that S3 cannot use', { KmsMasterKeyId: 'alias/aws/sqs' }, 'encryption fails', 'no notification arrives'],
  ])('that %s', async (_, attributes, expected, words) => {
    queue.attributes = { ...WELL, ...attributes }
    const { diagnoses } = await probed()
    expect(outcomesOf(diagnoses).filter((one) => !one.endsWith('works'))).toEqual([expected])
    expect(diagnoses.find(({ outcome }) => outcome !== 'works')).toMatchObject({ reason: expect.stringContaining(words), action: expect.any(String) })
  })

  test('where one more receive makes a dead letter is not received from', async () => {
    queue.attributes = { ...WELL, RedrivePolicy: '{"maxReceiveCount":1}', ApproximateNumberOfMessages: '1' }
    expect(diagnosisOf((await probed()).diagnoses, 'receive')).toMatchObject({ outcome: 'degraded', reason: expect.stringContaining('not tried') })
    expect(queue.requests.filter((one) => one.startsWith('Receive'))).toEqual([])
  })

  test('that is down, or is not there, is one answer', async () => {
    queue.down = 503
    expect(outcomesOf((await probed()).diagnoses)).toEqual(['receive fails'])
    const { url } = queue
    await queue.stop()
    expect(outcomesOf((await probed(url)).diagnoses)).toEqual(['receive fails'])
    queue = await FakeSqs.start()
  })

  test('says of each bucket whether it may send, where it may be asked', async () => {
    queue.attributes = { ...WELL, QueueArn: 'arn:aws:sqs:us-east-1:123456789012:mnist', Policy: JSON.stringify({ Statement: { Effect: 'Allow', Principal: { Service: 's3.amazonaws.com' }, Action: 'sqs:SendMessage', Condition: { ArnLike: { 'aws:SourceArn': 'arn:aws:s3:::good*' } } } }) }
    const order = { url: queue.url, access: {}, locations: [] }
    expect(outcomesOf(sendersOf(await probed(), order, ['good-one', 'other']))).toEqual(['sender works', 'sender degraded sqs:SendMessage'])
    queue.denied.add('GetQueueAttributes')
    expect(sendersOf(await probed(), order, ['good-one'])).toEqual([])
  })
})
