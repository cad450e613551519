// Several locations in one artifact: each has a part of its paths for itself, and is looked at as if it were alone.
import type { Listed, Skip } from '../model/entry.ts'
import { VarveError } from '../model/errors.ts'
import { areaOf, formatLocation, locationAt } from '../model/location.ts'
import type { Location } from '../model/location.ts'
import type { Cover, Found, Root, Span, Store } from './storage.ts'

interface Place {
  readonly location: Location
  /** What stands before each of its paths. */
  readonly at: string
  readonly store: Store
}

/** Opens a store for each of `locations`, one of several, and makes one of them. `open` is told a location as if it were alone. */
export async function openSeveral(
  locations: readonly Location[], memo: string | undefined, open: (location: Location, memo: string | undefined) => Promise<Store>,
): Promise<Store> {
  const memos = memo === undefined ? [] : (JSON.parse(memo) as (string | null)[])
  const places: Place[] = []
  try {
    for (const [index, location] of locations.entries()) {
      const { at = '', ...alone } = location
      places.push({ location, at, store: await open(alone, memos[index] ?? undefined) })
    }
  } catch (error) {
    await closeAll(places)
    throw error
  }
  return {
    root: (signal) => rootOf(places, signal),
    scan: (startMs, signal) => scan(places, startMs, signal),
    find: (paths, startMs, signal) => find(places, paths, startMs, signal),
    inspect: (listed, startMs, signal) => inspect(places, listed, startMs, signal),
    keeping: async (counter, signal) => (await Promise.all(places.map(({ store }) => store.keeping?.(counter, signal) ?? []))).flat(),
    close: () => closeAll(places),
  }
}

async function closeAll(places: readonly Place[]): Promise<void> {
  await Promise.all(places.map(({ store }) => store.close()))
}

/** All roots together: it changes when one of them does. */
async function rootOf(places: readonly Place[], signal: AbortSignal): Promise<Root> {
  const roots = await Promise.all(places.map(({ store }) => store.root(signal)))
  const lags = roots.flatMap(({ lagMs }) => lagMs ?? [])
  return {
    identity: JSON.stringify(roots.map(({ identity }) => identity)),
    finer: roots.map(({ finer }) => finer?.[0] ?? null),
    below: Object.fromEntries(roots.flatMap(({ below = {} }, index) => Object.entries(below).map(([path, words]) => [(places[index] as Place).at + path, words]))),
    words: roots.map(({ words }) => words).join(' and '),
    mount: JSON.stringify(roots.map(({ mount }) => mount)),
    network: roots.some(({ network }) => network),
    ...(lags.length > 0 && { lagMs: Math.max(...lags) }),
  }
}

async function* scan(places: readonly Place[], startMs: number, signal: AbortSignal): AsyncGenerator<Span> {
  const passed = { requests: 0, notes: [] as string[], lone: [] as string[], memos: [] as (string | null)[] }
  for (const [index, place] of places.entries()) {
    let ended = false
    for await (const { end, ...rest } of spansOf(place, startMs, signal)) {
      if (ended) throw new VarveError('STORAGE_INVALID', `the listing of ${formatLocation(place.location)} went on after its end`)
      if (end !== undefined) {
        ended = true
        passed.requests += end.requests
        passed.notes.push(...end.notes)
        passed.lone.push(...end.lone.map((path) => place.at + path))
        passed.memos.push(end.memo ?? null)
      }
      const { memos, ...pass } = passed
      const isLast = end !== undefined && index === places.length - 1
      yield isLast ? { ...rest, end: memos.some((memo) => memo !== null) ? { ...pass, memo: JSON.stringify(memos) } : pass } : rest
    }
    if (!ended) throw new VarveError('STORAGE_INVALID', `the listing of ${formatLocation(place.location)} ended before its end`, { hint: 'nothing was recorded' })
  }
}

async function* spansOf({ location, at, store }: Place, startMs: number, signal: AbortSignal): AsyncGenerator<Span> {
  for await (const span of store.scan(startMs, signal)) {
    const { seen, settled, stamp, end } = span
    yield {
      cover: coverAt(location, span.cover),
      seen,
      settled,
      *entries() {
        for (const listed of span.entries()) yield { ...listed, path: at + listed.path }
      },
      // Decoded only where a directory is read into.
      get skipped(): readonly Skip[] {
        return span.skipped.map((skip) => ({ ...skip, path: at + skip.path }))
      },
      ...(stamp !== undefined && { stamp }),
      ...(end !== undefined && { end }),
    }
  }
}

function coverAt(location: Location, cover: Cover): Cover {
  const area = areaOf(location)
  if ('path' in area) return area
  if ('directory' in cover) return { directory: area.folder + cover.directory }
  if ('path' in cover) return { path: area.folder + cover.path }
  return { after: area.folder + cover.after, within: area.folder, ...(cover.upTo !== undefined && { upTo: area.folder + cover.upTo }) }
}

async function* find(places: readonly Place[], paths: readonly string[], startMs: number, signal: AbortSignal): AsyncGenerator<Found> {
  for (const [place, own] of grouped(places, paths, (path) => path)) {
    if (place === undefined) for (const path of own) yield { kind: 'absent', path }
    else for await (const found of place.store.find(own.map((path) => path.slice(place.at.length)), startMs, signal)) yield foundAt(place.at, found)
  }
}

async function* inspect(places: readonly Place[], listed: readonly Listed[], startMs: number, signal: AbortSignal): AsyncGenerator<Found> {
  for (const [place, own] of grouped(places, listed, ({ path }) => path)) {
    if (place === undefined) for (const { path } of own) yield { kind: 'absent', path }
    else for await (const found of place.store.inspect(own.map((one) => ({ ...one, path: one.path.slice(place.at.length) })), startMs, signal)) yield foundAt(place.at, found)
  }
}

function grouped<T>(places: readonly Place[], items: readonly T[], pathOf: (item: T) => string): Map<Place | undefined, T[]> {
  const locations = places.map(({ location }) => location)
  return Map.groupBy(items, (item) => {
    const location = locationAt(locations, pathOf(item))
    return places.find((place) => place.location === location)
  })
}

function foundAt(at: string, found: Found): Found {
  if (found.kind === 'entry') return { ...found, listed: { ...found.listed, path: at + found.listed.path } }
  if (found.kind === 'skipped') return { ...found, skip: { ...found.skip, path: at + found.skip.path } }
  return { ...found, path: at + found.path }
}
