import { createReadStream } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { aliasTrouble, nameTrouble } from '../config.ts'
import { followUpNow } from '../daemon/daemon.ts'
import { describe, isFailure, VarveError } from '../model/errors.ts'
import type { Fallout } from '../model/fate.ts'
import { directoryOf, locationIdentity } from '../model/location.ts'
import type { VersionView } from '../model/version.ts'
import { fullName } from '../model/watch.ts'
import type { CollectionName } from '../model/watch.ts'
import type { Finding, Looking, PutOrder, Registry, Tally } from '../registry/registry.ts'
import type { Context, Options } from './context.ts'
import { Check, entryOf, parsed, parseHeader, wrong } from './exported.ts'
import type { Entry, Header } from './exported.ts'
import { parseArtifact } from './names.ts'
import { placeOf } from './place.ts'
import type { Place } from './place.ts'
import { tellOn } from './tell.ts'
import { formatArtifact, formatVersion } from './words.ts'

// A version that another commit overtook is recorded anew at once; three in a row is a fight that a person must end.
const TRIES = 3
const PAGE = 1_000
// A commit looks each path up in them.
const STRETCHES_MOST = 10_000

export interface ImportOptions extends Options {
  readonly name: string
  readonly type?: string
  readonly alias?: readonly string[]
}

/** What is imported: the file to read, and what its errors call it. */
interface Source {
  readonly file: string
  readonly name: string
}

interface Exported {
  readonly header: Header
  readonly pages: AsyncIterable<readonly Entry[]>
}

/** Records what `varve export` wrote (`-`: what comes by stdin) as a version of another artifact; prints the version made, or the one found when nothing differs. Throws USAGE, naming the line, before anything is recorded. */
export async function importVersion(context: Context, file: string, options: ImportOptions): Promise<void> {
  const place = await placeOf(context, options)
  const collection = parseArtifact(options.name, place.defaultEntity)
  const aliases = options.alias ?? []
  const trouble = (options.type === undefined ? undefined : nameTrouble(options.type)) ?? aliases.map(aliasTrouble).find((one) => one !== undefined)
  if (trouble !== undefined) throw new VarveError('USAGE', trouble, trouble.includes('; ') ? {} : { hint: 'give another one' })
  const source = (given: Source): Promise<void> => importFrom(context, place, collection, given, options)
  return file === '-' ? spooled(context, source) : source({ file, name: file })
}

/** It is read twice: what comes by a pipe is laid aside first, and taken away at the end. */
async function spooled(context: Context, act: (source: Source) => Promise<void>): Promise<void> {
  const unfit = (error: unknown): never => {
    context.signal.throwIfAborted()
    throw new VarveError('DESTINATION_REFUSED', `what comes by stdin cannot be laid aside in ${tmpdir()} (${describe(error)})`, { hint: 'set TMPDIR to a folder with room, or name a file' })
  }
  const folder = await mkdtemp(join(tmpdir(), 'varve-import-')).catch(unfit)
  try {
    const file = join(folder, 'stdin')
    await writeFile(file, context.input(), { signal: context.signal }).catch(unfit)
    await act({ file, name: 'stdin' })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function importFrom(context: Context, place: Place, collection: CollectionName, source: Source, options: ImportOptions): Promise<void> {
  const startedAt = context.clock.now()
  const { header, stretches } = await survey(await openExported(source), source.name)
  const [first] = stretches
  if (first === undefined) throw new VarveError('EMPTY', `nothing is recorded: ${source.name} holds no entry`)
  const type = options.type ?? header.version.type
  const unfit = nameTrouble(type)
  if (unfit !== undefined) throw wrong(source.name, unfit)
  const aliases = options.alias ?? []
  const order: PutOrder = { location: first.location, stretches, collection, type, aliases, description: header.version.description ?? `imported from ${header.version.artifact}:${header.version.version}` }
  const registry = await context.opener.registry(place.dataFolder, true)
  try {
    const { version, created, fallout } = await record(context, registry, order, source, startedAt)
    if (fallout !== undefined) await followUpNow(context.opener.lookParts(registry, tellOn(context.screen, place.defaultEntity), options.verbose === true), [fallout])
    if (options.json === true) await context.screen.json([version])
    else if (created) await context.screen.print(formatVersion(version, place.defaultEntity))
    else await context.screen.print(`unchanged: ${formatArtifact(version, place.defaultEntity)}:${version.version}`)
  } finally {
    await registry.close()
  }
}

async function openExported({ file, name }: Source): Promise<Exported> {
  const { isParquet, readParquet } = await import('./parquet.ts')
  return (await isParquet(file)) ? readParquet(file, name) : readLines(file, name)
}

async function readLines(file: string, name: string): Promise<Exported> {
  const lines = linesOf(file, name)
  const first = await lines.next()
  if (first.done === true) throw wrong(name, 'it is empty')
  return { header: parseHeader(first.value.text, first.value.where), pages: pages(lines) }
}

async function* pages(lines: AsyncIterable<{ readonly text: string; readonly where: string }>): AsyncGenerator<readonly Entry[]> {
  let page: Entry[] = []
  for await (const { text, where } of lines) {
    page.push(entryOf(parsed(text, where), where))
    if (page.length < PAGE) continue
    yield page
    page = []
  }
  if (page.length > 0) yield page
}

/** Lines end at a line feed alone: what else counts as an end somewhere may stand in a path. */
async function* linesOf(file: string, name: string): AsyncGenerator<{ readonly text: string; readonly where: string }> {
  let rest = ''
  let number = 0
  const said = (text: string): { readonly text: string; readonly where: string } => ({ text, where: `${name} line ${++number}` })
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  try {
    for await (const chunk of createReadStream(file)) {
      const lines = (rest + decoder.decode(chunk as Buffer, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) yield said(line)
    }
    rest += decoder.decode()
  } catch (error) {
    throw isFailure(error) ? error : wrong(`${name} line ${number + 1}`, error instanceof TypeError ? 'it is not UTF-8' : describe(error))
  }
  if (rest !== '') yield said(rest)
}

type Stretches = NonNullable<PutOrder['stretches']>

/** Reads the whole, and all that may be wrong with it. */
async function survey({ header, pages: read }: Exported, file: string): Promise<{ readonly header: Header; readonly stretches: Stretches }> {
  const check = new Check()
  const stretches: { first: string; last: string; identity: string; location: Stretches[number]['location'] }[] = []
  for await (const page of read)
    for (const { path, sizeBytes, content, location, lone } of page) {
      check.add(path, sizeBytes, content, `${file}, entry ${check.entries + 1}`)
      const identity = locationIdentity(location)
      const last = stretches.at(-1)
      if (last?.identity === identity && !lone) last.last = path
      else stretches.push({ first: path, last: path, identity, location })
      if (stretches.length > STRETCHES_MOST) throw wrong(file, `its entries lie in more than ${STRETCHES_MOST} places`)
    }
  const trouble = check.trouble(header.version)
  if (trouble !== undefined) throw wrong(file, trouble)
  return { header, stretches: stretches.map(({ first, last, location }) => ({ first, last, location })) }
}

async function record(context: Context, registry: Registry, order: PutOrder, source: Source, startedAt: number): Promise<{ readonly version: VersionView; readonly created: boolean; readonly fallout?: Fallout | undefined }> {
  for (let tries = 1; ; tries++) {
    const looking = await registry.beginPut(order, context.clock.now())
    try {
      if (looking.type !== order.type)
        throw new VarveError('CONFLICT', `${fullName(order.collection)} is a collection of type ${looking.type}, and this is of type ${order.type}`, { hint: `give --type ${looking.type}, or another name` })
      const { header, lone } = await stageAll(context, registry, looking, source)
      const tally = await registry.tally(looking)
      const recorded = await registry.record(looking, outcomeOf(tally, header, lone, startedAt, context.clock.now()), context.clock.now())
      if (recorded.kind !== 'overtaken' && recorded.version !== undefined) return { version: recorded.version, created: recorded.kind === 'recorded', fallout: recorded.kind === 'recorded' ? recorded.fallout : undefined }
    } catch (error) {
      await registry.release(looking, { state: 'dirty', reason: describe(error) }, context.clock.now())
      if (!isFailure(error, 'OVERTAKEN')) throw error
    }
    if (tries >= TRIES) throw new VarveError('OVERTAKEN', `other commits came first ${TRIES} times`, { hint: 'try again when they have ended' })
  }
}

function outcomeOf(tally: Tally, { version }: Header, lone: readonly string[], startedAt: number, endedAt: number): Parameters<Registry['record']>[1] {
  const [started, ended] = [startedAt, endedAt].map((at) => new Date(at).toISOString()) as [string, string]
  return {
    tally,
    certificate: {
      startedAt: started, endedAt: ended, kind: 'scan', seen: tally.entries, recorded: tally.entries, skipped: tally.skipped, skippedByReason: tally.skippedByReason, filtered: 0,
      changedUnderLook: [], consistent: false, requests: 0, notes: [`imported from ${version.entity}/${version.artifact}:${version.version}, not looked at`],
    },
    whole: true, lone, changedUnderLook: [], foundByReconcile: 0, state: 'clean', durationMs: Math.max(0, endedAt - startedAt),
  }
}

/** Lays the file's entries into scratch, and what the head has besides as removed: a page at a time. The file is read and checked anew, since it may be another by now. */
async function stageAll(context: Context, registry: Registry, looking: Looking, source: Source): Promise<{ readonly header: Header; readonly lone: readonly string[] }> {
  const { header, pages: read } = await openExported(source)
  const check = new Check()
  const lone: string[] = []
  const unskip = looking.skips === 0 ? [] : await registry.skipsIn(looking, { after: '' })
  await registry.stage(looking, unskip.map(({ path }) => ({ op: 'unskip', path })))
  let after = ''
  for await (const page of read) {
    context.signal.throwIfAborted()
    const last = page.at(-1)?.path ?? after
    const findings: Finding[] = await removals(registry, looking, { after, upTo: last }, new Set(page.map(({ path }) => path)))
    const directories = new Set<string>()
    for (const entry of page) {
      const { path, sizeBytes, content, latestPin, location } = entry
      check.add(path, sizeBytes, content, source.name)
      findings.push({ op: 'put', path, sizeBytes, content, ...(latestPin !== undefined && { latestPin }) })
      if (entry.lone) lone.push(path)
      else if (location.scheme === 'file') directories.add(directoryOf(path))
    }
    // Without signature: whoever looks there one day reads into each.
    for (const path of directories) findings.push({ op: 'directory', path })
    await registry.stage(looking, findings)
    after = last
  }
  await registry.stage(looking, await removals(registry, looking, { after }, new Set()))
  const trouble = check.trouble(header.version)
  if (trouble !== undefined) throw wrong(source.name, trouble)
  return { header, lone }
}

/** What the head has in a stretch, and the file has not. */
async function removals(registry: Registry, looking: Looking, stretch: { readonly after: string; readonly upTo?: string }, kept: ReadonlySet<string>): Promise<Finding[]> {
  const gone: Finding[] = []
  for (let after = stretch.after, more = looking.base !== undefined; more; ) {
    const rows = await registry.rowsBetween(looking, { ...stretch, after }, PAGE)
    for (const { path } of rows) if (!kept.has(path)) gone.push({ op: 'remove', path })
    more = rows.length === PAGE
    after = rows.at(-1)?.path ?? after
  }
  return gone
}
