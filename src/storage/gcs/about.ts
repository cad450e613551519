// What a bucket says of itself, to whoever may read that (storage.buckets.get): versioning, lifecycle, and what it notifies.
import { VarveError } from '../../model/errors.ts'
import type { Gate } from './config.ts'
import { Refusal } from './failures.ts'
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
export async function aboutBucket(gate: Gate, bucket: string, project: string | undefined, signal: AbortSignal): Promise<About> {
  return (await ask(gate, bucket, '', { fields: 'versioning,softDeletePolicy,lifecycle' }, project, signal)) as About
}

/** Everything that the bucket notifies. Throws what the JSON API says. */
export async function notificationsOf(gate: Gate, bucket: string, project: string | undefined, signal: AbortSignal): Promise<readonly Notification[]> {
  const { items } = (await ask(gate, bucket, '/notificationConfigs', {}, project, signal)) as { items?: readonly Notification[] }
  return items ?? []
}

async function ask(gate: Gate, bucket: string, path: string, query: Readonly<Record<string, string>>, project: string | undefined, signal: AbortSignal): Promise<object> {
  const paid = new URLSearchParams({ ...query, ...(project !== undefined && { userProject: project }) })
  const url = `${gate.endpoint}/storage/v1/b/${encodeURIComponent(bucket)}${path}?${paid.toString()}`
  const response = await fetch(url, { headers: await gate.headers(url, signal), redirect: 'manual', signal })
  const text = await response.text()
  if (response.status !== 200) throw new Refusal(response.status, '', '')
  try {
    return JSON.parse(text) as object
  } catch (error) {
    throw new VarveError('STORAGE_INVALID', 'what should be JSON is none', { cause: error })
  }
}
