import { VarveError } from '../../model/errors.ts'
import { baseName, formatLocation } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import type { GcsAccess } from '../../model/watch.ts'
import type { Found, Root, Span, Store } from '../storage.ts'
import { Bucket } from './bucket.ts'
import { connectGcs } from './config.ts'
import { gcsFailure } from './failures.ts'
import { listPrefix } from './list.ts'
import { explain, getAll, getOne } from './read.ts'

/**
 * Opens a prefix, a whole bucket, or what may be a single object of GCS, or of what speaks its JSON API. The content of the object `rootMarker` is
 * part of the root's identity. Asks the store nothing yet.
 */
export async function openGcsStore(location: Location, access: GcsAccess, rootMarker?: string): Promise<Store> {
  const bucket = new Bucket(await connectGcs(formatLocation(location), access), location.bucket, access.project)
  return {
    root: (signal) => rootOf(bucket, location, rootMarker, signal),
    scan: (_startMs, signal) => scan(bucket, location, signal),
    find: (paths, _startMs, signal) => find(bucket, location, paths, signal),
    inspect: (listed, _startMs, signal) => find(bucket, location, listed.map(({ path }) => path), signal),
    close: async () => bucket.close(),
  }
}

/** A bucket is where it is: that it is there and may be listed is proved by every listing, and by `find` before it calls anything absent, at no request of its own. */
async function rootOf(bucket: Bucket, location: Location, marker: string | undefined, signal: AbortSignal): Promise<Root> {
  const where = `${location.endpoint ?? 'gs'} ${location.bucket}`
  const words = `the bucket ${location.bucket}${location.endpoint === undefined ? '' : ` at ${location.endpoint}`}`
  if (marker === undefined) return { identity: where, words, mount: where, network: true }
  const found = await getOne(bucket, location, marker, false, signal)
  if (found.kind !== 'entry') {
    await explain(bucket, location, signal)
    throw new VarveError('LOCATION_MISSING', `the root marker ${marker} is not in ${formatLocation(location)}`, { hint: 'put it back, or take guard.root_marker out' })
  }
  // Not the etag: an edit of the marker's metadata makes no other root.
  return { identity: `${where} ${found.listed.content?.identity}`, words: `${words}, marked by ${marker}`, mount: where, network: true }
}

async function* scan(bucket: Bucket, location: Location, signal: AbortSignal): AsyncGenerator<Span> {
  const counter = { requests: 0 }
  const lone = location.object === undefined ? undefined : await getOne(bucket, location, baseName(location.object), true, signal, counter)
  const place = formatLocation(location)
  if (lone === undefined || lone.kind === 'absent') {
    yield* listPrefix(bucket, location, counter, signal)
    return
  }
  const beside = await bucket.list(location.prefix, undefined, 1, counter, signal).catch((error: unknown) => {
    signal.throwIfAborted()
    throw gcsFailure(error, place, 'storage.objects.list')
  })
  const both = `${place} is an object, and there are objects under ${place}/ too: the object is what is tracked; end the location in / to track those`
  const notes = beside.rows.length === 0 ? [] : [both]
  const entries = lone.kind === 'entry' ? [lone.listed] : []
  const skipped = lone.kind === 'skipped' ? [lone.skip] : []
  yield { cover: { after: '' }, seen: 1, entries: () => entries, skipped, settled: true, end: { requests: counter.requests, notes, lone: [baseName(location.object as string)] } }
}

async function* find(bucket: Bucket, location: Location, paths: readonly string[], signal: AbortSignal): AsyncGenerator<Found> {
  const lone = location.object === undefined ? undefined : await getOne(bucket, location, baseName(location.object), true, signal)
  if (lone === undefined || lone.kind === 'absent') {
    let there = false
    for await (const found of getAll(bucket, location, paths, signal)) {
      // A missing bucket is 404, too: before the first object is called absent, a listing must be allowed.
      if (found.kind === 'absent' && !there) await explain(bucket, location, signal)
      there ||= found.kind === 'absent'
      yield found
    }
    return
  }
  // The location is one object: nothing else belongs to it.
  const own = baseName(location.object as string)
  for (const path of paths) yield path === own ? lone : { kind: 'absent', path }
}
