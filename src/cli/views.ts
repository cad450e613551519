import type { Config } from '../config.ts'
import type { WatchView } from '../model/version.ts'
import type { Registry } from '../registry/registry.ts'
import type { Opener } from './context.ts'

/** All enrolled watches in name order. Those that the configuration names say, too, how often they are looked at and when next, and how late others' changes may be seen. */
export async function watchViews(registry: Registry, config: Config | undefined, opener: Opener, now: number): Promise<readonly WatchView[]> {
  const views = await registry.watchViews(now)
  if (config === undefined || views.length === 0) return views
  const { dueAt, intervalMs } = await import('../daemon/daemon.ts')
  const rows = new Map((await registry.watchRows()).map((row) => [row.name, row]))
  return Promise.all(views.map(async (view) => {
    const watch = config.watches.find(({ name }) => name === view.watch)
    const row = rows.get(view.watch)
    if (watch === undefined || row === undefined) return view
    const pollEveryMs = intervalMs(watch, row.lastScanMs)
    const lagMs = await opener.lagMs(watch)
    const late = lagMs === undefined ? {} : { othersSeenWithinMs: pollEveryMs + lagMs }
    return { ...view, pollEveryMs, nextReconcileAt: new Date(dueAt(watch, row, now)).toISOString(), ...late }
  }))
}
