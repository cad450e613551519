import { backoffMs } from '../model/clock.ts'
import { describe, isFailure, isRetryable, VarveError } from '../model/errors.ts'
import type { FailureCode } from '../model/errors.ts'
import type { LastLook } from '../model/version.ts'
import type { Watch, WatchState } from '../model/watch.ts'
import type { Looking, Verdict, WatchRow } from '../registry/registry.ts'
import { Held } from './guards.ts'
import { RETRY_MOST_MS, startAt } from './interval.ts'
import { isOvertaken, look } from './look.ts'
import { hasDied } from './owner.ts'
import type { LookParts } from './parts.ts'

/** How long a look owns its watch unless it renews: three renewals may fail before another may take over. */
export const LEASE_MS = 60_000

/**
 * One turn at a watch: if it is dirty and has settled, looks and records. Answers undefined when nothing is left to do, else the milliseconds after which to
 * come again. Never throws for what went wrong with the watch: that becomes its state, with reason and action, and one log line.
 */
export async function turn(parts: LookParts, watch: Watch, signal: AbortSignal): Promise<number | undefined> {
  const { registry, clock } = parts
  const row = await registry.watchRow(watch.name)
  if (row === undefined || row.generation <= row.committedGeneration) return undefined
  const wait = startAt(watch, row, clock.now()) - clock.now()
  if (wait > 0) return wait
  const dead = row.owner !== undefined && hasDied(row.owner) ? row.owner : undefined
  const looking = await registry.begin(watch.name, parts.owner, LEASE_MS, clock.now(), dead)
  // Leased by another: the sweep wakes the watch again.
  if (looking === undefined) return undefined
  const lease = holdLease(parts, looking, signal)
  const startedAt = clock.now()
  try {
    const recorded = await look(parts, watch, looking, lease.signal)
    if (recorded.kind === 'recorded') parts.tell.recorded(watch.name, recorded.version, recorded.marked)
    if (recorded.kind !== 'overtaken') {
      if (recorded.fallout !== undefined) parts.committed?.(recorded.fallout)
    } else parts.log.info({ watch: watch.name, epoch: looking.epoch }, 'overtaken: nothing was recorded')
  } catch (error) {
    await giveUp(parts, watch, row, { looking, startedAt }, signal.aborted ? undefined : error)
  } finally {
    await lease.end()
  }
  return again(parts, watch, signal)
}

async function again(parts: LookParts, watch: Watch, signal: AbortSignal): Promise<number | undefined> {
  if (signal.aborted) return undefined
  const row = await parts.registry.watchRow(watch.name)
  if (row === undefined || row.generation <= row.committedGeneration) return undefined
  return Math.max(1, startAt(watch, row, parts.clock.now()) - parts.clock.now())
}

interface Lease {
  /** Aborts when the look was overtaken, or with the caller's signal. */
  readonly signal: AbortSignal
  end(): Promise<void>
}

function holdLease(parts: LookParts, looking: Looking, signal: AbortSignal): Lease {
  const lost = new AbortController()
  const done = new AbortController()
  const beat = async (): Promise<void> => {
    for (;;) {
      await parts.clock.sleep(LEASE_MS / 4, done.signal)
      if (done.signal.aborted) return
      const kept = await parts.registry.renew(looking, LEASE_MS, parts.clock.now()).catch((error: unknown) => {
        parts.log.warn({ watch: looking.watch, error: describe(error) }, 'the lease could not be renewed')
        return true
      })
      if (!kept) return lost.abort(new VarveError('OVERTAKEN', 'another look overtook this one'))
    }
  }
  const beating = beat()
  return {
    signal: AbortSignal.any([signal, lost.signal]),
    async end() {
      done.abort()
      await beating
    },
  }
}

/** Writes down why nothing was recorded. The requests stay; `error` is undefined when the daemon stops. */
async function giveUp(parts: LookParts, watch: Watch, row: WatchRow, { looking, startedAt }: { looking: Looking; startedAt: number }, error: unknown): Promise<void> {
  if (isOvertaken(error)) return
  const stopped = { state: 'dirty', reason: 'stopped before it ended' } as const
  const verdict: Verdict = error === undefined ? stopped : { ...verdictOf(error, watch, row, parts), lastLook: lastLookOf(error, looking, startedAt, parts.clock.now()) }
  if (error !== undefined && verdict.reason !== row.reason) {
    const fields = { watch: watch.name, state: verdict.state, reason: verdict.reason, action: verdict.action }
    if (isFailure(error)) parts.log.warn(fields, 'nothing was recorded')
    else parts.log.error({ ...fields, stack: (error as Error | undefined)?.stack }, 'nothing was recorded: an error that Varve does not know')
    parts.tell.state(watch.name, verdict.state, verdict.reason, verdict.action)
  }
  await parts.registry.release(looking, verdict, parts.clock.now()).catch((failure: unknown) => {
    // The disk under `data` may be full: the lease then ends by itself.
    parts.log.error({ watch: watch.name, error: describe(failure) }, 'the state of the watch could not be written')
  })
}

function lastLookOf(error: unknown, { whole }: Looking, startedAt: number, endedAt: number): LastLook {
  const [started, ended] = [startedAt, endedAt].map((at) => new Date(at).toISOString()) as [string, string]
  return { kind: whole ? 'scan' : 'touch-up', startedAt: started, endedAt: ended, outcome: isFailure(error, 'HELD') ? 'held' : 'failed' }
}

const STATES: Partial<Record<FailureCode, Verdict['state']>> = {
  LOCATION_MISSING: 'unavailable',
  STORAGE_UNAVAILABLE: 'unavailable',
  OVERSIZE: 'oversize',
  HELD: 'held',
}

function verdictOf(error: unknown, watch: Watch, row: WatchRow, parts: LookParts): Verdict {
  const state: WatchState = (isFailure(error) ? STATES[error.code] : undefined) ?? 'backoff'
  const held = error instanceof Held ? error : isFailure(error) && error.cause instanceof Held ? error.cause : undefined
  // What may come back at once is tried sooner; what a person must mend, at the pace of the poll.
  const most = Math.min(watch.pollMs, RETRY_MOST_MS)
  const wait = isRetryable(error) ? backoffMs(row.attempts, parts.clock.random(), most) : most
  const action = isFailure(error) ? error.hint : 'this is a defect of Varve; it is tried again'
  return {
    state: state as Verdict['state'],
    // Where the state does not say what kind of trouble it is, the code does.
    reason: isFailure(error) && state === 'backoff' ? `${error.code}: ${describe(error)}` : describe(error),
    ...(action === undefined ? {} : { action }),
    retryAt: parts.clock.now() + wait,
    ...(held === undefined ? {} : { held: held.seen }),
  }
}
