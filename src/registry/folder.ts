import { closeSync, existsSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { VarveError } from '../model/errors.ts'

/**
 * Makes a folder with those that it lies in; answers the first that was made. Node's own way never ends where a file system says that what it lies in is not there (/proc). Throws
 * REGISTRY_REFUSED there, and else what the system throws.
 */
export function makeFolder(folder: string): string | undefined {
  if (existsSync(folder)) return undefined
  const first = makeFolder(dirname(folder)) ?? folder
  try {
    mkdirSync(folder)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    // Another process was faster.
    if (code === 'EEXIST') return undefined
    throw code === 'ENOENT' ? new VarveError('REGISTRY_REFUSED', `no folder can be made there (${message})`, { hint: 'name another folder for data' }) : error
  }
  return first
}

/** What was written to a file, or the names in a folder, are on the disk when it returns. */
export function layDown(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
