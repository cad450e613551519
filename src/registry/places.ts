import { digestOf } from '../model/digest.ts'
import { areaOf, formatLocations, locationIdentity, locationsIdentity } from '../model/location.ts'
import type { Location } from '../model/location.ts'
import type { CollectionName, ProjectName } from '../model/watch.ts'
import type { Statements } from './database.ts'
import type { PutOrder, RunName } from './registry.ts'

/** What a look must know of its collection. */
export interface Place {
  readonly id: number
  readonly project: number
  readonly type: string
  /** The number that the next version gets. */
  readonly next: number
}

/**
 * The collection, made with its project and entity where they are missing. Before its first version only a watch other than `keeper` holds it to a type; else it may be
 * of another type than `type`.
 */
export async function placeOf(tx: Statements, name: CollectionName, type: string, keeper: string | null): Promise<Place> {
  const project = await projectOf(tx, name)
  const place = await tx.one<Place>(
    `INSERT INTO collection(project, name, type) VALUES (:project, :name, :type)
     ON CONFLICT DO UPDATE SET type = iif(next = 0
       AND NOT EXISTS (SELECT 1 FROM watch w WHERE w.collection = collection.id AND w.enrolled AND w.name IS NOT :keeper), excluded.type, type)
     RETURNING id, project, type, next`,
    { project, name: name.collection, type, keeper },
  )
  if (place === undefined) throw new Error('a collection was not made')
  return place
}

/** The project, made with its entity where they are missing. */
export async function projectOf(tx: Statements, { entity, project }: ProjectName): Promise<number> {
  const owner = await made(tx, 'INSERT INTO entity(name) VALUES (:name) ON CONFLICT DO UPDATE SET name = name RETURNING id', { name: entity })
  return made(tx, 'INSERT INTO project(entity, name) VALUES (:owner, :name) ON CONFLICT DO UPDATE SET name = name RETURNING id', { owner, name: project })
}

/** The id that stands for these locations together: of one, what stands in its rows; of several, each row has that of the one it belongs to. */
export async function locationOf(tx: Statements, locations: readonly Location[]): Promise<number> {
  const whole = await made(tx, 'INSERT INTO location(identity, json) VALUES (:identity, :json) ON CONFLICT DO UPDATE SET identity = identity RETURNING id', {
    identity: locationsIdentity(locations),
    json: JSON.stringify(locations.length === 1 ? locations[0] : locations),
  })
  if (locations.length === 1) return whole
  for (const location of locations) {
    const area = areaOf(location)
    // The text after `a/` and all that begins so is `a0`; the text after a path is that path and a NUL.
    const [start, before] = 'path' in area ? [area.path, `${area.path}\0`] : [area.folder, `${area.folder.slice(0, -1)}0`]
    await tx.all('INSERT OR REPLACE INTO place VALUES (:whole, :start, :before, :location)', { whole, start, before, location: await locationOf(tx, [location]) })
  }
  return whole
}

/** The id that stands for these stretches of paths together: the same for the same ones. */
export async function stretchesOf(tx: Statements, stretches: NonNullable<PutOrder['stretches']>): Promise<number> {
  const identity = `import|${digestOf(stretches.map(({ first, last, location }) => [first, last, locationIdentity(location)]))}`
  const whole = await made(tx, 'INSERT INTO location(identity, json) VALUES (:identity, :json) ON CONFLICT DO UPDATE SET identity = identity RETURNING id', {
    identity,
    json: JSON.stringify(stretches.slice(0, 1).map(({ location }) => location)),
  })
  // The text after a path is that path and a NUL.
  for (const { first, last, location } of stretches)
    await tx.all('INSERT OR REPLACE INTO place VALUES (:whole, :start, :before, :location)', { whole, start: first, before: `${last}\0`, location: await locationOf(tx, [location]) })
  return whole
}

/** The location that a row names. */
export async function storedLocation(statements: Statements, id: number): Promise<Location> {
  const row = await statements.one<{ json: string }>('SELECT json FROM location WHERE id = :id', { id })
  if (row === undefined) throw new Error(`location ${id} is not there`)
  return JSON.parse(row.json) as Location
}

/** The locations that the id of `locationOf` or `stretchesOf` stands for. */
export async function placesOf(statements: Statements, whole: number): Promise<readonly Location[]> {
  const rows = await statements.all<{ json: string }>(
    'SELECT json FROM location WHERE id IN (SELECT location FROM place WHERE whole = :whole) OR (id = :whole AND NOT EXISTS (SELECT 1 FROM place WHERE whole = :whole))',
    { whole },
  )
  return rows.map(({ json }) => JSON.parse(json) as Location)
}

/** A stored location, or several, in words. */
export function formatStored(json: string): string {
  const stored = JSON.parse(json) as Location | readonly Location[]
  return formatLocations('scheme' in stored ? [stored] : stored)
}

/** A new run of the project. */
export function runOf(tx: Statements, project: number, name: string, nowMs: number): Promise<number> {
  return made(tx, 'INSERT INTO run(project, name, created_at) VALUES (:project, :name, :nowMs) RETURNING id', { project, name, nowMs })
}

/** The run that people call `name`: of its project, else of the one of `otherwise`; made where it is missing, and then it runs. */
export async function namedRun(tx: Statements, { name, project }: RunName, otherwise: ProjectName, nowMs: number): Promise<number> {
  return made(
    tx,
    `INSERT INTO run(project, name, created_at, state) VALUES (:project, :name, :nowMs, 'running')
     ON CONFLICT (name, project) WHERE state IS NOT NULL DO UPDATE SET name = name RETURNING id`,
    { project: await projectOf(tx, project ?? otherwise), name, nowMs },
  )
}

async function made(tx: Statements, text: string, named: Readonly<Record<string, string | number>>): Promise<number> {
  const row = await tx.one<{ id: number }>(text, named)
  if (row === undefined) throw new Error('a row was not made')
  return row.id
}
