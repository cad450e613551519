import type { GcsAccess } from '../../model/watch.ts'
import { credentialsFailure } from './failures.ts'
import { checkKeyFile } from './key-file.ts'

/** Where the JSON API is, and what shows who asks. */
export interface Gate {
  readonly endpoint: string
  /** Headers for a request to `url`: tokens are renewed as they expire. Throws CREDENTIALS when there are none, or they are not valid. */
  headers(url: string, signal: AbortSignal): Promise<Headers>
}

const GOOGLE = 'https://storage.googleapis.com'
// The token itself may do no more than Varve does: read.
const SCOPE = 'https://www.googleapis.com/auth/devstorage.read_only'

/**
 * The way to GCS: of Google, with the key file that the access names or the application-default credentials, or the access's own endpoint. A
 * token is a secret: it goes to Google alone, or to an endpoint that the access names together with a key file, and never over plain HTTP. So
 * against an emulator no credentials are looked for, and no metadata server is asked.
 */
export async function connectGcs(place: string, access: GcsAccess): Promise<Gate> {
  const endpoint = access.endpoint ?? GOOGLE
  const { protocol, hostname } = new URL(endpoint)
  const trusted = hostname.endsWith('.googleapis.com') || access.credentialsFile !== undefined
  if (protocol !== 'https:' || !trusted) return { endpoint, headers: async () => new Headers() }
  const { Storage } = await import('@google-cloud/storage')
  // Only for its credentials: STORAGE_EMULATOR_HOST, by which its own requests go astray, moves nothing here. Without a project it would ask the metadata
  // server, and run gcloud, for one that nothing here needs.
  const { authClient } = new Storage({ projectId: access.project ?? 'none' })
  const identify = async (url: string): Promise<Headers> => {
    // `keyFilename` would be read the same way, with a warning on stderr at each opening. What was read is kept until the store is closed.
    if (access.credentialsFile !== undefined && authClient.cachedCredential === null) {
      await checkKeyFile(access.credentialsFile)
      await authClient._getApplicationCredentialsFromFilePath(access.credentialsFile)
    }
    const client = await authClient.getClient()
    if ('scopes' in client) client.scopes = [SCOPE]
    return client.getRequestHeaders(url)
  }
  const headers = (url: string, signal: AbortSignal): Promise<Headers> => within(signal, identify(url)).catch((error: unknown) => {
    signal.throwIfAborted()
    throw credentialsFailure(error, place)
  })
  return { endpoint, headers }
}

/** The answer, or the abort: what is asked of token servers cannot be told to stop. */
export function within<T>(signal: AbortSignal, asked: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    asked.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
