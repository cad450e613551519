// What may stand in the file, key by key.
import ms from 'ms'
import { z } from 'zod'
import {
  atTrouble, duration, DURATION_PATTERN, durationTrouble, count, flag, folderTrouble, key, list, locationTrouble, mapping, name,
  pathTrouble, pattern, SHARE_PATTERN, shareTrouble, text, urlTrouble, usageTrouble,
} from './config-keys.ts'
import { sources } from './config-sources.ts'
import { DEFAULTS, aliasTrouble, listenTrouble, parseCollection } from './config-terms.ts'

const pacing = {
  settle: key(duration(1), `Quiet time after a hint before a look starts. Default ${ms(DEFAULTS.settleMs)}.`),
  max_wait: key(duration(1), `The longest that a stream of hints may put a look off. Default ${ms(DEFAULTS.maxWaitMs)}.`),
  reconcile: key(duration(1), `How often a whole scan proves that no hint was lost. Default ${ms(DEFAULTS.reconcileMs)}.`),
  poll: key(duration(1), `How often to look where nothing can be heard, and at every file location. Default ${ms(DEFAULTS.pollMs)}.`),
  max_objects: key(count, `More entries than this are an error and never a version. Default ${DEFAULTS.entriesMax}.`),
}

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

const location = text('a location; write s3://bucket/prefix/ or a folder', locationTrouble)
const WHERE = 's3://bucket/prefix/, gs://bucket/prefix/, https://host/object, file:///folder/ or a path, relative to this file.'

const watch = mapping({
  name: name('a name').meta({ description: 'What to call this watch; unique.' }),
  location: key(location, `${WHERE} Without / at its end it may name one object.`),
  locations: key(
    list(
      mapping({ location: location.meta({ description: WHERE }), at: key(text('a folder', atTrouble), 'The folder of the artifact in which its paths stand.') }),
      '- location: …',
    ).min(1, { error: 'no location; add one' }),
    'Instead of location: several, each in a folder of the artifact that is its own.',
  ),
  artifact: text('the name of an artifact; write project/name', (value) => usageTrouble(() => parseCollection(value, DEFAULTS.entity))).meta({
    description: 'project/name or entity/project/name, made when missing. One watch alone writes to it.',
  }),
  type: name('a type').meta({ description: 'What users call this kind of thing: dataset, model…' }),
  aliases: key(list(text('an alias', aliasTrouble), '[staging]'), 'Names that move to each new version, besides latest.'),
  include: key(list(pattern, '["**/*.png"]'), 'Globs over paths below the location: only these. Without any, all.'),
  exclude: key(list(pattern, '["**/_tmp/**"]'), 'Globs over paths: not these, whatever include says.'),
  ...pacing,
  ...sources,
  guard: key(guard, 'What must hold before a version is recorded.'),
  on_unreadable: key(
    z.enum(['fail', 'skip'], { error: 'expected fail or skip' }),
    'What cannot be read: fail records nothing, skip names it in the certificate, and what was recorded of it before counts as removed until it can be read again. Default fail.',
  ),
  confirm: key(flag, 'S3 and GCS: a scan lists a second time before a version, so that it can be called consistent; of single hinted objects nothing is listed. Default false.'),
  clock_slack: key(duration(0), 'Files: how far the clock of a file server may be off. Default 0s.'),
})

function queueTrouble(value: string): string | undefined {
  if (value === 'inline') return undefined
  const trouble = urlTrouble('redis:', 'rediss:')(value)?.replace('not a URL', 'neither inline nor a URL')
  if (trouble !== undefined) return trouble
  const { pathname, searchParams } = new URL(value)
  // What the client of Redis takes for the database, in both places.
  const databases = [pathname.slice(1) || '0', ...searchParams.getAll('db')]
  return databases.every((one) => /^\d{1,9}$/.test(one)) ? undefined : 'the database at the end of the URL is no number; write redis://host:6379/0'
}

/** The whole file. Text that is valid by it can still clash with other text: `loadConfig` looks at that. */
export const configSchema = mapping({
  data: key(
    text('a folder', folderTrouble),
    `Folder of SQLite and state, on a local disk, relative to this file. Default ./${DEFAULTS.dataFolder}.`,
  ),
  queue: key(text('inline or redis://host:6379/0', queueTrouble), 'inline for one process, or redis://host:6379/0. Default inline.'),
  entity: key(name('the name of an entity'), `Owner of projects that name none. Default ${DEFAULTS.entity}.`),
  listen: key(
    text('an address; write 127.0.0.1:7373, or off', listenTrouble),
    `Where the daemon answers /livez, /readyz and /metrics, and webhooks. Default ${DEFAULTS.listen}; off for nowhere.`,
  ),
  audit: key(
    mapping({
      every: key(
        text('a duration, or off', (value) => (value === 'off' ? undefined : durationTrouble(value, 1))).meta({ pattern: `^off$|${DURATION_PATTERN}` }),
        `How often it is asked whether older versions can still be restored. Default ${ms(DEFAULTS.auditEveryMs)}; off for never.`,
      ),
      requests_per_hour: key(count, `At most so many requests to stores for it. Default ${DEFAULTS.auditRequestsPerHour}.`),
    }),
    'The audit of older versions.',
  ),
  defaults: key(mapping(pacing), 'What holds for each watch that does not say otherwise.'),
  watch: list(watch, '- name: …').min(1, { error: 'nothing is watched; add a watch' }).meta({ description: 'What to watch, one item each.' }),
}).meta({ title: 'Varve configuration', description: 'What Varve watches, and how.' })

export type ConfigText = z.infer<typeof configSchema>
export type WatchText = ConfigText['watch'][number]

/** The JSON Schema (draft 7) of the file, for editors. */
export function jsonSchema(): z.core.JSONSchema.JSONSchema {
  return z.toJSONSchema(configSchema, { target: 'draft-7', io: 'input' })
}
