import { accessSync, constants, copyFileSync, existsSync, linkSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { VarveError } from '../model/errors.ts'
import { WHOLE } from '../model/watch.ts'
import { SyncConnection } from './connection.ts'
import { translate } from './failures.ts'
import { layDown, makeFolder } from './folder.ts'
import { integrityFaults } from './fsck.ts'
import { daemonRuns, lockDaemon } from './lock.ts'
import { refuseForeign, SCHEMA } from './migrate.ts'
import { refuseNetwork } from './mount.ts'
import { CAUSES } from './requests.ts'
import { checkRights } from './rights.ts'

const BUSY_MS = 5_000

/**
 * Writes the registry in `folder`, as it is at one instant, to `file`, which must not be there; whoever writes to the registry goes on. When it returns, `file` is whole, checked
 * and on the disk. Throws NOT_FOUND where there is no registry.
 */
export function backup(folder: string, file: string): void {
  const source = join(folder, 'varve.db')
  checkRights(folder, 'enter')
  if (!existsSync(source)) throw new VarveError('NOT_FOUND', `no registry in ${folder}`, { hint: 'name its folder with --data or --config' })
  // Beside its file SQLite writes even to read.
  checkRights(folder, 'write')
  try {
    accessSync(dirname(file), constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new VarveError('USAGE', `no file can be made in ${dirname(file)} (${(error as Error).message})`, { hint: 'name a file in a folder that is there, and that this user may write to' })
  }
  try {
    const database = new DatabaseSync(source, { timeout: BUSY_MS })
    try {
      refuseForeign(database)
      database.prepare('VACUUM INTO ?').run(file)
    } finally {
      database.close()
    }
    checkWhole(file, file)
    layDown(file)
  } catch (error) {
    // SQLITE_FULL: nothing but the new file was written to.
    if (((error as { errcode?: number }).errcode ?? 0) === 13)
      throw new VarveError('DESTINATION_REFUSED', `there is no room for a backup in ${dirname(file)} (${(error as Error).message})`, { hint: 'make room there, or name another file', cause: error })
    throw translate(error)
  }
}

/** Throws REGISTRY_REFUSED when `file` is no registry that this Varve can work with, whole. */
function checkWhole(file: string | URL, name: string): void {
  const refuse = (why: string): never => {
    throw new VarveError('REGISTRY_REFUSED', `${name} ${why}`, { hint: 'take another backup' })
  }
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(file, { readOnly: true })
    const [fault] = integrityFaults(database)
    if (fault !== undefined) refuse(`is damaged (${fault.words})`)
    const { user_version: schema } = database.prepare('PRAGMA user_version').get() as { user_version: number }
    if (schema > SCHEMA)
      throw new VarveError('REGISTRY_REFUSED', `${name} has schema ${schema}, this Varve knows ${SCHEMA}`, { hint: 'use the newer Varve that wrote it' })
    const known = database.prepare(`SELECT count(*) AS count FROM sqlite_schema WHERE type = 'table' AND name IN ('meta', 'collection', 'version', 'head', 'past')`).get()
    if (schema === 0 || known?.['count'] !== 5) refuse('is no registry of Varve')
  } catch (error) {
    const primary = ((error as { errcode?: number }).errcode ?? 0) & 0xff
    if (primary === 11 || primary === 26) refuse(`is no registry of Varve, or damaged (${(error as Error).message})`)
    throw error
  } finally {
    database?.close()
  }
}

/**
 * Puts the backup `file` in the place of the registry in `folder`, whole or not at all; with `force` also where one is, which is kept beside: its path is answered. Every watch is to look at
 * the whole, since the backup is older than the world. Where it takes the place of itself it keeps its id, and the indices that were given since are not used again; elsewhere it gets an id
 * of its own. Throws NOT_FOUND, CONFLICT for a registry that is there, REGISTRY_REFUSED while a daemon runs or for a file that is not whole, REGISTRY_BUSY while another process has
 * the registry open.
 */
export function replaceRegistry(folder: string, file: string, force: boolean, nowMs: number): { readonly kept?: string } {
  const target = join(folder, 'varve.db')
  try {
    if (!existsSync(file) || !statSync(file).isFile()) throw new VarveError('NOT_FOUND', `there is no file ${file}`, { hint: 'name what varve backup wrote' })
    if (existsSync(`${file}-wal`) && statSync(`${file}-wal`).size > 0)
      throw new VarveError('REGISTRY_REFUSED', `${file} is a database in use, with a log beside it`, { hint: 'name what varve backup wrote' })
    checkRights(folder, 'write')
    refuseNetwork(folder)
    const url = pathToFileURL(file)
    url.searchParams.set('immutable', '1')
    // What is no backup leaves nothing where nothing was.
    if (!existsSync(target)) checkWhole(url, file)
    makeFolder(folder)
    if (daemonRuns(folder)) throw new VarveError('REGISTRY_REFUSED', `a daemon works on ${folder}`, { hint: 'stop it first' })
    const there = existsSync(target)
    if (there && !force)
      throw new VarveError('CONFLICT', `there is a registry in ${folder}`, { hint: 'name another folder with --data, or give --force: the one that is there is then kept beside' })
    const unlock = lockDaemon(folder)
    // Swept first: what an earlier attempt left, whose process died.
    const fresh = join(folder, 'varve.db.new')
    const clean = (): void => ['', '-wal', '-shm', '-journal'].forEach((end) => rmSync(fresh + end, { force: true }))
    try {
      clean()
      copyFileSync(file, fresh)
      checkWhole(fresh, file)
      prepareToLook(fresh, there ? target : undefined, nowMs)
      layDown(fresh)
      return swap(target, fresh, there, nowMs)
    } finally {
      clean()
      unlock()
    }
  } catch (error) {
    throw translate(error)
  }
}

/** Brings the copy up to date, and asks every watch to look. `old` is the registry that it takes the place of. */
function prepareToLook(fresh: string, old: string | undefined, nowMs: number): void {
  const connection = new SyncConnection(fresh)
  const run = (text: string, named: Readonly<Record<string, string | number>> = {}): readonly unknown[] => connection.all(text, { named })
  try {
    const known = old !== undefined && attach(run, old)
    connection.begin(true)
    // Two registries of one id would meet on one Redis.
    if (!known) run(`UPDATE meta SET value = lower(hex(randomblob(8))) WHERE key = 'id'`)
    for (const table of ['scratch', 'scratch_skip', 'scratch_directory', 'look']) run(`DELETE FROM ${table}`)
    run(
      `UPDATE watch SET generation = generation + 1, epoch = epoch + 1, owner = NULL, lease_until = NULL, retry_at = NULL, state = iif(state IN ('held', 'looking'), 'clean', state),
         reason = iif(state = 'held', NULL, reason), action = iif(state = 'held', NULL, action),
         held_digest = NULL, held_root = NULL, held_look = NULL, accepted_look = NULL, accepted_root = NULL WHERE enrolled`,
    )
    run(
      `INSERT INTO request(watch, path, generation, strength, at) SELECT id, :whole, generation, :strength, :nowMs FROM watch WHERE enrolled
       ON CONFLICT DO UPDATE SET generation = excluded.generation, strength = max(strength, excluded.strength), at = excluded.at`,
      { whole: WHOLE, strength: CAUSES.indexOf('cli'), nowMs },
    )
    connection.commit()
    if (known) run('DETACH old')
    run('PRAGMA wal_checkpoint(TRUNCATE)')
    run('PRAGMA journal_mode = DELETE')
  } finally {
    connection.close()
  }
}

/** True when `old` can be read and is what the backup is of: then no index comes back that was given since. */
function attach(run: (text: string, named?: Readonly<Record<string, string>>) => readonly unknown[], old: string): boolean {
  try {
    run('ATTACH :old AS old', { old })
    const [same] = run(`SELECT 1 FROM meta m JOIN old.meta o ON o.key = 'id' AND o.value = m.value WHERE m.key = 'id'`)
    if (same === undefined) {
      run('DETACH old')
      return false
    }
    // What was skipped since the newest version belongs to the next one, whatever its number.
    run(
      `CREATE TEMP TABLE given AS SELECT c.id, max(c.next, o.next) AS next FROM collection c JOIN project p ON p.id = c.project JOIN entity e ON e.id = p.entity
       JOIN old.entity oe ON oe.name = e.name JOIN old.project op ON op.entity = oe.id AND op.name = p.name JOIN old.collection o ON o.project = op.id AND o.name = c.name
       WHERE o.next > c.next`,
    )
    run(`UPDATE skip SET since = (SELECT g.next FROM given g WHERE g.id = collection)
         WHERE until IS NULL AND since = (SELECT c.next FROM collection c WHERE c.id = collection) AND collection IN (SELECT id FROM given)`)
    run('UPDATE collection SET next = (SELECT g.next FROM given g WHERE g.id = collection.id) WHERE id IN (SELECT id FROM given)')
    return true
  } catch (error) {
    // What is damaged tells nothing, and is replaced.
    const primary = ((error as { errcode?: number }).errcode ?? 0) & 0xff
    if (primary !== 11 && primary !== 26 && primary !== 1) throw error
    return false
  }
}

/** Nobody has the old one open, its log is in it, and nobody can open it until the new one has its name: one rename. */
function swap(target: string, fresh: string, there: boolean, nowMs: number): { readonly kept?: string } {
  const kept = `${target}.${new Date(nowMs).toISOString().replaceAll(/[-:]/g, '')}`
  const old = there ? seize(target) : undefined
  try {
    if (there) linkSync(target, kept)
    // The log of a damaged one stays with it: by itself it would be taken for the new one's.
    for (const end of ['-wal', '-shm'])
      if (existsSync(target + end)) {
        if (there) renameSync(target + end, kept + end)
        else rmSync(target + end)
      }
    renameSync(fresh, target)
    layDown(dirname(target))
  } finally {
    old?.close()
  }
  return there ? { kept } : {}
}

/** The old database with its log moved into it and an exclusive lock on it; undefined when it is too damaged to be opened. Throws REGISTRY_BUSY when somebody has it open. */
function seize(target: string): DatabaseSync | undefined {
  const database = new DatabaseSync(target, { timeout: BUSY_MS })
  try {
    // Only who is alone with a database can end its log.
    const mode = database.prepare('PRAGMA journal_mode = DELETE').get() as { journal_mode: string }
    if (mode.journal_mode !== 'delete') throw new VarveError('REGISTRY_BUSY', 'another process has the registry open', { hint: 'try again when it has ended' })
    database.exec('BEGIN EXCLUSIVE')
    return database
  } catch (error) {
    database.close()
    const primary = ((error as { errcode?: number }).errcode ?? 0) & 0xff
    if (primary === 11 || primary === 26) return undefined
    throw error
  }
}
