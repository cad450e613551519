import { formatLocation } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import type { GcsAccess } from '../../model/watch.ts'
import { bucketStore } from '../bucket-store.ts'
import type { Store } from '../storage.ts'
import { Bucket } from './bucket.ts'
import { connectGcs } from './config.ts'
import { listPrefix } from './list.ts'
import { explain, getAll, getOne } from './read.ts'

/** Opens what `location` names of GCS, or of what speaks its JSON API. Asks the store nothing yet. */
export async function openGcsStore(location: Location, access: GcsAccess, rootMarker?: string, silentMs?: number): Promise<Store> {
  const bucket = new Bucket(await connectGcs(formatLocation(location), access), location.bucket, access.project, silentMs)
  return bucketStore({
    one: (path, lone, counter, signal) => getOne(bucket, location, path, lone, signal, counter),
    all: (paths, signal) => getAll(bucket, location, paths, signal),
    peek: (counter, signal) => explain(bucket, location, signal, counter),
    list: (counter, signal) => listPrefix(bucket, location, counter, signal),
    close: () => bucket.close(),
  }, location, rootMarker)
}
