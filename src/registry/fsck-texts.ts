// What rows hold as text must say what is read out of it: else the first who reads it fails, on a registry whose sums are right.
import type { DatabaseSync } from 'node:sqlite'
import { locationsIdentity } from '../model/location.ts'
import type { Location } from '../model/location.ts'
import type { Certificate, Changes, LastLook } from '../model/version.ts'
import type { Fault, Heard } from './registry.ts'

type Kind = 'text' | 'number' | 'flag' | 'time' | 'texts' | 'list' | 'counts' | 'hearing' | 'perhapsText' | 'perhapsNumber'

const IS: Readonly<Record<Kind, (value: unknown) => boolean>> = {
  text: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  flag: (value) => typeof value === 'boolean',
  time: (value) => typeof value === 'string' && !Number.isNaN(Date.parse(value)),
  texts: (value) => Array.isArray(value) && value.every(IS.text),
  list: (value) => Array.isArray(value) && value.every((one) => isRecord(one) && IS.text(one['path']) && IS.text(one['reason'])),
  counts: (value) => isRecord(value) && Object.values(value).every(IS.number),
  hearing: (value) => isRecord(value) && Object.values(value).every((one) => isRecord(one) && lacking(one, HEARD) === undefined),
  perhapsText: (value) => value === undefined || typeof value === 'string',
  perhapsNumber: (value) => value === undefined || typeof value === 'number',
}

const CERTIFICATE: Readonly<Record<keyof Certificate, Kind>> = {
  startedAt: 'time', endedAt: 'time', kind: 'text', seen: 'number', recorded: 'number', skipped: 'list', skippedByReason: 'counts', filtered: 'number', changedUnderLook: 'texts',
  consistent: 'flag', requests: 'number', notes: 'texts',
}
const CHANGES: Readonly<Record<keyof Changes, Kind>> = { added: 'number', modified: 'number', removed: 'number', moved: 'number', bytesAdded: 'number', bytesRemoved: 'number' }
const LAST_LOOK: Readonly<Record<keyof LastLook, Kind>> = { kind: 'text', startedAt: 'time', endedAt: 'time', outcome: 'text', requests: 'perhapsNumber' }
const HEARD: Readonly<Record<keyof Heard, Kind>> = { reason: 'perhapsText', action: 'perhapsText', limits: 'perhapsText' }
const SCHEMES: readonly unknown[] = ['s3', 'gs', 'http', 'https', 'file'] satisfies readonly Location['scheme'][]

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Undefined for what is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What is wrong with a text that should hold these, in words. */
function lacks(text: string, shape: Readonly<Record<string, Kind>>): string | undefined {
  const value = parsed(text)
  if (!isRecord(value)) return value === undefined ? 'is no JSON' : 'is none'
  const wrong = lacking(value, shape)
  if (wrong === undefined) return undefined
  return value[wrong] === undefined ? `lacks ${wrong}` : `says of ${wrong} what cannot be`
}

/** The first member that is not what it should be. */
function lacking(value: Readonly<Record<string, unknown>>, shape: Readonly<Record<string, Kind>>): string | undefined {
  return Object.entries(shape).find(([name, kind]) => !IS[kind](value[name]))?.[0]
}

const AT = (id: string): string => `(SELECT p.name || '/' || c.name FROM collection c JOIN project p ON p.id = c.project WHERE c.id = ${id})`

/** Single texts that are read back as they are: whose they are (`artifact`, `what`), and the text. */
const TEXTS: readonly (readonly [of: Kind | Readonly<Record<string, Kind>>, query: string])[] = [
  ['texts', `SELECT ${AT('collection')} AS artifact, 'what the watch ' || name || ' has as aliases' AS what, aliases AS text FROM watch`],
  [LAST_LOOK, `SELECT ${AT('collection')} AS artifact, 'the last look of the watch ' || name AS what, last_look AS text FROM watch WHERE last_look IS NOT NULL`],
  ['hearing', `SELECT ${AT('collection')} AS artifact, 'how the watch ' || name || ' hears' AS what, hearing AS text FROM watch`],
  ['texts', `SELECT ${AT('collection')} AS artifact, 'what a look has as aliases' AS what, aliases AS text FROM look`],
  ['texts', `SELECT ${AT('collection')} AS artifact, 'what the audit noted' AS what, notes AS text FROM audit`],
  ['texts', `SELECT ${AT('collection')} AS artifact, 'what v' || until || ' changed of v' || number || ' in use' AS what, paths AS text FROM disturbance`],
]

function* singleTextFaults(database: DatabaseSync): Generator<Fault> {
  for (const [of, query] of TEXTS)
    for (const { artifact, what, text } of database.prepare(query).iterate() as Iterable<{ artifact: string | null; what: string; text: string }>) {
      const value = parsed(text)
      const wrong = typeof of !== 'string' ? lacks(text, of) : value === undefined ? 'is no JSON' : IS[of](value) ? undefined : 'is none'
      if (wrong !== undefined) yield { ...(artifact !== null && { artifact }), words: `${what} ${wrong}` }
    }
}

/** Of a collection's versions. */
export function* versionTextFaults(database: DatabaseSync, collection: number, artifact: string): Generator<Fault> {
  const rows = database.prepare('SELECT number, certificate, changes FROM version WHERE collection = ? ORDER BY number').iterate(collection) as Iterable<{
    number: number; certificate: string; changes: string
  }>
  for (const { number, certificate, changes } of rows) {
    const wrong = lacks(certificate, CERTIFICATE)
    if (wrong !== undefined) yield { artifact, words: `the certificate of v${number} ${wrong}` }
    const other = lacks(changes, CHANGES)
    if (other !== undefined) yield { artifact, words: `what changed in v${number} ${other}` }
  }
}

/** The texts of an entry. */
export interface Texts {
  readonly size: number
  readonly identity: string
  readonly digest: string
  /** Of a web object null: its server may write it one way and another, of the same bytes. */
  readonly etag: string | null
  readonly checksums: string | null
}

/** What an entry's own texts say wrong, in words. */
export function contentFaults({ size, identity, digest, etag, checksums }: Texts): readonly string[] {
  const sums = checksums === null ? {} : parsed(checksums)
  const known = identity.slice(0, identity.lastIndexOf(' '))
  const [kind, own] = [digest.slice(0, digest.indexOf(':') + 1), known.slice(0, known.indexOf(':') + 1)]
  // The same bytes may get another ETag, which a checksum tells; another MD5 never.
  const moved = digest !== known && kind === own && (kind === 'md5:' || checksums === null)
  const otherTag = etag !== null && kind === 'etag:' && digest !== `etag:${etag.replaceAll('"', '')}`
  return [
    ...(isRecord(sums) && Object.values(sums).every(IS.text) ? [] : ['has checksums that cannot be read']),
    ...(kind === '' ? [`has no digest but ${JSON.stringify(digest)}`] : []),
    ...(identity.endsWith(` ${size}`) ? [] : [`has ${size} bytes, and is known by ${JSON.stringify(identity)}`]),
    ...(moved ? [`has the digest ${digest}, and is known by ${known}`] : []),
    ...(otherTag ? [`has the digest ${digest}, and the ETag ${etag}`] : []),
  ]
}

/** Of the registry itself, and of the places where entries lie: each with the first entry that it is of. */
export function* commonTextFaults(database: DatabaseSync): Generator<Fault> {
  const { id } = database.prepare(`SELECT (SELECT value FROM meta WHERE key = 'id') AS id`).get() as { id: string | null }
  if (id === null || id === '') yield { words: 'the registry has no id: meta lacks it' }
  yield* singleTextFaults(database)
  for (const { id: location, identity, json } of database.prepare('SELECT id, identity, json FROM location ORDER BY id').all() as unknown as { id: number; identity: string; json: string }[]) {
    const wrong = wrongPlace(identity, json)
    if (wrong === undefined) continue
    const one = database.prepare(
      `SELECT r.path, r.since, coalesce(p.name || '/', '') || c.name AS artifact FROM (SELECT collection, path, since, location FROM head UNION ALL SELECT collection, path, since, location FROM past) r
       JOIN collection c ON c.id = r.collection LEFT JOIN project p ON p.id = c.project WHERE r.location = ? LIMIT 1`,
    ).get(location) as { path: string; since: number; artifact: string } | undefined
    const words = `location ${location} (${identity}) ${wrong}`
    yield one === undefined ? { words } : { artifact: one.artifact, words: `${words}: there lies ${JSON.stringify(one.path)} from v${one.since}, the first of all` }
  }
}

function wrongPlace(identity: string, json: string): string | undefined {
  const value = parsed(json)
  if (value === undefined) return 'is no JSON'
  const places: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (places.length === 0 || !places.every(isPlace)) return `says ${json.slice(0, 200)}, which is no place`
  // What stands for stretches of an import names but the first of its places.
  return identity.startsWith('import|') || locationsIdentity(places) === identity ? undefined : `says ${json.slice(0, 200)}, which is another place`
}

function isPlace(value: unknown): value is Location {
  if (!isRecord(value) || !SCHEMES.includes(value['scheme']) || !IS.text(value['bucket']) || !IS.text(value['prefix'])) return false
  return ['endpoint', 'object', 'at'].every((name) => value[name] === undefined || IS.text(value[name]))
}
