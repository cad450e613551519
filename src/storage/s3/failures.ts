import { VarveError } from '../../model/errors.ts'
import type { FailureCode } from '../../model/errors.ts'

/** What the SDK throws, as far as it is looked at: by name and status only, since texts differ from store to store. */
interface SdkError {
  readonly name?: string
  readonly code?: string
  readonly message?: string
  readonly $metadata?: { readonly httpStatusCode?: number }
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> }
}

const MISSING = new Set(['NoSuchBucket', 'NotFound', 'NoSuchKey', 'QueueDoesNotExist', 'AWS.SimpleQueueService.NonExistentQueue'])
const CREDENTIALS = new Set([
  'CredentialsProviderError', 'InvalidAccessKeyId', 'InvalidClientTokenId', 'SignatureDoesNotMatch', 'ExpiredToken', 'ExpiredTokenException',
  'InvalidToken', 'TokenRefreshRequired', 'UnrecognizedClientException', 'MissingAuthenticationToken', 'IncompleteSignature', 'InvalidSecurity',
  'NotSignedUp', 'RequestTimeTooSkewed',
])
const ELSEWHERE = new Set(['PermanentRedirect', 'AuthorizationHeaderMalformed', 'IllegalLocationConstraintException', 'TemporaryRedirect'])
const NOT_OFFERED = new Set(['NotImplemented', 'MethodNotAllowed', 'XNotImplemented'])
const CHAIN =
  'the AWS chain is read: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, shared files (s3.profile), or the identity of the machine; check the clock'
const DENIED = new Set(['AccessDenied', 'AccessDeniedException', 'Forbidden', 'AllAccessDisabled', 'AccountProblem'])

/** The HTTP status that the store answered; undefined when it did not answer. */
export function statusOf(error: unknown): number | undefined {
  return (error as SdkError).$metadata?.httpStatusCode
}

/** True when what was asked for is absent because its newest version is a delete marker. */
export function isMarked(error: unknown): boolean {
  return (error as SdkError).$response?.headers?.['x-amz-delete-marker'] === 'true'
}

/** True when the store refuses or lacks this kind of request, while others may well be answered. */
export function isRefused(error: unknown): boolean {
  const { name = '' } = error as SdkError
  const status = statusOf(error)
  if (CREDENTIALS.has(name) || ELSEWHERE.has(name)) return false
  return DENIED.has(name) || NOT_OFFERED.has(name) || status === 403 || status === 405 || status === 501
}

/** Says in Varve's words what the SDK said about `place` (a location, a queue), where `permission` was needed. What is a VarveError already stays. */
export function awsFailure(error: unknown, place: string, permission: string): VarveError {
  if (error instanceof VarveError) return error
  const { name = '', message = '', code } = error as SdkError
  const status = statusOf(error)
  const say = (known: FailureCode, words: string, hint: string): VarveError => new VarveError(known, `${place} ${words}`, { cause: error, hint })
  if (MISSING.has(name) || status === 404)
    return say('LOCATION_MISSING', 'is not there', 'correct the name, or the endpoint and region where it lies')
  if (CREDENTIALS.has(name))
    return say('CREDENTIALS', `cannot be asked: the credentials are missing or not valid (${name})`, CHAIN)
  if (ELSEWHERE.has(name) || status === 301 || status === 307)
    return say('LOCATION_MISSING', 'lies in another region or at another endpoint', 'set s3.region or AWS_REGION to its region, or s3.endpoint')
  if (name === 'Error' && /region is missing/i.test(message)) return noRegion(place, error)
  if (DENIED.has(name) || status === 401 || status === 403)
    return say('LOCATION_DENIED', `may not be read: ${permission} is not allowed`, `allow ${permission} on it to the identity that Varve runs as`)
  if (name === 'TimeoutError') return say('STORAGE_UNAVAILABLE', `does not answer (${timeoutWords(message)})`, 'check endpoint and network if it lasts')
  const what = code ?? (status === undefined ? name : `${status} ${name}`)
  const detail = message === '' || message === what || message === 'UnknownError' ? what : `${what}: ${message}`
  return say('STORAGE_UNAVAILABLE', `does not answer as it should (${detail})`, 'check endpoint and network if it lasts')
}

/** The SDK names its own parts and settings. */
function timeoutWords(message: string): string {
  const ms = /(\d+) ms\b/.exec(message)?.[1]
  return `no ${/connection/.test(message) ? 'connection' : 'answer'} ${ms === undefined ? 'in time' : `within ${Number(ms) / 1_000} s`}`
}

/** Says why the bytes of `place`, one object version when it is `pinned`, could not be opened. */
export function openFailure(error: unknown, place: string, pinned: boolean): VarveError {
  const { name = '' } = error as SdkError
  const status = statusOf(error)
  const say = (known: FailureCode, words: string, hint?: string): VarveError => new VarveError(known, `${place} ${words}`, { cause: error, ...(hint !== undefined && { hint }) })
  if (name === 'InvalidObjectState') return say('ARCHIVED', 'is archived', 'have it restored from its archive first, then it can be read')
  // What is no version id at all some refuse as an argument. 405: the version is a delete marker.
  const noSuch = name !== 'NoSuchBucket' && (status === 404 || status === 405 || (pinned && status === 400 && /^Invalid(Argument|Version)/.test(name)))
  if (noSuch) return say('NOT_FOUND', pinned ? 'has no such version any more' : 'is not there')
  if (status === 412 || status === 416) return say('OVERTAKEN', 'is not what was planned to be read: other bytes stand there now')
  if (/^KMS\./.test(name) || (status === 400 && name === 'InvalidRequest'))
    return say('LOCATION_DENIED', `cannot be decrypted (${name})`, 'allow kms:Decrypt on its key to the identity that Varve runs as; what a key of the customer encrypts (SSE-C) Varve cannot read')
  return awsFailure(error, place, pinned ? 's3:GetObjectVersion' : 's3:GetObject')
}

/** Who is denied, and why, where a denial says so. Source: the IAM user guide ("Troubleshoot access denied error messages"). */
export function whoIsDenied(error: unknown): string | undefined {
  const [, who, why] = /User: (arn:\S+) is not authorized.*?(?: because (.*))?$/s.exec((error as SdkError).message ?? '') ?? []
  return who === undefined ? undefined : [`as ${who}`, ...(why === undefined ? [] : [why])].join(': ')
}

/** The refusal to guess a region. */
export function noRegion(place: string, cause: unknown): VarveError {
  const hint = 'set s3.region, AWS_REGION, or region in the shared AWS configuration'
  return new VarveError('USAGE', `no region is known for ${place}`, { cause, hint })
}
