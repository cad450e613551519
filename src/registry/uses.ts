import { VarveError } from '../model/errors.ts'
import type { MarkedRun, RunState, RunView, UseView } from '../model/version.ts'
import type { CollectionName } from '../model/watch.ts'
import type { Database, Statements } from './database.ts'
import { collectionOf, versionOf } from './lookup.ts'
import { Marks } from './marks.ts'
import { namedRun } from './places.ts'
import { present } from './present.ts'
import type { RunName } from './registry.ts'

/** The numbers of a collection's versions that some run ever used, whether it still runs or not. */
export async function usedNumbers(statements: Statements, collection: number): Promise<readonly number[]> {
  const rows = await statements.all<{ number: number }>('SELECT DISTINCT number FROM edge WHERE collection = :collection AND output = 0 ORDER BY number', { collection })
  return rows.map(({ number }) => number)
}

/** See `Ledger.use`. */
export async function use(db: Database, name: CollectionName, version: string, runName: RunName, nowMs: number): Promise<UseView> {
  return db.transaction(async (tx) => {
    const collection = await collectionOf(tx, name)
    const number = await versionOf(tx, collection, version)
    const run = await namedRun(tx, runName, name, nowMs)
    await tx.all('INSERT INTO edge(run, output, collection, number, at, live) VALUES (:run, 0, :collection, :number, :nowMs, 1) ON CONFLICT DO NOTHING', {
      run,
      collection: collection.id,
      number,
      nowMs,
    })
    // One that had ended runs again, with all that it used before.
    await tx.all(`UPDATE run SET state = 'running', finished_at = NULL WHERE id = :run AND state <> 'running'`, { run })
    await tx.all('UPDATE edge SET live = 1 WHERE run = :run AND output = 0 AND NOT live', { run })
    const used = await tx.one<{ digest: string }>('SELECT digest FROM version WHERE collection = :collection AND number = :number', { collection: collection.id, number })
    return { artifact: collection.artifact, entity: name.entity, version: `v${number}`, digest: used?.digest ?? '', run: await runAt(tx, run) }
  })
}

/** See `Ledger.endRun`. */
export async function endRun(db: Database, { name, project }: RunName, state: Exclude<RunState, 'running'>, nowMs: number): Promise<MarkedRun> {
  return db.transaction(async (tx) => {
    const found = await tx.all<{ id: number; entity: string; project: string }>(
      `SELECT r.id, e.name AS entity, p.name AS project FROM run r JOIN project p ON p.id = r.project JOIN entity e ON e.id = p.entity
       WHERE r.name = :name AND r.state IS NOT NULL AND (:project IS NULL OR (p.name = :project AND e.name = :entity)) ORDER BY e.name, p.name`,
      { name, project: project?.project ?? null, entity: project?.entity ?? null },
    )
    const [run, ...others] = found
    if (run === undefined)
      throw new VarveError('NOT_FOUND', `no run ${name}${project === undefined ? '' : ` in ${project.entity}/${project.project}`}`, { hint: 'varve use and varve put --run make runs' })
    if (others.length > 0)
      throw new VarveError('CONFLICT', `the run ${name} is one of ${found.map((one) => `${one.entity}/${one.project}`).join(', ')}`, { hint: 'say which with --project' })
    await tx.all('UPDATE run SET finished_at = iif(state = :state, finished_at, :nowMs), state = :state WHERE id = :run', { run: run.id, state, nowMs })
    await tx.all('UPDATE edge SET live = 0 WHERE run = :run AND live', { run: run.id })
    return { ...(await runAt(tx, run.id)), marks: await new Marks(tx).ofRun(run.id) }
  })
}

/** Whoever `run` names has made the version, too; a watch and a put that named nobody are what the version itself says. */
export async function writeOutput(tx: Statements, run: number, collection: number, number: number, nowMs: number): Promise<void> {
  await tx.all(
    `INSERT INTO edge(run, output, collection, number, at, live) SELECT id, 1, :collection, :number, :nowMs, 0 FROM run WHERE id = :run AND state IS NOT NULL
     ON CONFLICT DO NOTHING`,
    { run, collection, number, nowMs },
  )
}

/** What `runView` is made of, over `run r`, `project p` and `entity e`. */
export const RUN_COLUMNS = 'r.name, e.name AS entity, p.name AS project, r.state, r.created_at AS createdAt, r.finished_at AS finishedAt'

export interface StoredRun {
  readonly name: string
  readonly entity: string
  readonly project: string
  readonly state: RunState | null
  readonly createdAt: number
  readonly finishedAt: number | null
}

/** `otherwise` is what a run is that nobody named. */
export function runView({ name, entity, project, state, createdAt, finishedAt }: StoredRun, otherwise: 'watch' | 'put'): RunView {
  const kind = state === null ? otherwise : 'run'
  return present({
    name, entity, project, kind, state, createdAt: new Date(createdAt).toISOString(), finishedAt: finishedAt === null ? null : new Date(finishedAt).toISOString(),
  } as const)
}

async function runAt(tx: Statements, id: number): Promise<RunView> {
  const row = await tx.one<StoredRun>(`SELECT ${RUN_COLUMNS} FROM run r JOIN project p ON p.id = r.project JOIN entity e ON e.id = p.entity WHERE r.id = :id`, { id })
  if (row === undefined) throw new Error(`run ${id} is not there`)
  return runView(row, 'put')
}
