// Scheme → factory. Each is loaded when it is first needed: an SDK costs a quarter of a second.
import type { Clock } from '../model/clock.ts'
import type { Location, Scheme } from '../model/location.ts'
import type { Watch } from '../model/watch.ts'
import type { Access, ChangeSource, Hint, Inventory, Log, Reader, Store } from './storage.ts'

const openWeb = async (location: Location, { http }: Watch, memo: string | undefined): Promise<Store> => (await import('./http/store.ts')).openHttpStore(location, http, memo)

const STORES: Readonly<Record<Scheme, (location: Location, watch: Watch, memo: string | undefined) => Promise<Store>>> = {
  s3: async (location, { s3, guard }, memo) => (await import('./s3/store.ts')).openS3Store(location, s3, memo, guard.rootMarker),
  gs: async (location, { gcs, guard }) => (await import('./gcs/store.ts')).openGcsStore(location, gcs, guard.rootMarker),
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
  return STORES[location.scheme](location, watch, memo)
}

/** Starts what takes a moment to start and a scan of these locations will need. Asks no storage. */
export async function warm({ locations }: Pick<Watch, 'locations'>): Promise<void> {
  const file = locations.find(({ scheme }) => scheme === 'file')
  if (file !== undefined) (await import('./file/store.ts')).warm(file)
}

/** Opens what tells what the bucket of `location` still keeps, all of it. Undefined for places that keep no versions. Throws USAGE when `access` does not say enough. */
export async function openInventory(location: Location, access: Access): Promise<Inventory | undefined> {
  if (location.scheme === 's3') return (await import('./s3/inventory.ts')).openS3Inventory(location, access.s3)
  return location.scheme === 'gs' ? (await import('./gcs/inventory.ts')).openGcsInventory(location, access.gcs) : undefined
}

const readWeb = async (location: Location, { http }: Access): Promise<Reader> => (await import('./http/reader.ts')).openHttpReader(location, http)

const READERS: Readonly<Record<Scheme, (location: Location, access: Access) => Promise<Reader>>> = {
  s3: async (location, { s3 }) => (await import('./s3/reader.ts')).openS3Reader(location, s3),
  gs: async (location, { gcs }) => (await import('./gcs/reader.ts')).openGcsReader(location, gcs),
  file: async () => (await import('./file/reader.ts')).openFileReader(),
  http: readWeb,
  https: readWeb,
}

/** Opens the bytes of all that lies where `location` does: in its bucket, or on this machine; of a web server its one object. Asks nothing yet. Throws USAGE when `access` does not say enough. */
export function openReader(location: Location, access: Access): Promise<Reader> {
  return READERS[location.scheme](location, access)
}

/**
 * On mounts where other machines may write unheard: for how long (ms) this one may answer from memory, Infinity where nobody knows. Undefined for all else. Asks the
 * table of mounts, and no file system.
 */
export async function lagOf({ locations }: Pick<Watch, 'locations'>): Promise<number | undefined> {
  const files = locations.filter(({ scheme }) => scheme === 'file')
  if (files.length === 0) return undefined
  const { heldBy, lagMs } = await import('./file/mounts.ts')
  const lags = files.flatMap(({ object, prefix }) => {
    const { far } = heldBy(object ?? prefix)
    return far === undefined ? [] : [lagMs(far)]
  })
  return lags.length === 0 ? undefined : Math.max(...lags)
}

/** See `file/shore.ts`. */
export async function shores(): Promise<typeof import('./file/shore.ts')> {
  return import('./file/shore.ts')
}

/**
 * What hears for these watches: a watcher for each folder, and each queue, subscription and path of the listener once, whatever the number of watches that it serves.
 * `sqsEndpoint` goes before the host of the queues' URLs.
 */
export async function openSources(watches: readonly Watch[], clock: Clock, log: Log, sqsEndpoint?: string): Promise<readonly ChangeSource[]> {
  const sources: ChangeSource[] = []
  const add = (source: ChangeSource, served: readonly Watch[]): void => void sources.push(Object.assign(source, { serves: served.map(({ name }) => name) }))
  for (const watch of watches)
    for (const location of watch.locations)
      if (location.scheme === 'file') add((await import('./file/notifications.ts')).fileSource(location, clock), [watch])
  // What is shared, and who asks it.
  const heard = Map.groupBy(watches, ({ events, s3, gcs }) => JSON.stringify([events, events?.kind === 'sqs' && [s3.profile, s3.role], events?.kind === 'pubsub' && [gcs.credentialsFile, gcs.impersonate]]))
  for (const served of heard.values()) {
    const { events, s3, gcs } = served[0] as Watch
    const locations = served.flatMap((watch) => watch.locations.filter(({ scheme }) => scheme === (events?.kind === 'pubsub' ? 'gs' : 's3')))
    if (events?.kind === 'sqs') {
      const { sqsSource } = await import('./s3/sqs.ts')
      add(within(locations, sqsSource({ url: events.url, access: s3, locations, ...(sqsEndpoint !== undefined && { endpoint: sqsEndpoint }) }, clock, log)), served)
    } else if (events?.kind === 'pubsub') {
      const { pubsubSource } = await import('./gcs/pubsub.ts')
      add(within(locations, pubsubSource({ name: events.subscription, access: gcs, locations }, clock, log)), served)
    } else if (events?.kind === 'webhook') {
      const { openWebhook } = await import('./s3/webhook.ts')
      add(within(locations, openWebhook({ path: events.path, tokenFile: events.tokenFile, locations }, clock, log)), served)
    }
  }
  return sources
}

/** What is told names a bucket and not where it is: of one of that name at another endpoint than those of `locations` nothing was said. */
function within(locations: readonly Location[], source: ChangeSource): ChangeSource {
  const endpoints = [...new Set(locations.map(({ endpoint }) => endpoint))]
  const listen = source.listen.bind(source)
  return Object.assign(source, {
    listen: (emit: (hints: readonly Hint[]) => Promise<void>, ...rest: [AbortSignal]) => listen((hints) => emit(hints.map((hint) => ({ ...hint, endpoints }))), ...rest),
  })
}

export { examinations, policies } from './examine.ts'
