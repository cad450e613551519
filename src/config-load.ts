import { createReadStream } from 'node:fs'
import { dirname, resolve } from 'node:path'
import ms from 'ms'
import type { z } from 'zod'
import { fileProblems } from './config-files.ts'
import type { FilesAsked } from './config-files.ts'
import { durationTrouble, shareOf } from './config-keys.ts'
import { hookClashes } from './config-hooks.ts'
import { configSchema, jsonSchema } from './config-schema.ts'
import type { ConfigText, WatchText } from './config-schema.ts'
import { endpointOf, eventsOf, gcsAccessOf, httpAccessOf, s3AccessOf } from './config-sources.ts'
import { addressOf, DEFAULTS, durationMs, given, isOn, parseCollection } from './config-terms.ts'
import type { Config, Environment } from './config-terms.ts'
import { parseTree } from './config-yaml.ts'
import type { Problem, Tree } from './config-yaml.ts'
import { VarveError, describe, isFailure } from './model/errors.ts'
import { areaOf, overlap, parseLocation } from './model/location.ts'
import type { Area, Location } from './model/location.ts'
import { formatCollection } from './model/watch.ts'
import type { Watch } from './model/watch.ts'

/** No configuration that a person wrote is larger. */
const BYTES_MAX = 10 * 1024 * 1024

/** The text of a configuration file, without byte order mark. Throws CONFIG_INVALID with one line that says why it cannot be read. */
export async function readText(file: string): Promise<string> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of createReadStream(file, { end: BYTES_MAX })) chunks.push(chunk as Buffer)
  } catch (error) {
    throw new VarveError('CONFIG_INVALID', `${file}: ${wordsOf((error as NodeJS.ErrnoException).code, describe(error))}`, { cause: error })
  }
  const bytes = Buffer.concat(chunks)
  if (bytes.length > BYTES_MAX) throw new VarveError('CONFIG_INVALID', `${file}: more than 10 MB is no configuration; name another`)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw new VarveError('CONFIG_INVALID', `${file}: this is not UTF-8 text; save it as UTF-8`, { cause: error })
  }
}

function wordsOf(code: string | undefined, message: string): string {
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'there is no such file; name another with --config'
  if (code === 'EISDIR') return 'this is a folder; name the file in it'
  if (code === 'EACCES' || code === 'EPERM') return 'no permission to read it; give this user read access'
  return `it cannot be read: ${message}`
}

/** The configuration that `text` describes. `file` is absolute: relative paths are relative to its folder. Throws CONFIG_INVALID: all mistakes. */
export function loadConfig(text: string, file: string, surroundings: Environment): Config {
  return load(text, file, surroundings).config
}

/** The same, with what is wrong in the files that it names, when nothing else is. */
export async function loadWithFiles(text: string, file: string, surroundings: Environment, asked: FilesAsked): Promise<Config> {
  const { config, tree } = load(text, file, surroundings)
  const problems = await fileProblems(tree, config, asked)
  if (problems.length > 0) throw invalid(file, tree, problems)
  return config
}

function load(text: string, file: string, surroundings: Environment): { readonly config: Config; readonly tree: Tree } {
  const tree = parseTree(text, surroundings.variables)
  const parsed = configSchema.safeParse(tree.value)
  if (parsed.success && tree.problems.length === 0) {
    const clashes = clashesOf(tree, parsed.data.entity ?? DEFAULTS.entity)
    // A watch without a place cannot be built.
    if (placeless(parsed.data)) throw invalid(file, tree, clashes)
    const config = build(parsed.data, file, surroundings)
    const all = [...clashes, ...enclosuresOf(tree, config), ...hookClashes(tree, config)]
    if (all.length === 0) return { config, tree }
    throw invalid(file, tree, all)
  }
  if (tree.value === undefined && tree.problems.length > 0) throw invalid(file, tree, tree.problems)
  if (tree.value === null || tree.value === undefined)
    throw new VarveError('CONFIG_INVALID', `${file}:1:1: the file is empty; begin with watch:`)
  const found = parsed.success ? [] : parsed.error.issues.flatMap((issue) => problemsOf(issue, tree))
  throw invalid(file, tree, [...tree.problems, ...found, ...clashesOf(tree, textAt(tree.value, 'entity') ?? DEFAULTS.entity)])
}

/** In the order of the text, at each place what `linesAt` says. */
function invalid(file: string, tree: Tree, problems: readonly Problem[]): VarveError {
  const places = [...Map.groupBy(problems, (problem) => problem.offset)].toSorted(([a], [b]) => a - b)
  const lines = places.flatMap(([offset, found]) => {
    const { line, column } = tree.position(offset)
    return linesAt(found.map(({ text }) => text)).map((words) => `${file}:${line}:${column}: ${tree.withoutValues(offset, words)}`)
  })
  return new VarveError('CONFIG_INVALID', lines.join('\n'))
}

const UNKNOWN = 'unknown key '

/** Each unknown key, and one line for the rest: the first that was found explains the others. */
function linesAt(found: readonly string[]): string[] {
  const [unknown, rest] = [true, false].map((wanted) => found.filter((text) => text.startsWith(UNKNOWN) === wanted)) as [string[], string[]]
  const missing = rest.map((text) => /^`(.+)` is missing here; add it$/.exec(text)?.[1])
  const all = missing.length > 1 && missing.every((name) => name !== undefined)
  return [...unknown, ...(all ? [`${missing.map((name) => `\`${name}\``).join(', ')} are missing here; add them`] : rest.slice(0, 1))]
}

function problemsOf(issue: z.core.$ZodIssue, tree: Tree): Problem[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ offset: tree.atKey([...issue.path, key]), text: unknownKey(key, knownKeys(issue.path)) }))
  const key = issue.path.at(-1)
  const value = valueAt(tree.value, issue.path)
  if (value === undefined && key !== undefined)
    return [{ offset: tree.at(issue.path.slice(0, -1)), text: `\`${String(key)}\` is missing here; add it` }]
  const label = typeof key === 'string' ? `\`${key}\`: ` : ''
  if (value === null) return [{ offset: tree.atKey(issue.path), text: `${label}nothing follows; ${issue.message}` }]
  return [{ offset: tree.at(issue.path), text: `${label}${issue.message}` }]
}

function unknownKey(key: string, known: readonly string[]): string {
  const words = `${UNKNOWN}${JSON.stringify(key.slice(0, 64))}`
  const closest = known
    .map((candidate) => ({ candidate, distance: key.length > 64 ? Infinity : editDistance(key, candidate) }))
    .toSorted((a, b) => a.distance - b.distance)[0]
  // All of a short name replaced is another name.
  const near = closest !== undefined && closest.distance <= Math.max(2, closest.candidate.length / 3) && closest.distance < closest.candidate.length
  return near ? `${words}; did you mean \`${closest.candidate}\`?` : `${words}; known here: ${known.join(', ')}`
}

function knownKeys(path: readonly PropertyKey[]): string[] {
  let schema = jsonSchema()
  for (const step of path) schema = ((typeof step === 'number' ? schema.items : schema.properties?.[String(step)]) ?? {}) as typeof schema
  return Object.keys(schema.properties ?? {})
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let before: readonly number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? before[j - 2]! + 1 : Infinity
      next.push(Math.min(replaced, swapped, row[j]! + 1, next[j - 1]! + 1))
    }
    before = row
    row = next
  }
  return row[b.length]!
}

/** What no single key shows. Works on the bare text, so that it is found in the same run as other mistakes. */
function clashesOf(tree: Tree, defaultEntity: string): Problem[] {
  const watches = valueAt(tree.value, ['watch'])
  const problems = auditClashes(tree)
  const names = new Map<string, number>()
  const artifacts = new Map<string, number>()
  for (const [index, watch] of (Array.isArray(watches) ? watches : []).entries()) {
    const path = ['watch', index]
    problems.push(...placeClashes(tree, path, watch), ...schemeClashes(tree, path, watch), ...pacingClashes(tree, path, watch))
    const name = textAt(watch, 'name')
    if (name !== undefined) problems.push(...twice(tree, [...path, 'name'], name, names, (line) =>
      `the watch at line ${line} has the name ${JSON.stringify(name)}, too; give each its own`))
    const artifact = wholeName(textAt(watch, 'artifact'), defaultEntity)
    if (artifact !== undefined) problems.push(...twice(tree, [...path, 'artifact'], artifact, artifacts, (line) =>
      `the watch at line ${line} writes to ${artifact}, too; one artifact has one watch`))
  }
  return problems
}

function twice(tree: Tree, path: readonly PropertyKey[], value: string, seen: Map<string, number>, words: (line: number) => string): Problem[] {
  const offset = tree.at(path)
  const before = seen.get(value)
  if (before !== undefined) return [{ offset, text: words(tree.position(before).line) }]
  seen.set(value, offset)
  return []
}

const SCHEMES = ['s3', 'gs', 'http', 'file']
// Keys that mean something for these alone.
const OF_SCHEMES: readonly (readonly [steps: readonly string[], schemes: readonly string[]])[] = [
  [['events', 'sqs'], ['s3']], [['events', 'webhook'], ['s3']], [['s3'], ['s3']], [['events', 'pubsub'], ['gs']], [['gcs'], ['gs']], [['http'], ['http']],
  // Files are always confirmed; a web object is all there is.
  [['confirm'], ['s3', 'gs']], [['clock_slack'], ['file']],
  // What asks for a second object beside the first.
  [['guard', 'root_marker'], ['s3', 'gs', 'file']], [['guard', 'complete_marker'], ['s3', 'gs', 'file']],
]

/** The texts of a watch's locations, with where each stands. */
function locationTexts(watch: unknown): { readonly text: string; readonly at: string | undefined; readonly path: readonly PropertyKey[] }[] {
  const one = textAt(watch, 'location')
  const several = valueAt(watch, ['locations'])
  return [
    ...(one === undefined ? [] : [{ text: one, at: undefined, path: ['location'] }]),
    ...(Array.isArray(several) ? several : []).flatMap((item, index) => {
      const text = textAt(item, 'location')
      return text === undefined ? [] : [{ text, at: textAt(item, 'at'), path: ['locations', index] }]
    }),
  ]
}

function auditClashes(tree: Tree): Problem[] {
  const path = ['audit', 'requests_per_hour']
  if (textAt(valueAt(tree.value, ['audit']), 'every') !== 'off' || valueAt(tree.value, path) === undefined) return []
  return [{ offset: tree.atKey(path), text: '`requests_per_hour` does nothing while `every` is off; take one of the two out' }]
}

/** A bound that is shorter than what it bounds. */
function pacingClashes(tree: Tree, path: readonly PropertyKey[], watch: unknown): Problem[] {
  const told = (key: string): string | undefined => textAt(watch, key) ?? textAt(valueAt(tree.value, ['defaults']), key)
  const [settle, maxWait] = [told('settle'), told('max_wait')]
  const wrong = [settle, maxWait].some((text) => text !== undefined && durationTrouble(text, 1) !== undefined)
  if (wrong || lengthOf(settle, DEFAULTS.settleMs) <= lengthOf(maxWait, DEFAULTS.maxWaitMs)) return []
  const at = [path, ['defaults']].flatMap((place) => ['settle', 'max_wait'].map((name) => [...place, name])).find((steps) => valueAt(tree.value, steps) !== undefined)
  return [{ offset: tree.at(at ?? path), text: `\`settle\` (${settle ?? ms(DEFAULTS.settleMs)}) is longer than its bound \`max_wait\` (${maxWait ?? ms(DEFAULTS.maxWaitMs)})` }]
}

/** Keys for a kind of location that the watch does not have, and such as do nothing beside another. */
function schemeClashes(tree: Tree, path: readonly PropertyKey[], watch: unknown): Problem[] {
  const schemes = locationTexts(watch).map(({ text }) => (/^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase() ?? 'file').replace('https', 'http'))
  if (schemes.length === 0 || schemes.some((scheme) => !SCHEMES.includes(scheme))) return []
  const told = (steps: readonly string[]): boolean => (valueAt(watch, steps) ?? undefined) !== undefined
  const at = (steps: readonly string[], text: string): Problem => ({ offset: tree.atKey([...path, ...steps]), text: `\`${steps.at(-1)}\` ${text}; take it out` })
  const foreign = OF_SCHEMES.filter(([steps, of]) => told(steps) && !of.some((scheme) => schemes.includes(scheme)))
  // Pub/Sub is elsewhere: there they are shown.
  const unshown = /^http:/i.test(textAt(valueAt(watch, ['gcs']), 'endpoint') ?? '') && !told(['events', 'pubsub']) ? [['gcs', 'impersonate'], ['gcs', 'credentials_file']].filter(told) : []
  return [
    ...foreign.map(([steps, of]) => at(steps, `is for ${of.length > 2 ? 'other' : of.map((scheme) => `${scheme}://`).join(' and ')} locations`)),
    ...(foreign.some(([steps]) => steps[0] === 'gcs') ? [] : unshown).map((steps) => at(steps, 'does nothing, since no credentials are shown to an `endpoint` over http://')),
  ]
}

/** One location or several, and each of several in a part of the artifact that is its own: so no path can come twice, nor be an object here and a folder there. */
function placeClashes(tree: Tree, path: readonly PropertyKey[], watch: unknown): Problem[] {
  if (watch === null || typeof watch !== 'object') return []
  const [one, several] = ['location', 'locations'].map((name) => Object.hasOwn(watch, name))
  if (!one && !several) return [{ offset: tree.at(path), text: '`location` is missing here; add it' }]
  if (one && several) return [{ offset: tree.atKey([...path, 'locations']), text: '`locations`: `location` stands here, too; take one of the two out' }]
  const texts = locationTexts(watch)
  const areas = texts.map(({ text, at }) => areaOfText(text, at))
  if (texts.length === 1 && texts[0]?.at !== undefined)
    return [{ offset: tree.atKey([...path, 'locations', 0, 'at']), text: '`at` is for several locations; add another, or take it out' }]
  return texts.length < 2 ? [] : texts.flatMap((told, index) => {
    const area = areas[index]
    const before = areas.findIndex((other, at) => at < index && area !== undefined && other !== undefined && overlap(area, other))
    if (before < 0) return []
    const { line } = tree.position(tree.at([...path, ...(texts[before] as { path: readonly PropertyKey[] }).path]))
    return [{ offset: tree.at([...path, ...told.path]), text: `its paths would stand among those of the location at line ${line}; give each its own \`at\`` }]
  })
}

function areaOfText(text: string, at: string | undefined): Area | undefined {
  try {
    return areaOf(placed(parseLocation(text, '/'), at))
  } catch (error) {
    if (isFailure(error, 'USAGE')) return undefined
    throw error
  }
}

function placed(location: Location, at: string | undefined): Location {
  return at === undefined ? location : { ...location, at: `${at.replace(/\/$/, '')}/` }
}

/** A watch that holds the registry would see its own commits as changes, for ever. */
function enclosuresOf(tree: Tree, config: Config): Problem[] {
  return config.watches.flatMap((watch, index) => watch.locations.flatMap(({ scheme, prefix }, at) => {
    if (scheme !== 'file' || !`${config.dataFolder}/`.startsWith(prefix)) return []
    const text = `\`location\`: the folder of Varve's own data, ${config.dataFolder}, lies in it; set \`data\` to a folder outside`
    const several = valueAt(tree.value, ['watch', index, 'locations']) !== undefined
    return [{ offset: tree.at(['watch', index, ...(several ? ['locations', at, 'location'] : ['location'])]), text }]
  }))
}

function wholeName(artifact: string | undefined, defaultEntity: string): string | undefined {
  try {
    return artifact === undefined ? undefined : formatCollection(parseCollection(artifact, defaultEntity), '')
  } catch (error) {
    if (isFailure(error, 'USAGE')) return undefined
    throw error
  }
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value
  for (const step of path) {
    if (at === null || typeof at !== 'object' || !Object.hasOwn(at, step)) return undefined
    at = (at as Record<PropertyKey, unknown>)[step]
  }
  return at
}

function textAt(value: unknown, key: string): string | undefined {
  const text = valueAt(value, [key])
  return typeof text === 'string' ? text : undefined
}

function build(text: ConfigText, file: string, surroundings: Environment): Config {
  const defaultEntity = text.entity ?? DEFAULTS.entity
  return freeze({
    file,
    dataFolder: resolve(dirname(file), text.data ?? DEFAULTS.dataFolder),
    queue: text.queue === undefined || text.queue === 'inline' ? 'inline' : { url: text.queue },
    defaultEntity,
    ...given({ listen: listenOf(text.listen), audit: auditOf(text.audit) }),
    watches: text.watch.map((watch) => buildWatch({ ...text.defaults, ...given(watch) }, dirname(file), defaultEntity, surroundings)),
  })
}

function placeless(text: ConfigText): boolean {
  return text.watch.some(({ location, locations }) => location === undefined && locations === undefined)
}

function listenOf(text: string | undefined): Config['listen'] {
  const address = addressOf(text ?? DEFAULTS.listen)
  return address === undefined ? undefined : { ...address, said: text !== undefined }
}

function auditOf(text: ConfigText['audit']): Config['audit'] {
  if (text?.every === 'off') return undefined
  return { everyMs: lengthOf(text?.every, DEFAULTS.auditEveryMs), requestsPerHour: Number(text?.requests_per_hour ?? DEFAULTS.auditRequestsPerHour) }
}

function buildWatch(text: WatchText, folder: string, defaultEntity: string, surroundings: Environment): Watch {
  const file = (path: string): string => resolve(folder, path)
  const s3Endpoint = endpointOf(text.s3?.endpoint, surroundings.s3Endpoint)
  const gcsEndpoint = endpointOf(text.gcs?.endpoint, surroundings.gcsEndpoint)
  const locationOf = (told: string, at: string | undefined): Location => {
    const location = placed(parseLocation(told, folder), at)
    const endpoint = location.scheme === 's3' ? s3Endpoint : location.scheme === 'gs' ? gcsEndpoint : undefined
    return endpoint === undefined ? location : { ...location, endpoint }
  }
  const told = text.locations ?? [{ location: text.location ?? '' }]
  const [first, ...others] = told.map(({ location, at }: { location: string; at?: string | undefined }) => locationOf(location, told.length > 1 ? at : undefined))
  return {
    name: text.name,
    locations: [first as Location, ...others],
    collection: parseCollection(text.artifact, defaultEntity),
    type: text.type,
    aliases: [...new Set(text.aliases)],
    include: text.include ?? [],
    exclude: text.exclude ?? [],
    settleMs: lengthOf(text.settle, DEFAULTS.settleMs),
    maxWaitMs: lengthOf(text.max_wait, DEFAULTS.maxWaitMs),
    reconcileMs: lengthOf(text.reconcile, DEFAULTS.reconcileMs),
    pollMs: lengthOf(text.poll, DEFAULTS.pollMs),
    entriesMax: Number(text.max_objects ?? DEFAULTS.entriesMax),
    guard: {
      removedShareMax: text.guard?.max_removed === undefined ? DEFAULTS.removedShareMax : shareOf(text.guard.max_removed),
      ...given({ rootMarker: text.guard?.root_marker, completeMarker: text.guard?.complete_marker }),
    },
    onUnreadable: text.on_unreadable ?? 'fail',
    confirm: isOn(text.confirm) ?? false,
    clockSlackMs: lengthOf(text.clock_slack, DEFAULTS.clockSlackMs),
    ...given({ events: eventsOf(text, file) }),
    s3: s3AccessOf(text, s3Endpoint, surroundings),
    gcs: gcsAccessOf(text, gcsEndpoint, file),
    http: httpAccessOf(text),
  }
}

function lengthOf(duration: string | undefined, otherwiseMs: number): number {
  return duration === undefined ? otherwiseMs : durationMs(duration)
}

function freeze<T>(value: T): T {
  if (value !== null && typeof value === 'object') for (const held of Object.values(Object.freeze(value))) freeze(held)
  return value
}
