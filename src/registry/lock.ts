import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { VarveError } from '../model/errors.ts'
import { translate } from './failures.ts'
import { makeFolder } from './folder.ts'
import { refuseNetwork } from './mount.ts'
import { checkRights } from './rights.ts'

const SQLITE_BUSY = 5
// Long enough to outlast a look at the lock by `daemonRuns`.
const PATIENCE_MS = 500

// A lock whose database is collected as garbage is lost, so it is kept here, whoever forgets the way to unlock it.
const held = new Set<DatabaseSync>()

/**
 * Makes this process the only daemon on `folder` until the returned function is called, or the process dies in whatever way. Throws REGISTRY_REFUSED when another
 * one is, and for a folder on a network mount.
 */
export function lockDaemon(folder: string): () => void {
  try {
    checkRights(folder, 'write')
    refuseNetwork(folder)
    makeFolder(folder)
    const database = new DatabaseSync(lockOf(folder), { timeout: PATIENCE_MS })
    try {
      database.exec('BEGIN EXCLUSIVE')
    } catch (error) {
      database.close()
      throw error
    }
    held.add(database)
    return () => {
      if (held.delete(database)) database.close()
    }
  } catch (error) {
    if (!isBusy(error)) throw translate(error)
    throw new VarveError('REGISTRY_REFUSED', `another daemon works on ${folder}`, {
      hint: 'stop it first, or give this one another data folder; the other verbs work beside it',
      cause: error,
    })
  }
}

/** True while a daemon works on `folder`. Makes nothing. */
export function daemonRuns(folder: string): boolean {
  if (!existsSync(lockOf(folder))) return false
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(lockOf(folder), { readOnly: true, timeout: 0 })
    database.prepare('SELECT count(*) FROM sqlite_schema').get()
    return false
  } catch (error) {
    if (isBusy(error)) return true
    throw translate(error)
  } finally {
    database?.close()
  }
}

function lockOf(folder: string): string {
  return join(folder, 'daemon.lock')
}

function isBusy(error: unknown): boolean {
  return (((error as { errcode?: number }).errcode ?? 0) & 0xff) === SQLITE_BUSY
}
