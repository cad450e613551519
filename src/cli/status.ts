import { access, constants, statfs } from 'node:fs/promises'
import type { WatchView } from '../model/version.ts'
import type { WatchState } from '../model/watch.ts'
import type { Context, Options } from './context.ts'
import { placeOf, reading } from './place.ts'
import type { Colour } from './screen.ts'
import { watchViews } from './views.ts'
import { formatArtifact, formatDue, formatDuration, formatWhen, plural, visible } from './words.ts'

// Work that is going on is well; what waits for a person, or for something to come back, is not.
const COLOURS: Readonly<Record<WatchState, Colour>> = {
  clean: 'green', dirty: 'green', looking: 'green',
  held: 'yellow', empty: 'yellow', unavailable: 'red', oversize: 'red', backoff: 'red',
}

const HEAD = ['watch', 'artifact', 'state', 'head', 'last look', 'next scan']

/** Prints every watch with its state, reason and what to do. Answers 0 when all are clean, dirty or looking, else 1. */
export async function status(context: Context, options: Options): Promise<number> {
  const place = await placeOf(context, options)
  return reading(context, place, async (registry) => {
    const now = context.clock.now()
    const full = await isFull(place.dataFolder)
    const runs = await context.opener.daemonRuns(place.dataFolder)
    const views = (await watchViews(registry, place.config, context.opener, now, runs)).map((view) => (full ? { ...view, ...FULL } : view))
    const answer = views.some(({ state, action }) => COLOURS[state] !== 'green' || action !== undefined) ? 1 : 0
    if (options.json === true) await context.screen.json(views)
    else if (views.length === 0) context.screen.note('nothing is watched')
    else {
      const { tableLines } = await import('./table.ts')
      const [head, ...rows] = tableLines(HEAD, views.map((view) => cells(view, place.defaultEntity, now)))
      await context.screen.print(head as string, ...views.flatMap((view, i) => [rows[i] as string, ...remarks(view, context)]))
    }
    if (!runs) context.screen.note(`no daemon runs on ${visible(place.dataFolder)}`)
    return answer
  })
}

// What the daemon cannot write down itself just then.
const FULL = {
  state: 'backoff', action: 'make room there',
  reason: 'the disk under data is full: nothing is recorded, and what the queues hold stays there; nothing is lost',
} as const
// One mark alone writes some pages of 4 KB.
const ROOM_BYTES = 32_768

async function isFull(folder: string): Promise<boolean> {
  // A file system that is never written to has no room, and needs none.
  if (await access(folder, constants.W_OK).then(() => false, ({ code }: NodeJS.ErrnoException) => code === 'EROFS')) return false
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize < ROOM_BYTES
}

function cells(view: WatchView, defaultEntity: string, now: number): string[] {
  return [
    visible(view.watch),
    formatArtifact(view, defaultEntity),
    view.state,
    view.head ?? '-',
    view.lastLook === undefined ? '-' : `${view.lastLook.kind}, ${view.lastLook.outcome}, ${formatWhen(view.lastLook.endedAt, now)}`,
    view.nextReconcileAt === undefined ? '-' : formatDue(view.nextReconcileAt, now),
  ]
}

function remarks(view: WatchView, context: Context): string[] {
  const paint = (text: string): string => `  ${context.screen.paint(COLOURS[view.state], text)}`
  return [
    ...(view.reason === undefined ? [] : [paint(visible(view.reason))]),
    ...(view.action === undefined ? [] : [paint(`to do: ${visible(view.action)}`)]),
    ...(view.limits === undefined ? [] : [`  ${visible(view.limits)}`]),
    ...(view.heldDigest === undefined ? [] : [`  seen: ${view.heldDigest}`]),
    ...(view.reconcileFound === 0 ? [] : [`  ${plural(view.reconcileFound, 'change', 'changes')} found only by a reconcile: hints were lost`]),
    ...(view.pollEveryMs === undefined ? [] : [`  looked at every ${formatDuration(view.pollEveryMs)}`]),
    ...(view.othersSeenWithinMs === undefined ? [] : [`  network mount: ${lateness(view.othersSeenWithinMs)}`]),
  ]
}

function lateness(ms: number): string {
  if (ms === Infinity) return 'how long it hides what other machines change is not known'
  return `changes by other machines are seen within ${formatDuration(ms)}`
}
