import type { Marked, MarkView } from '../model/version.ts'
import type { Statements } from './database.ts'

// As many as a request names before it becomes the whole, and as a certificate lists.
const PATHS_MOST = 1_000
const NAMES_MOST = 20

/**
 * Marks the running runs under which the commit of version `until` closed rows, which lie in `past` already: one look-up where nobody uses the collection. What versions behind `head`, which are
 * removed by now, had done just so is that very change, found again: their marks go on under this one's number, and are told to no run twice.
 */
export async function markRuns(tx: Statements, collection: number, head: number, until: number, nowMs: number): Promise<readonly Marked[]> {
  const used = await tx.all<{ number: number }>('SELECT DISTINCT number FROM edge WHERE collection = :collection AND live ORDER BY number', { collection })
  if (used.length === 0) return []
  const marks = new Marks(tx)
  const marked: Marked[] = []
  for (const { number } of used) {
    const closed = 'FROM past WHERE collection = :collection AND until = :until AND since <= :number'
    const disturbed = await tx.one<{ entries: number; paths: string }>(
      `INSERT INTO disturbance SELECT :collection, :number, :until, :nowMs, count(*), (SELECT json_group_array(path) FROM (SELECT path ${closed} ORDER BY path LIMIT ${PATHS_MOST}))
       ${closed} HAVING count(*) > 0 RETURNING entries, paths`,
      { collection, number, until, nowMs },
    )
    if (disturbed === undefined) continue
    const before = await markedBefore(tx, { collection, number, until }, head, disturbed)
    const live = 'FROM edge e WHERE e.collection = :collection AND e.number = :number AND e.live AND e.run NOT IN (SELECT value FROM json_each(:before))'
    const named = { collection, number, before: JSON.stringify(before) }
    await tx.all(`INSERT INTO mark SELECT run, collection, number, :until ${live}`, { ...named, until })
    const runs = await tx.one<{ count: number; names: string }>(
      `SELECT (SELECT count(*) ${live}) AS count,
         (SELECT json_group_array(name) FROM (SELECT (SELECT r.name FROM run r WHERE r.id = e.run) AS name ${live} ORDER BY name LIMIT ${NAMES_MOST})) AS names`,
      named,
    )
    if (runs?.count === 0) continue
    for (const view of await marks.views([{ collection, number, until }])) marked.push({ ...view, runs: runs?.count ?? 0, names: JSON.parse(runs?.names ?? '[]') as string[] })
  }
  return marked
}

/** The runs that removed versions marked for the same: they are marked by this one from now on. */
async function markedBefore(tx: Statements, { collection, number, until }: Disturbance, head: number, { entries, paths }: { readonly entries: number; readonly paths: string }): Promise<readonly number[]> {
  const same = await tx.all<{ until: number }>(
    `DELETE FROM disturbance WHERE collection = :collection AND number = :number AND until > :head AND until < :until AND entries = :entries AND paths = :paths RETURNING until`,
    { collection, number, head, until, entries, paths },
  )
  if (same.length === 0) return []
  const runs = await tx.all<{ run: number }>(
    `DELETE FROM mark WHERE collection = :collection AND number = :number AND until IN (SELECT value FROM json_each(:same)) RETURNING run`,
    { collection, number, same: JSON.stringify(same.map((one) => one.until)) },
  )
  const before = [...new Set(runs.map(({ run }) => run))]
  await tx.all('INSERT INTO mark SELECT value, :collection, :number, :until FROM json_each(:before)', { collection, number, until, before: JSON.stringify(before) })
  return before
}

/** What a run used. */
interface Used {
  readonly run: number
  readonly collection: number
  readonly number: number
}

/** What a commit did to a version. */
interface Disturbance {
  readonly collection: number
  readonly number: number
  readonly until: number
}

interface Stored extends Disturbance {
  readonly artifact: string
  readonly entity: string
  readonly at: number
  readonly entries: number
  readonly paths: string
}

/** Reads marks. Thousands of runs may share what one commit did, so each such thing is read once. */
export class Marks {
  readonly #statements: Statements
  readonly #views = new Map<string, MarkView>()

  constructor(statements: Statements) {
    this.#statements = statements
  }

  /** All of a run, oldest first. */
  async ofRun(run: number): Promise<readonly MarkView[]> {
    const marks = await this.#statements.all<Disturbance>('SELECT collection, number, until FROM mark WHERE run = :run', { run })
    return [...(await this.views(marks))].sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
  }

  /** For each, those that it has, oldest first. */
  async of(uses: readonly Used[]): Promise<readonly (readonly MarkView[])[]> {
    const marks = await this.#statements.all<Disturbance & { place: number }>(
      `SELECT u.key AS place, m.collection, m.number, m.until FROM json_each(:uses) u
       CROSS JOIN mark m ON m.run = u.value ->> 0 AND m.collection = u.value ->> 1 AND m.number = u.value ->> 2 ORDER BY u.key, m.until`,
      { uses: JSON.stringify(uses.map(({ run, collection, number }) => [run, collection, number])) },
    )
    const views = await this.views(marks)
    const found: MarkView[][] = uses.map(() => [])
    marks.forEach(({ place }, i) => found[place]?.push(views[i] as MarkView))
    return found
  }

  async views(marks: readonly Disturbance[]): Promise<readonly MarkView[]> {
    const unknown = new Map(marks.filter((mark) => !this.#views.has(keyOf(mark))).map((mark) => [keyOf(mark), mark]))
    const rows = unknown.size === 0 ? [] : await this.#statements.all<Stored>(
      `SELECT d.*, p.name || '/' || c.name AS artifact, e.name AS entity FROM json_each(:keys) k
       CROSS JOIN disturbance d ON d.collection = k.value ->> 0 AND d.number = k.value ->> 1 AND d.until = k.value ->> 2
       JOIN collection c ON c.id = d.collection JOIN project p ON p.id = c.project JOIN entity e ON e.id = p.entity`,
      { keys: JSON.stringify([...unknown.values()].map(({ collection, number, until }) => [collection, number, until])) },
    )
    for (const row of rows) this.#views.set(keyOf(row), viewOf(row))
    return marks.flatMap((mark) => this.#views.get(keyOf(mark)) ?? [])
  }
}

function keyOf({ collection, number, until }: Disturbance): string {
  return `${collection} ${number} ${until}`
}

function viewOf({ artifact, entity, number, until, at, entries, paths }: Stored): MarkView {
  return { artifact, entity, version: `v${number}`, by: `v${until}`, at: new Date(at).toISOString(), entries, paths: JSON.parse(paths) as string[] }
}
