import { durationMs } from '../config.ts'
import { VarveError } from '../model/errors.ts'
import type { CollectionName } from '../model/watch.ts'
import type { Registry, WatchRow } from '../registry/registry.ts'
import type { Context, Options } from './context.ts'
import type { Format } from './formats.ts'
import { parseVersion } from './names.ts'
import { placeOf, reading } from './place.ts'
import type { Place } from './place.ts'
import { stateLine } from './tell.ts'
import { formatDuration, formatExact, visible } from './words.ts'

// How often it is asked whether all is recorded: soon enough for a script, cheap for the registry.
const ASK_EVERY_MS = 200

export interface ResolveOptions extends Options {
  readonly waitSettled?: string
  readonly format?: Format
}

/** Prints which version a name stands for now, exactly, in one line; with `format` its entries. With `waitSettled` only when all that was heard is recorded: throws CONFLICT when that does not come. */
export async function resolve(context: Context, name: string, options: ResolveOptions): Promise<void> {
  const mostMs = options.waitSettled === undefined ? undefined : durationMs(options.waitSettled)
  if (Number.isNaN(mostMs)) throw new VarveError('USAGE', `${JSON.stringify(options.waitSettled)} is not a duration with its unit`, { hint: 'write 30s, 30m or 6h' })
  const place = await placeOf(context, options)
  const { collection, version } = parseVersion(name, place.defaultEntity)
  return reading(context, place, async (registry) => {
    if (mostMs !== undefined) await settled(context, registry, collection, place, mostMs)
    const view = await registry.version(collection, version)
    // The alias may move while the entries are listed: they are of what it stood for.
    if (options.format !== undefined) return (await import('./formats.ts')).printEntries(context, options.format, registry.entries(collection, view.version))
    const { artifact, entity, digest, createdAt, entries, sizeBytes } = view
    const exact = { reference: `${entity}/${artifact}:${view.version}`, artifact, entity, version: view.version, digest, createdAt, entries, sizeBytes }
    return options.json === true ? context.screen.json([exact]) : context.screen.print(formatExact(view))
  })
}

/** Resolves when no watch of the collection has anything left to record. Throws CONFLICT after `mostMs`, and at once where no daemon runs that would ever record it. */
async function settled({ clock, opener, screen, signal }: Context, registry: Registry, collection: CollectionName, { dataFolder }: Place, mostMs: number): Promise<void> {
  const end = clock.monotonic() + mostMs
  for (;;) {
    // Asked first: what a daemon that ends now recorded before is seen.
    const runs = await opener.daemonRuns(dataFolder)
    const watches = await registry.watchesOf(collection)
    const waiting = watches.find((row) => !isSettled(row))
    const none = `no daemon runs on ${visible(dataFolder)}`
    if (waiting === undefined) {
      const deaf = watches.find((row) => row.deaf)
      if (watches.length > 0 && !runs) screen.note(`${none}: what has changed since it ran was not heard`)
      else if (deaf !== undefined) screen.note(`${visible(deaf.name)} does not hear now, so that what has changed may not be recorded yet: see varve status`)
      return
    }
    const { isLeftLooking } = await import('../daemon/daemon.ts')
    const state = stateLine(waiting.name, isLeftLooking(waiting, runs) ? 'dirty' : waiting.state, waiting.reason, undefined)
    const hint = waiting.action === undefined ? {} : { hint: waiting.action }
    if (!runs) throw new VarveError('CONFLICT', `${none}, so that nothing will settle: ${state}`, { hint: 'start it with varve run' })
    if (clock.monotonic() >= end) throw new VarveError('CONFLICT', `not settled within ${formatDuration(mostMs)}: ${state}`, hint)
    await clock.sleep(Math.min(ASK_EVERY_MS, Math.max(1, end - clock.monotonic())), signal)
    signal.throwIfAborted()
  }
}

function isSettled({ generation, committedGeneration, state }: WatchRow): boolean {
  return generation <= committedGeneration && state === 'clean'
}
