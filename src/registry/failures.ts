import { VarveError } from '../model/errors.ts'

// Primary result codes of SQLite (sqlite.org/rescode.html); the upper bytes of an extended code only refine them.
const BUSY = new Set([5, 6])
const FULL = new Set([10, 13])
const UNUSABLE = new Set([8, 11, 14, 26])

/** What of an error of SQLite may travel between threads. */
export interface Failure {
  readonly message: string
  readonly errcode?: number | undefined
  readonly code?: string | undefined
}

/** What Varve says for an error of SQLite or of the file system under `data`; any other error passes as it is. */
export function translate(error: unknown): unknown {
  const { message, errcode, code } = error as Failure
  const primary = errcode === undefined ? undefined : errcode & 0xff
  if (primary !== undefined && BUSY.has(primary))
    return new VarveError('REGISTRY_BUSY', 'another process is writing to the registry', { hint: 'try again when it has ended', cause: error })
  if ((primary !== undefined && FULL.has(primary)) || code === 'ENOSPC' || code === 'EDQUOT' || code === 'EIO')
    return new VarveError('REGISTRY_FULL', `the disk under data is full or failing (${message})`, { hint: 'make room there; nothing is lost', cause: error })
  if ((primary !== undefined && UNUSABLE.has(primary)) || code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR')
    return new VarveError('REGISTRY_REFUSED', `the registry cannot be used (${message})`, {
      hint: 'data must be a folder that this user may write to, with its varve.db whole; the verbs that only read need no more than to read it',
      cause: error,
    })
  return error
}
