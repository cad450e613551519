// Open rows that a look could not read anew: what they were made of has been written over since.
import type { Statements } from './database.ts'
import { disown } from './fallout.ts'
import type { Point } from './fallout.ts'
import { UNPINNED } from './restorability.ts'

// Nothing else says of an open row without a pin what became of its bytes.
const TOLD = `collection = :collection AND until IS NULL AND NOT pinned AND fate <> 'risk'`

/**
 * The bytes of rows at `torn`, of which the head keeps the last that was known, are lost unless a pin, or something else, has them; those of rows that were torn before, and were seen whole now, are there again.
 * Answers what is known nowhere else for now.
 */
export async function writeTorn(tx: Statements, look: number, collection: number, whole: boolean, torn: readonly string[]): Promise<readonly Point[]> {
  const named = { collection, paths: JSON.stringify(torn) }
  const among = 'path IN (SELECT value FROM json_each(:paths))'
  if ((await tx.one('SELECT 1 FROM fate WHERE collection = :collection AND until IS NULL LIMIT 1', { collection })) !== undefined) {
    const seen = whole ? '' : ` AND path IN (SELECT path FROM scratch WHERE look = :look AND op = 'refresh')`
    await tx.all(`DELETE FROM fate WHERE ${TOLD} AND NOT ${among}${seen}`, { ...named, ...(!whole && { look }) })
  }
  if (torn.length === 0) return []
  const fresh = await tx.all<Point>(
    `INSERT INTO fate(collection, path, since, until, fate, pinned) SELECT collection, path, since, NULL, 'lost', 0 FROM head WHERE collection = :collection AND ${among} AND ${UNPINNED}
     ON CONFLICT DO NOTHING RETURNING collection, path, since`,
    named,
  )
  return fresh.length === 0 ? [] : [...fresh, ...(await disown(tx, collection, 'SELECT value FROM json_each(:paths)', { paths: JSON.stringify(fresh.map(({ path }) => path)) }))]
}
