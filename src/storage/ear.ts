// What the sources share that are told by somebody: of buckets, by a queue, a subscription or posts.
import type { Clock } from '../model/clock.ts'
import type { Location } from '../model/location.ts'
import type { Hearing, Hint, Log } from './storage.ts'

/** What one listening needs: whom to ask (`Order`), and whom to tell. */
export interface Ear<Order> {
  readonly order: Order
  readonly name: string
  readonly clock: Clock
  readonly log: Log
  readonly emit: (hints: readonly Hint[]) => Promise<void>
  readonly signal: AbortSignal
  readonly tell: ((hearing: Hearing) => void) | undefined
}

/** The whole of each location: what is asked for when nobody knows what was missed. */
export function wholeOf(locations: readonly Location[]): Hint[] {
  return locations.map(({ scheme, bucket, prefix }) => ({ scheme, bucket, key: prefix, whole: true }))
}
