import type { Config } from '../config.ts'
import type { WatchView } from '../model/version.ts'
import type { Registry } from '../registry/registry.ts'
import type { Opener } from './context.ts'

/**
 * All enrolled watches in name order; `runs`: beside a daemon. Those that the configuration names say, too, how often they are looked at and when next, and how late others' changes
 * may be seen.
 */
export async function watchViews(registry: Registry, config: Config | undefined, opener: Pick<Opener, 'lagMs'>, now: number, runs: boolean): Promise<readonly WatchView[]> {
  const views = await registry.watchViews(now)
  if (views.length === 0) return views
  const { dueAt, intervalMs, isLeftLooking } = await import('../daemon/daemon.ts')
  const rows = new Map((await registry.watchRows()).map((row) => [row.name, row]))
  return Promise.all(views.map(async (stored) => {
    const row = rows.get(stored.watch)
    const view = row !== undefined && stored.state === 'looking' && isLeftLooking(row, runs) ? { ...stored, state: 'dirty' as const } : stored
    const watch = config?.watches.find(({ name }) => name === view.watch)
    if (watch === undefined || row === undefined) return view
    const pollEveryMs = intervalMs(watch, row)
    const lagMs = await opener.lagMs(watch)
    const late = lagMs === undefined ? {} : { othersSeenWithinMs: pollEveryMs + lagMs }
    // A watch in trouble is looked at when it is tried again.
    return { ...view, pollEveryMs, nextReconcileAt: new Date(Math.max(dueAt(watch, row, now), row.retryAt ?? 0)).toISOString(), ...late }
  }))
}
