// What the hall speaks in: the shapes of a configuration and its surroundings, what holds unsaid, and which names are legal.
import ms from 'ms'
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
  /** Where the daemon listens: the address that the operator wrote, or (`said` false) the default, without which it can do; undefined: nowhere. */
  readonly listen?: { readonly host: string; readonly port: number; readonly said: boolean }
  /** How the audit of older versions runs; undefined: it does not. */
  readonly audit?: { readonly everyMs: number; readonly requestsPerHour: number }
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
  /** True for a terminal that cannot take a line back (`TERM=dumb`): no progress there either. */
  readonly dumb: boolean
  /** Where S3 and SQS are when not at AWS, without `/` at the end. A watch's own `s3.endpoint` goes before. */
  readonly s3Endpoint?: string
  readonly sqsEndpoint?: string
  /** `AWS_ENDPOINT_URL_STS`: where roles are assumed. Else that is done at the S3 endpoint, where it is not AWS's. */
  readonly stsEndpoint?: string
  /** The shared files in which the AWS SDK finds its profiles. */
  readonly awsFiles: readonly string[]
  /** `STORAGE_EMULATOR_HOST`, as an endpoint. A watch's own `gcs.endpoint` goes before. */
  readonly gcsEndpoint?: string
}

/** From all to nothing. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
/** One of them. */
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
  listen: '127.0.0.1:7373',
  auditEveryMs: 24 * 3_600_000,
  auditRequestsPerHour: 2_000,
} as const

/** An endpoint with and without slashes at its end is one place, so it is written without. */
export function plainEndpoint(endpoint: string | undefined): string | undefined {
  // That of the surroundings may hold what none may that is recorded.
  return endpoint?.replace(/[?#].*$/s, '').replace(/^([^/]+\/\/)[^/]*@/, '$1').replace(/\/+$/, '')
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
  return /\s/.test(alias) ? `the alias ${JSON.stringify(alias)} holds a space` : nameTrouble(alias)?.replace(/\ba name\b/, 'an alias').replace(/\bname\b/, 'alias')
}

/** Whole milliseconds of `5s`, `1.5h`, `2 days`; NaN for anything else, a number without unit included. */
export function durationMs(value: string): number {
  return /^\d+(\.\d+)?\s*[a-z]+$/i.test(value) && value.length <= 100 ? Math.round(ms(value as ms.StringValue) ?? Number.NaN) : Number.NaN
}

/** `127.0.0.1:7373` or `[::1]:7373` as host and port; undefined for anything else. */
export function addressOf(text: string): { readonly host: string; readonly port: number } | undefined {
  const [, host = '', port = ''] = /^(\[[0-9a-f:.]+\]|[^\s:/@]+):(\d{1,5})$/i.exec(text) ?? []
  return host === '' || Number(port) > 65_535 ? undefined : { host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
}

/** What is wrong with the text of `listen`; undefined when nothing is. */
export function listenTrouble(value: string): string | undefined {
  const address = addressOf(value)
  if (value !== 'off' && address === undefined) return 'not an address; write host:port, such as 127.0.0.1:7373, or off'
  // On loopback a test or a script reads it from the first line that `run` prints; nobody elsewhere does.
  return address?.port === 0 && !/^(localhost|127\.|::1$)/.test(address.host) ? 'port 0 is another port at each start, which other machines cannot know; write the port' : undefined
}

export function isOn(flag: boolean | string | undefined): boolean | undefined {
  return flag === undefined ? undefined : String(flag) === 'true'
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> } & { [K in keyof T as undefined extends T[K] ? never : K]: T[K] }

/** Without the keys that have no value. */
export function given<T extends object>(value: T): Given<T> {
  return Object.fromEntries(Object.entries(value).filter(([, held]) => held !== undefined)) as Given<T>
}
