// What the laws of the registry are told with: watches, findings, and one whole look in a line.
import { comparePaths, parseLocation } from '../../src/model/location.ts'
import type { Certificate, ChangeView, EntryView, VersionView } from '../../src/model/version.ts'
import type { CollectionName, Watch } from '../../src/model/watch.ts'
import type { Finding, Looking, Outcome, PutOrder, Recorded, Registry, Tally } from '../../src/registry/registry.ts'

export const MNIST: CollectionName = { entity: 'local', project: 'vision', collection: 'mnist' }
export const NOW = Date.parse('2026-01-02T03:04:05Z')

export function watchOf(over: Partial<Watch> = {}): Watch {
  return {
    name: 'mnist', locations: [parseLocation('file:///data/mnist/', '/')], collection: MNIST, type: 'dataset', aliases: [], include: [], exclude: [], settleMs: 5_000,
    maxWaitMs: 120_000, reconcileMs: 3_600_000, pollMs: 60_000, entriesMax: 10_000, guard: { removedShareMax: 0.5 }, onUnreadable: 'fail', confirm: false,
    clockSlackMs: 0, s3: {}, gcs: {}, http: {}, ...over,
  }
}

export function orderOf(over: Partial<PutOrder> = {}): PutOrder {
  return { location: parseLocation('s3://bucket/mnist/', '/'), collection: MNIST, type: 'dataset', aliases: [], ...over }
}

/** A put of content that its text decides. */
export function put(path: string, text: string, over: Partial<Extract<Finding, { op: 'put' }>> = {}): Finding {
  return { op: 'put', path, sizeBytes: text.length, content: { digest: `md5:${text}` }, ...over }
}

export function remove(path: string): Finding {
  return { op: 'remove', path }
}

export function outcomeOf(tally: Tally, over: Partial<Outcome> = {}): Outcome {
  const certificate: Certificate = {
    startedAt: new Date(NOW).toISOString(), endedAt: new Date(NOW + 7).toISOString(), kind: 'scan', seen: tally.entries, recorded: tally.entries, skipped: tally.skipped,
    skippedByReason: tally.skippedByReason, filtered: 0, changedUnderLook: [], consistent: true, requests: 0, notes: [],
  }
  return { tally, certificate, whole: true, lone: [], changedUnderLook: [], foundByReconcile: 0, state: 'clean', durationMs: 7, ...over }
}

/** Stages, tallies and records what a look has found. */
export async function finish(registry: Registry, looking: Looking, findings: readonly Finding[], over: Partial<Outcome> = {}): Promise<Recorded> {
  await registry.stage(looking, findings)
  return registry.record(looking, outcomeOf(await registry.tally(looking), over), NOW)
}

/** Enrolls the watch, and asks for a look at the whole. */
export async function enrolled(registry: Registry, over: Partial<Watch> = {}): Promise<Watch> {
  const watch = watchOf(over)
  await registry.enroll([watch], NOW)
  return watch
}

export async function begun(registry: Registry, watch = 'mnist', owner = 'one', nowMs = NOW): Promise<Looking> {
  const looking = await registry.begin(watch, owner, 60_000, nowMs)
  if (looking === undefined) throw new Error(`${watch} has nothing to look at`)
  return looking
}

/** One look at the watch from request to record. */
export async function lookAt(registry: Registry, findings: readonly Finding[], over: Partial<Outcome> = {}): Promise<Recorded> {
  await registry.request([{ watch: 'mnist', path: '*', cause: 'startup' }], NOW)
  return finish(registry, await begun(registry), findings, over)
}

/** One put from beginning to record. */
export async function putAll(registry: Registry, findings: readonly Finding[], over: Partial<PutOrder> = {}): Promise<Recorded> {
  return finish(registry, await registry.beginPut(orderOf(over), NOW), findings)
}

export function versionOf(recorded: Recorded): VersionView {
  if (recorded.kind === 'overtaken' || recorded.version === undefined) throw new Error(`no version: ${recorded.kind}`)
  return recorded.version
}

export async function all<T>(pages: AsyncIterable<readonly T[]>): Promise<T[]> {
  const found: T[] = []
  for await (const page of pages) found.push(...page)
  return found
}

/** `path=digest` of each entry of a version. */
export async function manifest(registry: Registry, version: string, name = MNIST): Promise<string[]> {
  return (await all(registry.entries(name, version))).map(line)
}

export function line({ path, digest }: EntryView): string {
  return `${path}=${digest.replace(/^md5:/, '')}`
}

/** `+a ~b -c a>b` of a diff. */
export async function changes(registry: Registry, before: string, after: string): Promise<string[]> {
  return (await all(registry.diff(MNIST, before, after))).map(changeLine)
}

export function changeLine({ change, path, from }: ChangeView): string {
  return change === 'moved' ? `${from}>${path}` : `${{ added: '+', modified: '~', removed: '-' }[change]}${path}`
}

export function sorted(paths: Iterable<string>): string[] {
  return [...paths].sort(comparePaths)
}

/** What a promise is rejected with. */
export async function failure(promise: Promise<unknown>): Promise<{ code?: string; message: string; hint?: string }> {
  try {
    await promise
  } catch (error) {
    return error as { code?: string; message: string }
  }
  throw new Error('nothing was thrown')
}

