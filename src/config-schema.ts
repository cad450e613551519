// What may stand in the file, key by key. Each message says what is wrong and what to write; it never repeats a value that may hold a secret.
import ms from 'ms'
import { z } from 'zod'
import { DEFAULTS, aliasTrouble, nameTrouble, parseCollection } from './config-terms.ts'
import { describe, isFailure } from './model/errors.ts'
import { parseLocation } from './model/location.ts'

const DAY_MS = 86_400_000

// An editor sees the text before `${VAR}` is replaced: what holds one is not judged there.
const DURATION_PATTERN = '^\\d+(\\.\\d+)?\\s*[a-zA-Z]+$|\\$\\{'
const SHARE_PATTERN = '^\\d+(\\.\\d+)?%$|\\$\\{'
const COUNT_PATTERN = '^[1-9]\\d{0,14}$|\\$\\{'
const FLAG_PATTERN = '^(true|false)$|\\$\\{'

/** A text that `trouble` finds nothing wrong with. */
function text(expected: string, trouble: (text: string) => string | undefined): z.ZodString {
  return z.string({ error: `expected ${expected}` }).check(({ value, issues }) => {
    const message = trouble(value)
    if (message !== undefined) issues.push({ code: 'custom', input: value, message })
  })
}

function name(what: string): z.ZodString {
  return text(`${what}; put quotes around a number`, nameTrouble)
}

const DURATION_HINT = 'write 5s, 2m, 6h or 1d, 365d at the most'

function duration(shortestMs: number): z.ZodString {
  return text(`a duration with its unit; ${DURATION_HINT}`, (value) => {
    const length = durationMs(value)
    if (Number.isNaN(length)) return `not a duration with its unit; ${DURATION_HINT}`
    return length >= shortestMs && length <= 365 * DAY_MS ? undefined : `the duration is out of bounds; ${DURATION_HINT}`
  }).meta({ pattern: DURATION_PATTERN })
}

/** Whole milliseconds of `5s`, `1.5h`, `2 days`; NaN for anything else, a number without unit included. */
export function durationMs(value: string): number {
  return /^\d+(\.\d+)?\s*[a-z]+$/i.test(value) && value.length <= 100 ? Math.round(ms(value as ms.StringValue) ?? Number.NaN) : Number.NaN
}

/** `50%` as 0.5; NaN for anything else. */
export function shareOf(value: string): number {
  const share = /^\d+(\.\d+)?%$/.test(value) ? Number.parseFloat(value) / 100 : Number.NaN
  return share <= 1 ? share : Number.NaN
}

function shareTrouble(value: string): string | undefined {
  return Number.isNaN(shareOf(value)) ? 'not a percentage; write one from 0% to 100%' : undefined
}

// A `${VAR}` is text when it is replaced, so numbers and switches may be given as text, too.
const COUNT_ERROR = 'expected a whole number above 0, such as 10000'
const count = z.union(
  [
    z.int({ error: COUNT_ERROR }).positive({ error: COUNT_ERROR }),
    text('a number', (value) => (/^[1-9]\d{0,14}$/.test(value) ? undefined : COUNT_ERROR)).meta({ pattern: COUNT_PATTERN }),
  ],
  { error: COUNT_ERROR },
)
const FLAG_ERROR = 'expected true or false'
const flag = z.union(
  [z.boolean(), text('a switch', (value) => (/^(true|false)$/.test(value) ? undefined : FLAG_ERROR)).meta({ pattern: FLAG_PATTERN })],
  { error: FLAG_ERROR },
)

function locationTrouble(value: string): string | undefined {
  if (value.startsWith('~')) return '~ is not expanded; write ${HOME}/… or the whole path'
  const scheme = /^([a-z][a-z0-9+.-]*):(?!\/\/)/i.exec(value)?.[1]
  if (scheme !== undefined) return `a scheme is followed by two slashes; write ${scheme}://… or, for a folder of that name, ./${scheme}:…`
  return usageTrouble(() => parseLocation(value, '/'))
}

function usageTrouble(read: () => unknown): string | undefined {
  try {
    read()
    return undefined
  } catch (error) {
    if (!isFailure(error, 'USAGE')) throw error
    return error.hint === undefined ? describe(error) : `${describe(error)}; ${error.hint}`
  }
}

function urlTrouble(...protocols: readonly string[]): (value: string) => string | undefined {
  const wanted = protocols.map((protocol) => `${protocol}//…`).join(' or ')
  return (value) => (protocols.includes(URL.parse(value)?.protocol ?? '') ? undefined : `not a URL that begins with ${wanted}`)
}

const webUrl = text('a URL', urlTrouble('https:', 'http:'))

function pathTrouble(value: string): string | undefined {
  if (value === '' || value.includes('\0')) return 'the path is empty or holds a NUL character'
  const plain = !value.startsWith('/') && !value.endsWith('/') && !value.split('/').includes('..')
  return plain ? undefined : 'the path is relative to the location, names one object and has no ..'
}

function folderTrouble(value: string): string | undefined {
  if (value === '' || value.includes('\0')) return 'the folder is empty or holds a NUL character'
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(value)) return 'not a folder; write a path on a local disk'
  return value.startsWith('~') ? '~ is not expanded; write ${HOME}/… or the whole path' : undefined
}

const pattern = text('a glob in quotes', (value) =>
  value === '' || value.includes('\0') ? 'the glob is empty or holds a NUL character' : undefined,
)

function list<T extends z.ZodType>(item: T, example: string): z.ZodArray<T> {
  return z.array(item, { error: `expected a list; write ${example}` })
}

function mapping<T extends z.ZodRawShape>(shape: T): z.ZodObject<T, z.core.$strict> {
  return z.strictObject(shape, { error: 'expected keys with values below it, each indented' })
}

/** `key` as an optional one with its line in the JSON Schema. */
function key<T extends z.ZodType>(schema: T, description: string): z.ZodOptional<T> {
  return schema.meta({ description }).optional()
}

const pacing = {
  settle: key(duration(1), `Quiet time after a hint before a look starts. Default ${ms(DEFAULTS.settleMs)}.`),
  max_wait: key(duration(1), `The longest that a stream of hints may put a look off. Default ${ms(DEFAULTS.maxWaitMs)}.`),
  reconcile: key(duration(1), `How often a whole scan proves that no hint was lost. Default ${ms(DEFAULTS.reconcileMs)}.`),
  poll: key(duration(1), `How often to look where nothing can be heard, and at every file location. Default ${ms(DEFAULTS.pollMs)}.`),
  max_objects: key(count, `More entries than this are an error and never a version. Default ${DEFAULTS.entriesMax}.`),
}

const access = mapping({
  region: key(text('a region', nameTrouble), 'The region of the bucket; else the SDK finds it.'),
  endpoint: key(webUrl, 'Where S3 is when not at AWS; goes before AWS_ENDPOINT_URL_S3, AWS_S3_ENDPOINT_URL and AWS_ENDPOINT_URL.'),
  path_style: key(flag, 'Address buckets as endpoint/bucket instead of bucket.endpoint. Default true where an endpoint is given.'),
  profile: key(text('the name of a profile', nameTrouble), 'The profile of the shared AWS files to take credentials from.'),
})

const guard = mapping({
  max_removed: key(
    text('a percentage; write 50%', shareTrouble).meta({ pattern: SHARE_PATTERN }),
    `A look that would remove more of the entries is held for a person, from 20 entries on. Default ${DEFAULTS.removedShareMax * 100}%.`,
  ),
  root_marker: key(
    text('a path', pathTrouble),
    'A file whose text says which root this is: without it, or with another text, nothing is recorded.',
  ),
  complete_marker: key(text('a path', pathTrouble), 'Nothing is recorded until this object exists.'),
})

const watch = mapping({
  name: name('a name').meta({ description: 'What to call this watch; unique.' }),
  location: text('a location; write s3://bucket/prefix/ or a folder', locationTrouble).meta({
    description: 's3://bucket/prefix/, file:///folder/ or a path, relative to this file. Without / at its end it may name one object.',
  }),
  artifact: text('the name of an artifact; write project/name', (value) => usageTrouble(() => parseCollection(value, DEFAULTS.entity))).meta({
    description: 'project/name or entity/project/name, made when missing. One watch alone writes to it.',
  }),
  type: name('a type').meta({ description: 'What users call this kind of thing: dataset, model…' }),
  aliases: key(list(text('an alias', aliasTrouble), '[staging]'), 'Names that move to each new version, besides latest.'),
  include: key(list(pattern, '["**/*.png"]'), 'Globs over paths below the location: only these. Without any, all.'),
  exclude: key(list(pattern, '["**/_tmp/**"]'), 'Globs over paths: not these, whatever include says.'),
  ...pacing,
  events: key(mapping({ sqs: key(webUrl, 'URL of the queue that the bucket notifies; watches may share it.') }), 'Where S3 tells of changes.'),
  s3: key(access, 'How to reach S3; credentials are the SDK\'s own.'),
  guard: key(guard, 'What must hold before a version is recorded.'),
  on_unreadable: key(
    z.enum(['fail', 'skip'], { error: 'expected fail or skip' }),
    'What cannot be read: fail records nothing, skip names it in the certificate. Default fail.',
  ),
  confirm: key(flag, 'S3: list a second time before a version, so that it can be called consistent. Default false.'),
  clock_slack: key(duration(0), 'How far the clock of a file server may be off. Default 0s.'),
})

const queueTrouble = (value: string): string | undefined =>
  value === 'inline' ? undefined : urlTrouble('redis:', 'rediss:')(value)?.replace('not a URL', 'neither inline nor a URL')

/** The whole file. Text that is valid by it can still clash with other text: `loadConfig` looks at that. */
export const configSchema = mapping({
  data: key(
    text('a folder', folderTrouble),
    `Folder of SQLite and state, on a local disk, relative to this file. Default ./${DEFAULTS.dataFolder}.`,
  ),
  queue: key(text('inline or redis://host:6379/0', queueTrouble), 'inline for one process, or redis://host:6379/0. Default inline.'),
  entity: key(name('the name of an entity'), `Owner of projects that name none. Default ${DEFAULTS.entity}.`),
  defaults: key(mapping(pacing), 'What holds for each watch that does not say otherwise.'),
  watch: list(watch, '- name: …').min(1, { error: 'nothing is watched; add a watch' }).meta({ description: 'What to watch, one item each.' }),
}).meta({ title: 'Varve configuration', description: 'What Varve watches, and how.' })

export type ConfigText = z.infer<typeof configSchema>
export type WatchText = ConfigText['watch'][number]

/** The JSON Schema (draft 7) of the file, for editors. */
export function jsonSchema(): z.core.JSONSchema.JSONSchema {
  return z.toJSONSchema(configSchema, { target: 'draft-7', io: 'input' })
}
