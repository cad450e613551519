// Scheme → probe. Each is loaded when it is first needed, and lies beside what it probes.
import { scrub } from '../model/errors.ts'
import { formatLocation } from '../model/location.ts'
import type { Location, Scheme } from '../model/location.ts'
import type { Diagnosis, Examination, Policy } from '../model/probe.ts'
import type { Events, Watch } from '../model/watch.ts'
import type { LeavesOut } from './file/probe.ts'
import type { Means } from './probe.ts'
import type { QueueSeen } from './s3/probe-queue.ts'

/** How a location is probed. */
type Probing = (watch: Watch, location: Location, asked: Asked, signal: AbortSignal) => Promise<readonly Diagnosis[]>

const probeWeb: Probing = async (watch, location, { means }, signal) => (await import('./http/probe.ts')).probeWeb(watch, location, means, signal)

const PROBES: Readonly<Record<Scheme, Probing>> = {
  s3: async (watch, location, { means }, signal) => (await import('./s3/probe.ts')).probeS3(watch, location, means, signal),
  gs: async (watch, location, { means }, signal) => (await import('./gcs/probe.ts')).probeGcs(watch, location, means, signal),
  file: async (watch, location, { means, leavesOut }, signal) => (await import('./file/probe.ts')).probeFiles(watch, location, leavesOut(watch), means, signal),
  http: probeWeb,
  https: probeWeb,
}

const PROBES_OF_EVENTS: Readonly<Record<Events['kind'], (watch: Watch, asked: Asked, signal: AbortSignal) => Promise<readonly Diagnosis[]>>> = {
  sqs: probeSqs,
  pubsub: async (watch, { means }, signal) =>
    (watch.events?.kind === 'pubsub' ? (await import('./gcs/probe-subscription.ts')).probeSubscription(watch, watch.events.subscription, means, signal) : []),
  webhook: async ({ events }, { means }, signal) => (events?.kind === 'webhook' ? (await import('./s3/probe-hook.ts')).probeHook(events.tokenFile, means, signal) : []),
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
      return { watch: watch.name, location: formatLocation(location), ask: (signal) => probe(watch, location, asked, signal) }
    })
    const { events } = watch
    if (events === undefined) return places
    return [...places, { watch: watch.name, location: placeOf(events), ask: (signal) => PROBES_OF_EVENTS[events.kind](watch, asked, signal) }]
  })
}

/** The least that these watches need of their providers. */
export async function policies(watches: readonly Watch[]): Promise<readonly Policy[]> {
  const [{ iamPolicies }, { gcpPolicies }] = await Promise.all([import('./s3/policy.ts'), import('./gcs/policy.ts')])
  return [...iamPolicies(watches), ...gcpPolicies(watches)]
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
  const key = JSON.stringify([events.url, s3])
  const seen = queues.get(key) ?? probeQueue(order, means, signal)
  queues.set(key, seen)
  const queue = await seen
  const buckets = locations.filter(({ scheme }) => scheme === 's3').map(({ bucket }) => bucket)
  return [...queue.diagnoses, ...sendersOf(queue, order, [...new Set(buckets)])]
}
