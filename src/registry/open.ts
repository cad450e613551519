import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { VarveError } from '../model/errors.ts'
import { auditing } from './audit.ts'
import { catalog } from './catalog.ts'
import { inThread, SyncConnection } from './connection.ts'
import type { Connection } from './connection.ts'
import { Database } from './database.ts'
import { translate } from './failures.ts'
import { makeFolder } from './folder.ts'
import { lineage } from './lineage.ts'
import { accept, begin, beginPut, extend, release, renew } from './looks.ts'
import { refuseNetwork } from './mount.ts'
import { record } from './record.ts'
import { mayWrite, onlyReading } from './reading.ts'
import { reclaim } from './reclaim.ts'
import type { Registry } from './registry.ts'
import { request } from './requests.ts'
import { giveBack, removable, removeVersion } from './retain.ts'
import { checkRights } from './rights.ts'
import { directories, hasRowsUnder, rowsAt, rowsBetween, rowsIn, skipsIn } from './rows.ts'
import { removedBeyondAccepted, removes, stage, tally } from './staging.ts'
import { endRun, use } from './uses.ts'
import { enroll, watchesOf, watchRow, watchRows, watchViews, setHearing } from './watches.ts'

// Beside a writer: what is read is read in order, and each page once.
const READER_CACHE_KB = 4_000

/**
 * Opens the registry in `folder`, made where it is missing. With `thread`, its connections live in threads of their own, and reads go on during a commit.
 * Throws REGISTRY_REFUSED for a folder on a network mount, one that cannot be written, and a newer schema.
 */
export async function openRegistry(folder: string, options: { readonly thread: boolean }): Promise<Registry> {
  try {
    checkRights(folder, 'write')
    refuseNetwork(folder)
    makeFolder(folder)
    refuseEmptied(folder)
  } catch (error) {
    throw translate(error)
  }
  const file = join(folder, 'varve.db')
  if (!options.thread) return openOn(inThread(new SyncConnection(file)))
  const { threaded } = await import('./thread.ts')
  const writer = await threaded(file)
  try {
    return await openOn(writer, await threaded(file, READER_CACHE_KB))
  } catch (error) {
    await writer.close()
    throw error
  }
}

/** Opens the registry in `folder` for who mostly reads: where this user may not write, all that writes throws REGISTRY_REFUSED. Throws NOT_FOUND, and makes nothing, where there is none. */
export async function openForReading(folder: string): Promise<Registry> {
  const file = join(folder, 'varve.db')
  try {
    checkRights(folder, 'enter')
    statSync(file)
    refuseNetwork(folder)
    refuseEmptied(folder)
    if (isEmpty(file)) throw new VarveError('NOT_FOUND', `no registry in ${folder}: ${file} is empty`, { hint: 'record something first with varve put or varve run; if there was a registry, varve restore-registry FILE --force brings a backup of it back' })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') throw translate(error)
    throw new VarveError('NOT_FOUND', `no registry in ${folder}`, { hint: 'record something first with varve put or varve run, or name the folder with --data or --config' })
  }
  return openOn(mayWrite(file) ? inThread(new SyncConnection(file)) : onlyReading(file))
}

/** Not a byte of it, and none in its log: also what a process leaves that was killed when it was about to make a registry. */
function isEmpty(file: string): boolean {
  const sizeOf = (one: string): number | undefined => statSync(one, { throwIfNoEntry: false })?.size
  return sizeOf(file) === 0 && (sizeOf(`${file}-wal`) ?? 0) === 0
}

/** Throws REGISTRY_REFUSED for an empty database beside what only a registry can have led to, the memory of restores or a registry that another took the place of: it was not always empty. */
function refuseEmptied(folder: string): void {
  const file = join(folder, 'varve.db')
  if (!isEmpty(file)) return
  const restored = join(folder, 'restored')
  const told = [...readdirSync(folder).filter((name) => /^varve\.db\.\d{8}T/.test(name)).map((name) => join(folder, name)), ...(existsSync(restored) && readdirSync(restored).length > 0 ? [restored] : [])]
  const [first] = told
  if (first !== undefined)
    throw new VarveError('REGISTRY_REFUSED', `${file} is empty, and ${first} tells that it was not always`, { hint: 'varve restore-registry FILE --force brings a backup back; to begin anew, move both away' })
}

/** Opens the registry in a database that is already open and stays so. Who had it before can write no more, and what it left half done is undone. */
export function openRegistryIn(database: DatabaseSync): Promise<Registry> {
  return openOn(inThread(new SyncConnection(database)))
}

/** The registry over connections that are open; they are closed with it. */
export async function openOn(writer: Connection, reader: Connection = writer): Promise<Registry> {
  const db = new Database(writer, reader)
  const meta = await db.read.one<{ value: string }>(`SELECT value FROM meta WHERE key = 'id'`)
  return {
    id: meta?.value ?? '',
    close: () => db.close(),
    enroll: (watches, nowMs, owner) => enroll(db, watches, nowMs, owner),
    request: (requests, nowMs) => request(db, requests, nowMs),
    // Another text each time: what is written over itself is not written at all.
    proveWritable: () => db.transaction(async (tx) => void (await tx.all(`INSERT OR REPLACE INTO meta VALUES ('proof', hex(randomblob(8)))`))),
    watchRows: () => watchRows(db),
    watchRow: (watch) => watchRow(db, watch),
    begin: (watch, owner, leaseMs, nowMs, dead) => begin(db, watch, owner, leaseMs, nowMs, dead),
    beginPut: (order, nowMs) => beginPut(db, order, nowMs),
    renew: (looking, leaseMs, nowMs) => renew(db, looking, leaseMs, nowMs),
    extend: (looking) => extend(db, looking),
    rowsBetween: (looking, stretch, limit) => rowsBetween(db, looking, stretch, limit),
    rowsIn: (looking, directory, after, limit) => rowsIn(db, looking, directory, after, limit),
    rowsAt: (looking, paths) => rowsAt(db, looking, paths),
    hasRowsUnder: (looking, path) => hasRowsUnder(db, looking, path),
    skipsIn: (looking, cover) => skipsIn(db, looking, cover),
    directories: (looking) => directories(db, looking),
    stage: (looking, findings) => stage(db, looking, findings),
    tally: (looking) => tally(db, looking),
    removedBeyondAccepted: (looking, limit) => removedBeyondAccepted(db, looking, limit),
    removes: (looking, path) => removes(db, looking, path),
    record: (looking, outcome, nowMs) => record(db, looking, outcome, nowMs),
    release: (looking, verdict) => release(db, looking, verdict),
    setHearing: (watches_, source, told) => setHearing(db, watches_, source, told),
    accept: (watch, nowMs) => accept(db, watch, nowMs),
    ...auditing(db),
    use: (name, version, run, nowMs) => use(db, name, version, run, nowMs),
    endRun: (run, state, nowMs) => endRun(db, run, state, nowMs),
    removable: (name) => removable(db, name),
    removeVersion: (name, version, removal, nowMs) => removeVersion(db, name, version, removal, nowMs),
    reclaim: () => reclaim(db),
    giveBack: (whole) => giveBack(db, whole),
    ...catalog(db),
    lineage: (name, version, depth) => lineage(db, name, version, depth),
    watchViews: (nowMs) => watchViews(db, nowMs),
    watchesOf: (name) => watchesOf(db, name),
  }
}
