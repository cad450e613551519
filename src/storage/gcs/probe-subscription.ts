// What `varve doctor` asks of a subscription. No message is pulled.
import type { Location } from '../../model/location.ts'
import { degraded, fails, works } from '../../model/probe.ts'
import type { Diagnosis } from '../../model/probe.ts'
import type { Watch } from '../../model/watch.ts'
import { actionOf, within } from '../probe.ts'
import type { Means } from '../probe.ts'
import { aboutBucket, notificationsOf } from './about.ts'
import type { Notification } from './about.ts'
import { Bucket } from './bucket.ts'
import { connectGcs } from './config.ts'
import { DENIED, gcsFailure, INVALID_ARGUMENT, pubsubFailure, Refusal } from './failures.ts'
import { connectSubscription } from './subscription.ts'
import type { Described } from './subscription.ts'

const CONSUME = 'pubsub.subscriptions.consume'
const DESCRIBE = 'pubsub.subscriptions.get'
const ABOUT = 'storage.buckets.get'
const NO_ID = 'varve-doctor-acknowledges-nothing'

/** Asks for all that hearing the subscription `name` needs, and whether the buckets of the watch tell it. Never throws but for `signal`. */
export async function probeSubscription(watch: Watch, name: string, means: Means, signal: AbortSignal): Promise<readonly Diagnosis[]> {
  const ask = <T>(question: (signal: AbortSignal) => Promise<T>): Promise<T> => within(means, signal, question)
  const order = { name, access: watch.gcs, locations: [] }
  try {
    const subscription = await ask((late) => connectSubscription(order, name, late))
    try {
      // To acknowledge what nobody was given is refused for the id alone, unless it is refused altogether.
      await ask(() => subscription.acknowledge([NO_ID])).catch((error: unknown) => {
        if ((error as { code?: unknown }).code !== INVALID_ARGUMENT) throw error
      })
      const said = await ask(() => subscription.describe()).catch((error: unknown) => (isDenied(error) ? undefined : Promise.reject(error as Error)))
      const itself = said === undefined ? [unseen()] : aboutItself(said)
      return [works('receive'), ...itself, ...(await told(watch, said?.topic, means, signal))]
    } finally {
      await subscription.close()
    }
  } catch (error) {
    signal.throwIfAborted()
    const failure = pubsubFailure(error, name)
    return [fails('receive', { reason: failure.message, action: actionOf(failure), permission: isDenied(error) ? CONSUME : undefined })]
  }
}

function isDenied(error: unknown): boolean {
  return (error as { code?: unknown }).code === DENIED
}

function unseen(): Diagnosis {
  const reason = `topic, dead letters, retention and expiry of the subscription were not seen: ${DESCRIBE} is not allowed`
  return degraded('attributes', { reason, action: `allow ${DESCRIBE}, for this probe alone`, permission: DESCRIBE })
}

// What nobody has heard for a day was missed by a daemon that was down for a day.
const RETENTION_LEAST_S = 86_400

function aboutItself({ topic, detached, pushEndpoint, filter, retentionS, expiresS, deadLetterTopic }: Described): Diagnosis[] {
  const broken = detached ? 'it is detached from its topic' : topic === DELETED ? 'its topic is deleted' : pushEndpoint !== '' ? 'it is pushed, not pulled' : undefined
  return [
    broken === undefined ? works('topic', topic) : fails('topic', { reason: `${broken}: nothing arrives`, action: 'create a pull subscription of the topic that the bucket notifies' }),
    ...(filter === '' ? [] : [degraded('filter', { reason: `its filter (${filter}) drops messages: of these nothing is heard`, action: 'use a subscription without a filter' })]),
    deadLetterTopic !== '' ? works('dead letters') : degraded('dead letters', {
      reason: 'there is no dead-letter topic: messages that are no notifications come again until their retention ends', action: 'give the subscription a dead-letter topic',
    }),
    retentionS >= RETENTION_LEAST_S ? works('retention') : degraded('retention', {
      reason: `messages are kept for ${retentionS / 60} min: what is not heard within that is found only by a scan`, action: 'set its message retention to some days',
    }),
    expiresS === 0 ? works('expiry') : degraded('expiry', {
      reason: `the subscription is deleted when nobody hears it for ${expiresS / 86_400} days`, action: 'set its expiration period to never',
    }),
  ]
}

// A bucket that keeps versions says ARCHIVE where another says DELETE.
const NEEDED = ['OBJECT_FINALIZE', 'OBJECT_DELETE']
const NEEDED_VERSIONED = [...NEEDED, 'OBJECT_ARCHIVE']

/** What each bucket of the watch notifies the topic of; of any topic, where that of the subscription is not known. */
async function told(watch: Watch, topic: string | undefined, means: Means, signal: AbortSignal): Promise<Diagnosis[]> {
  const diagnoses: Diagnosis[] = []
  for (const location of watch.locations.filter(({ scheme }) => scheme === 'gs')) {
    try {
      const bucket = new Bucket(await connectGcs(location.bucket, watch.gcs), location.bucket, watch.gcs.project)
      const all = await within(means, signal, (late) => notificationsOf(bucket, late))
      const { versioning } = await within(means, signal, (late) => aboutBucket(bucket, { requests: 0 }, late))
      const ours = all.filter((one) => topic === undefined || one.topic?.endsWith(`/${topic}`) === true)
      diagnoses.push(judge(ours, location, versioning?.enabled === true, watch.reconcileMs, topic))
    } catch (error) {
      signal.throwIfAborted()
      const denied = error instanceof Refusal && error.status === 403
      const reason = `whether ${location.bucket} tells the topic was not seen: ${denied ? `${ABOUT} is not allowed` : gcsFailure(error, location.bucket, ABOUT).message}`
      diagnoses.push(degraded('notifications', { reason, ...(denied && { action: `allow ${ABOUT}, for this probe alone`, permission: ABOUT }) }))
    }
  }
  return diagnoses
}

const DELETED = '_deleted-topic_'

/** Whether these notifications of its bucket are of all that happens in the location; `topic` is where they are to go, when that is known. */
export function judge(notifications: readonly Notification[], location: Location, versioned: boolean, reconcileMs: number, topic = DELETED): Diagnosis {
  const needed = versioned ? NEEDED_VERSIONED : NEEDED
  const wanted = location.object ?? location.prefix
  const reaches = ({ object_name_prefix: prefix = '' }: Notification): 'all' | 'some' | 'none' => (wanted.startsWith(prefix) ? 'all' : prefix.startsWith(location.prefix) ? 'some' : 'none')
  const sends = ({ event_types: types }: Notification, type: string): boolean => types === undefined || types.length === 0 || types.includes(type)
  const reachOf = (type: string): 'all' | 'some' | 'none' => {
    const reached = notifications.filter((one) => sends(one, type)).map(reaches)
    return reached.includes('all') ? 'all' : reached.includes('some') ? 'some' : 'none'
  }
  const lacks = needed.filter((type) => reachOf(type) === 'none').map((type) => `${type} is not sent`)
  const narrow = needed.some((type) => reachOf(type) === 'some') ? notifications.filter((one) => reaches(one) === 'some').map((one) => `under ${one.object_name_prefix}`) : []
  if (narrow.length > 0) lacks.push(`only names ${[...new Set(narrow)].join(' or ')} are told of`)
  if (lacks.length === 0) return works('notifications', `${location.bucket} tells the topic`)
  const none = needed.every((type) => reachOf(type) === 'none')
  const what = none ? `${location.bucket} does not tell the topic of what happens there` : `of ${location.bucket} ${lacks.join('; ')}`
  const words = {
    reason: `${what}; what is not told is found only by the scan every ${reconcileMs / 60_000} min`,
    action: `gcloud storage buckets notifications create gs://${location.bucket} --topic=${topic === DELETED ? 'TOPIC' : topic} --payload-format=none${wanted === '' ? '' : ` --object-prefix=${JSON.stringify(wanted)}`}`,
  }
  return none ? fails('notifications', words) : degraded('notifications', words)
}
