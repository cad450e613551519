// Start-up of every command passes here, so what reads YAML is loaded only when there is a file to read.
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { VarveError } from './model/errors.ts'
import type { CollectionName, Watch } from './model/watch.ts'

/** What the operator wrote, whole and checked: deeply frozen. */
export interface Config {
  /** The file it was read from, absolute. */
  readonly file: string
  /** Where SQLite and state lie, absolute. It need not exist. */
  readonly dataFolder: string
  /** One process, or Redis at `url` (with its credentials: never print it without `scrub`). */
  readonly queue: 'inline' | { readonly url: string }
  /** The owner of projects that name none. */
  readonly defaultEntity: string
  /** In the file's order, at least one; names and collections are unique. */
  readonly watches: readonly Watch[]
}

/** What the surroundings say: the whole of `process.env` that Varve itself reads. The AWS SDK reads its own credentials. */
export interface Environment {
  /** For `${VAR}` in a configuration. */
  readonly variables: Readonly<Record<string, string | undefined>>
  /** `VARVE_CONFIG`. */
  readonly configFile?: string
  /** False with `NO_COLOR`, true with `FORCE_COLOR`; undefined: a terminal gets colours. */
  readonly colours?: boolean
  /** A pino level; `warn` when `LOG_LEVEL` is unset or none of them. */
  readonly logLevel: LogLevel
  /** True where nobody watches the terminal: no progress there. */
  readonly ci: boolean
  /** Where S3 and SQS are when not at AWS, without `/` at the end. A watch's own `s3.endpoint` goes before. */
  readonly s3Endpoint?: string
  readonly sqsEndpoint?: string
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** What holds for a watch that says nothing else, and for `put` without a configuration. */
export const DEFAULTS = {
  entity: 'local',
  dataFolder: '.varve',
  settleMs: 5_000,
  maxWaitMs: 120_000,
  reconcileMs: 6 * 3_600_000,
  pollMs: 60_000,
  entriesMax: 10_000,
  removedShareMax: 0.5,
  clockSlackMs: 0,
} as const

/** The only reading of `process.env`. An empty variable counts as unset. */
export function environment(env: Readonly<Record<string, string | undefined>> = process.env): Environment {
  const set = (name: string): string | undefined => (env[name] === '' ? undefined : env[name])
  const configFile = set('VARVE_CONFIG')
  const level = LOG_LEVELS.find((known) => known === set('LOG_LEVEL')?.toLowerCase())
  const s3Endpoint = plainEndpoint(set('AWS_ENDPOINT_URL_S3') ?? set('AWS_S3_ENDPOINT_URL') ?? set('AWS_ENDPOINT_URL'))
  const sqsEndpoint = plainEndpoint(set('AWS_ENDPOINT_URL_SQS') ?? set('AWS_ENDPOINT_URL'))
  const colours = coloursWanted(set('NO_COLOR'), set('FORCE_COLOR'))
  return Object.freeze({
    variables: env,
    logLevel: level ?? 'warn',
    ci: !['', '0', 'false'].includes(env['CI'] ?? ''),
    ...(configFile !== undefined && { configFile }),
    ...(colours !== undefined && { colours }),
    ...(s3Endpoint !== undefined && { s3Endpoint }),
    ...(sqsEndpoint !== undefined && { sqsEndpoint }),
  })
}

/** An endpoint with and without slashes at its end is one place, so it is written without. */
export function plainEndpoint(endpoint: string | undefined): string | undefined {
  return endpoint?.replace(/\/+$/, '')
}

/** `NO_COLOR` goes before: who asks for plain text may be unable to read anything else. */
function coloursWanted(no: string | undefined, force: string | undefined): boolean | undefined {
  if (no !== undefined) return false
  return force === undefined ? undefined : !['0', 'false'].includes(force)
}

/**
 * The configuration file to use, absolute: what `--config` gave, else `VARVE_CONFIG`, else the first that exists of `./varve.yaml` and
 * `/etc/varve/config.yaml`; undefined when there is none. One that was named is returned though it may not exist: `readConfig` then says so.
 */
export function findConfig(given: string | undefined, surroundings: Environment, base: string = process.cwd()): string | undefined {
  const named = given ?? surroundings.configFile
  if (named !== undefined) return resolve(base, named)
  return [join(base, 'varve.yaml'), '/etc/varve/config.yaml'].find((file) => existsSync(file))
}

/**
 * Reads and checks a configuration. Throws CONFIG_INVALID, whose message has one line for each error, all at once:
 * `file:line:column: what is wrong; what to do`.
 */
export async function readConfig(file: string, surroundings: Environment): Promise<Config> {
  const { loadConfig, readText } = await import('./config-load.ts')
  return loadConfig(await readText(file), resolve(file), surroundings)
}

/**
 * Reads `project/collection` (of the default entity) or `entity/project/collection`. Throws USAGE for anything else, and for names that are
 * longer than 128 characters, hold `:` or a control character, or begin or end with a space.
 */
export function parseCollection(text: string, defaultEntity: string): CollectionName {
  const parts = text.split('/')
  const [entity, project, collection] = parts.length === 2 ? [defaultEntity, ...parts] : parts
  if (entity === undefined || project === undefined || collection === undefined || parts.length > 3)
    throw new VarveError('USAGE', `${JSON.stringify(text)} is not an artifact's name`, { hint: 'write project/name or entity/project/name' })
  for (const part of [entity, project, collection]) {
    const trouble = nameTrouble(part)
    if (trouble !== undefined)
      throw new VarveError('USAGE', `${JSON.stringify(text)}: ${trouble}`, { hint: 'write project/name or entity/project/name' })
  }
  return { entity, project, collection }
}

/** What is wrong with a name of an entity, project, collection, type or watch; undefined when nothing is. */
export function nameTrouble(name: string): string | undefined {
  if (name === '') return 'a name is empty'
  if (name.length > 128) return `a name has ${name.length} characters, 128 is the most`
  if (/[/:]/.test(name)) return `the name ${JSON.stringify(name)} holds / or :`
  if (/\p{Cc}/u.test(name)) return `the name ${JSON.stringify(name)} holds a control character`
  return name.trim() === name ? undefined : `the name ${JSON.stringify(name)} begins or ends with a space`
}

/** What is wrong with an alias that a person gives; undefined when nothing is. `latest` and `vN` are given by Varve alone. */
export function aliasTrouble(alias: string): string | undefined {
  if (alias === 'latest' || /^v\d+$/.test(alias)) return `the alias ${alias} is given by Varve itself; choose another`
  return /\s/.test(alias) ? `the alias ${JSON.stringify(alias)} holds a space` : nameTrouble(alias)?.replace(/\bname\b/, 'alias')
}
