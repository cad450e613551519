import type { Duplex } from 'node:stream'
import type { Location } from '../../model/location.ts'
import type { GcsAccess } from '../../model/watch.ts'
import { within } from './config.ts'
import { credentialsFailure } from './failures.ts'
import { identityOf } from './identity.ts'

/** A subscription, and the locations whose notifications it carries. */
export interface SubscriptionOrder {
  /** `projects/P/subscriptions/S`. */
  readonly name: string
  readonly access: GcsAccess
  readonly locations: readonly Location[]
}

/** A message, as far as it is looked at. */
export interface Received {
  readonly ackId: string
  readonly attributes: unknown
}

/** An open stream of messages. */
export interface Pull {
  /** Sends no more; what it has sent and is not acknowledged comes again. */
  cancel(): void
}

/** A connection to a subscription. Each method throws what the client throws. */
export interface Subscription {
  /** Opens a stream: `arrive` is called for each answer, `end` once, with the error that ended it if one did; neither after it was cancelled. */
  pull(arrive: (messages: readonly Received[]) => void, end: (error: unknown) => void): Pull
  acknowledge(ackIds: readonly string[]): Promise<void>
  /** Asks for these messages to be sent again at once. */
  giveBack(ackIds: readonly string[]): Promise<void>
  /** What it says of itself, to whoever may read that. */
  describe(): Promise<Described>
  close(): Promise<void>
}

/** Empty or 0 where nothing is set. */
export interface Described {
  /** `projects/P/topics/T`. */
  readonly topic: string
  readonly detached: boolean
  readonly pushEndpoint: string
  readonly filter: string
  readonly deadLetterTopic: string
  readonly retentionS: number
  /** After how long without a listener it is deleted; 0: never. */
  readonly expiresS: number
}

const SCOPE = 'https://www.googleapis.com/auth/pubsub'
// What is not acknowledged within the service's own default comes again: a mark takes milliseconds.
const DEADLINE_S = 10
// What the service may have sent without an acknowledgement. A message is one or two kilobytes: 20 MB at the most.
const OUTSTANDING_MOST = 10_000
const OUTSTANDING_BYTES_MOST = 20 * 1024 * 1024
// The service ends a stream after a quarter to half an hour by itself; and one that says nothing for longer than a minute.
const STREAM_MOST_MS = 3_600_000
const SIGN_OF_LIFE_MS = 30_000
// An acknowledgement that takes longer is as good as lost: the message comes again.
const CALL_MOST_MS = 5_000
const RETENTION_DEFAULT_S = 604_800

/**
 * Connects to a subscription: at Google, or where PUBSUB_EMULATOR_HOST says, and there without looking for credentials. The stream is the
 * service's own, not the client library's: that swallows what a handler throws and holds the message for an hour, and reopens streams unseen.
 * Throws CREDENTIALS when there are none.
 */
export async function connectSubscription(order: SubscriptionOrder, place: string, signal: AbortSignal): Promise<Subscription> {
  const { PubSub, v1 } = await import('@google-cloud/pubsub')
  const projectId = order.name.split('/')[1] as string
  const pubsub = new PubSub({ projectId, scopes: [SCOPE] })
  if (!pubsub.isEmulator) {
    const identified = identityOf(pubsub.auth, order.access, SCOPE).then((client) => (pubsub.auth.cachedCredential = client))
    await within(signal, identified).catch((error: unknown) => {
      signal.throwIfAborted()
      throw credentialsFailure(error, place)
    })
  }
  const config = await pubsub.getClientConfig()
  // A universe that is said is not looked for: else the client asks the metadata server for it, at the emulator, too.
  const client = new v1.SubscriberClient(pubsub.isEmulator ? { ...config, universeDomain: 'googleapis.com' } : { ...config, auth: pubsub.auth })
  await within(signal, client.initialize()).catch(async (error: unknown) => {
    await client.close().catch(() => undefined)
    signal.throwIfAborted()
    throw credentialsFailure(error, place)
  })
  const named = { headers: { 'x-goog-request-params': `subscription=${order.name}` } }
  return {
    pull: (arrive, end) => pullOn(client.streamingPull({ timeout: STREAM_MOST_MS, otherArgs: named }), order.name, arrive, end),
    acknowledge: async (ackIds) => void (await client.acknowledge({ subscription: order.name, ackIds: [...ackIds] }, { timeout: CALL_MOST_MS })),
    giveBack: async (ackIds) => void (await client.modifyAckDeadline({ subscription: order.name, ackIds: [...ackIds], ackDeadlineSeconds: 0 }, { timeout: CALL_MOST_MS })),
    async describe() {
      const [said] = await client.getSubscription({ subscription: order.name }, { timeout: CALL_MOST_MS })
      return {
        topic: said.topic ?? '', detached: said.detached ?? false, pushEndpoint: said.pushConfig?.pushEndpoint ?? '', filter: said.filter ?? '',
        deadLetterTopic: said.deadLetterPolicy?.deadLetterTopic ?? '',
        retentionS: Number(said.messageRetentionDuration?.seconds ?? RETENTION_DEFAULT_S), expiresS: Number(said.expirationPolicy?.ttl?.seconds ?? 0),
      }
    },
    close: () => client.close(),
  }
}

interface Answer {
  readonly receivedMessages?: readonly { readonly ackId?: string | null; readonly message?: { readonly attributes?: unknown } | null }[] | null
}

function pullOn(stream: Duplex & { cancel(): void }, subscription: string, arrive: (messages: readonly Received[]) => void, end: (error: unknown) => void): Pull {
  let over = false
  const finish = (error: unknown): void => {
    clearInterval(alive)
    if (!over) end(error)
    over = true
  }
  // Acknowledgements do not go by the stream, and the service ends one that never says anything.
  const alive = setInterval(() => {
    if (stream.writable) stream.write({})
  }, SIGN_OF_LIFE_MS)
  alive.unref()
  stream.on('data', ({ receivedMessages }: Answer) => {
    if (!over && receivedMessages) arrive(receivedMessages.map(({ ackId, message }) => ({ ackId: ackId ?? '', attributes: message?.attributes })))
  })
  stream.on('error', finish)
  stream.on('end', () => finish(undefined))
  stream.on('close', () => finish(undefined))
  stream.write({ subscription, streamAckDeadlineSeconds: DEADLINE_S, maxOutstandingMessages: OUTSTANDING_MOST, maxOutstandingBytes: OUTSTANDING_BYTES_MOST })
  return {
    cancel() {
      over = true
      clearInterval(alive)
      stream.cancel()
    },
  }
}
