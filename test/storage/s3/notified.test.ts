// What a bucket's notification configuration, a queue's policy and an IAM policy say, without a bucket or a queue.
import { describe, expect, test } from '@jest/globals'
import { parseLocation } from '../../../src/model/location.ts'
import { arnOfQueue, isQueue } from '../../../src/storage/s3/arn.ts'
import { notified, posted } from '../../../src/storage/s3/notified.ts'
import { iamPolicies } from '../../../src/storage/s3/policy.ts'
import { senderOf } from '../../../src/storage/s3/sender.ts'
import { watchOf } from '../../suite/registry-world.ts'

const URL_ = 'https://sqs.eu-west-1.amazonaws.com/123456789012/mnist'
const ARN = 'arn:aws:sqs:eu-west-1:123456789012:mnist'
const ALL = ['s3:ObjectCreated:*', 's3:ObjectRemoved:*', 's3:LifecycleExpiration:*']

interface Told {
  readonly events?: readonly string[]
  readonly prefix?: string
  readonly suffix?: string
  readonly arn?: string
}

const ruleOf = ({ events = ALL, prefix, suffix, arn = ARN }: Told) => ({
  QueueArn: arn, TopicArn: arn, Events: [...events] as never,
  Filter: { Key: { FilterRules: [...(prefix === undefined ? [] : [{ Name: 'Prefix' as never, Value: prefix }]), ...(suffix === undefined ? [] : [{ Name: 'Suffix' as never, Value: suffix }])] } },
})

function judged(key: string, rules: readonly Told[], include: readonly string[] = []) {
  return notified({ QueueConfigurations: rules.map(ruleOf) }, URL_, { location: parseLocation(`s3://bkt/${key}`, '/'), include, otherwise: 'else a scan' })
}

describe('notifications of a location', () => {
  test.each<[string, string, Told[]]>([
    ['all of the bucket', 'data/mnist/', [{}]],
    ['a prefix above it', 'data/mnist/', [{ prefix: 'data/' }]],
    ['its very prefix', 'data/mnist/', [{ prefix: 'data/mnist/' }]],
    ['a prefix that ends within a name', 'data/mnist/', [{ prefix: 'data/mni' }]],
    ['kinds in rules of their own', 'data/mnist/', ALL.map((event) => ({ events: [event] }))],
    ['each kind by all of its names', 'd/', [{ events: ['Put', 'Post', 'Copy', 'CompleteMultipartUpload'].map((name) => `s3:ObjectCreated:${name}`) }, { events: ALL.slice(1) }]],
    ['an encoded prefix', 'year=2026/a b/', [{ prefix: 'year%3D2026/a+b/' }]],
    ['percent sequences as they are in an encoded prefix', 'a%3Db/', [{ prefix: 'a%253Db/' }]],
    ['a lone object', 'data/labels', [{ prefix: 'data/labels' }]],
    ['a broken filter beside a good one', 'year=2026/', [{ prefix: 'year=2026/' }, {}]],
  ])('are whole: %s', (_, key, rules) => {
    expect(judged(key, rules)).toMatchObject({ outcome: 'works' })
  })

  test('are whole where the suffix lets through all that the watch includes', () => {
    expect(judged('d/', [{ suffix: '.png' }], ['**/*.png'])).toMatchObject({ outcome: 'works' })
    expect(judged('d/', [{ suffix: '.png' }], ['**/*.png', '**/*.jpg'])).toMatchObject({ outcome: 'degraded', reason: expect.stringContaining('only keys ending in .png are told of') })
  })

  test.each<[string, string, Told[], string, string]>([
    ['nothing that is removed is sent', 'd/', [{ events: ['s3:ObjectCreated:*', 's3:LifecycleExpiration:*'] }], 'degraded', 's3:ObjectRemoved:* is not sent'],
    ['multipart uploads are not sent', 'd/', [{ events: ['s3:ObjectCreated:Put', 's3:ObjectCreated:Post', 's3:ObjectCreated:Copy', ...ALL.slice(1)] }], 'degraded', 's3:ObjectCreated:CompleteMultipartUpload is not sent'],
    ['only a part of it is sent', 'd/', [{ prefix: 'd/train/' }, { prefix: 'd/val/' }], 'degraded', 'only keys under d/train/ or under d/val/ are told of'],
    ['only one suffix is sent', 'd/', [{ suffix: '.png' }], 'degraded', 'only keys ending in .png'],
    ['another prefix is sent', 'data/mnist/', [{ prefix: 'data/mnist2/' }], 'fails', 's3:ObjectCreated:* is not sent; s3:ObjectRemoved:* is not sent'],
    ['the prefix is not encoded', 'year=2026/', [{ prefix: 'year=2026/' }], 'fails', 'write year%3D2026/'],
    ['the suffix is not encoded', 'd/', [{ suffix: ' .png' }], 'fails', 'write %20.png'],
    ['it tells other queues alone', 'd/', [{ arn: 'arn:aws:sqs:eu-west-1:123456789012:other' }], 'fails', 'the bucket does not tell the queue mnist, but others: arn:aws:sqs:eu-west-1:123456789012:other'],
    ['it tells the namesake of another account', 'd/', [{ arn: 'arn:aws:sqs:eu-west-1:999999999999:mnist' }], 'fails', 'does not tell the queue mnist'],
    ['nothing is sent', 'd/', [], 'fails', 'the bucket does not tell the queue mnist; else a scan'],
  ])('lack: %s', (_, key, rules, outcome, words) => {
    expect(judged(key, rules)).toMatchObject({ outcome, reason: expect.stringContaining(words), action: expect.stringMatching(/^let the bucket send s3:ObjectCreated:\*.* beside what it sends already$/) })
  })

  test('on their way through SNS or EventBridge are believed as far as they are seen', () => {
    const wanted = { location: parseLocation('s3://bkt/d/', '/'), include: [], otherwise: 'else a scan' }
    expect(notified({ EventBridgeConfiguration: {} }, URL_, wanted)).toMatchObject({ outcome: 'works', reason: expect.stringMatching(/EventBridge; .* cannot be seen from here/) })
    expect(notified({ TopicConfigurations: [ruleOf({ arn: 'arn:aws:sns:eu-west-1:123456789012:t' })] }, URL_, wanted)).toMatchObject({ outcome: 'works', reason: expect.stringMatching(/SNS; .* cannot be seen from here/) })
    expect(notified({ TopicConfigurations: [ruleOf({ prefix: 'other/' })] }, URL_, wanted)).toMatchObject({ outcome: 'fails' })
  })
})

test('a FIFO queue, which S3 never notifies, is said to be one; by EventBridge it may be told', () => {
  const fifo = 'https://sqs.eu-west-1.amazonaws.com/123456789012/q.fifo'
  const wanted = { location: parseLocation('s3://bkt/d/', '/'), include: [], otherwise: 'else a scan' }
  expect(notified({}, fifo, wanted)).toMatchObject({ outcome: 'fails', reason: 'S3 does not notify FIFO queues, and the queue q.fifo is one; else a scan', action: expect.stringMatching(/^name a standard queue/) })
  expect(notified({ EventBridgeConfiguration: {} }, fifo, wanted)).toMatchObject({ outcome: 'works' })
})

test('MinIO posts, takes filters as they are, and says so by the name of its target', () => {
  const arn = 'arn:minio:sqs::VARVE:webhook'
  const judgedBy = (...rules: readonly Told[]) => posted({ QueueConfigurations: rules.map((rule) => ruleOf({ arn, ...rule })) }, { location: parseLocation('s3://bkt/year=2026/', '/'), include: [], otherwise: 'else a scan' })
  const both = ['s3:ObjectCreated:*', 's3:ObjectRemoved:*']
  expect(judgedBy({ events: both, prefix: 'year=2026/' })).toMatchObject({ outcome: 'works', reason: 'the bucket tells a webhook' })
  expect(judgedBy({ events: both, prefix: 'year%3D2026/' })).toMatchObject({ outcome: 'fails' })
  expect(judgedBy({ events: ['s3:ObjectCreated:*'] })).toMatchObject({ outcome: 'degraded', reason: 's3:ObjectRemoved:* is not sent; else a scan', action: expect.stringContaining('for keys under year=2026/') })
  expect(judgedBy({ events: both, arn: 'arn:minio:sqs::X:redis' })).toMatchObject({ outcome: 'fails', reason: expect.stringContaining('does not tell a webhook, but others: arn:minio:sqs::X:redis') })
})

describe('a queue\'s policy', () => {
  const statement = (over: object) => JSON.stringify({ Statement: [{ Effect: 'Allow', Principal: { Service: 's3.amazonaws.com' }, Action: 'sqs:SendMessage', Resource: ARN, ...over }] })
  const judge = (policy: string | undefined) => senderOf(policy, ARN, 'arn:aws:s3:::bkt', true)
  test.each([
    ['the service', {}], ['its bucket', { Condition: { ArnEquals: { 'aws:SourceArn': 'arn:aws:s3:::bkt' } } }], ['by a pattern', { Condition: { ArnLike: { 'aws:sourcearn': 'arn:aws:s3:*:*:*' } } }],
    ['anybody', { Principal: '*' }], ['anybody in other words', { Principal: { AWS: ['*'] }, Action: ['SQS:*'] }], ['an account', { Condition: { StringEquals: { 'aws:SourceAccount': '123456789012' } } }],
  ])('lets it send: %s', (_, over) => {
    expect(judge(statement(over))).toMatchObject({ outcome: 'works', reason: 'the policy of the queue lets the bucket send' })
  })
  test.each([
    ['another bucket', statement({ Condition: { ArnEquals: { 'aws:SourceArn': 'arn:aws:s3:::bkt2' } } })], ['another action', statement({ Action: 'sqs:ReceiveMessage' })],
    ['a denial', statement({ Effect: 'Deny' })], ['somebody else', statement({ Principal: { AWS: 'arn:aws:iam::123456789012:root' } })], ['no policy', undefined], ['no JSON', '{'], ['no statements', '{}'],
  ])('does not: %s', (_, policy) => {
    const { outcome, action, permission } = judge(policy)
    expect({ outcome, permission }).toEqual({ outcome: 'fails', permission: 'sqs:SendMessage' })
    expect(judge(statement(JSON.parse(action?.replace(/^add to the policy of the queue: /, '') ?? '')))).toMatchObject({ outcome: 'works' })
  })
  test.each([['sns', 'SNS'], ['events', 'EventBridge']])('that lets %s send is that of a queue behind it', (service, name) => {
    expect(judge(statement({ Principal: '*', Condition: { ArnLike: { 'aws:SourceArn': `arn:aws:${service}:eu-west-1:123456789012:x` } } }))).toMatchObject({ outcome: 'works', reason: expect.stringContaining(`lets ${name} send`) })
    expect(judge(statement({ Principal: { Service: `${service}.amazonaws.com` } }))).toMatchObject({ outcome: 'works', reason: expect.stringContaining(`lets ${name} send`) })
  })
})

test('a queue is known by the account and name of its URL', () => {
  expect(arnOfQueue(URL_, 'us-east-1')).toBe(ARN)
  expect(arnOfQueue('http://127.0.0.1:9324/queue/mnist', undefined)).toBe('arn:aws:sqs:us-east-1:*:mnist')
  expect(arnOfQueue('https://sqs.cn-north-1.amazonaws.com.cn/123456789012/mnist', undefined)).toBe('arn:aws-cn:sqs:cn-north-1:123456789012:mnist')
  expect([isQueue(ARN, URL_), isQueue('arn:aws:sqs:x:1:mnist', URL_), isQueue('arn:aws:sqs:x:1:mnist', 'http://127.0.0.1:9324/queue/mnist')]).toEqual([true, false, true])
})

test('the least policy holds each bucket, prefix, object and queue once, an identity at a time, and takes no key for a pattern', () => {
  const events = { kind: 'sqs', url: URL_ } as const
  const policies = iamPolicies([
    watchOf({ name: 'one', locations: [parseLocation('s3://bkt/d/', '/')], events }),
    watchOf({ name: 'two', locations: [parseLocation('s3://bkt/d/', '/'), parseLocation('s3://bkt/labels', '/')], events }),
    watchOf({ name: 'odd', locations: [parseLocation('s3://cup/a*b?$c/', '/')], s3: { role: 'arn:aws:iam::123456789012:role/reader' } }),
    watchOf({ name: 'files' }),
  ])
  expect(policies.map(({ title }) => title)).toEqual([
    'IAM policy for the identity that Varve runs as, needed by one, two',
    'IAM policy for arn:aws:iam::123456789012:role/reader, which that identity must be allowed to assume (sts:AssumeRole), needed by odd',
  ])
  const [ours, odd] = policies.map(({ text }) => (JSON.parse(text) as { Statement: { Action: string[]; Resource: string[] }[] }).Statement.map(({ Action, Resource }) => [Action, Resource]))
  expect(ours).toEqual([
    [['s3:ListBucket', 's3:ListBucketVersions'], ['arn:aws:s3:::bkt']],
    [['s3:GetBucketVersioning', 's3:GetLifecycleConfiguration'], ['arn:aws:s3:::bkt']],
    [['s3:GetObject', 's3:GetObjectVersion'], ['arn:aws:s3:::bkt/d/*', 'arn:aws:s3:::bkt/labels', 'arn:aws:s3:::bkt/labels/*']],
    [['sqs:ReceiveMessage', 'sqs:DeleteMessage'], [ARN]],
  ])
  expect(odd?.[2]).toEqual([['s3:GetObject', 's3:GetObjectVersion'], ['arn:aws:s3:::cup/a${*}b${?}${$}c/*']])
})
