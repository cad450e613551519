// What a file system said, in words: what, where, and what to do.
import { VarveError } from '../model/errors.ts'

/** A system's error; `place` is what was being made or looked at, where `path` does not tell. */
export interface Refused {
  readonly code?: string | undefined
  readonly message: string
  readonly syscall?: string | undefined
  readonly path?: string | undefined
  readonly place?: string | undefined
}

/** The error with the place that it is about. */
export function placed(error: unknown, place: string): unknown {
  const { code, place: known } = error as Refused
  return code === undefined || known !== undefined ? error : Object.assign(error as Error, { place })
}

const ROOM_HINT = 'make room, and run it again: what is in place stays'
const COPY_HINT = 'restore with --as copy'
const ELSEWHERE_HINT = 'name another destination'

const SAID: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  ENOSPC: ['no space is left', ROOM_HINT], EDQUOT: ['the quota is used up', ROOM_HINT], EFBIG: ['its file system holds no file so large', ELSEWHERE_HINT],
  EROFS: ['its file system is mounted read-only', 'mount it for writing, or name another destination'],
  EACCES: ['permission is denied', 'name a destination that may be written'], EPERM: ['it is not permitted', 'name a destination that may be written'],
  ENOTDIR: ['something on the way is no folder', ELSEWHERE_HINT], ENOENT: ['what it would lie in is not there', ELSEWHERE_HINT], ENAMETOOLONG: ['its name is too long', 'name a shorter destination'],
  EINVAL: ['its file system takes no such name', ELSEWHERE_HINT], EILSEQ: ['its file system takes no such name', ELSEWHERE_HINT],
  EIO: ['the disk fails', 'look into the log of the system'], EBUSY: ['it is in use', 'end what uses it: it may be a mount'],
}

const LINKS: Readonly<Record<string, readonly [name: string, unable: string]>> = {
  copyfile: ['reflink', 'this file system cannot share bytes between files'], link: ['hard link', 'this file system, or the rights to the file, do not allow it'], symlink: ['symbolic link', 'this file system does not allow it'],
}
// They are about what it is written to, as with every file.
const OF_SPACE = ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO']

/** What the system said of the destination, as a failure of it; what is no error of a system as it is. */
export function diskFailure(error: unknown): unknown {
  const { code, message, syscall = '', path, place = path } = error as Refused
  if (error instanceof VarveError || code === undefined || !/^E[A-Z0-9]+$/.test(code)) return error
  const refuse = (words: string, hint: string | undefined): VarveError => new VarveError('DESTINATION_REFUSED', words, { cause: error, ...(hint !== undefined && { hint }) })
  const link = OF_SPACE.includes(code) ? undefined : LINKS[syscall]
  if (link !== undefined) {
    const why = code === 'EXDEV' ? 'they lie on different file systems' : code === 'EMLINK' ? 'that has as many links as its file system allows' : link[1]
    return refuse(`${place} cannot be made a ${link[0]} to ${path}: ${why} (${code})`, COPY_HINT)
  }
  const [what, hint] = SAID[code] ?? [message.replace(/^E[A-Z0-9]+: /, ''), undefined]
  const verb = ['read', 'stat', 'lstat', 'fstat', 'readlink', 'scandir'].includes(syscall) ? 'read' : 'written'
  return refuse(place === undefined ? `the destination cannot be ${verb}: ${what} (${code})` : `${place} cannot be ${verb}: ${what} (${code})`, hint)
}
