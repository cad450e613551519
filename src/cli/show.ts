import type { VersionView } from '../model/version.ts'
import type { Context, Options } from './context.ts'
import { parseVersion } from './names.ts'
import { reading } from './place.ts'
import { formatArtifact, formatChanges, formatCount, formatSize, formatWhen, plural, visible } from './words.ts'

export interface ShowOptions extends Options {
  readonly skipped?: boolean
}

/** Prints one version with its certificate; with `skipped` all that it skipped instead, in path order. */
export function show(context: Context, name: string, options: ShowOptions): Promise<void> {
  return reading(context, options, async (registry, { defaultEntity }) => {
    const { collection, version } = parseVersion(name, defaultEntity)
    if (options.skipped === true) {
      for await (const page of registry.skipped(collection, version))
        if (options.json === true) await context.screen.json(page)
        else await context.screen.print(...page.map(({ path, reason }) => `${reason.padEnd(20)}  ${visible(path)}`))
      return
    }
    const view = await registry.version(collection, version)
    if (options.json === true) return context.screen.json([view])
    const lines = facts(view, defaultEntity, context.clock.now())
    const width = Math.max(...lines.map(([name]) => name.length))
    return context.screen.print(...lines.map(([name, text]) => `${context.screen.paint('dim', name.padEnd(width))}  ${text}`))
  })
}

function facts(view: VersionView, defaultEntity: string, now: number): (readonly [string, string])[] {
  const { certificate } = view
  const skipped = Object.entries(certificate.skippedByReason).map(([reason, count]) => `${formatCount(count)} ${reason}`)
  const took = Date.parse(certificate.endedAt) - Date.parse(certificate.startedAt)
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
    ['look', `${certificate.kind} in ${took} ms: ${plural(certificate.seen, 'object', 'objects')} seen, ${plural(certificate.requests, 'request', 'requests')}`],
    ['consistent', certificate.consistent ? 'yes: it existed as a whole' : 'not shown: each entry was there at some instant of the look'],
    ['skipped', skipped.length === 0 ? 'nothing' : `${skipped.join(', ')} (listed by --skipped)`],
    ['filtered', formatCount(certificate.filtered)],
    ...(certificate.changedUnderLook.length === 0
      ? []
      : [['changed', `under the look: ${certificate.changedUnderLook.slice(0, 10).map(visible).join(', ')}${certificate.changedUnderLook.length > 10 ? ', …' : ''}`] as const]),
    ...certificate.notes.map((note) => ['note', visible(note)] as const),
  ]
}
