// What the daemon counts, as Prometheus reads it: `prometheus.io/docs/instrumenting/exposition_formats` (text, 0.0.4).
import type { Clock } from '../model/clock.ts'
import type { WatchState } from '../model/watch.ts'
import type { RestorabilityState } from '../model/version.ts'
import type { Registry } from '../registry/registry.ts'

// Counting the versions reads every row that is lost or at risk: not at each scrape.
const KEPT_MS = 60_000

type Counted = Pick<Registry, 'versionStates' | 'watchViews'>
type Labels = Readonly<Record<string, string>>

/** What answers with all metrics of now; the states of versions are at most a minute old. */
export function metricsOf(registry: Counted, clock: Pick<Clock, 'now' | 'monotonic'>): () => Promise<string> {
  let known: { readonly atMs: number; readonly states: ReturnType<Counted['versionStates']> } | undefined
  const states = (): ReturnType<Counted['versionStates']> => {
    if (known === undefined || clock.monotonic() - known.atMs > KEPT_MS) known = { atMs: clock.monotonic(), states: registry.versionStates() }
    const asked = known
    asked.states.catch(() => known === asked && (known = undefined))
    return asked.states
  }
  return async () => {
    const watches = await registry.watchViews(clock.now())
    return [
      ...family('varve_versions', 'gauge', 'Versions of each artifact, by whether their bytes can come back.', RESTORABILITIES, await states(),
        ({ artifact, entity, state, versions }) => [{ entity, artifact, state: state.replace(' ', '_') }, versions]),
      ...family('varve_reconcile_found_total', 'counter', 'Changes that only a reconcile found: lost hints.', [], watches, ({ watch, reconcileFound }) => [{ watch }, reconcileFound]),
      ...family('varve_watch_state', 'gauge', '1 for the state that a watch is in.', STATES, watches, ({ watch, state }) => [{ watch, state }, 1]),
      '',
    ].join('\n')
  }
}

const RESTORABILITIES: readonly RestorabilityState[] = ['pinned', 'unpinned', 'at risk', 'partly lost', 'lost']
const STATES: readonly WatchState[] = ['clean', 'dirty', 'looking', 'held', 'unavailable', 'oversize', 'backoff', 'empty']

/** The lines of a metric. A series of a state that is no more must fall to 0, not vanish: so each of `states` has one. */
function family<T>(name: string, type: string, help: string, states: readonly string[], items: readonly T[], read: (item: T) => [Labels, number]): string[] {
  const series = new Map<string, number>()
  for (const [labels, value] of items.map(read)) {
    for (const state of states) {
      const text = labelsOf({ ...labels, state: state.replace(' ', '_') })
      series.set(text, series.get(text) ?? 0)
    }
    series.set(labelsOf(labels), value)
  }
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...[...series].map(([labels, value]) => `${name}${labels} ${value}`)]
}

function labelsOf(labels: Labels): string {
  return `{${Object.entries(labels).map(([name, value]) => `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`).join(',')}}`
}
