import { WHOLE } from '../model/watch.ts'
import type { Cause } from '../model/watch.ts'
import type { Database, Statements } from './database.ts'
import type { LookRequest } from './registry.ts'

/** Above so many paths only the whole is worth asking for. */
const PATHS_MOST = 1_000

/** From the weakest to the strongest: a cause is stored by its place here. */
export const CAUSES: readonly Cause[] = ['hint', 'interval', 'startup', 'config', 'cli', 'put']

export function strengthOf(cause: Cause): number {
  return CAUSES.indexOf(cause)
}

/** See `Ledger.request`. */
export async function request(db: Database, requests: readonly LookRequest[], nowMs: number): Promise<void> {
  const wanted = new Map<string, Map<string, number>>()
  const heard = new Set<string>()
  for (const { watch, path, cause, settled } of requests) {
    const paths = wanted.get(watch) ?? new Map<string, number>()
    wanted.set(watch, paths.set(path, Math.max(paths.get(path) ?? 0, strengthOf(cause))))
    if (cause === 'hint' && settled !== true) heard.add(watch)
  }
  if (wanted.size === 0) return
  await db.transaction(async (tx) => {
    const watches = await tx.all<{ id: number; name: string }>(
      'SELECT id, name FROM watch WHERE enrolled AND name IN (SELECT value FROM json_each(:names))',
      { names: JSON.stringify([...wanted.keys()]) },
    )
    for (const { id, name } of watches) {
      if (heard.has(name)) await hear(tx, id, nowMs)
      await demand(tx, id, wanted.get(name) ?? new Map(), nowMs)
    }
  })
}

async function hear(tx: Statements, watch: number, nowMs: number): Promise<void> {
  await tx.all(
    `UPDATE watch SET first_hint_at = coalesce(first_hint_at, :nowMs), hinted_since = coalesce(hinted_since, :nowMs), last_hint_at = :nowMs WHERE id = :watch`,
    { watch, nowMs },
  )
}

/** Raises the watch's generation and stores what is to be looked at with it: the strength of its cause by path. */
export async function demand(tx: Statements, watch: number, paths: ReadonlyMap<string, number>, nowMs: number): Promise<void> {
  const asked = [...paths.values()].some((strength) => strength >= strengthOf('config'))
  const raised = await tx.one<{ generation: number }>(
    // Who asks by hand waits for nothing: neither for a retry, nor for hints to settle.
    `UPDATE watch SET generation = generation + 1, retry_at = iif(:asked, NULL, retry_at), first_hint_at = iif(:asked, NULL, first_hint_at),
       last_hint_at = iif(:asked, NULL, last_hint_at) WHERE id = :watch RETURNING generation`,
    { watch, asked: asked ? 1 : 0 },
  )
  const store = (wanted: Iterable<readonly [string, number]>): Promise<unknown> =>
    tx.all(
      `INSERT INTO request(watch, path, generation, strength, at) SELECT :watch, value ->> 0, :generation, value ->> 1, :nowMs FROM json_each(:wanted) WHERE true
       ON CONFLICT DO UPDATE SET generation = excluded.generation, strength = max(strength, excluded.strength), at = excluded.at`,
      { watch, generation: raised?.generation ?? 0, nowMs, wanted: JSON.stringify([...wanted]) },
    )
  const whole = new Map([[WHOLE, paths.get(WHOLE) ?? strengthOf('hint')]])
  const tooMany = paths.size > PATHS_MOST + 1
  await store(tooMany ? whole : paths)
  if (!tooMany && (await namedPaths(tx, watch)) <= PATHS_MOST) return
  await tx.all('DELETE FROM request WHERE watch = :watch AND path <> :whole', { watch, whole: WHOLE })
  await store(whole)
}

async function namedPaths(tx: Statements, watch: number): Promise<number> {
  const row = await tx.one<{ count: number }>('SELECT count(*) AS count FROM request WHERE watch = :watch AND path <> :whole', { watch, whole: WHOLE })
  return row?.count ?? 0
}
