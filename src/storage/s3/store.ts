import { baseName, formatLocation } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import type { S3Access } from '../../model/watch.ts'
import type { Found, Root, Span, Store } from '../storage.ts'
import { Bucket } from './bucket.ts'
import { connectS3 } from './config.ts'
import { awsFailure } from './failures.ts'
import { listPrefix } from './list.ts'
import { explain, headAll, headOne } from './read.ts'

/**
 * Opens a prefix, a whole bucket, or what may be a single object of S3, or of what speaks S3. `memo` is what an earlier scan left. Asks the store
 * nothing yet. Throws USAGE when no region is known.
 */
export async function openS3Store(location: Location, access: S3Access, memo: string | undefined): Promise<Store> {
  const bucket = new Bucket(await connectS3(formatLocation(location), access), location.bucket)
  return {
    root: (signal) => rootOf(bucket, location, signal),
    scan: (_startMs, signal) => scan(bucket, location, memo, signal),
    find: (paths, _startMs, signal) => find(bucket, location, paths, signal),
    inspect: (listed, _startMs, signal) => find(bucket, location, listed.map(({ path }) => path), signal),
    close: async () => bucket.close(),
  }
}

async function rootOf(bucket: Bucket, location: Location, signal: AbortSignal): Promise<Root> {
  try {
    await bucket.exists(signal)
  } catch (error) {
    signal.throwIfAborted()
    // A policy may allow the listing of this prefix alone: then that is the proof, and where it is not allowed either it says why.
    await explain(bucket, location, formatLocation(location), signal)
  }
  const where = `${location.endpoint ?? 's3'} ${location.bucket}`
  const words = `the bucket ${location.bucket}${location.endpoint === undefined ? '' : ` at ${location.endpoint}`}`
  return { identity: where, words, mount: where, network: true }
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
  const end = { requests: counter.requests, notes, lone: true, ...(memo !== undefined && { memo }) }
  yield { cover: { after: '' }, seen: 1, entries: () => entries, skipped, settled: true, end }
}

async function* find(bucket: Bucket, location: Location, paths: readonly string[], signal: AbortSignal): AsyncGenerator<Found> {
  const lone = await loneObject(bucket, location, signal)
  if (lone === undefined) {
    yield* headAll(bucket, location, paths, signal)
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
