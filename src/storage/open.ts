// Scheme → factory. Each is loaded when it is first needed: an SDK costs a quarter of a second.
import type { Clock } from '../model/clock.ts'
import type { Scheme } from '../model/location.ts'
import type { Watch } from '../model/watch.ts'
import type { ChangeSource, Store } from './storage.ts'
import type { Log } from './s3/sqs.ts'

const STORES: Readonly<Record<Scheme, (watch: Watch, memo: string | undefined) => Promise<Store>>> = {
  s3: async ({ location, s3, guard }, memo) => (await import('./s3/store.ts')).openS3Store(location, s3, memo, guard.rootMarker),
  file: async ({ location, guard: { rootMarker }, clockSlackMs }) =>
    (await import('./file/store.ts')).openFileStore(location, { clockSlackMs, ...(rootMarker !== undefined && { rootMarker }) }),
}

/**
 * Opens the store of a watch; `memo` is what its last scan left. Whether anything is there shows with `root()`. Throws USAGE when the watch
 * does not say enough.
 */
export async function openStore(watch: Watch, memo: string | undefined): Promise<Store> {
  return STORES[watch.location.scheme](watch, memo)
}

/**
 * What hears for these watches: a watcher for each folder, and each queue once, whatever the number of watches that it serves.
 * `sqsEndpoint` goes before the host of the queues' URLs.
 */
export async function openSources(watches: readonly Watch[], clock: Clock, log: Log, sqsEndpoint?: string): Promise<readonly ChangeSource[]> {
  const sources: ChangeSource[] = []
  for (const { location } of watches) {
    if (location.scheme === 'file') sources.push((await import('./file/notifications.ts')).fileSource(location, clock))
  }
  const queues = Map.groupBy(watches.filter((watch) => watch.sqs !== undefined), (watch) => JSON.stringify([watch.sqs, watch.s3.profile]))
  for (const served of queues.values()) {
    const { sqs, s3 } = served[0] as Watch
    const { sqsSource } = await import('./s3/sqs.ts')
    const locations = served.map(({ location }) => location)
    sources.push(sqsSource({ url: sqs as string, access: s3, locations, ...(sqsEndpoint !== undefined && { endpoint: sqsEndpoint }) }, clock, log))
  }
  return sources
}
