import type { Config } from '../config.ts'
import { lookNow, ONLY_DAEMON } from '../daemon/daemon.ts'
import { VarveError } from '../model/errors.ts'
import type { WatchView } from '../model/version.ts'
import { WHOLE } from '../model/watch.ts'
import type { Registry, WatchRow } from '../registry/registry.ts'
import type { Context, Options } from './context.ts'
import { configOf, watchOf } from './place.ts'
import { stateLine, tellOn } from './tell.ts'
import { watchViews } from './views.ts'
import { formatArtifact, formatDuration, visible } from './words.ts'

// How often a running daemon's progress is read: fast enough for a person, cheap for the registry.
const READ_EVERY_MS = 200
// A daemon that looks at nothing for so long will not: beside Redis its sweep comes every 15 s.
const IDLE_MOST_MS = 30_000

export interface ScanOptions extends Options {
  readonly wait?: boolean
}

/** Has the whole of a watch looked at: by the running daemon (`wait` then resolves when that look is recorded), or else in this process. */
export function scan(context: Context, name: string, options: ScanOptions): Promise<void> {
  return ask(context, name, options, (registry, now) => registry.request([{ watch: name, path: WHOLE, cause: 'cli' }], now))
}

/** Lets a held watch's next look through as far as the held one went, and has it look. Throws CONFLICT when it is not held. */
export function accept(context: Context, name: string, options: ScanOptions): Promise<void> {
  return ask(context, name, options, (registry, now) => registry.accept(name, now))
}

async function ask(context: Context, name: string, options: ScanOptions, request: (registry: Registry, now: number) => Promise<void>): Promise<void> {
  const config = await configOf(context, options)
  const { clock, opener, screen } = context
  const watch = watchOf(config, name)
  const registry = await opener.registry(config.dataFolder, true)
  try {
    const runs = await opener.daemonRuns(config.dataFolder)
    if (!runs) await registry.enroll(config.watches, clock.now(), ONLY_DAEMON)
    const before = await viewOf(context, registry, config, name, runs)
    await request(registry, clock.now())
    // A look that goes on at this moment began before it was asked for.
    const row = await rowOf(registry, name)
    let woken = true
    if (!runs) await lookNow(opener.lookParts(registry, tellOn(screen, config.defaultEntity), options.verbose === true), watch, context.signal)
    else {
      woken = await opener.wake(config, registry, name)
      if (options.wait === true) await committed(context, registry, config, row)
    }
    const after = await viewOf(context, registry, config, name, runs)
    if (options.json === true) await screen.json([after])
    else await screen.print(runs && options.wait !== true ? `${visible(name)}: the daemon looks at it ${woken ? 'now' : 'when it can'}` : outcome(before, after, config.defaultEntity))
  } finally {
    screen.settle()
    await registry.close()
  }
}

/** Resolves when the generation that stands now is committed. Throws the state that a look begun after `before` ended in, and where the daemon does not look any more. */
async function committed(context: Context, registry: Registry, config: Config, before: WatchRow): Promise<void> {
  const { clock, opener, signal } = context
  const wanted = (await rowOf(registry, before.name)).generation
  let looksMs = clock.monotonic()
  for (;;) {
    // Asked first: what a daemon that ends now recorded before is seen.
    const runs = await opener.daemonRuns(config.dataFolder)
    const rows = await registry.watchRows()
    const row = rows.find(({ name }) => name === before.name)
    if (row === undefined) throw unknown(before.name)
    if (row.committedGeneration >= wanted) return
    // A look that goes on has a lease; its watch stays in the trouble of before until it ends.
    const ended = row.epoch > before.epoch && row.leaseUntil === undefined && row.reason !== undefined && !['dirty', 'clean'].includes(row.state)
    const hint = row.action === undefined ? {} : { hint: row.action }
    if (ended) throw new VarveError('CONFLICT', stateLine(row.name, row.state, row.reason, undefined), hint)
    if (!runs) throw new VarveError('CONFLICT', `the daemon ended before it had looked at ${visible(row.name)}`, { hint: 'ask again: where no daemon runs it is looked at here' })
    // While it looks at others this one waits for its turn.
    if (rows.some(({ leaseUntil }) => (leaseUntil ?? 0) > clock.now())) looksMs = clock.monotonic()
    if (clock.monotonic() - looksMs > IDLE_MOST_MS) {
      const { reason, action } = await viewOf(context, registry, config, row.name, runs)
      throw new VarveError('CONFLICT', `the daemon looked at nothing for ${formatDuration(IDLE_MOST_MS)}${reason === undefined ? ', and does not say why' : `: ${reason}`}`, {
        hint: action ?? 'it hangs, perhaps: end it and start it again; what was asked for is not forgotten',
      })
    }
    await clock.sleep(READ_EVERY_MS, signal)
    signal.throwIfAborted()
  }
}

function outcome(before: WatchView, after: WatchView, defaultEntity: string): string {
  if (after.head === undefined) return stateLine(after.watch, after.state, after.reason, after.action)
  return `${before.head === after.head ? 'unchanged: ' : ''}${formatArtifact(after, defaultEntity)}:${after.head}`
}

async function rowOf(registry: Registry, name: string): Promise<WatchRow> {
  const row = await registry.watchRow(name)
  if (row === undefined) throw unknown(name)
  return row
}

async function viewOf({ opener, clock }: Context, registry: Registry, config: Config, name: string, runs: boolean): Promise<WatchView> {
  const view = (await watchViews(registry, config, opener, clock.now(), runs)).find((one) => one.watch === name)
  if (view === undefined) throw unknown(name)
  return view
}

function unknown(name: string): VarveError {
  const hint = 'restart it: it read its configuration before the watch was in it'
  return new VarveError('CONFLICT', `the running daemon does not know the watch ${name}`, { hint })
}
