// Scheme → factory. Each is loaded when it is first needed: an SDK costs a quarter of a second.
import type { Clock } from '../model/clock.ts'
import type { Scheme } from '../model/location.ts'
import { VarveError } from '../model/errors.ts'
import type { Watch } from '../model/watch.ts'
import type { ChangeSource, Store } from './storage.ts'
import type { Log } from './s3/sqs.ts'

const STORES: Readonly<Partial<Record<Scheme, (watch: Watch, memo: string | undefined) => Promise<Store>>>> = {
  s3: async ({ location, s3, guard }, memo) => (await import('./s3/store.ts')).openS3Store(location, s3, memo, guard.rootMarker),
  file: async ({ location, guard: { rootMarker }, clockSlackMs }) =>
    (await import('./file/store.ts')).openFileStore(location, { clockSlackMs, ...(rootMarker !== undefined && { rootMarker }) }),
}

/**
 * Opens the store of a watch; `memo` is what its last scan left. Whether anything is there shows with `root()`. Throws USAGE when the watch
 * does not say enough.
 */
export async function openStore(watch: Watch, memo: string | undefined): Promise<Store> {
  const open = STORES[watch.location.scheme]
  if (open === undefined) throw new VarveError('USAGE', `${watch.location.scheme}:// is not watched yet`)
  return open(watch, memo)
}

/**
 * On a mount where other machines may write unheard: for how long (ms) this one may answer from memory, Infinity where nobody knows. Undefined for all else. Asks the
 * table of mounts, and no file system.
 */
export async function lagOf({ location: { scheme, object, prefix } }: Watch): Promise<number | undefined> {
  if (scheme !== 'file') return undefined
  const { heldBy, lagMs } = await import('./file/mounts.ts')
  const { far } = heldBy(object ?? prefix)
  return far === undefined ? undefined : lagMs(far)
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
  const heard = Map.groupBy(watches, ({ events, s3 }) => JSON.stringify([events, s3.profile, s3.role]))
  for (const served of heard.values()) {
    const { events, s3 } = served[0] as Watch
    const locations = served.map(({ location }) => location)
    if (events?.kind !== 'sqs') continue
    const { sqsSource } = await import('./s3/sqs.ts')
    sources.push(sqsSource({ url: events.url, access: s3, locations, ...(sqsEndpoint !== undefined && { endpoint: sqsEndpoint }) }, clock, log))
  }
  return sources
}
