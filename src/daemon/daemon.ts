/** The door of `daemon`: the loop. Hear, request, look, record; and the same way for one look by hand. */
import { describe, isFailure, VarveError } from '../model/errors.ts'
import type { Fallout } from '../model/fate.ts'
import type { Marked, VersionView } from '../model/version.ts'
import { WHOLE } from '../model/watch.ts'
import type { Watch } from '../model/watch.ts'
import type { PutOrder, WatchRow } from '../registry/registry.ts'
import { audit } from './audit.ts'
import { Aftermath, followUpNow } from './follow.ts'
import { dueAt, intervalMs, startAt } from './interval.ts'
import { look } from './look.ts'
import { hasDied } from './owner.ts'
import type { LookParts, Parts } from './parts.ts'
import { Places } from './places.ts'
import { request, router } from './router.ts'
import { supervise } from './supervise.ts'
import { LEASE_MS, turn } from './turn.ts'

export type { AuditOrder, Log, LookParts, Parts, Tell } from './parts.ts'
export type { Check, Health } from './health.ts'
export { healthOf } from './health.ts'
export { askAnew } from './audit.ts'
export { followUpNow } from './follow.ts'
export { dueAt, intervalMs } from './interval.ts'

/** True where a watch says `looking`, and who looked is known to have died. `runs`: the one daemon does. */
export function isLeftLooking({ state, owner }: Pick<WatchRow, 'state' | 'owner'>, runs: boolean): boolean {
  return state === 'looking' && (owner === undefined || (owner === ONLY_DAEMON ? !runs : hasDied(owner)))
}

/** What the one daemon of a registry that a lock guards calls itself: under one name for ever, it ends the leases of one that was killed instead of waiting for them. */
export const ONLY_DAEMON = 'daemon'

// Looks that wait for a server, or for a place, beside those that work: each holds some MB.
const WAITING_MOST = 12

/**
 * Runs until `signal` aborts, then resolves when the running looks have stopped. Requests all at the start; hears, sweeps and looks. Rejects only when the
 * registry refuses the watches: one broken watch or source never stops another.
 */
export async function runDaemon(parts: Parts, signal: AbortSignal): Promise<void> {
  await parts.registry.enroll(parts.watches, parts.clock.now(), parts.owner)
  await request(parts, parts.watches.map(({ name }) => ({ watch: name, path: WHOLE, cause: 'startup' as const })))
  const byName = new Map(parts.watches.map((watch) => [watch.name, watch]))
  const emit = router(parts)
  const aftermath = new Aftermath()
  const looking: Parts = { ...parts, committed: (fallout) => aftermath.add(fallout) }
  const places = new Places(parts.concurrency, parts.clock)
  const lookAt = async (name: string, stop: AbortSignal): Promise<number | undefined> => {
    const watch = byName.get(name)
    if (watch === undefined) return undefined
    const place = await places.take(stop)
    if (place === undefined) return undefined
    // Local disks hang nobody, and reading a large file brings nothing for long.
    const waits = watch.locations.some(({ scheme }) => scheme !== 'file')
    try {
      return await turn(waits ? { ...looking, openStore: (...of) => place.observe(looking.openStore(...of)) } : looking, watch, stop)
    } catch (error) {
      // The registry itself failed: the sweep wakes what is still dirty.
      parts.log.error({ watch: name, error: describe(error) }, 'a look could not begin')
      return undefined
    } finally {
      place.leave()
    }
  }
  const { audit: order } = parts
  await Promise.all([
    ...(order === undefined ? [] : [supervise('audit', (stop) => audit(parts, order, stop), parts.clock, parts.log, signal)]),
    supervise('aftermath', (stop) => aftermath.run(parts, stop), parts.clock, parts.log, signal),
    ...parts.sources.map((source) => supervise(source.name, (stop) => source.listen(emit, stop), parts.clock, parts.log, signal)),
    supervise('queue', (stop) => parts.queue.work(lookAt, parts.concurrency + WAITING_MOST, stop), parts.clock, parts.log, signal),
    supervise('sweep', (stop) => sweep(parts, stop), parts.clock, parts.log, signal),
  ])
}

// What is due by the clock is asked for within this time, however seldom what is dirty is woken.
const CLOCK_MS = 1_000

/** Requests what is due by the clock, and wakes what is dirty: so no wake-up is ever needed for safety. */
async function sweep(parts: Parts, signal: AbortSignal): Promise<void> {
  const byName = new Map(parts.watches.map((watch) => [watch.name, watch]))
  const requestedAt = new Map<string, number>()
  let trouble: string | undefined
  let told: string | undefined
  let wokenMs = -Infinity
  while (!signal.aborted) {
    const now = parts.clock.now()
    const rows = await parts.registry.watchRows()
    const due = rows.filter((row) => isDue(byName.get(row.name), row, requestedAt.get(row.name), now))
    for (const row of rows) if (!requestedAt.has(row.name)) requestedAt.set(row.name, now)
    for (const row of due) requestedAt.set(row.name, now)
    const stuck = parts.queue.trouble()
    if (stuck !== told) {
      const watches = parts.watches.map(({ name }) => name)
      await parts.registry.setHearing(watches, 'queue', stuck === undefined ? {} : { reason: stuck, action: 'nothing is lost: what is dirty is looked at when the queue is back' })
      told = stuck
    }
    await request(parts, due.map(({ name }) => ({ watch: name, path: WHOLE, cause: 'interval' as const })))
    const wakes = parts.clock.monotonic() - wokenMs >= parts.sweepMs
    if (wakes) wokenMs = parts.clock.monotonic()
    for (const row of wakes ? rows : []) {
      const watch = byName.get(row.name)
      if (watch === undefined || row.generation <= row.committedGeneration || isLeased(row, now)) continue
      const wait = startAt(watch, row, now) - now
      if (wait <= parts.sweepMs) await parts.queue.wake(row.name, Math.max(0, wait)).then(() => (trouble = undefined), (error: unknown) => {
        // Said once until it is over: a queue that is down for an hour is one line, not thousands.
        if (trouble === undefined) parts.log.warn({ error: describe(error) }, 'the queue could not be woken')
        trouble = describe(error)
      })
    }
    await parts.clock.sleep(Math.min(parts.sweepMs, CLOCK_MS), signal)
  }
}

/** A lease that ends later than any can was taken before the clock was set back: it binds nobody, and so does that of a process that died. */
function isLeased({ owner, leaseUntil }: WatchRow, now: number): boolean {
  return leaseUntil !== undefined && leaseUntil > now && leaseUntil <= now + LEASE_MS && (owner === undefined || !hasDied(owner))
}

/** A watch that is never clean, since hints keep coming, is reconciled all the same: asked for once an interval. */
function isDue(watch: Watch | undefined, row: WatchRow, requestedAt: number | undefined, now: number): boolean {
  if (watch === undefined || dueAt(watch, row, now) > now) return false
  return row.generation <= row.committedGeneration || (requestedAt !== undefined && Math.abs(now - requestedAt) > intervalMs(watch, row))
}

/**
 * Looks at one watch in this process until its generation of now is committed: for `scan` and `accept` where no daemon runs. Waits for a lease that another holds.
 * Throws what the watch's state says when it cannot be committed.
 */
export async function lookNow(parts: LookParts, watch: Watch, signal: AbortSignal): Promise<WatchRow> {
  const wanted = (await rowOf(parts, watch)).generation
  const fallouts: Fallout[] = []
  for (;;) {
    signal.throwIfAborted()
    const wait = await turn({ ...parts, committed: (fallout) => void fallouts.push(fallout) }, watch, signal)
    await followUpNow(parts, fallouts.splice(0))
    const row = await rowOf(parts, watch)
    if (row.committedGeneration >= wanted) return row
    if (row.reason !== undefined && (row.leaseUntil ?? 0) <= parts.clock.now())
      throw new VarveError('CONFLICT', `${watch.name} is ${row.state}: ${row.reason}`, row.action === undefined ? {} : { hint: row.action })
    await parts.clock.sleep(Math.min(wait ?? 1_000, 1_000), signal)
  }
}

async function rowOf(parts: LookParts, watch: Watch): Promise<WatchRow> {
  const row = await parts.registry.watchRow(watch.name)
  if (row === undefined) throw new VarveError('NOT_FOUND', `no watch ${watch.name}`)
  return row
}

// A put that another commit overtook looks again at once; three in a row is a fight that a person must end.
const PUT_TRIES = 3

export interface Put {
  readonly version: VersionView
  /** False: its content was there already. */
  readonly created: boolean
  readonly marked: readonly Marked[]
}

/** Looks at `order.location` once and records it: the version made, or the one found. `watch` says how to look. Throws what stopped it; then nothing is recorded. */
export async function putOnce(parts: LookParts, order: PutOrder, watch: Watch, signal: AbortSignal): Promise<Put> {
  for (let tries = 1; ; tries++) {
    const looking = await parts.registry.beginPut(order, parts.clock.now())
    try {
      const recorded = await look(parts, watch, looking, signal)
      if (recorded.kind !== 'overtaken') {
        if (recorded.version === undefined) throw new VarveError('EMPTY', 'nothing was found to record')
        if (recorded.fallout !== undefined) await followUpNow(parts, [recorded.fallout])
        return { version: recorded.version, created: recorded.kind === 'recorded', marked: recorded.kind === 'recorded' ? recorded.marked : [] }
      }
    } catch (error) {
      await parts.registry.release(looking, { state: 'dirty', reason: describe(error) }, parts.clock.now())
      if (!isFailure(error, 'OVERTAKEN')) throw error
    }
    if (tries >= PUT_TRIES) throw new VarveError('OVERTAKEN', `other commits came first ${PUT_TRIES} times`, { hint: 'try again when they have ended' })
  }
}
