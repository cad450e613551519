import { formatLocation, formatReference, keyOf } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import type { Counter } from '../bucket-store.ts'
import { someAtOnce } from '../some.ts'
import type { Found } from '../storage.ts'
import type { Bucket } from './bucket.ts'
import { gcsFailure, Refusal } from './failures.ts'
import { isFolderMarker, listedOf } from './list.ts'

// A GET of metadata takes some 20 ms: 16 at once are below a thousand a second, what GCS grants a bucket from the start being 5,000.
const GETS_AT_ONCE = 16

/** Asks for each of `paths` under the prefix by name, some at once; yields in their order. */
export function getAll(bucket: Bucket, location: Location, paths: readonly string[], signal: AbortSignal): AsyncGenerator<Found> {
  return someAtOnce(paths, GETS_AT_ONCE, (path, either) => getOne(bucket, location, path, false, either), signal)
}

/**
 * The whole truth about the object at `path`. `lone`: about the one that the location itself names, whose path is its base name. Throws
 * LOCATION_DENIED where it may not be read, rather than call it absent.
 */
export async function getOne(
  bucket: Bucket, location: Location, path: string, lone: boolean, signal: AbortSignal, counter: Counter = { requests: 0 },
): Promise<Found> {
  const key = keyOf(location, path, lone)
  // GCS has no such names, and in a URL they would name something else.
  if (key === '.' || key === '..' || !key.isWellFormed()) return { kind: 'absent', path }
  try {
    const row = await bucket.get(key, counter, signal)
    if (isFolderMarker(path, row.sizeBytes)) return { kind: 'skipped', skip: { path, reason: 'folder-marker' } }
    return { kind: 'entry', listed: listedOf(row, path) }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof Refusal && error.status === 404) return { kind: 'absent', path }
    // Who may not list is told that a missing object is denied.
    if (error instanceof Refusal && error.status === 403) await explain(bucket, location, signal)
    throw gcsFailure(error, formatReference(location, key), 'storage.objects.get')
  }
}

/** The answer about one object does not say whether the bucket is there; a listing does. Throws what that says; answers whether anything lies under the prefix when nothing is wrong with the bucket. */
export async function explain(bucket: Bucket, location: Location, signal: AbortSignal, counter: Counter = { requests: 0 }): Promise<boolean> {
  try {
    return (await bucket.list(location.prefix, undefined, 1, counter, signal)).rows.length > 0
  } catch (error) {
    signal.throwIfAborted()
    throw gcsFailure(error, formatLocation(location), 'storage.objects.list')
  }
}
