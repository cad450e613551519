import type { EdgeView, MarkView } from '../model/version.ts'
import type { CollectionName } from '../model/watch.ts'
import type { Database, Statements } from './database.ts'
import { collectionOf, versionOf } from './lookup.ts'
import { Marks } from './marks.ts'
import { present } from './present.ts'
import { RUN_COLUMNS, runView } from './uses.ts'
import type { StoredRun } from './uses.ts'

type Direction = EdgeView['direction']
type Kind = EdgeView['edge']

interface Node {
  readonly collection: number
  readonly number: number
}

interface Stored extends StoredRun, Node {
  readonly run: number
  readonly otherwise: 'watch' | 'put'
  readonly artifact: string
  readonly owner: string
  readonly type: string
  readonly digest: string | null
  readonly made: number | null
}

// What leads on from versions to runs, and from runs to versions: over `f`, which is where a walk has come to.
const OF_VERSION = 'e.collection = f.value ->> 0 AND e.number = f.value ->> 1'
const STEPS: Readonly<Record<Direction, Readonly<Record<Kind, string>>>> = {
  up: {
    // The first maker stands in the version itself; a run that made the same again, or that was named, has an edge.
    output: `SELECT e.collection, e.number, e.run FROM json_each(:from) f CROSS JOIN version e ON ${OF_VERSION}
      UNION SELECT e.collection, e.number, e.run FROM json_each(:from) f CROSS JOIN edge e ON ${OF_VERSION} AND e.output = 1`,
    input: 'SELECT e.collection, e.number, e.run FROM json_each(:from) f CROSS JOIN edge e ON e.run = f.value AND e.output = 0',
  },
  down: {
    input: `SELECT e.collection, e.number, e.run FROM json_each(:from) f CROSS JOIN edge e ON ${OF_VERSION} AND e.output = 0`,
    output: 'SELECT e.collection, e.number, e.run FROM json_each(:from) f CROSS JOIN edge e ON e.run = f.value AND e.output = 1',
  },
}

// Each edge may carry many marks of a thousand paths.
const PAGE = 100

/** See `Catalog.lineage`. */
export async function* lineage(db: Database, name: CollectionName, version: string, depthMost: number): AsyncGenerator<readonly EdgeView[]> {
  const collection = await collectionOf(db.read, name)
  const start = { collection: collection.id, number: await versionOf(db.read, collection, version) }
  const marks = new Marks(db.read)
  for (const direction of ['up', 'down'] as const) yield* walk(db.read, marks, direction, start, depthMost)
}

/** Edge by edge outwards: each version and each run is gone on from once. */
async function* walk(read: Statements, marks: Marks, direction: Direction, start: Node, depthMost: number): AsyncGenerator<readonly EdgeView[]> {
  const [first, second]: readonly Kind[] = direction === 'up' ? ['output', 'input'] : ['input', 'output']
  const versions = new Set([keyOf(start)])
  const runs = new Set<number>()
  let from: readonly unknown[] = [[start.collection, start.number]]
  for (let depth = 1; depth <= depthMost && from.length > 0; depth++) {
    const toRuns = depth % 2 === 1
    const edge = (toRuns ? first : second) as Kind
    const stored = await edgesFrom(read, STEPS[direction][edge], from)
    for (let i = 0; i < stored.length; i += PAGE) {
      const page = stored.slice(i, i + PAGE)
      const found = edge === 'input' ? await marks.of(page) : undefined
      yield page.map((one, j) => viewOf(one, direction, depth, edge, found?.[j]))
    }
    from = toRuns
      ? stored.map(({ run }) => run).filter((run) => isNew(runs, run))
      : stored.filter((one) => isNew(versions, keyOf(one))).map(({ collection, number }) => [collection, number])
  }
}

function isNew<T>(seen: Set<T>, one: T): boolean {
  const before = seen.size
  return seen.add(one).size > before
}

function keyOf({ collection, number }: Node): string {
  return `${collection} ${number}`
}

function edgesFrom(read: Statements, step: string, from: readonly unknown[]): Promise<readonly Stored[]> {
  return read.all<Stored>(
    `SELECT s.run, s.collection, s.number, ${RUN_COLUMNS}, iif(v.cause = 'put', 'put', 'watch') AS otherwise, vp.name || '/' || c.name AS artifact, ve.name AS owner, c.type,
       v.digest, v.created_at AS made
     FROM (${step}) s JOIN run r ON r.id = s.run JOIN project p ON p.id = r.project JOIN entity e ON e.id = p.entity
     JOIN collection c ON c.id = s.collection JOIN project vp ON vp.id = c.project JOIN entity ve ON ve.id = vp.entity
     LEFT JOIN version v ON v.collection = s.collection AND v.number = s.number
     ORDER BY ve.name, vp.name, c.name, s.number, r.created_at, r.id`,
    { from: JSON.stringify(from) },
  )
}

function viewOf(stored: Stored, direction: Direction, depth: number, edge: Kind, marks: readonly MarkView[] | undefined): EdgeView {
  const { artifact, owner, number, type, digest, made, otherwise } = stored
  const version = present({ artifact, entity: owner, version: `v${number}`, type, digest, createdAt: made === null ? null : new Date(made).toISOString() })
  return { direction, depth, edge, version, run: runView(stored, otherwise), ...(marks !== undefined && { marks }) }
}
