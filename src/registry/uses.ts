import { VarveError } from '../model/errors.ts'
import type { Marked, MarkedRun, MarkView, RunState, RunView, UseView } from '../model/version.ts'
import type { CollectionName } from '../model/watch.ts'
import type { Database, Named, Statements } from './database.ts'
import { collectionOf, versionOf } from './lookup.ts'
import { namedRun } from './places.ts'
import { present } from './present.ts'
import type { RunName } from './registry.ts'

// As many as a request names before it becomes the whole, and a certificate lists.
const PATHS_MOST = 1_000
const NAMES_MOST = 20

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
    const marks = await marksOf(tx, 'm.run = :run', { run: run.id })
    return { ...(await runAt(tx, run.id)), marks: marks.map(({ view }) => view) }
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

/** Marks the running runs under which the commit of version `until` closed rows, which lie in `past` already: one look-up where nobody uses the collection. */
export async function markRuns(tx: Statements, collection: number, until: number, nowMs: number): Promise<readonly Marked[]> {
  const used = await tx.all<{ number: number }>('SELECT DISTINCT number FROM edge WHERE collection = :collection AND live', { collection })
  if (used.length === 0) return []
  for (const { number } of used) {
    const closed = 'FROM past WHERE collection = :collection AND until = :until AND since <= :number'
    const disturbed = await tx.one(
      `INSERT INTO disturbance SELECT :collection, :number, :until, :nowMs, count(*), (SELECT json_group_array(path) FROM (SELECT path ${closed} ORDER BY path LIMIT ${PATHS_MOST}))
       ${closed} HAVING count(*) > 0 RETURNING number`,
      { collection, number, until, nowMs },
    )
    if (disturbed !== undefined)
      await tx.all('INSERT INTO mark SELECT run, collection, number, :until FROM edge WHERE collection = :collection AND number = :number AND live', { collection, number, until })
  }
  return markedBy(tx, collection, until)
}

async function markedBy(tx: Statements, collection: number, until: number): Promise<readonly Marked[]> {
  const rows = await tx.all<StoredMark & { runs: number; names: string }>(
    `SELECT ${MARK}, (SELECT count(*) FROM mark m WHERE ${OF_DISTURBANCE}) AS runs,
       (SELECT json_group_array(name) FROM (SELECT r.name FROM mark m JOIN run r ON r.id = m.run WHERE ${OF_DISTURBANCE} ORDER BY r.name LIMIT ${NAMES_MOST})) AS names
     FROM ${DISTURBANCES} WHERE d.collection = :collection AND d.until = :until ORDER BY d.number`,
    { collection, until },
  )
  return rows.map((row) => ({ ...markOf(row), runs: row.runs, names: JSON.parse(row.names) as string[] }))
}

interface StoredMark {
  readonly artifact: string
  readonly entity: string
  readonly number: number
  readonly until: number
  readonly at: number
  readonly entries: number
  readonly paths: string
}

const DISTURBANCES = 'disturbance d JOIN collection c ON c.id = d.collection JOIN project p ON p.id = c.project JOIN entity e ON e.id = p.entity'
const OF_DISTURBANCE = 'm.collection = d.collection AND m.number = d.number AND m.until = d.until'
const MARK = `p.name || '/' || c.name AS artifact, e.name AS entity, d.number, d.until, d.at, d.entries, d.paths`

function markOf({ artifact, entity, number, until, at, entries, paths }: StoredMark): MarkView {
  return { artifact, entity, version: `v${number}`, by: `v${until}`, at: new Date(at).toISOString(), entries, paths: JSON.parse(paths) as string[] }
}

/** A mark with whose it is. */
interface Owned {
  readonly run: number
  readonly collection: number
  readonly number: number
  readonly view: MarkView
}

/** The marks that `where` takes (over `mark m`), oldest first for each run and version. */
export async function marksOf(statements: Statements, where: string, named: Named): Promise<readonly Owned[]> {
  const rows = await statements.all<StoredMark & { run: number; collection: number }>(
    `SELECT m.run, m.collection, ${MARK} FROM mark m JOIN ${DISTURBANCES} ON ${OF_DISTURBANCE} WHERE ${where} ORDER BY m.run, m.collection, m.number, m.until`,
    named,
  )
  return rows.map((row) => ({ run: row.run, collection: row.collection, number: row.number, view: markOf(row) }))
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
