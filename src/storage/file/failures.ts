import { isFailure, VarveError } from '../../model/errors.ts'

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
  return new VarveError('STORAGE_UNAVAILABLE', `${path} does not answer: ${message}`, { cause: error })
}
