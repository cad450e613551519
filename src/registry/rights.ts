import { accessSync, constants, existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { VarveError } from '../model/errors.ts'

const FILES = ['varve.db', 'varve.db-wal', 'varve.db-shm', 'daemon.lock']

/** Throws REGISTRY_REFUSED, which names the path and the right, where this user may not do this in `folder`, made or not yet. What is there and is no folder others will say. */
export function checkRights(folder: string, to: 'enter' | 'write'): void {
  for (const one of within(folder)) check(one, constants.X_OK, 'enter')
  if (to === 'enter') return
  check(within(folder).findLast((one) => existsSync(one)) as string, constants.W_OK, 'write to')
  for (const file of FILES.map((name) => join(folder, name))) if (existsSync(file)) check(file, constants.R_OK | constants.W_OK, 'read and write')
}

/** `/`, `/a`, `/a/b`. */
function within(folder: string): string[] {
  return dirname(folder) === folder ? [folder] : [...within(dirname(folder)), folder]
}

function check(path: string, right: number, verb: string): void {
  try {
    accessSync(path, right)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EROFS')
      throw new VarveError('REGISTRY_REFUSED', `the registry cannot be used: ${path} lies on a file system that is mounted read-only`, { cause: error, hint: 'mount it writable, or name another folder for data' })
    if (code === 'EACCES' || code === 'EPERM')
      throw new VarveError('REGISTRY_REFUSED', `the registry cannot be used: this user may not ${verb} ${path}`, {
        cause: error, hint: `run it as the user who owns ${path}, give this user that right, or name another folder for data`,
      })
  }
}
