import { VarveError } from '../model/errors.ts'
import type { CollectionName } from '../model/watch.ts'
import type { Named, Statements } from './database.ts'

/** A collection that was found by its name. */
export interface Collection {
  readonly id: number
  /** `project/collection`, as its messages name it. */
  readonly artifact: string
  readonly head: number | null
}

/** Over a collection `c`: it has had a version, or a watch keeps it. What a `put` has only begun is not there yet, and never will be where its process died. */
export const IS_THERE = '(c.next > 0 OR EXISTS (SELECT 1 FROM watch w WHERE w.collection = c.id))'

/** Throws NOT_FOUND, naming the first part of the name that is missing, and what there is instead. */
export async function collectionOf(statements: Statements, { entity, project, collection }: CollectionName): Promise<Collection> {
  const artifact = `${project}/${collection}`
  const found = await statements.one<{ id: number; head: number | null }>(
    `SELECT c.id, c.head FROM collection c JOIN project p ON p.id = c.project JOIN entity e ON e.id = p.entity
     WHERE e.name = :entity AND p.name = :project AND c.name = :collection AND ${IS_THERE}`,
    { entity, project, collection },
  )
  if (found !== undefined) return { ...found, artifact }
  const beside = await namesOf(
    statements,
    `SELECT c.name FROM collection c JOIN project p ON p.id = c.project JOIN entity e ON e.id = p.entity WHERE e.name = :entity AND p.name = :project AND ${IS_THERE} ORDER BY c.name`,
    { entity, project },
  )
  if (beside.length > 0) throw new VarveError('NOT_FOUND', `no collection ${artifact}: ${project} has ${listed(beside)}`)
  const projects = await namesOf(statements, 'SELECT p.name FROM project p JOIN entity e ON e.id = p.entity WHERE e.name = :entity ORDER BY p.name', { entity })
  if (projects.length > 0) throw new VarveError('NOT_FOUND', `no collection ${artifact}: ${entity} has the projects ${listed(projects)}`)
  const entities = await namesOf(statements, 'SELECT name FROM entity ORDER BY name', {})
  throw new VarveError('NOT_FOUND', `no collection ${artifact} of ${entity}: there is ${entities.length === 0 ? 'nothing yet' : `only what belongs to ${listed(entities)}`}`)
}

/** The ids of the projects that `project` or `entity/project` names. Throws NOT_FOUND when there is none. */
export async function projectsNamed(statements: Statements, name: string): Promise<readonly number[]> {
  const slash = name.indexOf('/')
  const entity = slash < 0 ? null : name.slice(0, slash)
  const project = name.slice(slash + 1)
  const found = await statements.all<{ id: number }>(
    'SELECT p.id FROM project p JOIN entity e ON e.id = p.entity WHERE p.name = :project AND (:entity IS NULL OR e.name = :entity)',
    { entity, project },
  )
  if (found.length > 0) return found.map(({ id }) => id)
  const names = await namesOf(statements, 'SELECT DISTINCT name FROM project ORDER BY name', {})
  throw new VarveError('NOT_FOUND', `no project ${name}: there is ${names.length === 0 ? 'none yet' : listed(names)}`)
}

/** The number of `v3`, `latest` or an alias. Throws NOT_FOUND, naming the versions and aliases that there are. */
export async function versionOf(statements: Statements, collection: Collection, version: string): Promise<number> {
  const { id, artifact, head } = collection
  if (version === 'latest' && head !== null) return head
  const number = /^v\d+$/.test(version) ? Number(version.slice(1)) : null
  const found = await statements.one<{ number: number }>(
    `SELECT number FROM version WHERE collection = :id AND number = :number
     UNION ALL SELECT number FROM alias WHERE collection = :id AND name = :version`,
    { id, number, version },
  )
  if (found !== undefined) return found.number
  const range = await statements.one<{ first: number | null; last: number; count: number; next: number }>(
    `SELECT min(number) AS first, max(number) AS last, count(*) AS count, (SELECT next FROM collection WHERE id = :id) AS next FROM version WHERE collection = :id`,
    { id },
  )
  if (range === undefined || range.first === null) throw new VarveError('NOT_FOUND', `no version ${version} of ${artifact}: it has none ${range?.next === 0 ? 'yet' : 'any more'}`)
  const aliases = await namesOf(statements, 'SELECT name FROM alias WHERE collection = :id ORDER BY name', { id })
  const gaps = range.last - range.first + 1 > range.count ? `${range.count} of ` : ''
  const versions = range.first === range.last ? `v${range.first}` : `${gaps}v${range.first} to v${range.last}`
  throw new VarveError('NOT_FOUND', `no version ${version} of ${artifact}: it has ${versions}, aliases ${listed(['latest', ...aliases])}`)
}

async function namesOf(statements: Statements, text: string, named: Named): Promise<readonly string[]> {
  return (await statements.all<{ name: string }>(text, named)).map(({ name }) => name)
}

const NAMED_MOST = 20

function listed(names: readonly string[]): string {
  return names.length <= NAMED_MOST ? names.join(', ') : `${names.slice(0, NAMED_MOST).join(', ')} and ${names.length - NAMED_MOST} more`
}
