import type { GcsAccess } from '../../model/watch.ts'
import { credentialsFailure } from './failures.ts'
import { identityOf } from './identity.ts'

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
 * The way to GCS: of Google, with the identity of the access, or the access's own endpoint. A token is a secret: it goes to Google alone, or to an endpoint that the
 * access names together with a key file or an account to impersonate, and never over plain HTTP. So against an emulator no credentials are looked for, and no metadata
 * server is asked. `iam` is where accounts are impersonated when not at Google.
 */
export async function connectGcs(place: string, access: GcsAccess, iam?: string): Promise<Gate> {
  const endpoint = access.endpoint ?? GOOGLE
  const { protocol, hostname } = new URL(endpoint)
  const trusted = hostname.endsWith('.googleapis.com') || access.credentialsFile !== undefined || access.impersonate !== undefined
  if (protocol !== 'https:' || !trusted) return { endpoint, headers: async () => new Headers() }
  const { Storage } = await import('@google-cloud/storage')
  // Only for its credentials: STORAGE_EMULATOR_HOST, by which its own requests go astray, moves nothing here. Without a project it would ask the metadata
  // server, and run gcloud, for one that nothing here needs.
  const { authClient } = new Storage({ projectId: access.project ?? 'none' })
  let known: ReturnType<typeof identityOf> | undefined
  const identify = async (url: string): Promise<Headers> => {
    // Kept until the store is closed, once it was found.
    known ??= identityOf(authClient, access, SCOPE, iam).catch((error: unknown) => {
      known = undefined
      throw error
    })
    return (await known).getRequestHeaders(url)
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
