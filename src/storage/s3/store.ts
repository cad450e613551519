import { formatLocation } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import type { S3Access } from '../../model/watch.ts'
import { bucketStore } from '../bucket-store.ts'
import type { Store } from '../storage.ts'
import { Bucket } from './bucket.ts'
import { connectS3 } from './config.ts'
import { listPrefix } from './list.ts'
import { explain, headAll, headOne, whatIsAt } from './read.ts'

/** Opens what `location` names of S3, or of what speaks S3; `memo` is what an earlier scan left. Asks the store nothing yet. Throws USAGE when no region is known. */
export async function openS3Store(location: Location, access: S3Access, memo: string | undefined, rootMarker?: string): Promise<Store> {
  const place = formatLocation(location)
  const bucket = new Bucket(await connectS3(place, access), location.bucket)
  const store = bucketStore({
    one(path, lone, counter, signal) {
      counter.requests++
      return headOne(bucket, location, path, lone, signal)
    },
    all: (paths, signal) => headAll(bucket, location, paths, signal),
    peek: (counter, signal) => explain(bucket, location, place, signal, counter),
    list: (counter, signal) => listPrefix(bucket, location, memo, counter, signal),
    close: () => bucket.close(),
  }, location, rootMarker, memo)
  return { ...store, whyEmpty: (signal) => hidersOf(bucket, location, signal) }
}

/** Some stores list nothing under `p/` while a key `p` has any version, be the newest a delete marker. */
async function hidersOf(bucket: Bucket, { prefix }: Location, signal: AbortSignal): Promise<string[]> {
  const notes: string[] = []
  for (const { index } of prefix.matchAll(/(?<=[^/])\//g)) {
    const key = prefix.slice(0, index)
    const what = await whatIsAt(bucket, key, signal)
    if (what !== undefined) notes.push(`the ${what} ${key} may hide what lies under ${key}/: some stores list nothing there until it is deleted with all its versions`)
  }
  return notes
}
