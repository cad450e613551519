// The rules of the house as functions over a source tree: each names what it found, and where.
import { join } from 'node:path/posix'
import { functionsOf, importsOf, lineAt, sourcesOf } from './source.ts'
import type { Source } from './source.ts'

export interface Violation {
  readonly rule: string
  /** `file:line`. */
  readonly at: string
  readonly words: string
}

type Rule = (sources: readonly Source[]) => readonly Omit<Violation, 'rule'>[]

const FILE_LINES_MAX = 400
const FUNCTION_LINES_MAX = 70

const DOORS: Readonly<Record<string, string>> = {
  storage: 'storage/storage.ts', queue: 'queue/queue.ts', registry: 'registry/registry.ts', daemon: 'daemon/daemon.ts',
  api: 'api/api.ts', restore: 'restore/restore.ts',
}

/** What a file of each room may import besides its own room and `model`. The hall may import anything. */
const MAY: Readonly<Record<string, readonly string[]>> = {
  model: [],
  storage: [],
  queue: [],
  registry: [],
  daemon: [DOORS['storage'], DOORS['queue'], DOORS['registry']] as string[],
  restore: [DOORS['storage'], DOORS['registry']] as string[],
  api: [DOORS['registry'], DOORS['daemon']] as string[],
  cli: ['config.ts', ...Object.values(DOORS)],
}

/** The one place where each package, and each builtin that stands for a database, is imported: what the path of a file begins with. */
const HOMES: readonly (readonly [package_: RegExp, home: string])[] = [
  [/^@aws-sdk\/checksums/, 'restore/'], [/^@aws-sdk\//, 'storage/s3/'], [/^(@google-cloud\/|google-auth-library$)/, 'storage/gcs/'], [/^chokidar$/, 'storage/file/'], [/^(bullmq|ioredis)$/, 'queue/'], [/^node:sqlite$/, 'registry/'],
  [/^picomatch$/, 'daemon/'], [/^(zod|yaml|ms|bytes)$/, 'config'], [/^(commander|cli-table3|hyparquet(-writer)?)$/, 'cli/'], [/^pino$/, 'compose.ts'],
]

/** `storage` for `storage/s3/list.ts`; `hall` for what lies in no room. */
function roomOf(file: string): string {
  return file.includes('/') ? (file.split('/')[0] as string) : 'hall'
}

/** `s3` for `storage/s3/list.ts`: the folder of one scheme. */
function schemeOf(file: string): string | undefined {
  return /^storage\/([^/]+)\//.exec(file)?.[1]
}

/** Imports between files of the tree, resolved against its root. */
function inner(source: Source): readonly { readonly target: string; readonly line: number }[] {
  return importsOf(source).filter(({ specifier }) => specifier.startsWith('.')).map(({ specifier, line }) => ({ target: join(source.file, '..', specifier), line }))
}

function outer(source: Source): readonly { readonly specifier: string; readonly line: number }[] {
  return importsOf(source).filter(({ specifier }) => !specifier.startsWith('.'))
}

const rooms: Rule = (sources) => sources.flatMap((source) => [
  ...inner(source).flatMap(({ target, line }) => {
    const words = forbidden(source.file, target)
    return words === undefined ? [] : [{ at: `${source.file}:${line}`, words }]
  }),
  ...outer(source).filter(({ specifier }) => roomOf(source.file) === 'model' && specifier !== 'node:crypto')
    .map(({ specifier, line }) => ({ at: `${source.file}:${line}`, words: `model imports ${specifier}: nothing but node:crypto` })),
])

function forbidden(file: string, target: string): string | undefined {
  const [from, to] = [roomOf(file), roomOf(target)]
  if (target.startsWith('../')) return `${target} lies outside of the tree`
  if (target === 'main.ts' || target === 'compose.ts') return file === 'main.ts' ? undefined : `nobody imports ${target}`
  if (from === 'hall') return undefined
  if (MAY[from] === undefined) return `there is no room ${from}: give it a line in the table of the design`
  if (from === to) {
    const [mine, theirs] = [schemeOf(file), schemeOf(target)]
    return mine !== undefined && theirs !== undefined && mine !== theirs ? `the scheme ${mine} imports the scheme ${theirs}` : undefined
  }
  if (to === 'model' || MAY[from].includes(target)) return undefined
  return `${from} imports ${target}`
}

const packages: Rule = (sources) => sources.flatMap((source) => outer(source).flatMap(({ specifier, line }) => {
  const home = HOMES.find(([pattern]) => pattern.test(specifier))?.[1]
  if (home === undefined ? specifier.startsWith('node:') : source.file.startsWith(home)) return []
  const words = home === undefined ? `${specifier} has no home: give it one place` : `${specifier} is imported in ${home} alone`
  return [{ at: `${source.file}:${line}`, words }]
}))

const barrels: Rule = (sources) => sources.flatMap((source) => [
  ...(/(^|\/)index\.ts$/.test(source.file) ? [{ at: `${source.file}:1`, words: 'a barrel: name the file for what it holds' }] : []),
  ...everywhere(source, source.code, /\bexport\s*\*/g, 'hands on all that another file has'),
])

const cycles: Rule = (sources) => {
  const targets = new Map(sources.map((source) => [source.file, new Set(inner(source).map(({ target }) => target))]))
  const done = new Set<string>()
  const found: { at: string; words: string }[] = []
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file)
    if (start >= 0) found.push({ at: `${file}:1`, words: [...path.slice(start), file].join(' → ') })
    if (start >= 0 || done.has(file)) return
    for (const target of targets.get(file) ?? []) visit(target, [...path, file])
    done.add(file)
  }
  for (const file of targets.keys()) visit(file, [])
  return found
}

const fileLength: Rule = (sources) => sources.flatMap((source) => {
  const lines = source.text.replace(/\n$/, '').split('\n').length
  return lines > FILE_LINES_MAX ? [{ at: `${source.file}:${lines}`, words: `${lines} lines, at most ${FILE_LINES_MAX}` }] : []
})

const functionLength: Rule = (sources) => sources.flatMap((source) => functionsOf(source)
  .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
  .map(({ line, lines }) => ({ at: `${source.file}:${line}`, words: `a function of ${lines} lines, at most ${FUNCTION_LINES_MAX}` })))

/** Every place where `pattern` stands in `text`, which is the source's text or code. */
function everywhere(source: Source, text: string, pattern: RegExp, words: string): readonly Omit<Violation, 'rule'>[] {
  return [...text.matchAll(pattern)].map((found) => ({ at: `${source.file}:${lineAt(text, found.index)}`, words }))
}

/** No code matches `pattern`, but in the file `home`. */
function nowhere(pattern: RegExp, words: string, home?: string): Rule {
  return (sources) => sources.filter(({ file }) => file !== home).flatMap((source) => everywhere(source, source.code, pattern, words))
}

/** What a program of its own may do alone, hidden behind an import of `node:process`: the environment, the end. */
const globals: Rule = (sources) => sources.flatMap((source) => outer(source)
  .filter(({ specifier }) => /^(node:)?(process|console)$/.test(specifier))
  .map(({ specifier, line }) => ({ at: `${source.file}:${line}`, words: `${specifier} is a global: the rules look for it by name` })))

export const RULES: Readonly<Record<string, Rule>> = {
  rooms,
  packages,
  barrels,
  cycles,
  'file-length': fileLength,
  'function-length': functionLength,
  any: nowhere(/(?<![.\w$])any\b(?!\s*[(:])/g, 'any: say what it is, or unknown'),
  'empty-catch': nowhere(/\bcatch\s*(?:\([^)]*\)\s*)?\{\s*\}|\.catch\(\s*(?:async\s*)?\(?[^()]*\)?\s*=>\s*\{\s*\}/g, 'an error that nobody will hear of'),
  console: nowhere(/(?<![.\w$])console\s*[.[]/g, 'console: people are told through the screen, operators through the log'),
  environment: nowhere(/\bprocess\s*(?:\?\.|\.)\s*env\b|\bprocess\s*\[/g, 'the environment is read in config.ts alone', 'config.ts'),
  exit: nowhere(/\bprocess\s*\.\s*(?:exit|reallyExit|abort)\b/g, 'the process ends in main.ts alone', 'main.ts'),
  globals,
  markers: (sources) => sources.flatMap((source) => everywhere(source, source.text, /\b(?:TODO|FIXME|XXX|HACK)\b/g, 'unfinished work: end it, or leave it out')),
}

/** All that is wrong with the tree below `root`, rule by rule. */
export function violationsOf(root: string): readonly Violation[] {
  const sources = sourcesOf(root)
  return Object.entries(RULES).flatMap(([rule, find]) => find(sources).map((found) => ({ rule, ...found })))
}
