// What a bucket says of itself, to whoever may read that (storage.buckets.get): versioning, lifecycle, and what it notifies.
import type { Counter } from '../bucket-store.ts'
import type { Bucket } from './bucket.ts'
import type { LifecycleRule } from './lifecycle.ts'

export interface About {
  readonly versioning?: { readonly enabled?: boolean }
  readonly softDeletePolicy?: { readonly retentionDurationSeconds?: string }
  readonly lifecycle?: { readonly rule?: readonly LifecycleRule[] }
}

export interface Notification {
  /** `//pubsub.googleapis.com/projects/p/topics/t`. */
  readonly topic?: string
  /** Absent: all. */
  readonly event_types?: readonly string[]
  /** Compared with names as they are. */
  readonly object_name_prefix?: string
}

/** The bucket's own document. Throws what the JSON API says. */
export async function aboutBucket(bucket: Bucket, counter: Counter, signal: AbortSignal): Promise<About> {
  return (await bucket.about('', { fields: 'versioning,softDeletePolicy,lifecycle' }, counter, signal)) as About
}

/** Everything that the bucket notifies. Throws what the JSON API says. */
export async function notificationsOf(bucket: Bucket, signal: AbortSignal): Promise<readonly Notification[]> {
  const { items } = (await bucket.about('/notificationConfigs', {}, { requests: 0 }, signal)) as { items?: readonly Notification[] }
  return items ?? []
}
