import type { Agent as HttpAgent } from 'node:http'
import type { Agent as HttpsAgent } from 'node:https'
import { S3Client } from '@aws-sdk/client-s3'
import type { S3ClientConfig } from '@aws-sdk/client-s3'
import type { S3Access } from '../../model/watch.ts'
import { noRegion } from './failures.ts'
import { identityOf } from './identity.ts'
import { agentsOf } from './sockets.ts'

// Three tries within the SDK ride out a single dropped connection; what lasts is the daemon's to retry.
const TRIES = 3
const CONNECT_MS = 5_000
// A socket that says nothing for so long is dead. A page takes well below a second to begin, and flows from then on.
const SILENT_MS = 30_000

const LISTENS: Wire = { socketTimeout: SILENT_MS }
/**
 * For bodies: a socket whose reader is busy for a while says nothing either, so that only the head of an answer is bounded here. Each body that is not read to its end holds a connection;
 * a request that waits for one must not be taken for a silent store.
 */
export function forBodies(): Wire {
  return { socketTimeout: 0, requestTimeout: SILENT_MS, throwOnRequestTimeout: true, ...agentsOf(512) }
}

interface Wire {
  readonly socketTimeout: number
  readonly requestTimeout?: number
  readonly throwOnRequestTimeout?: boolean
  readonly httpAgent?: HttpAgent
  readonly httpsAgent?: HttpsAgent
}

/**
 * A client with the identity of the access, and the SDK's own region where it names none. Where an endpoint is given buckets are
 * addressed by path, unless the access says otherwise, and the region may be unknown. Checksums are only asked for where required: many stores
 * know no others. Throws USAGE when no region is known.
 */
export async function connectS3(place: string, access: S3Access, wire: Wire = LISTENS): Promise<S3Client> {
  const { endpoint, region, profile, pathStyle } = access
  const config: S3ClientConfig = {
    credentials: identityOf(access),
    maxAttempts: TRIES,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    followRegionRedirects: false,
    requestHandler: { connectionTimeout: CONNECT_MS, ...wire },
    forcePathStyle: pathStyle ?? endpoint !== undefined,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(profile === undefined ? {} : { profile }),
    ...(region === undefined ? {} : { region }),
  }
  const client = new S3Client(config)
  try {
    await client.config.region()
    return client
  } catch (error) {
    client.destroy()
    if (endpoint === undefined) throw noRegion(place, error)
    // Signatures need one, and stores of this kind take the first that AWS ever had.
    return new S3Client({ ...config, region: 'us-east-1' })
  }
}
