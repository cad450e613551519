import { isFailure, VarveError } from '../model/errors.ts'
import { directoryOf, formatLocations } from '../model/location.ts'
import type { Certificate } from '../model/version.ts'
import { fullName, WHOLE } from '../model/watch.ts'
import type { Watch } from '../model/watch.ts'
import type { Looking, Outcome, Recorded, Tally, WatchRow } from '../registry/registry.ts'
import type { Root, Store } from '../storage/storage.ts'
import { filterOf } from './filter.ts'
import { checkComplete, checkHidden, checkRoot, checkTally, Held, isSameRoot, leftOut, mountsMore, rootToKeep, tellApart } from './guards.ts'
import type { LookParts } from './parts.ts'
import { flush, oversize, stage } from './staging.ts'
import type { Staging } from './staging.ts'
import { removeForeign, survey } from './survey.ts'
import { touchUp } from './touch.ts'

// What moves shows within this time: the longest that a look goes beyond its bound to name it.
const LAST_REST_MS = 500

// A request names at most so many paths before it becomes the whole; the certificate names no more either.
const NAMED_MOST = 1_000

/** Hops 3 and 4: looks, and records what differs. Throws what stopped it; then nothing was recorded. Its scratch is swept by `release`, or at start. */
export async function look(parts: LookParts, watch: Watch, looking: Looking, signal: AbortSignal): Promise<Recorded> {
  const startedAt = parts.clock.now()
  const startedMs = parts.clock.monotonic()
  const artifact = fullName(watch.collection)
  if (looking.type !== watch.type)
    throw new VarveError('CONFLICT', `${artifact} is a collection of type ${looking.type}, and this is of type ${watch.type}`, {
      hint: `give it the type ${looking.type}, or another name`,
    })
  const store = await parts.openStore(watch, looking.memo)
  try {
    const root = await store.root(signal)
    checkRoot(looking, root, watch)
    if (looking.foreign)
      throw new Held(`the head of ${artifact} was recorded from another location than ${formatLocations(watch.locations)}`,
        `give the watch another artifact, or run: varve accept ${watch.name}`, {})
    const staging = beginStaging(parts, watch, looking, store, signal)
    // By the clock that never jumps; what was waited before this look counts, and a first hint in the future (the wall clock was set back) waited for nothing.
    const waited = Math.max(0, startedAt - (looking.firstHintAt ?? startedAt))
    const seen = await lookUntilStill(staging, startedAt, startedMs + watch.maxWaitMs - waited)
    const after = await store.root(signal)
    if (!isSameRoot(root, after)) {
      const [was, is] = tellApart(root, after)
      throw new VarveError('LOCATION_MISSING', `the root changed while it was looked at: it was ${was}, now it is ${is}`)
    }
    return await record(staging, after, { ...seen, startedAt, startedMs })
  } finally {
    await store.close()
  }
}

function beginStaging(parts: LookParts, watch: Watch, looking: Looking, store: Store, signal: AbortSignal): Staging {
  return {
    parts, watch, store, looking, signal,
    filter: filterOf(watch),
    startMs: 0, again: false, racy: false, changed: false, stampsHold: false, lone: [],
    stamps: new Map(), signatures: new Map(), moved: new Set(), denied: { count: 0, first: [] }, torn: new Set(), removedSamples: new Map(),
    seen: 0, taken: 0, bytes: 0, requests: 0, restedMs: 0, memo: looking.memo, notes: new Set(),
    findings: [], batches: 0, wanted: [], wantedBytes: 0, inspections: new Set(), failure: undefined,
  }
}

interface Seen {
  readonly whole: boolean
  readonly consistent: boolean
  /** What moved and was not seen to hold still. */
  readonly restless: readonly string[]
}

/**
 * Looks, and looks again where something moved or was hinted meanwhile, until all held still for `settle`, or until `deadlineMs` (monotonic). Before a scan's changes are
 * recorded, one whole pass must find that nothing moved (files, or `confirm`): then the version existed as a whole.
 */
async function lookUntilStill(staging: Staging, startedAt: number, deadlineMs: number): Promise<Seen> {
  const { watch, parts, signal } = staging
  const confirms = watch.confirm || hasFiles(watch)
  const everMoved = new Set<string>()
  let whole = staging.looking.whole || !(await touchUp(staging, staging.looking.paths.filter((path) => staging.filter.takes(path))))
  if (whole) await firstSurvey(staging)
  let confirmed = false
  for (;;) {
    for (const path of [...staging.moved, ...staging.torn]) if (everMoved.size < NAMED_MOST) everMoved.add(path)
    const still = staging.moved.size === 0 && staging.torn.size === 0
    const row = await risen(staging)
    const hinted = row !== undefined
    if (still && !hinted && (confirmed || !(whole && confirms && staging.changed))) return { whole, consistent: confirmed && staging.stampsHold, restless: [] }
    const leftMs = deadlineMs - parts.clock.monotonic()
    // A look that began at its bound, under a writer who never stops, looks once more: else nobody could name what moved. What is young may be moving though nothing was heard yet.
    const named = staging.again || everMoved.size > 0 || !(hinted || (confirms && staging.racy && staging.changed && staging.looking.watch !== undefined))
    if (leftMs <= 0 && named) return { whole, consistent: false, restless: still && !hinted ? [] : [...everMoved] }
    // What is still young may be half-written: a watch waits for quiet; who asks by hand, or has just written the configuration, waits for nothing. It is read again next time.
    const heard = row?.lastHintAt !== undefined && row.lastHintAt >= startedAt
    const asked = ['cli', 'config', 'put'].includes(staging.looking.cause)
    if (!still || heard || (staging.racy && !asked)) await rest(staging, Math.min(watch.settleMs, Math.max(leftMs, LAST_REST_MS)))
    signal.throwIfAborted()
    const since = await extend(staging)
    if (leftMs <= 0) for (const path of since) if (path !== WHOLE) everMoved.add(path)
    const again = [...new Set([...staging.moved, ...staging.torn, ...since])]
    staging.moved.clear()
    staging.again = true
    staging.racy = false
    const escalated = again.includes(WHOLE) || again.length > NAMED_MOST || (again.length > 0 && !(await touchUp(staging, again)))
    if (escalated || (whole && confirms)) {
      if (whole) await Promise.all([survey(staging), foretell(staging)])
      else await firstSurvey(staging)
      whole = true
      confirmed = staging.moved.size === 0
    }
  }
}

function hasFiles(watch: Watch): boolean {
  return watch.locations.some(({ scheme }) => scheme === 'file')
}

/** Waits without counting it as looking. */
async function rest(staging: Staging, ms: number): Promise<void> {
  const from = staging.parts.clock.monotonic()
  await staging.parts.clock.sleep(ms, staging.signal)
  staging.restedMs += staging.parts.clock.monotonic() - from
}

/** The first pass over the whole: what is known of the head's directories decides which are read into. */
async function firstSurvey(staging: Staging): Promise<void> {
  const { looking, parts } = staging
  if (looking.base !== undefined && hasFiles(staging.watch))
    for await (const page of parts.registry.directories(looking))
      for (const { path, signature } of page) staging.stamps.set(path, looking.trustSignatures ? signature : undefined)
  await survey(staging)
  if (looking.base !== undefined && !looking.trustSignatures) await removeForeign(staging)
}

/** Counts what is staged while a pass that mostly stages nothing more leaves the registry idle: a count that holds need not be made after it. */
async function foretell(staging: Staging): Promise<void> {
  const { batches } = staging
  // One that fails is made again, and then it is heard.
  const tally = await staging.parts.registry.tally(staging.looking).catch(() => undefined)
  if (tally !== undefined) staging.foretold = { tally, batches }
}

/** The watch's row when something was requested since this look's generation was read. */
async function risen(staging: Staging): Promise<WatchRow | undefined> {
  if (staging.looking.watch === undefined) return undefined
  const row = await staging.parts.registry.watchRow(staging.looking.watch)
  return row !== undefined && row.generation > staging.looking.generation ? row : undefined
}

/** Takes what was requested since into this look: the generation is read before storage is. */
async function extend(staging: Staging): Promise<readonly string[]> {
  if ((await risen(staging)) === undefined) return []
  const looking = await staging.parts.registry.extend(staging.looking, staging.parts.clock.now())
  if (looking === undefined) throw overtaken()
  // What was hinted before stays hinted.
  staging.looking = { ...looking, paths: [...new Set([...staging.looking.paths, ...looking.paths])] }
  return looking.whole ? [WHOLE] : looking.paths.filter((path) => staging.filter.takes(path))
}

async function record(staging: Staging, root: Root, seen: Seen & { startedAt: number; startedMs: number }): Promise<Recorded> {
  const { parts, watch, foretold, batches } = staging
  // A directory that was read keeps its row, so that it is missed when it goes, but without signature: it is read again.
  for (const directory of seen.restless.map(directoryOf)) if (staging.signatures.has(directory)) staging.signatures.set(directory, undefined)
  const keeping = seen.whole ? ((await staging.store.keeping?.(staging, staging.signal)) ?? []) : []
  for (const [path, signature] of staging.signatures) await stage(staging, signature === undefined ? { op: 'directory', path } : { op: 'directory', path, signature })
  await flush(staging)
  // Directories are not counted.
  const tally = foretold?.batches === batches ? foretold.tally : await parts.registry.tally(staging.looking)
  if (tally.entries > watch.entriesMax) throw oversize(watch.entriesMax)
  if (seen.whole) await checkHidden(staging)
  const { added, modified, removed, moved } = tally.changes
  const changes = added + modified + removed + moved
  if (changes > 0) await checkComplete(staging)
  const unread = await leftOut(staging, tally)
  if (unread !== undefined) staging.notes.add(`could not be read, and counts as removed until it can: ${unread}`)
  await checkTally(staging, tally, root, unread)
  const nothing = staging.looking.base === undefined && tally.entries === 0
  if (nothing && staging.looking.watch === undefined) {
    // Beside a head that another put made meanwhile, what was staged is nothing new.
    if ((await parts.registry.extend(staging.looking, parts.clock.now())) === undefined) throw overtaken()
    const why = (await staging.store.whyEmpty?.(staging.signal)) ?? []
    throw new VarveError('EMPTY', [`nothing is recorded: ${formatLocations(watch.locations)} holds no entry`, ...why].join('; '), { hint: 'check the location' })
  }
  const outcome: Outcome = {
    tally,
    certificate: certify(staging, tally, root, { ...seen, torn: await unrecorded(staging) }),
    whole: seen.whole,
    lone: staging.lone,
    changedUnderLook: seen.restless.length >= NAMED_MOST ? [WHOLE] : seen.restless,
    torn: [...staging.torn],
    root: rootToKeep(staging.looking, root),
    ...(staging.memo === undefined ? {} : { memo: staging.memo }),
    ...(keeping.length > 0 && { keeping }),
    foundByReconcile: changes > 0 && (await unheard(staging, root, seen.startedAt)) ? changes : 0,
    state: nothing ? 'empty' : 'clean',
    durationMs: Math.round(parts.clock.monotonic() - seen.startedMs - staging.restedMs),
  }
  return parts.registry.record(staging.looking, outcome, parts.clock.now())
}

// A watcher tells within some 100 ms: what a walk sees first was heard all the same.
const HEARING_MS = 1_000

/** True when only the clock led to this look: no hint came before or while it looked, so what it found is a lost one. */
async function unheard(staging: Staging, root: Root, startedAt: number): Promise<boolean> {
  const { cause, watch, paths, firstHintAt } = staging.looking
  if (cause !== 'interval' || watch === undefined || paths.length > 0 || firstHintAt !== undefined) return false
  // Where nobody hears, nothing was lost.
  if (staging.watch.events === undefined && (root.network || !hasFiles(staging.watch))) return false
  // A disk that was mounted below the root brought what nobody could hear of.
  if (mountsMore(staging.looking, root)) return false
  const row = await staging.parts.registry.watchRow(watch)
  return row?.lastHintAt === undefined || row.lastHintAt < startedAt - HEARING_MS
}

/** Objects of the last pass that could not be read in one piece and have no row: they were seen, and are neither filtered nor skipped. */
async function unrecorded({ parts, looking, torn }: Staging): Promise<number> {
  return torn.size === 0 ? 0 : torn.size - (await parts.registry.rowsAt(looking, [...torn])).length
}

function certify(staging: Staging, tally: Tally, root: Root, seen: Seen & { startedAt: number; torn: number }): Certificate {
  // A pass that finds nothing moved proves nothing where its answers may be as old as the pass before it.
  const proven = seen.consistent && root.lagMs === undefined
  if (seen.consistent && !proven) staging.notes.add('not known to have existed as a whole: what other machines changed meanwhile may have been hidden by what this one remembers of the network mount')
  const skips = Object.values(tally.skippedByReason).reduce((sum, count) => sum + count, 0)
  return {
    startedAt: new Date(seen.startedAt).toISOString(),
    endedAt: new Date(staging.parts.clock.now()).toISOString(),
    kind: seen.whole ? 'scan' : 'touch-up',
    seen: staging.seen,
    recorded: tally.entries,
    skipped: tally.skipped,
    skippedByReason: tally.skippedByReason,
    // Of a touch-up only the requested paths were seen, and those had passed the filters.
    filtered: seen.whole ? Math.max(0, staging.seen - tally.entries - skips - seen.torn) : 0,
    changedUnderLook: seen.restless,
    consistent: proven,
    requests: staging.requests,
    notes: [...staging.notes],
  }
}

function overtaken(): VarveError {
  return new VarveError('OVERTAKEN', 'another look overtook this one')
}

/** True for what only says that this look has lost: there is nothing to report, the next one looks. */
export function isOvertaken(error: unknown): boolean {
  return isFailure(error, 'OVERTAKEN')
}
