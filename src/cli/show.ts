import type { VersionView } from '../model/version.ts'
import type { Context, Options } from './context.ts'
import { parseVersion } from './names.ts'
import { placeOf, reading } from './place.ts'
import { formatArtifact, formatChanges, formatCount, formatDuration, formatSize, formatWhen, plural, visible } from './words.ts'

export interface ShowOptions extends Options {
  readonly skipped?: boolean
}

/** Prints one version with its certificate; with `skipped` all that it skipped instead, in path order. */
export async function show(context: Context, name: string, options: ShowOptions): Promise<void> {
  const place = await placeOf(context, options)
  const { collection, version } = parseVersion(name, place.defaultEntity)
  return reading(context, place, async (registry) => {
    if (options.skipped === true) {
      for await (const page of registry.skipped(collection, version))
        if (options.json === true) await context.screen.json(page)
        else await context.screen.print(...page.map(({ path, reason }) => `${reason.padEnd(20)}  ${visible(path)}`))
      return
    }
    const view = await registry.version(collection, version)
    if (options.json === true) return context.screen.json([view])
    const lines = facts(view, place.defaultEntity, context.clock.now())
    const width = Math.max(...lines.map(([name]) => name.length))
    return context.screen.print(...lines.map(([name, text]) => `${context.screen.paint('dim', name.padEnd(width))}  ${text}`))
  })
}

function facts(view: VersionView, defaultEntity: string, now: number): (readonly [string, string])[] {
  const { certificate } = view
  const skipped = Object.entries(certificate.skippedByReason).map(([reason, count]) => `${formatCount(count)} ${reason}`)
  const took = Date.parse(certificate.endedAt) - Date.parse(certificate.startedAt)
  const requests = plural(certificate.requests, 'request', 'requests')
  return [
    ['artifact', `${formatArtifact(view, defaultEntity)}:${view.version}`],
    ['type', visible(view.type)],
    ['aliases', view.aliases.map(visible).join(', ') || '-'],
    ...(view.description === undefined ? [] : [['description', visible(view.description)] as const]),
    ['made', `${view.createdAt} (${formatWhen(view.createdAt, now)})`],
    ['run', visible(view.run)],
    ['cause', view.cause],
    ['entries', `${formatCount(view.entries)} (${formatSize(view.sizeBytes)})`],
    ['changes', `${formatChanges(view.changes)}  (${formatSize(view.changes.bytesAdded)} added, ${formatSize(view.changes.bytesRemoved)} removed)`],
    ['digest', view.digest],
    ['look', `${certificate.kind} in ${formatDuration(took)}: ${plural(certificate.seen, 'object', 'objects')} seen, ${requests}`],
    ['consistent', certificate.consistent ? 'yes: it existed as a whole' : 'not shown: each entry was there at some instant of the look'],
    ['skipped', skipped.length === 0 ? 'nothing' : `${skipped.join(', ')} (listed by --skipped)`],
    ['filtered', formatCount(certificate.filtered)],
    ...certificate.changedUnderLook.map((path) => ['moved', `under the look: ${visible(path)}`] as const),
    ...certificate.notes.map((note) => ['note', visible(note)] as const),
  ]
}
