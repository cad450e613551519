// Reading for who may not write: another user's registry, or one on a read-only file system. SQLite's log (`-wal`) can be read beside its writer, by the index that the writer keeps
// (`-shm`). Where there is no log the database file holds all, but nobody tells when a writer comes: so after each question it must be as it was before.
import { accessSync, constants, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { isFailure, VarveError } from '../model/errors.ts'
import { BUSY_MS, CACHE_KB } from './connection.ts'
import type { Connection, Values } from './connection.ts'
import { translate } from './failures.ts'
import { refuseForeign, SCHEMA, versionOf } from './migrate.ts'

// A file's time moves by ticks of some ms: what was written a moment ago may be written to again under the same time.
const TICKS_MS = 50
// Each time that a writer came or went in the middle of a question.
const TRIES_MOST = 100

/** An opened registry that is not written to. */
export interface Reader {
  readonly database: DatabaseSync
  /** How the file was when it was opened as one that holds all. Undefined: SQLite itself sees to it. */
  readonly still: string | undefined
}

/** True when this user may write to the registry in `file`, so that it is opened as usual. */
export function mayWrite(file: string): boolean {
  try {
    accessSync(dirname(file), constants.W_OK | constants.X_OK)
    for (const one of [file, `${file}-wal`, `${file}-shm`]) if (sizeOf(one) !== undefined) accessSync(one, constants.R_OK | constants.W_OK)
    return true
  } catch {
    // Whatever it is, reading will meet it, or do without.
    return false
  }
}

/** True when somebody wrote since it was opened as a file that holds all. */
export function hasMoved(file: string, { still }: Reader): boolean {
  return still !== undefined && stillness(file) !== still
}

/** A connection that writes nothing, not even beside the file. Its answers are whole, and as new as a writer's own. Throws REGISTRY_REFUSED where that cannot be had. */
export function onlyReading(file: string): Connection {
  let reader: Reader | undefined
  const close = (): void => {
    reader?.database.close()
    reader = undefined
  }
  const ask = async (text: string, { named, listed = [] }: Values): Promise<readonly unknown[]> => {
    for (let tries = 1; tries <= TRIES_MOST; tries++) {
      let rows: readonly unknown[] | undefined
      let failure: unknown
      try {
        reader ??= await openReader(file)
        const statement = reader.database.prepare(text)
        rows = named === undefined ? statement.all(...listed) : statement.all(named, ...listed)
      } catch (error) {
        failure = error
      }
      // What a writer changed under the question is no answer, and no error.
      const moved = reader !== undefined && hasMoved(file, reader)
      if (rows !== undefined && !moved) return rows
      close()
      if (!moved) throw isFailure(failure) ? failure : refused(file, failure)
    }
    throw new VarveError('REGISTRY_BUSY', `${file} is written to all the time`, { hint: 'try again' })
  }
  const no = (): Promise<never> => Promise.reject(new VarveError('REGISTRY_REFUSED', `this user may not write to ${file}`, { hint: `run it as the user who owns ${dirname(file)}` }))
  return { all: ask, begin: no, commit: no, rollback: no, close: async () => close() }
}

/** Opens it so that nothing is written, not even beside it. Throws REGISTRY_REFUSED for another schema. */
export async function openReader(file: string): Promise<Reader> {
  let still = stillness(file)
  for (; still !== undefined && isYoung(file); still = stillness(file)) await setTimeout(TICKS_MS)
  const url = pathToFileURL(file)
  if (still !== undefined) url.searchParams.set('immutable', '1')
  const database = new DatabaseSync(url, { readOnly: true, timeout: BUSY_MS })
  try {
    database.exec(`PRAGMA cache_size = -${CACHE_KB}`)
    refuseForeign(database)
    const known = versionOf(database)
    if (known !== SCHEMA && (still === undefined || still === stillness(file)))
      throw new VarveError('REGISTRY_REFUSED', `the registry has schema ${known}, this Varve reads ${SCHEMA}`, {
        hint: known < SCHEMA ? `have a user who may write to ${dirname(file)} run varve status there once` : 'use the newer Varve that wrote it',
      })
    return { database, still }
  } catch (error) {
    database.close()
    throw error
  }
}

/** What stays the same while nobody writes; undefined while something stands in the log alone. The log first: a file that is filled from it is not still before that is done. */
function stillness(file: string): string | undefined {
  if ((sizeOf(`${file}-wal`) ?? 0) > 0) return undefined
  const { ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true })
  return [ino, size, mtimeNs, ctimeNs].join(' ')
}

function isYoung(file: string): boolean {
  const ageMs = Date.now() - statSync(file).mtimeMs
  return ageMs >= 0 && ageMs < TICKS_MS
}

function sizeOf(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.size
}

/** Says which of the files keeps it from being read. */
function refused(file: string, error: unknown): unknown {
  const folder = dirname(file)
  for (const one of [file, `${file}-wal`, `${file}-shm`])
    try {
      if (sizeOf(one) !== undefined) accessSync(one, constants.R_OK)
    } catch (denied) {
      return new VarveError('REGISTRY_REFUSED', `${one} may not be read`, { cause: denied, hint: `give this user permission to read all of ${folder}` })
    }
  if (sizeOf(`${file}-wal`) !== undefined && sizeOf(`${file}-shm`) === undefined)
    return new VarveError('REGISTRY_REFUSED', `what was written last stands in ${file}-wal alone, and without ${file}-shm only a user who may write there can read it`, {
      cause: error, hint: `have one who may write to ${folder} run varve status there once`,
    })
  return translate(error)
}
