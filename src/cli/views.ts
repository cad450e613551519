import type { Config } from '../config.ts'
import type { WatchView } from '../model/version.ts'
import type { Registry } from '../registry/registry.ts'

/** All enrolled watches in name order. Those that the configuration names say, too, how often they are looked at and when next: a watch in trouble is when it is tried again. */
export async function watchViews(registry: Registry, config: Config | undefined, now: number): Promise<readonly WatchView[]> {
  const views = await registry.watchViews(now)
  if (config === undefined || views.length === 0) return views
  const { dueAt, intervalMs } = await import('../daemon/daemon.ts')
  const rows = new Map((await registry.watchRows()).map((row) => [row.name, row]))
  return views.map((view) => {
    const watch = config.watches.find(({ name }) => name === view.watch)
    const row = rows.get(view.watch)
    if (watch === undefined || row === undefined) return view
    return { ...view, pollEveryMs: intervalMs(watch, row), nextReconcileAt: new Date(Math.max(dueAt(watch, row, now), row.retryAt ?? 0)).toISOString() }
  })
}
