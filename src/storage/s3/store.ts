import { VarveError } from '../../model/errors.ts'
import { baseName, formatLocation } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import type { S3Access } from '../../model/watch.ts'
import type { Found, Root, Span, Store } from '../storage.ts'
import { Bucket } from './bucket.ts'
import { connectS3 } from './config.ts'
import { awsFailure } from './failures.ts'
import { listPrefix } from './list.ts'
import { explain, headAll, headOne, whatIsAt } from './read.ts'

/**
 * Opens a prefix, a whole bucket, or what may be a single object of S3, or of what speaks S3. `memo` is what an earlier scan left; the ETag of the object
 * `rootMarker` is part of the root's identity. Asks the store nothing yet. Throws USAGE when no region is known.
 */
export async function openS3Store(location: Location, access: S3Access, memo: string | undefined, rootMarker?: string): Promise<Store> {
  const bucket = new Bucket(await connectS3(formatLocation(location), access), location.bucket)
  return {
    root: (signal) => rootOf(bucket, location, rootMarker, signal),
    scan: (_startMs, signal) => scan(bucket, location, memo, signal),
    find: (paths, _startMs, signal) => find(bucket, location, paths, signal),
    inspect: (listed, _startMs, signal) => find(bucket, location, listed.map(({ path }) => path), signal),
    whyEmpty: (signal) => hidersOf(bucket, location, signal),
    close: async () => bucket.close(),
  }
}

/** A bucket is where it is: that it is there and may be listed is proved by every listing, and by `find` before it calls anything absent, at no request of its own. */
async function rootOf(bucket: Bucket, location: Location, marker: string | undefined, signal: AbortSignal): Promise<Root> {
  const where = `${location.endpoint ?? 's3'} ${location.bucket}`
  const words = `the bucket ${location.bucket}${location.endpoint === undefined ? '' : ` at ${location.endpoint}`}`
  if (marker === undefined) return { identity: where, words, mount: where, network: true }
  const found = await headOne(bucket, location, marker, false, signal)
  if (found.kind !== 'entry') {
    await explain(bucket, location, formatLocation(location), signal)
    throw new VarveError('LOCATION_MISSING', `the root marker ${marker} is not in ${formatLocation(location)}`, { hint: 'put it back, or take guard.root_marker out' })
  }
  return { identity: `${where} ${found.listed.content?.digest}`, words: `${words}, marked by ${marker}`, mount: where, network: true }
}

async function* scan(bucket: Bucket, location: Location, memo: string | undefined, signal: AbortSignal): AsyncGenerator<Span> {
  const lone = await loneObject(bucket, location, signal)
  const place = formatLocation(location)
  const counter = { requests: location.object === undefined ? 0 : 1 }
  if (lone === undefined) {
    yield* listPrefix(bucket, location, memo, counter, signal)
    return
  }
  const beside = await bucket.objects(location.prefix, {}, counter, signal, 1).catch((error: unknown) => {
    signal.throwIfAborted()
    throw awsFailure(error, place, 's3:ListBucket')
  })
  const both = `${place} is an object, and there are objects under ${place}/ too: the object is what is tracked; end the location in / to track those`
  const notes = beside.rows.length === 0 ? [] : [both]
  const entries = lone.kind === 'entry' ? [lone.listed] : []
  const skipped = lone.kind === 'skipped' ? [lone.skip] : []
  const end = { requests: counter.requests, notes, lone: [baseName(location.object as string)], ...(memo !== undefined && { memo }) }
  yield { cover: { after: '' }, seen: 1, entries: () => entries, skipped, settled: true, end }
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

async function* find(bucket: Bucket, location: Location, paths: readonly string[], signal: AbortSignal): AsyncGenerator<Found> {
  const lone = await loneObject(bucket, location, signal)
  if (lone === undefined) {
    let there = false
    for await (const found of headAll(bucket, location, paths, signal)) {
      // A HEAD says 404 for a missing bucket, too: before the first object is called absent, a listing must be allowed.
      if (found.kind === 'absent' && !there) await explain(bucket, location, formatLocation(location), signal)
      there ||= found.kind === 'absent'
      yield found
    }
    return
  }
  // The location is one object: nothing else belongs to it.
  const own = baseName(location.object as string)
  for (const path of paths) yield path === own ? lone : { kind: 'absent', path }
}

/** The object that the location names itself; undefined when it is a prefix. */
async function loneObject(bucket: Bucket, location: Location, signal: AbortSignal): Promise<Exclude<Found, { kind: 'absent' }> | undefined> {
  if (location.object === undefined) return undefined
  const found = await headOne(bucket, location, baseName(location.object), true, signal)
  return found.kind === 'absent' ? undefined : found
}
