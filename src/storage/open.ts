// Scheme → factory. Each is loaded when it is first needed: an SDK costs a quarter of a second.
import type { Clock } from '../model/clock.ts'
import type { Location, Scheme } from '../model/location.ts'
import { scrub, VarveError } from '../model/errors.ts'
import { formatLocation } from '../model/location.ts'
import { degraded } from '../model/probe.ts'
import type { Examination, Diagnosis, Policy } from '../model/probe.ts'
import type { Events, Watch } from '../model/watch.ts'
import type { LeavesOut } from './file/probe.ts'
import type { Means } from './probe.ts'
import type { ChangeSource, Store } from './storage.ts'
import type { QueueSeen } from './s3/probe-queue.ts'
import type { Log } from './s3/sqs.ts'

const STORES: Readonly<Partial<Record<Scheme, (location: Location, watch: Watch, memo: string | undefined) => Promise<Store>>>> = {
  s3: async (location, { s3, guard }, memo) => (await import('./s3/store.ts')).openS3Store(location, s3, memo, guard.rootMarker),
  file: async (location, { guard: { rootMarker }, clockSlackMs }) =>
    (await import('./file/store.ts')).openFileStore(location, { clockSlackMs, ...(rootMarker !== undefined && { rootMarker }) }),
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
 * What hears for these watches: a watcher for each folder, and each queue once, whatever the number of watches that it serves.
 * `sqsEndpoint` goes before the host of the queues' URLs.
 */
export async function openSources(watches: readonly Watch[], clock: Clock, log: Log, sqsEndpoint?: string): Promise<readonly ChangeSource[]> {
  const sources: ChangeSource[] = []
  for (const location of watches.flatMap(({ locations }) => locations)) {
    if (location.scheme === 'file') sources.push((await import('./file/notifications.ts')).fileSource(location, clock))
  }
  const heard = Map.groupBy(watches, ({ events, s3 }) => JSON.stringify([events, s3.profile, s3.role]))
  for (const served of heard.values()) {
    const { events, s3 } = served[0] as Watch
    const locations = served.flatMap((watch) => watch.locations.filter(({ scheme }) => scheme === 's3'))
    if (events?.kind !== 'sqs') continue
    const { sqsSource } = await import('./s3/sqs.ts')
    sources.push(sqsSource({ url: events.url, access: s3, locations, ...(sqsEndpoint !== undefined && { endpoint: sqsEndpoint }) }, clock, log))
  }
  return sources
}

/** How a location is probed. */
type Probing = (watch: Watch, location: Location, asked: Asked, signal: AbortSignal) => Promise<readonly Diagnosis[]>

/** Probes of a location and of its change source lie beside what they probe. */
const PROBES: Readonly<Partial<Record<Scheme, Probing>>> = {
  s3: async (watch, location, { means }, signal) => (await import('./s3/probe.ts')).probeS3(watch, location, means, signal),
  file: async (watch, location, { means, leavesOut }, signal) => (await import('./file/probe.ts')).probeFiles(watch, location, leavesOut(watch), means, signal),
}

const PROBES_OF_EVENTS: Readonly<Partial<Record<Events['kind'], (watch: Watch, asked: Asked, signal: AbortSignal) => Promise<readonly Diagnosis[]>>>> = {
  sqs: probeSqs,
}

/** What examinations are made with; what was asked of a shared queue is kept, to be asked once. */
interface Asked {
  readonly means: Means
  readonly leavesOut: (watch: Watch) => LeavesOut
  readonly queues: Map<string, Promise<QueueSeen>>
}

/** What there is to ask for these watches: of each location, and of what tells of its changes. Asks nothing yet. */
export function examinations(watches: readonly Watch[], means: Means, leavesOut: (watch: Watch) => LeavesOut): readonly Examination[] {
  const asked: Asked = { means, leavesOut, queues: new Map() }
  return watches.flatMap((watch) => {
    const places = watch.locations.map((location): Examination => {
      const probe = PROBES[location.scheme]
      const ask: Examination['ask'] = async (signal) => (probe === undefined ? unprobed(`${location.scheme}://`) : probe(watch, location, asked, signal))
      return { watch: watch.name, location: formatLocation(location), ask }
    })
    const { events } = watch
    if (events === undefined) return places
    const probe = PROBES_OF_EVENTS[events.kind]
    const ask: Examination['ask'] = async (signal) => (probe === undefined ? unprobed(events.kind) : probe(watch, asked, signal))
    return [...places, { watch: watch.name, location: placeOf(events), ask }]
  })
}

/** The least that these watches need of their providers. */
export async function policies(watches: readonly Watch[]): Promise<readonly Policy[]> {
  return (await import('./s3/policy.ts')).iamPolicies(watches)
}

function unprobed(what: string): readonly Diagnosis[] {
  return [degraded('probe', { reason: `what ${what} needs is not probed by this version: nothing is known` })]
}

function placeOf(events: Events): string {
  if (events.kind === 'sqs') return scrub(events.url)
  return events.kind === 'pubsub' ? events.subscription : events.path
}

async function probeSqs(watch: Watch, { means, queues }: Asked, signal: AbortSignal): Promise<readonly Diagnosis[]> {
  const { events, locations, s3 } = watch
  if (events?.kind !== 'sqs') return []
  const { probeQueue, sendersOf } = await import('./s3/probe-queue.ts')
  const order = { url: events.url, access: s3, locations: [], ...(means.sqsEndpoint !== undefined && { endpoint: means.sqsEndpoint }) }
  const key = JSON.stringify([events.url, s3.profile, s3.role])
  const seen = queues.get(key) ?? probeQueue(order, means, signal)
  queues.set(key, seen)
  const queue = await seen
  const buckets = locations.filter(({ scheme }) => scheme === 's3').map(({ bucket }) => bucket)
  return [...queue.diagnoses, ...sendersOf(queue, order, [...new Set(buckets)])]
}
