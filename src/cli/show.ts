import type { Loss } from '../model/errors.ts'
import type { RestorabilityState, VersionView } from '../model/version.ts'
import type { Context, Options } from './context.ts'
import { parseVersion } from './names.ts'
import { placeOf, reading } from './place.ts'
import { formatArtifact, formatChanges, formatCount, formatDuration, formatRestorability, formatSize, formatWhen, plural, visible } from './words.ts'

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
    const losses = view.restorability.lost === 0 ? [] : await registry.losses(collection, version, LOSSES_MOST)
    const lines = facts(view, losses, place.defaultEntity, context.clock.now())
    const width = Math.max(...lines.map(([name]) => name.length))
    return context.screen.print(...lines.map(([name, text]) => `${context.screen.paint('dim', name.padEnd(width))}  ${text}`))
  })
}

// The first of what cannot come back.
const LOSSES_MOST = 10

// What each state comes to.
const MEANINGS: Readonly<Record<RestorabilityState, string>> = {
  pinned: 'object versions hold the bytes of each entry, here or elsewhere',
  unpinned: 'as it lay there when it was last looked at; the next write destroys the bytes',
  'at risk': 'rules of the bucket will take object versions',
  'partly lost': 'the rest can be restored',
  lost: 'nothing of it can be restored',
}

function restorability(view: VersionView, losses: readonly Loss[], now: number): (readonly [string, string])[] {
  const { restorability: { state, lost, atRiskFrom, auditedAt, notes = [] } } = view
  const when = state === 'at risk' && atRiskFrom === undefined ? '; when cannot be known' : ''
  const more = lost - losses.length
  return [
    ['restorable', `${formatRestorability(view)} (${MEANINGS[state]}${when})`],
    ...losses.map(({ path, words }) => ['lost', `${visible(path)}: ${words}`] as const),
    ...(more > 0 ? [['lost', `and ${formatCount(more)} more`] as const] : []),
    ['audited', auditedAt === undefined ? 'not since it was made' : formatWhen(auditedAt, now)],
    ...notes.map((note) => ['audit', visible(note)] as const),
  ]
}

function facts(view: VersionView, losses: readonly Loss[], defaultEntity: string, now: number): (readonly [string, string])[] {
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
    ...restorability(view, losses, now),
    ['look', `${certificate.kind} in ${formatDuration(took)}: ${plural(certificate.seen, 'object', 'objects')} seen, ${requests}`],
    ['consistent', certificate.consistent ? 'yes: it existed as a whole' : `not shown: each entry was there at some instant of the look${certificate.changedUnderLook.length === 0 ? '' : ', but for what moved under it, which may be as it was recorded before'}`],
    ['skipped', skipped.length === 0 ? 'nothing' : `${skipped.join(', ')} (listed by --skipped)`],
    ['filtered', formatCount(certificate.filtered)],
    ...certificate.changedUnderLook.map((path) => ['moved', `under the look: ${visible(path)}`] as const),
    ...certificate.notes.map((note) => ['note', visible(note)] as const),
  ]
}
