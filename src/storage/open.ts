// Scheme → factory. Each is loaded when it is first needed: an SDK costs a quarter of a second.
import type { Clock } from '../model/clock.ts'
import type { Location, Scheme } from '../model/location.ts'
import { VarveError } from '../model/errors.ts'
import type { Watch } from '../model/watch.ts'
import type { ChangeSource, Store } from './storage.ts'
import type { Log } from './s3/sqs.ts'

const openWeb = async (location: Location, { http }: Watch, memo: string | undefined): Promise<Store> => (await import('./http/store.ts')).openHttpStore(location, http, memo)

const STORES: Readonly<Partial<Record<Scheme, (location: Location, watch: Watch, memo: string | undefined) => Promise<Store>>>> = {
  s3: async (location, { s3, guard }, memo) => (await import('./s3/store.ts')).openS3Store(location, s3, memo, guard.rootMarker),
  file: async (location, { guard: { rootMarker }, clockSlackMs }) =>
    (await import('./file/store.ts')).openFileStore(location, { clockSlackMs, ...(rootMarker !== undefined && { rootMarker }) }),
  http: openWeb,
  https: openWeb,
}

/**
 * Opens the store of a watch; `memo` is what its last scan left. Whether anything is there shows with `root()`. Throws USAGE when the watch
 * does not say enough.
 */
export async function openStore(watch: Watch, memo: string | undefined): Promise<Store> {
  const [first, ...others] = watch.locations
  if (others.length === 0) return openOne(first, watch, memo)
  return (await import('./several.ts')).openSeveral(watch.locations, memo, (location, own) => openOne(location, watch, own))
}

function openOne(location: Location, watch: Watch, memo: string | undefined): Promise<Store> {
  const open = STORES[location.scheme]
  if (open === undefined) throw new VarveError('USAGE', `${location.scheme}:// is not watched yet`)
  return open(location, watch, memo)
}

/**
 * What hears for these watches: a watcher for each folder, and each queue and each path of the listener once, whatever the number of watches that it serves.
 * `sqsEndpoint` goes before the host of the queues' URLs. Throws CONFIG_INVALID for a path whose token cannot be had.
 */
export async function openSources(watches: readonly Watch[], clock: Clock, log: Log, sqsEndpoint?: string): Promise<readonly ChangeSource[]> {
  const sources: ChangeSource[] = []
  for (const location of watches.flatMap(({ locations }) => locations)) {
    if (location.scheme === 'file') sources.push((await import('./file/notifications.ts')).fileSource(location, clock))
  }
  const heard = Map.groupBy(watches, ({ events, s3 }) => JSON.stringify(events?.kind === 'sqs' ? [events, s3.profile, s3.role] : [events]))
  for (const served of heard.values()) {
    const { events, s3 } = served[0] as Watch
    const locations = served.flatMap((watch) => watch.locations.filter(({ scheme }) => scheme === 's3'))
    if (events?.kind === 'sqs') {
      const { sqsSource } = await import('./s3/sqs.ts')
      sources.push(sqsSource({ url: events.url, access: s3, locations, ...(sqsEndpoint !== undefined && { endpoint: sqsEndpoint }) }, clock, log))
    } else if (events?.kind === 'webhook') {
      const { openWebhook } = await import('./s3/webhook.ts')
      sources.push(await openWebhook({ path: events.path, tokenFile: events.tokenFile, locations }, clock, log))
    }
  }
  return sources
}

export { examinations, policies } from './examine.ts'
