// What the stores of buckets have in common: a location that may be one object or a prefix, and what may be called absent.
import { VarveError } from '../model/errors.ts'
import { baseName, formatLocation } from '../model/location.ts'
import type { Location } from '../model/location.ts'
import type { Found, Root, Span, Store } from './storage.ts'

/** Counts what really goes over the wire. */
export interface Counter {
  requests: number
}

/** How one kind of bucket is asked about one location. Each throws what went wrong in Varve's words. */
export interface BucketHands {
  /** The whole truth about the object at `path`; `lone`: about the one that the location itself names. */
  one(path: string, lone: boolean, counter: Counter, signal: AbortSignal): Promise<Found>
  all(paths: readonly string[], signal: AbortSignal): AsyncIterable<Found>
  /** Lists the least: true when anything lies under the prefix. */
  peek(counter: Counter, signal: AbortSignal): Promise<boolean>
  list(counter: Counter, signal: AbortSignal): AsyncIterable<Span>
  close(): void
}

/** Opens a prefix, a whole bucket, or what may be a single object; what is known of the object `rootMarker` is part of the root's identity. Scans of a single object carry `memo` on. */
export function bucketStore(hands: BucketHands, location: Location, rootMarker: string | undefined, memo?: string): Store {
  const found = (paths: readonly string[], signal: AbortSignal): AsyncGenerator<Found> => find(hands, location, paths, signal)
  return {
    root: (signal) => rootOf(hands, location, rootMarker, signal),
    scan: (_startMs, signal) => scan(hands, location, memo, signal),
    find: (paths, _startMs, signal) => found(paths, signal),
    inspect: (listed, _startMs, signal) => found(listed.map(({ path }) => path), signal),
    close: async () => hands.close(),
  }
}

/** A bucket is where it is: that it is there and may be listed is proved by every listing, and by `find` before it calls anything absent, at no request of its own. */
async function rootOf(hands: BucketHands, location: Location, marker: string | undefined, signal: AbortSignal): Promise<Root> {
  const where = `${location.endpoint ?? location.scheme} ${location.bucket}`
  const words = `the bucket ${location.bucket}${location.endpoint === undefined ? '' : ` at ${location.endpoint}`}`
  if (marker === undefined) return { identity: where, words, mount: where, network: true }
  const found = await hands.one(marker, false, { requests: 0 }, signal)
  if (found.kind !== 'entry') {
    await hands.peek({ requests: 0 }, signal)
    throw new VarveError('LOCATION_MISSING', `the root marker ${marker} is not in ${formatLocation(location)}`, { hint: 'put it back, or take guard.root_marker out' })
  }
  // What tells bytes apart before what tells objects apart: an edit of the marker's metadata makes no other root.
  const { identity, digest } = found.listed.content ?? {}
  return { identity: `${where} ${identity ?? digest}`, words: `${words}, marked by ${marker}`, mount: where, network: true }
}

async function* scan(hands: BucketHands, location: Location, memo: string | undefined, signal: AbortSignal): AsyncGenerator<Span> {
  const counter = { requests: 0 }
  const lone = await loneObject(hands, location, counter, signal)
  if (lone === undefined) {
    yield* hands.list(counter, signal)
    return
  }
  const place = formatLocation(location)
  const both = `${place} is an object, and there are objects under ${place}/ too: the object is what is tracked; end the location in / to track those`
  const notes = (await hands.peek(counter, signal)) ? [both] : []
  const entries = lone.kind === 'entry' ? [lone.listed] : []
  const skipped = lone.kind === 'skipped' ? [lone.skip] : []
  const end = { requests: counter.requests, notes, lone: [baseName(location.object as string)], ...(memo !== undefined && { memo }) }
  yield { cover: { after: '' }, seen: 1, entries: () => entries, skipped, settled: true, end }
}

async function* find(hands: BucketHands, location: Location, paths: readonly string[], signal: AbortSignal): AsyncGenerator<Found> {
  const lone = await loneObject(hands, location, { requests: 0 }, signal)
  if (lone === undefined) {
    let there = false
    for await (const found of hands.all(paths, signal)) {
      // A missing bucket is answered as a missing object is: before the first is called absent, a listing must be allowed.
      if (found.kind === 'absent' && !there) await hands.peek({ requests: 0 }, signal)
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
async function loneObject(hands: BucketHands, location: Location, counter: Counter, signal: AbortSignal): Promise<Exclude<Found, { kind: 'absent' }> | undefined> {
  if (location.object === undefined) return undefined
  const found = await hands.one(baseName(location.object), true, counter, signal)
  return found.kind === 'absent' ? undefined : found
}
