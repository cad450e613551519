import type { Keeping } from '../../model/lifecycle.ts'
import { formatLocation } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import type { GcsAccess } from '../../model/watch.ts'
import { bucketStore } from '../bucket-store.ts'
import type { Counter } from '../bucket-store.ts'
import type { Store } from '../storage.ts'
import { aboutBucket } from './about.ts'
import { Bucket } from './bucket.ts'
import { connectGcs } from './config.ts'
import { listPrefix } from './list.ts'
import { explain, getAll, getOne } from './read.ts'

/** Opens what `location` names of GCS, or of what speaks its JSON API. Asks the store nothing yet. */
export async function openGcsStore(location: Location, access: GcsAccess, rootMarker?: string, silentMs?: number): Promise<Store> {
  const bucket = new Bucket(await connectGcs(formatLocation(location), access), location.bucket, access.project, silentMs)
  const store = bucketStore({
    one: (path, lone, counter, signal) => getOne(bucket, location, path, lone, signal, counter),
    all: (paths, signal) => getAll(bucket, location, paths, signal),
    peek: (counter, signal) => explain(bucket, location, signal, counter),
    list: (counter, signal) => listPrefix(bucket, location, counter, signal),
    close: () => bucket.close(),
  }, location, rootMarker)
  return { ...store, keeping: (counter, signal) => keepingOf(bucket, location, counter, signal) }
}

/** Nothing where the bucket may not be asked about itself, or does not answer: what is looked at does not hang on it, and the audit sees what is kept. */
async function keepingOf(bucket: Bucket, location: Location, counter: Counter, signal: AbortSignal): Promise<readonly Keeping[]> {
  try {
    const { versioning } = await aboutBucket(bucket, counter, signal)
    return [{ location, keepsVersions: versioning?.enabled === true }]
  } catch {
    signal.throwIfAborted()
    return []
  }
}
