import { isFailure, VarveError } from '../../model/errors.ts'

// Node has no name for it: the file handle that the client holds means nothing to the server any more.
const ESTALE = -116

/** True for ESTALE, and for what it was translated to: to look the name up anew may help. */
export function isStale(error: unknown): boolean {
  const { errno, code, cause } = error as NodeJS.ErrnoException
  return errno === ESTALE || code === `Unknown system error ${ESTALE}` || (cause !== undefined && isFailure(error) && isStale(cause))
}

/** Says in Varve's words what the system said about `path`. What is a VarveError already stays as it is. */
export function fileFailure(error: unknown, path: string): VarveError {
  if (isFailure(error)) return error
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT')
    return new VarveError('LOCATION_MISSING', `${path} is not there`, { cause: error, hint: 'mount it, or correct the location' })
  if (code === 'ENOTDIR') return new VarveError('LOCATION_MISSING', `${path} is no folder`, { cause: error, hint: 'correct the location' })
  if (code === 'EACCES' || code === 'EPERM') {
    const hint = `give the user of Varve permission to read ${path}, and to search it if it is a folder`
    return new VarveError('LOCATION_DENIED', `${path} may not be read`, { cause: error, hint })
  }
  if (isStale(error)) {
    const hint = 'what the server exported was deleted or replaced: if it does not mend by itself, mount it again'
    return new VarveError('STORAGE_UNAVAILABLE', `${path} does not answer: its file handle is stale (ESTALE)`, { cause: error, hint })
  }
  return new VarveError('STORAGE_UNAVAILABLE', `${path} does not answer: ${message}`, { cause: error, hint: 'look at the disk or file server; it is tried again' })
}

/** What is to be read is no regular file, or is not there (any more). */
export function noFile(path: string, cause?: unknown): VarveError {
  return new VarveError('NOT_FOUND', `${path} is not there, or is no file`, { cause })
}

/** Says what the system said about a file that was to be read. What is a VarveError already stays as it is. */
export function pieceFailure(error: unknown, path: string): VarveError {
  const { code = '' } = error as NodeJS.ErrnoException
  return !isFailure(error) && /^(ENOENT|ENOTDIR|ENXIO|EISDIR|ELOOP|ENAMETOOLONG|ERR_INVALID_ARG_VALUE)$/.test(code) ? noFile(path, error) : fileFailure(error, path)
}

/** `words` says what; it was silent for `ms`. */
export function silent(words: string, point: string, ms: number): VarveError {
  const hint = `bring the file server or its network back: it is tried again and goes on by itself; if it is gone for good: umount -f -l ${point}`
  return new VarveError('STORAGE_UNAVAILABLE', `${words} has not answered for ${Math.round(ms / 1_000)} s`, { hint })
}

/** Nothing more is asked of it before one of the `count` processes that hang in it ends. */
export function stuck(words: string, point: string, count: number): VarveError {
  const hint = `bring the file server or its network back: then these end, and it goes on by itself; if it is gone for good: umount -f -l ${point}`
  return new VarveError('STORAGE_UNAVAILABLE', `${words} does not answer: ${count} processes hang in it`, { hint })
}

/** What was going on when a store was closed. */
export function closed(): VarveError {
  return new VarveError('STORAGE_UNAVAILABLE', 'the store was closed while it was read')
}
