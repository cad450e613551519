// Rows with what is written down of them: what the audit, and whoever asks after single ones, begin with.
import type { AuditRow, Fate } from '../model/fate.ts'
import type { Named, Statements } from './database.ts'
import { HOLDING_TUPLE } from './holdings.ts'
import type { Holdings, HoldingTuple } from './holdings.ts'
import { present } from './present.ts'
import { UNPINNED } from './restorability.ts'

type Tuple = readonly [
  holding: string, since: number, waits: number, fate: Fate['fate'] | null, goneAt: number | null, refuge: number | null, refugePath: string | null, refugeSince: number | null,
  proof: string | null,
]

/** Whether rows of the head wait for a look: the newest version that a `put` made, of no watch, may never see another. */
export const WAITS = `(${UNPINNED}) OR EXISTS (SELECT 1 FROM watch w WHERE w.collection = :collection AND w.enrolled)`

/** Of what `text` selects of a `:collection`: the columns of a holding, `since` and `waits`. */
export async function rowsOf(read: Statements, held: Holdings, text: string, named: Named): Promise<readonly AuditRow[]> {
  const row = await read.one<{ page: string }>(
    `SELECT json_group_array(json_array(${HOLDING_TUPLE}, since, waits, f_fate, f_gone_at, f_refuge, f_refuge_path, f_refuge_since, f_proof)) AS page FROM (
       SELECT r.*, f.fate AS f_fate, f.gone_at AS f_gone_at, f.refuge AS f_refuge, f.refuge_path AS f_refuge_path, f.proof AS f_proof,
         (SELECT h.since FROM head h WHERE h.collection = f.refuge AND h.path = f.refuge_path) AS f_refuge_since
       FROM (${text}) r LEFT JOIN fate f ON f.collection = :collection AND f.path = r.path AND f.since = r.since ORDER BY r.path, r.since)`,
    named,
  )
  const tuples = JSON.parse(row?.page ?? '[]') as Tuple[]
  const holdings = await held.made(tuples.map(([holding]) => holding as unknown as HoldingTuple))
  return tuples.map(([, since, waits, fate, goneAtMs, refuge, path, refugeSince, proof], i): AuditRow => {
    const known = fate === null ? null : present({
      fate, goneAtMs, refuge: refuge === null || path === null || refugeSince === null ? null : { pinned: false, collection: refuge, path, since: refugeSince }, proof,
    })
    return present({ holding: holdings[i] as AuditRow['holding'], since, waits: waits === 1, fate: known, proof })
  })
}
