import { locationIdentity } from '../model/location.ts'
import type { Location } from '../model/location.ts'
import type { CollectionName } from '../model/watch.ts'
import type { Statements } from './database.ts'

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
  const entity = await made(tx, 'INSERT INTO entity(name) VALUES (:name) ON CONFLICT DO UPDATE SET name = name RETURNING id', { name: name.entity })
  const project = await made(tx, 'INSERT INTO project(entity, name) VALUES (:entity, :name) ON CONFLICT DO UPDATE SET name = name RETURNING id', {
    entity,
    name: name.project,
  })
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

/** The id that stands for this place in rows. */
export function locationOf(tx: Statements, location: Location): Promise<number> {
  return made(tx, 'INSERT INTO location(identity, json) VALUES (:identity, :json) ON CONFLICT DO UPDATE SET identity = identity RETURNING id', {
    identity: locationIdentity(location),
    json: JSON.stringify(location),
  })
}

/** A new run of the project. */
export function runOf(tx: Statements, project: number, name: string, nowMs: number): Promise<number> {
  return made(tx, 'INSERT INTO run(project, name, created_at) VALUES (:project, :name, :nowMs) RETURNING id', { project, name, nowMs })
}

async function made(tx: Statements, text: string, named: Readonly<Record<string, string | number>>): Promise<number> {
  const row = await tx.one<{ id: number }>(text, named)
  if (row === undefined) throw new Error('a row was not made')
  return row.id
}
