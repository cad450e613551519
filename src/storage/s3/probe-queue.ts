// What `varve doctor` asks of a queue. A message that it receives stays where it is, visible at once; its receive count rises by one.
import { DeleteMessageBatchCommand, GetQueueAttributesCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs'
import type { SQSClient } from '@aws-sdk/client-sqs'
import { degraded, fails, works } from '../../model/probe.ts'
import type { Diagnosis } from '../../model/probe.ts'
import { scrub } from '../../model/errors.ts'
import { actionOf, within } from '../probe.ts'
import type { Means } from '../probe.ts'
import { arnOfBucket, arnOfQueue, regionOfQueue } from './arn.ts'
import { awsFailure, whoIsDenied } from './failures.ts'
import { connectSqs } from './queue.ts'
import type { QueueOrder } from './queue.ts'
import { senderOf } from './sender.ts'

type Attributes = Readonly<Partial<Record<string, string>>>

/** What came of a queue: diagnoses of its own, and what it says of itself where it may be asked. */
export interface QueueSeen {
  readonly diagnoses: readonly Diagnosis[]
  readonly attributes?: Attributes
}

/** Asks for all that hearing a queue needs. Never throws but for `signal`. */
export async function probeQueue(order: QueueOrder, means: Means, signal: AbortSignal): Promise<QueueSeen> {
  const place = scrub(order.url)
  let client: SQSClient | undefined
  const asked: Asked = async (capability, permission, question) => {
    try {
      return await within(means, signal, async (late) => question((client ??= await connectSqs(order)), late))
    } catch (error) {
      signal.throwIfAborted()
      return deniedOr(capability, error, place, permission)
    }
  }
  try {
    const question = new GetQueueAttributesCommand({ QueueUrl: order.url, AttributeNames: ['All'] })
    const told = await asked('receive', ATTRIBUTES, (sqs, abortSignal) => sqs.send(question, { abortSignal }))
    if (isDiagnosis(told) && told.permission !== ATTRIBUTES) return { diagnoses: [told] }
    const attributes = isDiagnosis(told) ? undefined : (told.Attributes ?? {})
    const diagnoses = [await receiving(asked, order, attributes), await deleting(asked, order)]
    if (attributes !== undefined) return { diagnoses: [...diagnoses, ...aboutItself(attributes)], attributes }
    const reason = `size, dead letters, retention, encryption and senders of the queue were not seen: ${ATTRIBUTES} is not allowed`
    return { diagnoses: [...diagnoses, degraded('attributes', { reason, action: `allow ${ATTRIBUTES}, for this probe alone`, permission: ATTRIBUTES })] }
  } finally {
    client?.destroy()
  }
}

/** Whether each of `buckets` may send to the queue. */
export function sendersOf({ attributes }: QueueSeen, order: QueueOrder, buckets: readonly string[]): readonly Diagnosis[] {
  if (attributes === undefined) return []
  const { host } = new URL(order.endpoint ?? order.url)
  const arn = attributes['QueueArn'] ?? arnOfQueue(order.url, order.access.region)
  const enforced = /\.amazonaws\.com(\.cn)?$/.test(host)
  return buckets.map((bucket) => senderOf(attributes['Policy'], arn, arnOfBucket(bucket, regionOfQueue(host)), enforced))
}

const ATTRIBUTES = 'sqs:GetQueueAttributes'

/** Asks within the bound; what was thrown becomes a diagnosis about the capability. */
type Asked = <T extends object>(capability: string, permission: string, question: (client: SQSClient, signal: AbortSignal) => Promise<T>) => Promise<T | Diagnosis>

function isDiagnosis(value: object): value is Diagnosis {
  return 'capability' in value
}

function deniedOr(capability: string, error: unknown, place: string, permission: string): Diagnosis {
  const { name = '' } = error as Error
  if (/kms/i.test(name))
    return fails(capability, { reason: `${place} is encrypted, and its key may not be used (${name})`, action: 'allow kms:Decrypt on the key of the queue', permission: 'kms:Decrypt' })
  const failure = awsFailure(error, place, permission)
  const who = whoIsDenied(error)
  const reason = who === undefined ? failure.message : `${failure.message} (${who})`
  return fails(capability, { reason, action: actionOf(failure), permission: failure.code === 'LOCATION_DENIED' ? permission : undefined })
}

/** Below that a message that was received once too often is a dead letter: received here, it would be. */
const RECEIVES_LEAST = 2

async function receiving(asked: Asked, order: QueueOrder, attributes: Attributes | undefined): Promise<Diagnosis> {
  const waiting = Number(attributes?.['ApproximateNumberOfMessages'] ?? 0)
  if (waiting > 0 && receivesOf(attributes) < RECEIVES_LEAST)
    return degraded('receive', { reason: 'not tried: messages wait, and one that is received twice is a dead letter here', action: 'raise maxReceiveCount of its redrive policy' })
  const command = new ReceiveMessageCommand({ QueueUrl: order.url, MaxNumberOfMessages: 1, VisibilityTimeout: 0, WaitTimeSeconds: 0 })
  const received = await asked('receive', 'sqs:ReceiveMessage', (client, abortSignal) => client.send(command, { abortSignal }))
  if (isDiagnosis(received)) return received
  return works('receive', (received.Messages ?? []).length === 0 ? undefined : 'a message was seen and left there; its receive count rose by one')
}

function receivesOf(attributes: Attributes | undefined): number {
  const most = /"maxReceiveCount"\s*:\s*"?(\d+)/.exec(attributes?.['RedrivePolicy'] ?? '')?.[1]
  return most === undefined ? Infinity : Number(most)
}

const NO_HANDLE = 'varve-doctor-deletes-nothing'

/** To delete by a handle that nobody was given is refused for the handle alone, unless it is refused altogether. */
async function deleting(asked: Asked, order: QueueOrder): Promise<Diagnosis> {
  const command = new DeleteMessageBatchCommand({ QueueUrl: order.url, Entries: [{ Id: '0', ReceiptHandle: NO_HANDLE }] })
  const refused = await asked('delete', 'sqs:DeleteMessage', (client, abortSignal) => client.send(command, { abortSignal }))
  return isDiagnosis(refused) ? refused : works('delete')
}

// S3 says at most that much in one notification.
const NOTIFICATION_BYTES_MOST = 65_536
// What S3 has not delivered, and what nobody has heard, for a day was missed by a daemon that was down for a day.
const RETENTION_LEAST_S = 86_400

function aboutItself(attributes: Attributes): Diagnosis[] {
  const sizeBytes = Number(attributes['MaximumMessageSize'] ?? NOTIFICATION_BYTES_MOST)
  const retentionS = Number(attributes['MessageRetentionPeriod'] ?? RETENTION_LEAST_S)
  return [
    sizeBytes >= NOTIFICATION_BYTES_MOST ? works('message size') : degraded('message size', {
      reason: `MaximumMessageSize is ${sizeBytes} bytes, and a notification may have ${NOTIFICATION_BYTES_MOST}: larger ones are dropped silently`,
      action: `set MaximumMessageSize to ${NOTIFICATION_BYTES_MOST} or more`,
    }),
    deadLetters(attributes),
    retentionS >= RETENTION_LEAST_S ? works('retention') : degraded('retention', {
      reason: `messages are kept for ${retentionS / 60} min: what is not heard within that is found only by a scan`,
      action: 'set MessageRetentionPeriod to some days (345600 is the default)',
    }),
    encryption(attributes),
  ]
}

function deadLetters(attributes: Attributes): Diagnosis {
  const receives = receivesOf(attributes)
  if (receives >= RECEIVES_LEAST && receives < Infinity) return works('dead letters')
  if (receives < Infinity)
    return degraded('dead letters', { reason: `maxReceiveCount is ${receives}: a message is given up after one failure`, action: 'set it to 5, say' })
  const reason = 'there is no dead-letter queue: messages that are no notifications come again until their retention ends'
  return degraded('dead letters', { reason, action: 'give the queue a redrive policy (maxReceiveCount 5, say)' })
}

/** AWS lets nobody change the policy of its own key, and that policy does not name S3. */
function encryption(attributes: Attributes): Diagnosis {
  const key = attributes['KmsMasterKeyId']
  if (key === undefined || key === '') return works('encryption')
  if (/(^|\/)aws\/sqs$/.test(key))
    return fails('encryption', { reason: 'the queue is encrypted with alias/aws/sqs, a key that S3 cannot use: no notification arrives', action: 'use SSE-SQS, or a key of your own that s3.amazonaws.com may use' })
  return works('encryption', `by ${key}, whose policy must allow kms:GenerateDataKey and kms:Decrypt to s3.amazonaws.com, and kms:Decrypt to Varve`)
}
