import type { DatabaseSync } from 'node:sqlite'
import { VarveError } from '../model/errors.ts'
import { FIRST } from './migrations/0001-first.ts'
import { PLACES } from './migrations/0002-places.ts'
import { LINEAGE } from './migrations/0003-lineage.ts'
import { FATES } from './migrations/0004-fates.ts'
import { PROOFS } from './migrations/0005-proofs.ts'
import { KEEPING } from './migrations/0006-keeping.ts'

/** In the order in which they were made. A migration that was released is never changed: the next one mends it. */
const MIGRATIONS: readonly string[] = [FIRST, PLACES, LINEAGE, FATES, PROOFS, KEEPING]

/** The schema that this Varve works with. */
export const SCHEMA = MIGRATIONS.length

/**
 * Throws REGISTRY_REFUSED for another program's database, which is not touched. An empty one, and one that has no tables yet, is what a process that was killed leaves that was about to make a
 * registry.
 */
export function refuseForeign(database: DatabaseSync): void {
  // In this order: who makes a registry beside writes tables and version at once.
  const { tables, known } = database.prepare(
    `SELECT count(*) AS tables, count(*) FILTER (WHERE name IN ('meta', 'collection', 'version', 'head', 'past')) AS known FROM sqlite_schema WHERE type = 'table'`,
  ).get() as { tables: number; known: number }
  if (tables === 0 || (known === 5 && versionOf(database) > 0)) return
  const file = database.location() ?? 'the database'
  throw new VarveError('REGISTRY_REFUSED', `${file} is no registry of Varve, but a database of something else`, {
    hint: 'set data (or --data) to another folder, or move that file away; it was not touched',
  })
}

/** Brings the schema up to date, all or nothing; costs one small read where it is. Throws REGISTRY_REFUSED for a database of a newer Varve. */
export function migrate(database: DatabaseSync): void {
  if (versionOf(database) === MIGRATIONS.length) return
  database.exec('BEGIN IMMEDIATE')
  try {
    // Another process may have been faster.
    const known = versionOf(database)
    if (known > MIGRATIONS.length)
      throw new VarveError('REGISTRY_REFUSED', `the registry has schema ${known}, this Varve knows ${MIGRATIONS.length}`, {
        hint: 'use the newer Varve that wrote it, or another data folder',
      })
    for (const migration of MIGRATIONS.slice(known)) database.exec(migration)
    database.exec(`PRAGMA user_version = ${MIGRATIONS.length}; COMMIT`)
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

/** The schema of a database; 0 for a new one. */
export function versionOf(database: DatabaseSync): number {
  return (database.prepare('PRAGMA user_version').get() as { user_version: number }).user_version
}
