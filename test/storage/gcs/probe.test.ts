// needs: pubsub-fake
// What the doctor says of a bucket of GCS and of a subscription that deny, lack, hang or are not there.
import { once } from 'node:events'
import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { PubSub } from '@google-cloud/pubsub'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { parseLocation } from '../../../src/model/location.ts'
import type { Diagnosis } from '../../../src/model/probe.ts'
import type { GcsAccess } from '../../../src/model/watch.ts'
import { gcpPolicies } from '../../../src/storage/gcs/policy.ts'
import { judge, probeSubscription } from '../../../src/storage/gcs/probe-subscription.ts'
import { probeGcs } from '../../../src/storage/gcs/probe.ts'
import { freePort, start } from '../../components.ts'
import { FakeGcs } from '../../fakes/gcs.ts'
import type { Fault, Kind } from '../../fakes/gcs.ts'
import { realClock } from '../../laws/world.ts'
import { watchOf } from '../../suite/registry-world.ts'
import { diagnosisOf, MEANS, outcomesOf } from '../probing.ts'
import { topicAt } from './topic.ts'
import type { Owned } from './topic.ts'

const { signal } = new AbortController()
let fake: FakeGcs
beforeEach(async () => {
  fake = await FakeGcs.start()
})
afterEach(() => fake.stop())

const locationOf = (key: string, bucket = 'fake') => ({ ...parseLocation(`gs://${bucket}/${key}`, '/'), endpoint: fake.url })

function probe(key = 'd/', bucket = 'fake', over: GcsAccess = {}, means = MEANS): Promise<readonly Diagnosis[]> {
  const location = locationOf(key, bucket)
  return probeGcs(watchOf({ locations: [location], gcs: { endpoint: fake.url, ...over } }), location, means, signal)
}

const denying = (...kinds: readonly Kind[]) => (kind: Kind): Fault | undefined => (kinds.includes(kind) ? 'denied' : undefined)

describe('a bucket', () => {
  beforeEach(() => {
    fake.versioned = true
    fake.put('d/a', 'some bytes')
  })

  test('where all is allowed works, with or without an object; nothing but metadata is asked for', async () => {
    const all = ['reach works', 'credentials works', 'list works', 'get works', 'versioning works']
    expect(outcomesOf(await probe())).toEqual(all)
    expect(outcomesOf(await probe('empty/'))).toEqual(all)
    expect(outcomesOf(await probe('lone'))).toEqual(all)
    expect(fake.queries.filter((query) => query.get('alt') === 'media')).toEqual([])
  })

  test.each<[Kind[], string]>([
    [['list'], 'list fails storage.objects.list'], [['get'], 'get fails storage.objects.get'], [['about'], 'versioning degraded storage.buckets.get'],
  ])('that denies %j: %s', async (kinds, expected) => {
    fake.fault = denying(...kinds)
    const diagnoses = await probe()
    expect(outcomesOf(diagnoses).filter((one) => !one.endsWith('works'))).toEqual([expected])
    if (kinds[0] !== 'about') expect(diagnoses.find(({ outcome }) => outcome === 'fails')?.reason).toContain('reader@example.iam.gserviceaccount.com')
  })

  test('that keeps no versions cannot bring back', async () => {
    fake.versioned = false
    expect(diagnosisOf(await probe(), 'versioning')).toMatchObject({ outcome: 'degraded', reason: expect.stringContaining('cannot be brought back') })
  })

  test('that cannot be asked ends with one answer', async () => {
    expect(outcomesOf(await probe('d/', 'other'))).toEqual(['credentials works', 'reach fails'])
    fake.fault = () => 'anonymous'
    expect(outcomesOf(await probe())).toEqual(['credentials fails'])
    fake.fault = () => 'requester-pays'
    expect(outcomesOf(await probe())).toContain('list fails serviceusage.services.use')
    fake.fault = () => 'silent'
    expect(outcomesOf(await probe('d/', 'fake', {}, { clock: realClock(), boundMs: 1_000 }))).toEqual(['credentials works', 'reach fails'])
  })
})

describe('a subscription', () => {
  let running: Awaited<ReturnType<typeof start>>
  let host: string
  let owned: Owned
  let names = 0
  const before = process.env['PUBSUB_EMULATOR_HOST']
  beforeAll(async () => {
    running = await start('pubsub-fake', [`${await freePort()}`])
    host = `127.0.0.1:${running.port}`
  }, 120_000)
  afterAll(async () => {
    await running.stop()
    if (before === undefined) delete process.env['PUBSUB_EMULATOR_HOST']
    else process.env['PUBSUB_EMULATOR_HOST'] = before
  })
  beforeEach(async () => {
    process.env['PUBSUB_EMULATOR_HOST'] = host
    owned = topicAt(host, `doctor-${++names}`)
    await owned.make()
    fake.notifications = [{ topic: `//pubsub.googleapis.com/${owned.topic}`, payload_format: 'NONE' }]
  })
  afterEach(() => owned.close())

  const asked = (name = owned.subscription, means = MEANS): Promise<readonly Diagnosis[]> =>
    probeSubscription(watchOf({ locations: [locationOf('d/')], gcs: { endpoint: fake.url } }), name, means, signal)

  test('that is heard works, and no message is taken', async () => {
    await owned.publish({ test: '1' })
    const diagnoses = await asked()
    expect(outcomesOf(diagnoses)).toEqual(['receive works', 'topic works', 'dead letters degraded', 'retention works', expect.stringMatching(/^expiry/), 'notifications works'])
    const client = new PubSub({ projectId: 'p', apiEndpoint: host, emulatorMode: true })
    const subscription = client.subscription(owned.subscription)
    const [message] = (await once(subscription, 'message')) as [{ readonly deliveryAttempt: number, ack(): void }]
    message.ack()
    await subscription.close()
    await client.close()
  })

  test('whose topic the bucket does not notify hears nothing', async () => {
    fake.notifications = [{ topic: '//pubsub.googleapis.com/projects/p/topics/other' }]
    expect(diagnosisOf(await asked(), 'notifications')).toMatchObject({ outcome: 'fails', reason: expect.stringContaining('fake does not tell the topic'), action: expect.stringMatching(/^gcloud storage buckets notifications create gs:\/\/fake --topic=projects\/p\/topics\/t-\S+ /) })
    fake.fault = denying('notified')
    expect(outcomesOf(await asked())).toContain('notifications degraded storage.buckets.get')
  })

  test('that is not there, or nobody answers for, fails with words', async () => {
    expect(await asked('projects/p/subscriptions/none')).toEqual([{ capability: 'receive', outcome: 'fails', reason: 'projects/p/subscriptions/none is not there', action: expect.any(String) }])
    process.env['PUBSUB_EMULATOR_HOST'] = `127.0.0.1:${await freePort()}`
    expect(outcomesOf(await asked(owned.subscription, { clock: realClock(), boundMs: 3_000 }))).toEqual(['receive fails'])
  }, 60_000)

  test('that is denied names the permission', async () => {
    // gRPC's whole answer in its headers: PERMISSION_DENIED.
    const server = createServer()
    server.on('stream', (stream) => stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '7', 'grpc-message': 'denied' }, { endStream: true }))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    process.env['PUBSUB_EMULATOR_HOST'] = `127.0.0.1:${(server.address() as AddressInfo).port}`
    try {
      expect(outcomesOf(await asked())).toEqual(['receive fails pubsub.subscriptions.consume'])
    } finally {
      server.close()
      await once(server, 'close')
    }
  })
})

test.each<[string, object[], boolean, string, string | undefined]>([
  ['all that happens', [{}], true, 'works', undefined],
  ['each kind by name', [{ event_types: ['OBJECT_FINALIZE', 'OBJECT_DELETE'] }], false, 'works', undefined],
  ['a prefix above it', [{ object_name_prefix: 'd' }], true, 'works', undefined],
  ['no archive of a bucket that keeps versions', [{ event_types: ['OBJECT_FINALIZE', 'OBJECT_DELETE'] }], true, 'degraded', 'OBJECT_ARCHIVE is not sent'],
  ['a part of it', [{ object_name_prefix: 'd/train/' }], false, 'degraded', 'only names under d/train/ are told of'],
  ['another prefix', [{ object_name_prefix: 'e/' }], false, 'fails', 'does not tell the topic'],
  ['nothing', [], false, 'fails', 'found only by the scan every 60 min'],
])('a bucket that notifies of %s', (_, notifications, versioned, outcome, words) => {
  expect(judge(notifications, parseLocation('gs://fake/d/', '/'), versioned, 3_600_000)).toMatchObject({ outcome, ...(words !== undefined && { reason: expect.stringContaining(words) }) })
})

test('the command that would tell the topic names it where the subscription did', () => {
  const of = (topic?: string): string | undefined => judge([], parseLocation('gs://fake/d/', '/'), false, 3_600_000, topic).action
  expect(of('projects/p/topics/t')).toBe('gcloud storage buckets notifications create gs://fake --topic=projects/p/topics/t --payload-format=none --object-prefix="d/"')
  for (const unknown of [undefined, '_deleted-topic_']) expect(of(unknown)).toContain(' --topic=TOPIC ')
})

test('the least roles are commands, an identity at a time', () => {
  const events = { kind: 'pubsub', subscription: 'projects/p/subscriptions/s' } as const
  const policies = gcpPolicies([
    watchOf({ name: 'one', locations: [parseLocation('gs://fake/d/', '/')], events }), watchOf({ name: 'two', locations: [parseLocation('gs://fake/e/', '/')], events }),
    watchOf({ name: 'three', locations: [parseLocation('gs://other/', '/')], gcs: { credentialsFile: '/key.json', project: 'payer' } }),
    watchOf({ name: 'four', locations: [parseLocation('gs://other/', '/')], gcs: { impersonate: 'reader@p.iam.gserviceaccount.com' } }), watchOf({ name: 'files' }),
  ])
  expect(policies).toEqual([
    {
      title: 'Google roles for the identity that Varve runs as (MEMBER), needed by one, two',
      text: [
        'gcloud storage buckets add-iam-policy-binding gs://fake --member=MEMBER --role=roles/storage.objectViewer  # storage.objects.list, storage.objects.get',
        'gcloud storage buckets add-iam-policy-binding gs://fake --member=MEMBER --role=roles/storage.legacyBucketReader  # storage.buckets.get, for what the audit foretells',
        'gcloud pubsub subscriptions add-iam-policy-binding s --project=p --member=MEMBER --role=roles/pubsub.subscriber  # pubsub.subscriptions.consume',
      ].join('\n'),
    },
    { title: 'Google roles for the identity of /key.json (MEMBER), needed by three', text: expect.stringMatching(/gs:\/\/other .*objectViewer.*\n.*gs:\/\/other .*\n.*payer .*serviceusage\.services\.use/) },
    {
      title: 'Google roles for reader@p.iam.gserviceaccount.com, as whom the identity that Varve runs as (MEMBER) asks, needed by four',
      text: [
        'gcloud iam service-accounts add-iam-policy-binding reader@p.iam.gserviceaccount.com --member=MEMBER --role=roles/iam.serviceAccountTokenCreator  # iam.serviceAccounts.getAccessToken',
        'gcloud storage buckets add-iam-policy-binding gs://other --member=serviceAccount:reader@p.iam.gserviceaccount.com --role=roles/storage.objectViewer  # storage.objects.list, storage.objects.get',
        'gcloud storage buckets add-iam-policy-binding gs://other --member=serviceAccount:reader@p.iam.gserviceaccount.com --role=roles/storage.legacyBucketReader  # storage.buckets.get, for what the audit foretells',
      ].join('\n'),
    },
  ])
})
