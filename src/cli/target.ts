import { link, lstat, open, readdir, realpath, rename, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { describe, isFailure, VarveError } from '../model/errors.ts'

/**
 * Lets `write` make a file of its own beside `file`, and gives it that name when it is whole and on the disk: so `file` is never half written. Throws CONFLICT where something has
 * that name, unless `force`, and USAGE for the registry in `data` itself.
 */
export async function intoFile<T>(file: string, data: string, force: boolean, write: (temporary: string) => Promise<T>): Promise<T> {
  const target = resolve(file)
  const [home, own] = await Promise.all([dirname(target), data].map((folder) => realpath(folder).catch(() => folder)))
  if (home === own && /^(varve\.db|daemon\.lock)/.test(basename(target))) throw new VarveError('USAGE', `${target} is the registry's own`, { hint: 'name another file' })
  const taken = (): VarveError => new VarveError('CONFLICT', `${target} is there already`, { hint: 'name another file, or give --force' })
  const there = await lstat(target).catch(() => undefined)
  if (there !== undefined && (!force || !there.isFile())) throw there.isFile() ? taken() : new VarveError('CONFLICT', `${target} is no file`, { hint: 'name another one' })
  const temporary = `${target}.${hostname()}-${process.pid}.part`
  try {
    await removeLeft(target)
    const result = await write(temporary)
    await sync(temporary)
    // A name that is taken meanwhile is not taken from who has it.
    if (force) await rename(temporary, target)
    else await link(temporary, target).catch((error: NodeJS.ErrnoException) => (error.code === 'EEXIST' ? Promise.reject(taken()) : rename(temporary, target)))
    await sync(dirname(target))
    return result
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException
    if (isFailure(error) || syscall === undefined) throw error
    const noRoom = code === 'ENOSPC' || code === 'EDQUOT'
    throw new VarveError(noRoom ? 'DESTINATION_REFUSED' : 'USAGE', `${target} cannot be written (${describe(error)})`, { hint: noRoom ? 'make room there, or name another file' : 'name another file' })
  } finally {
    for (const end of ENDS) await rm(temporary + end, { force: true })
  }
}

// What SQLite may write beside a database that it makes.
const ENDS = ['', '-journal', '-wal', '-shm']

/** What processes of this machine that were killed while they wrote to the same file have left. Another machine's may still run. */
async function removeLeft(target: string): Promise<void> {
  const begin = `${basename(target)}.${hostname()}-`
  // A folder that is not there, or may not be read, the writing itself will meet.
  for (const name of await readdir(dirname(target)).catch(() => [])) {
    const [, pid] = name.startsWith(begin) ? (/^(\d+)\.part(-journal|-wal|-shm)?$/.exec(name.slice(begin.length)) ?? []) : []
    if (pid !== undefined && (Number(pid) === process.pid || !runs(Number(pid)))) await rm(join(dirname(target), name), { force: true })
  }
}

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // Another user's runs, too.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
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
