import { fromIni, fromNodeProviderChain, fromTemporaryCredentials } from '@aws-sdk/credential-providers'
import { VarveError } from '../../model/errors.ts'
import type { S3Access } from '../../model/watch.ts'
import { statusOf } from './failures.ts'

/** Answers credentials; the SDK asks again when they are about to expire. */
export type Identity = ReturnType<typeof fromTemporaryCredentials>
type Credentials = Awaited<ReturnType<Identity>>

// An STS that does not answer must not hold a look for ever.
const CONNECT_MS = 5_000
const SILENT_MS = 30_000
// Each look opens a client of its own: within five minutes they share what was assumed, and a role that was taken away is asked for again soon enough.
const KEPT_MS = 300_000
// The SDK asks anew so long before the end.
const END_MS = 300_000
// It warns of two kinds of credentials on the console, where one goes before the other by intent.
const SILENT = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing }

interface Assumed {
  readonly atMs: number
  readonly credentials: Promise<Credentials>
}

const assumed = new Map<string, Assumed>()

/**
 * Who asks: the profile that the access names, else the SDK's own chain; or the role that is assumed with it, under the session name `varve`. Each client reads the
 * shared files anew, so what was rotated there needs no restart. Rejects with CREDENTIALS, or STORAGE_UNAVAILABLE when STS does not answer, for a profile or a role; else
 * as the SDK does.
 */
export function identityOf(access: S3Access): Identity {
  const { profile, role, region, stsEndpoint } = access
  // By itself the SDK reads a file once in the life of a process.
  const settings = { ignoreCache: true, logger: SILENT }
  // The chain would go on to the identity of the machine, which nobody named.
  const own = profile === undefined ? fromNodeProviderChain(settings) : profileOf(access, fromIni({ ...settings, profile }))
  if (role === undefined) return own
  const assume = fromTemporaryCredentials({
    masterCredentials: own,
    params: { RoleArn: role, RoleSessionName: 'varve' },
    clientConfig: {
      requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: SILENT_MS },
      ...(region !== undefined && { region }),
      ...(stsEndpoint !== undefined && { endpoint: stsEndpoint }),
    },
    logger: SILENT,
  })
  const key = JSON.stringify([profile, role, region, stsEndpoint])
  return async (caller) => {
    const known = assumed.get(key)
    if (known !== undefined && performance.now() - known.atMs < KEPT_MS && lasts(await known.credentials)) return known.credentials
    const fresh: Assumed = { atMs: performance.now(), credentials: assume(caller).catch((error: unknown) => Promise.reject(failureOf(error, role))) }
    assumed.set(key, fresh)
    fresh.credentials.catch(() => assumed.get(key) === fresh && assumed.delete(key))
    return fresh.credentials
  }
}

function profileOf({ profile, sharedFiles = ['the shared AWS files'] }: S3Access, tell: Identity): Identity {
  return (caller) => tell(caller).catch((error: unknown) => {
    const { name, message = '' } = error as { readonly name?: string; readonly message?: string }
    if (name !== 'CredentialsProviderError') throw error
    throw new VarveError('CREDENTIALS', `the profile ${profile} (s3.profile) tells no credentials: ${message}`, {
      cause: error, hint: `${sharedFiles.join(' and ')} were searched: give it some there, or name another in s3.profile`,
    })
  })
}

function lasts({ expiration }: Credentials): boolean {
  return expiration === undefined || expiration.getTime() - Date.now() > END_MS
}

function failureOf(error: unknown, role: string): VarveError {
  if (error instanceof VarveError) return error
  const { name, code } = error as { readonly name?: string; readonly code?: string }
  const status = statusOf(error)
  if (name !== 'CredentialsProviderError' && (status === undefined || status >= 500))
    return new VarveError('STORAGE_UNAVAILABLE', `the role ${role} cannot be assumed: STS does not answer as it should (${code ?? name})`, {
      cause: error, hint: 'it is tried again; check AWS_ENDPOINT_URL_STS, s3.endpoint and the network if it lasts',
    })
  return new VarveError('CREDENTIALS', `the role ${role} cannot be assumed (${name})`, {
    cause: error, hint: 'allow sts:AssumeRole on it to the identity that Varve runs as, and let the trust policy of the role name that identity',
  })
}

function nothing(): void {
  return undefined
}
