// Runs in a process of its own: TREE DATA PATH. Scans the tree, then changes the file PATH again and again, each change hinted and recorded by the daemon's own turn, as it is built.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseLocation } from '../src/model/location.ts'
import { WHOLE } from '../src/model/watch.ts'
import type { Cause, Watch } from '../src/model/watch.ts'
import { built, median } from './measure.ts'

const { systemClock } = await built<typeof import('../src/compose.ts')>('compose')
const { turn } = await built<typeof import('../src/daemon/turn.ts')>('daemon/turn')
const { openRegistry } = await built<typeof import('../src/registry/open.ts')>('registry/open')
const { openStore } = await built<typeof import('../src/storage/open.ts')>('storage/open')

const CHANGES = 21

const [tree, data, path] = process.argv.slice(2) as [string, string, string]
const watch: Watch = {
  name: 'bench', locations: [parseLocation(tree, '/')], collection: { entity: 'local', project: 'bench', collection: 'tree' }, type: 'dataset', aliases: [], include: [], exclude: [],
  settleMs: 0, maxWaitMs: 60_000, reconcileMs: 3_600_000, pollMs: 3_600_000, entriesMax: 2_000_000, guard: { removedShareMax: 0.5 }, onUnreadable: 'fail', confirm: false, clockSlackMs: 0, s3: {}, gcs: {}, http: {},
}
const quiet = (): void => undefined
const registry = await openRegistry(data, { thread: true })
const parts = {
  registry, clock: systemClock, owner: 'bench', log: { info: quiet, warn: quiet, error: quiet }, tell: { recorded: quiet, state: quiet, restorability: quiet, progress: quiet },
  openStore: (one: Watch, memo: string | undefined) => openStore(one, memo),
}
const signal = new AbortController().signal

async function lookAt(what: string, cause: Cause): Promise<number> {
  const started = performance.now()
  await registry.request([{ watch: watch.name, path: what, cause }], Date.now())
  await turn(parts, watch, signal)
  return performance.now() - started
}

await registry.enroll([watch], Date.now())
await lookAt(WHOLE, 'startup')
const times: number[] = []
for (let i = 1; i <= CHANGES; i++) {
  writeFileSync(join(tree, path), 'x'.repeat(i))
  times.push(await lookAt(path, 'hint'))
}
const [view] = await registry.watchViews(Date.now())
if (view?.head !== `v${CHANGES}`) throw new Error(`the head is ${view?.head}, ${view?.state}: ${view?.reason}; wanted v${CHANGES}`)
await registry.close()
process.stdout.write(JSON.stringify({ changeMs: median(times) }))
