// What `varve doctor` asks of the data folder. It makes nothing, and opens no database: even to read one writes beside it.
import { constants } from 'node:fs'
import { access, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, isFailure, VarveError } from '../model/errors.ts'
import { degraded, fails, works } from '../model/probe.ts'
import type { Diagnosis } from '../model/probe.ts'
import { networkMountOf, onNetwork, refuseMount } from './mount.ts'

// One mark alone writes some pages of 4 KB.
const ROOM_BYTES = 32_768
// A scan of some hundred thousand entries, with its journal.
const ROOM_WELL_BYTES = 100_000_000

const CAPABILITY = 'data'

/** Whether the registry can be kept in `folder`, which need not be there yet. Never throws. */
export async function probeData(folder: string): Promise<readonly Diagnosis[]> {
  try {
    const mount = await networkMountOf(folder)
    // Even to ask it may hang.
    if (mount !== undefined) return [refused(onNetwork(folder, mount), 'set data to a folder on a local disk')]
    const there = await nearest(folder)
    const { type, bavail, bsize } = await statfs(there)
    refuseMount(folder, type)
    await access(there, constants.W_OK | constants.X_OK)
    for (const file of there === folder ? ['varve.db', 'daemon.lock'] : []) await writable(join(folder, file))
    return [room(there, bavail * bsize)]
  } catch (error) {
    if (isFailure(error)) return [refused(error.message, error.hint)]
    const { code, path = folder } = error as NodeJS.ErrnoException
    const denied = code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
    return [refused(denied ? `${path} may not be written` : `${folder} cannot be used: ${describe(error)}`, 'give the user of Varve permission to write there, or set data to another folder')]
  }
}

function refused(reason: string, action: string | undefined): Diagnosis {
  return fails(CAPABILITY, { reason, action })
}

function room(there: string, freeBytes: number): Diagnosis {
  const free = `${(freeBytes / 1e6).toFixed(1)} MB are free at ${there}`
  if (freeBytes < ROOM_BYTES) return refused(`${free}: nothing can be recorded`, 'make room there')
  if (freeBytes < ROOM_WELL_BYTES) return degraded(CAPABILITY, { reason: `${free}: soon nothing may be recorded any more`, action: 'make room there' })
  return works(CAPABILITY, free)
}

/** `folder`, or the nearest folder above it that is there. */
async function nearest(folder: string): Promise<string> {
  try {
    if ((await stat(folder)).isDirectory()) return folder
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || folder === dirname(folder)) throw error
    return nearest(dirname(folder))
  }
  throw new VarveError('REGISTRY_REFUSED', `${folder} is no folder`, { hint: 'set data to a folder' })
}

async function writable(file: string): Promise<void> {
  await access(file, constants.R_OK | constants.W_OK).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
}
