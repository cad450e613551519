import type { Statements } from './database.ts'

// A `put` holds no lease, so nothing tells that its process died; none takes longer than a day.
export const PUT_MOST_MS = 24 * 3_600_000

/** Deletes looks with all that they staged. `where` is over `look`. */
export async function forget(tx: Statements, where: string, named: Readonly<Record<string, number>>): Promise<void> {
  const kept = await tx.one(`SELECT 1 FROM look WHERE (${where}) IS NOT TRUE LIMIT 1`, named)
  for (const table of ['scratch', 'scratch_skip', 'scratch_directory'])
    // Without a condition SQLite lets go of whole pages, and writes none of them: a million rows take no longer than one.
    if (kept === undefined) await tx.all(`DELETE FROM ${table}`)
    else await tx.all(`DELETE FROM ${table} WHERE look IN (SELECT id FROM look WHERE ${where})`, named)
  await tx.all(`DELETE FROM look WHERE ${where}`, named)
}

/** Deletes the looks that nobody owns: no lease runs, nobody may accept them. */
export function sweep(tx: Statements, nowMs: number): Promise<void> {
  return forget(
    tx,
    `iif(look.watch IS NULL, begun_at < :oldest, NOT EXISTS (SELECT 1 FROM watch WHERE watch.id = look.watch
       AND (look.id IN (held_look, accepted_look) OR (watch.epoch = look.epoch AND watch.owner = look.owner AND lease_until > :nowMs))))`,
    { nowMs, oldest: nowMs - PUT_MOST_MS },
  )
}
