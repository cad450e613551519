import { expect, test } from '@jest/globals'
import { metricsOf } from '../../src/api/metrics.ts'
import type { WatchView } from '../../src/model/version.ts'
import { HandClock } from '../laws/clock.ts'

const WATCH: WatchView = { watch: 'a "b"\\\n', artifact: 'vision/mnist', entity: 'local', location: 's3://b/', state: 'held', generation: 1, committedGeneration: 1, reconcileFound: 7 }

test('versions by state, lost hints and states of watches are told as Prometheus reads them; the versions are counted once a minute', async () => {
  const clock = new HandClock()
  let asked = 0
  const registry = {
    watchViews: async () => [WATCH],
    versionStates: async () => [
      { artifact: 'vision/mnist', entity: 'local', state: 'pinned' as const, versions: ++asked },
      { artifact: 'vision/mnist', entity: 'local', state: 'partly lost' as const, versions: 2 },
    ],
  }
  const metrics = metricsOf(registry, clock)
  expect(await metrics()).toBe(`# HELP varve_versions Versions of each artifact, by whether their bytes can come back.
# TYPE varve_versions gauge
varve_versions{entity="local",artifact="vision/mnist",state="pinned"} 1
varve_versions{entity="local",artifact="vision/mnist",state="unpinned"} 0
varve_versions{entity="local",artifact="vision/mnist",state="at_risk"} 0
varve_versions{entity="local",artifact="vision/mnist",state="partly_lost"} 2
varve_versions{entity="local",artifact="vision/mnist",state="lost"} 0
# HELP varve_reconcile_found_total Changes that only a reconcile found: lost hints.
# TYPE varve_reconcile_found_total counter
varve_reconcile_found_total{watch="a \\"b\\"\\\\\\n"} 7
# HELP varve_watch_state 1 for the state that a watch is in.
# TYPE varve_watch_state gauge
${['clean', 'dirty', 'looking', 'held', 'unavailable', 'oversize', 'backoff', 'empty'].map((state) => `varve_watch_state{watch="a \\"b\\"\\\\\\n",state="${state}"} ${state === 'held' ? 1 : 0}\n`).join('')}`)
  await clock.pass(30_000)
  expect(await metrics()).toContain('state="pinned"} 1')
  await clock.pass(31_000)
  expect(await metrics()).toContain('state="pinned"} 2')
})

test('what could not be counted is asked again', async () => {
  let fails = true
  const metrics = metricsOf({ watchViews: async () => [], versionStates: async () => (fails ? Promise.reject(new Error('the disk')) : []) }, new HandClock())
  await expect(metrics()).rejects.toThrow('the disk')
  fails = false
  expect(await metrics()).toContain('# TYPE varve_versions gauge')
})
