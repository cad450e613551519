import { SQSClient } from '@aws-sdk/client-sqs'
import type { Location } from '../../model/location.ts'
import type { S3Access } from '../../model/watch.ts'
import { regionOfQueue } from './arn.ts'
import { noRegion } from './failures.ts'
import { identityOf } from './identity.ts'

/** A queue, and the locations whose notifications it carries. */
export interface QueueOrder {
  readonly url: string
  /** Where SQS is when the URL does not say so itself: overrides its host. */
  readonly endpoint?: string
  readonly access: S3Access
  readonly locations: readonly Location[]
}

// The long poll takes 20 s; a socket that is silent for longer is dead.
const SILENT_MS = 30_000

/**
 * A client for the queue's own host: AWS in the region that the URL names, else the host itself, or the order's endpoint where it has one. Its
 * caller retries. Throws USAGE when no region is known.
 */
export async function connectSqs(order: QueueOrder): Promise<SQSClient> {
  const { host, origin } = new URL(order.url)
  const atAws = /\.amazonaws\.com(\.cn)?$/.test(host)
  const endpoint = order.endpoint ?? (atAws ? undefined : origin)
  const named = regionOfQueue(host) ?? order.access.region
  const config = {
    credentials: identityOf(order.access),
    maxAttempts: 1,
    useQueueUrlAsEndpoint: false,
    requestHandler: { connectionTimeout: 5_000, socketTimeout: SILENT_MS },
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(order.access.profile === undefined ? {} : { profile: order.access.profile }),
    ...(named === undefined ? {} : { region: named }),
  }
  const client = new SQSClient(config)
  try {
    await client.config.region()
    return client
  } catch (error) {
    client.destroy()
    if (endpoint === undefined) throw noRegion(order.url, error)
    return new SQSClient({ ...config, region: 'us-east-1' })
  }
}
