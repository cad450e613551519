import { link, lstat, open, rename, rm } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { describe, isFailure, VarveError } from '../model/errors.ts'

/**
 * Lets `write` make a file of its own beside `file`, and gives it that name when it is whole and on the disk: so `file` is never half written. Throws CONFLICT where something has
 * that name, unless `force`.
 */
export async function intoFile<T>(file: string, force: boolean, write: (temporary: string) => Promise<T>): Promise<T> {
  const target = resolve(file)
  const taken = (): VarveError => new VarveError('CONFLICT', `${target} is there already`, { hint: 'name another file, or give --force' })
  const there = await lstat(target).catch(() => undefined)
  if (there !== undefined && (!force || !there.isFile())) throw there.isFile() ? taken() : new VarveError('CONFLICT', `${target} is no file`, { hint: 'name another one' })
  const temporary = `${target}.${process.pid}.part`
  try {
    await rm(temporary, { force: true })
    const result = await write(temporary)
    await sync(temporary)
    // A name that is taken meanwhile is not taken from who has it.
    if (force) await rename(temporary, target)
    else await link(temporary, target).catch((error: NodeJS.ErrnoException) => (error.code === 'EEXIST' ? Promise.reject(taken()) : rename(temporary, target)))
    await sync(dirname(target))
    return result
  } catch (error) {
    throw isFailure(error) || (error as NodeJS.ErrnoException).syscall === undefined ? error : new VarveError('USAGE', `${target} cannot be written (${describe(error)})`, { hint: 'name another file' })
  } finally {
    await rm(temporary, { force: true })
  }
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
