import { VarveError } from '../../model/errors.ts'
import type { FailureCode } from '../../model/errors.ts'
import { PrivateAddress } from './addresses.ts'
import { BYTES_LEAST } from './config.ts'

/** Thrown into a request whose answer began, or may have, and does not come to the end of its head. */
export class HalfHead extends Error {
  constructor(ms: number) {
    super(`does not answer: no whole head of an answer came within ${ms / 1_000} s`)
  }
}

/** Thrown into a request or a body that brings nothing, or next to nothing: `came` bytes in so long a stretch. */
export class Silence extends Error {
  constructor(ms: number, came = 0) {
    super(came === 0 ? `is silent: nothing came for ${ms / 1_000} s` : `only trickles: ${came} bytes came in ${ms / 1_000} s, and fewer than ${BYTES_LEAST} are as good as none`)
  }
}

/** The refusal of an answer that cannot be right. */
export function invalid(place: string, words: string, hint: string): VarveError {
  return new VarveError('STORAGE_INVALID', `${place} ${words}`, { hint })
}

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO|_TLS_|_SSL_|^EPROTO$/

/** Says in Varve's words why `place` was not answered. What is a VarveError already stays. */
export function webFailure(error: unknown, place: string): VarveError {
  if (error instanceof VarveError) return error
  const { code = '', message } = error as NodeJS.ErrnoException
  const say = (known: FailureCode, words: string, hint: string): VarveError => new VarveError(known, `${place} ${words}`, { cause: error, hint })
  if (error instanceof PrivateAddress) return privateFailure(place, error.address)
  if (error instanceof Silence || error instanceof HalfHead) return say('STORAGE_UNAVAILABLE', message, 'it is tried again; check the server and the network if it lasts')
  if (code === 'ENOTFOUND') return say('LOCATION_MISSING', 'is not there: no host of that name is known', 'correct the host; it is tried again')
  if (code.startsWith('HPE_')) return say('STORAGE_INVALID', `does not answer in HTTP/1.1 (${code})`, 'check the port and the scheme, http or https')
  if (CERTIFICATE.test(code))
    return say('STORAGE_UNAVAILABLE', `cannot be trusted or understood by TLS (${code})`, 'mend its certificate, or name the file of its authority in NODE_EXTRA_CA_CERTS')
  return say('STORAGE_UNAVAILABLE', `does not answer (${code === '' ? message : code})`, 'it is tried again; check the server and the network if it lasts')
}

/** The refusal of a redirect behind the firewall. */
export function privateFailure(place: string, address: string): VarveError {
  return new VarveError('LOCATION_DENIED', `${place} is redirected to a private address (${address})`, {
    hint: 'nothing was asked there; if that is meant, set http.allow_private: true',
  })
}

/** Says what a status other than 200 and 304 means for `place`. */
export function statusFailure(status: number, place: string): VarveError {
  const say = (known: FailureCode, words: string, hint: string): VarveError => new VarveError(known, `${place} ${words} (${status})`, { hint })
  if (status === 404 || status === 410)
    return say('LOCATION_MISSING', `is ${status === 404 ? 'not there' : 'gone for good'}`, 'the last version stays, and it is tried again; correct the location, or take the watch out')
  if (status === 401 || status === 403 || status === 407 || status === 451)
    return say('LOCATION_DENIED', 'may not be read', 'Varve shows no credentials to web servers: let it be read from here without')
  if (status >= 500 || status === 408 || status === 425 || status === 429)
    return say('STORAGE_UNAVAILABLE', 'is not served just now', 'it is tried again; check the server if it lasts')
  return say('STORAGE_INVALID', 'is answered with a status that makes no version', 'open the URL and see what the server says; nothing was recorded')
}

/** Says what a status other than 200 and 206 means for who wants the bytes of `place`. */
export function openFailure(status: number, place: string): VarveError {
  if (status === 404 || status === 410) return new VarveError('NOT_FOUND', `${place} is ${status === 404 ? 'not there' : 'gone for good'} (${status})`)
  if (status === 412 || status === 416) return new VarveError('OVERTAKEN', `${place} is not what was planned to be read: other bytes stand there now (${status})`)
  return statusFailure(status, place)
}
