import { VarveError } from '../../model/errors.ts'
import type { FailureCode } from '../../model/errors.ts'

/** An answer of the JSON API that is no success: its status, its first reason (`notFound`, `rateLimitExceeded`…), and what it says. */
export class Refusal extends Error {
  readonly status: number
  readonly reason: string

  constructor(status: number, reason: string, message: string) {
    super(message)
    this.name = 'Refusal'
    this.status = status
    this.reason = reason
  }
}

/** What the clients throw, as far as it is looked at: codes and statuses, since texts change. `code` is a number in gRPC, a word in Node. */
interface ClientError {
  readonly name?: string
  readonly code?: number | string
  readonly status?: number
  readonly message?: string
  readonly details?: string
  readonly cause?: unknown
}

const CHAIN =
  'the application-default credentials are read: GOOGLE_APPLICATION_CREDENTIALS, those of gcloud auth application-default login, or the identity of the machine; or set gcs.credentials_file'
const LASTS = 'it is tried again; check endpoint and network if it lasts'
// Quotas answer 403, too: they pass.
const LIMITS = /^(rateLimitExceeded|userRateLimitExceeded|quotaExceeded|limitExceeded|backendError)$/
const PAYER = /^(UserProjectMissing|UserProjectAccessDenied|UserProjectAccountProblem|UserProjectInconsistent)$/i

/** Says in Varve's words what GCS said about `place`, where `permission` was needed. What is a VarveError already stays. */
export function gcsFailure(error: unknown, place: string, permission: string): VarveError {
  if (error instanceof VarveError) return error
  const say = (code: FailureCode, words: string, hint: string): VarveError => new VarveError(code, `${place} ${words}`, { cause: error, hint })
  if (!(error instanceof Refusal)) return say('STORAGE_UNAVAILABLE', `does not answer (${wordsOf(error)})`, LASTS)
  const { status, reason, message } = error
  if (status === 404) return say('LOCATION_MISSING', 'is not there', 'correct the name, or the endpoint where it lies')
  if (status === 401) return say('CREDENTIALS', 'cannot be asked: the credentials are missing or not valid', CHAIN)
  if (PAYER.test(reason) || /requester pays/i.test(message))
    return say('LOCATION_DENIED', 'may not be read: whoever asks for it must name a project that pays', 'set gcs.project to one where serviceusage.services.use is allowed to the identity that Varve runs as')
  if (status === 403 && !LIMITS.test(reason))
    return say('LOCATION_DENIED', `may not be read: ${permission} is not allowed`, `allow ${permission} on it to the identity that Varve runs as (roles/storage.objectViewer holds it)`)
  return say('STORAGE_UNAVAILABLE', `does not answer as it should (${status}${reason === '' ? '' : ` ${reason}`}${message === '' ? '' : `: ${message}`})`, LASTS)
}

/** Says why the bytes of `place`, one generation when it is `pinned`, could not be opened. */
export function openFailure(error: unknown, place: string, pinned: boolean): VarveError {
  const status = error instanceof Refusal ? error.status : 0
  if (status === 404 || status === 410) return new VarveError('NOT_FOUND', `${place} ${pinned ? 'has no such generation any more' : 'is not there'}`, { cause: error })
  if (status === 412 || status === 416) return new VarveError('OVERTAKEN', `${place} is not what was planned to be read: other bytes stand there now`, { cause: error })
  return gcsFailure(error, place, 'storage.objects.get')
}

/** Why no token could be had: nobody answered, or there is nothing to ask for one with. */
export function credentialsFailure(error: unknown, place: string): VarveError {
  if (error instanceof VarveError) return error
  const { code, status } = error as ClientError
  const unanswered = typeof code === 'string' && /^(E[A-Z]+|UND_ERR_.*)$/.test(code) && code !== 'ENOENT' && code !== 'EACCES'
  if (unanswered || (status ?? 0) >= 500)
    return new VarveError('STORAGE_UNAVAILABLE', `${place} cannot be asked: no token could be had (${wordsOf(error)})`, { cause: error, hint: LASTS })
  return new VarveError('CREDENTIALS', `${place} cannot be asked: the credentials are missing or not valid (${wordsOf(error)})`, { cause: error, hint: CHAIN })
}

// google.rpc.Code
export const INVALID_ARGUMENT = 3
const NOT_FOUND = 5
export const DENIED = 7
const FAILED_PRECONDITION = 9
const UNAUTHENTICATED = 16

/** Says in Varve's words what Pub/Sub said about the subscription `place`. */
export function pubsubFailure(error: unknown, place: string): VarveError {
  if (error instanceof VarveError) return error
  const { code } = error as ClientError
  const say = (known: FailureCode, words: string, hint: string): VarveError => new VarveError(known, `${place} ${words}`, { cause: error, hint })
  if (code === NOT_FOUND) return say('LOCATION_MISSING', 'is not there', 'correct events.pubsub, or create the subscription')
  if (code === DENIED)
    return say('LOCATION_DENIED', 'may not be heard: pubsub.subscriptions.consume is not allowed',
      'allow pubsub.subscriptions.consume on it to the identity that Varve runs as (roles/pubsub.subscriber holds it)')
  if (code === INVALID_ARGUMENT || code === FAILED_PRECONDITION)
    return say('LOCATION_MISSING', `cannot be pulled from (${wordsOf(error)})`, 'it must be a pull subscription that is attached to its topic')
  if (code === UNAUTHENTICATED || typeof code !== 'number') return credentialsFailure(error, place)
  return say('STORAGE_UNAVAILABLE', `does not answer as it should (${wordsOf(error)})`, LASTS)
}

function wordsOf(error: unknown): string {
  const { code, details, message, cause, name } = error as ClientError
  // What Node says of broken JSON quotes it, and it may be a key.
  if (name === 'SyntaxError') return 'what should be JSON is none'
  // `fetch` says why it failed in the cause alone.
  if (cause !== undefined && code === undefined) return wordsOf(cause)
  const said = details ?? message ?? ''
  return said === '' ? String(code ?? name) : said
}
