import { formatLocation, loneName } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import type { HttpAccess } from '../../model/watch.ts'
import type { Found, Root, Span, Store } from '../storage.ts'
import { Asker } from './ask.ts'
import { boundsOf } from './config.ts'
import type { Bounds } from './config.ts'
import { observe } from './read.ts'
import type { Glass, Seen } from './read.ts'
import { listedOf, readMemo, writeMemo } from './shown.ts'
import type { Known } from './shown.ts'

/**
 * Opens one object of a web server; `memo` is what an earlier scan left. Asks nothing yet. It is never called absent: where it is not there, whatever
 * would tell of it throws LOCATION_MISSING, since a version of nothing says nothing.
 */
export async function openHttpStore(location: Location, access: HttpAccess, memo: string | undefined, over: Partial<Bounds> = {}): Promise<Store> {
  const place = formatLocation(location)
  const bounds = { ...boundsOf(access), ...over }
  return new HttpStore(location, { place, name: loneName(location), bounds, asker: new Asker(place, bounds) }, memo)
}

class HttpStore implements Store {
  readonly #location: Location
  readonly #glass: Glass
  #memo: string | undefined

  constructor(location: Location, glass: Glass, memo: string | undefined) {
    this.#location = location
    this.#glass = glass
    this.#memo = memo
  }

  /** A web server is who it says it is (TLS), or whoever answers by its name: every look finds out at no request of its own. */
  async root(): Promise<Root> {
    const { scheme, bucket } = this.#location
    return { identity: `${scheme}://${bucket}`, words: `the web server ${scheme}://${bucket}`, mount: `${scheme}://${bucket}`, network: true }
  }

  async *scan(startMs: number, signal: AbortSignal): AsyncGenerator<Span> {
    const { asker, name } = this.#glass
    const before = asker.requests
    const seen = await this.#observe(startMs, signal)
    // What was torn is left to `inspect`, which may say so.
    const entries = 'known' in seen ? [listedOf(name, seen.known)] : [{ path: name, sizeBytes: seen.torn.sizeBytes }]
    const end = { requests: asker.requests - before, notes: [], lone: [name], ...(this.#memo !== undefined && { memo: this.#memo }) }
    yield { cover: { after: '' }, seen: 1, entries: () => entries, skipped: [], settled: true, end }
  }

  async *find(paths: readonly string[], startMs: number, signal: AbortSignal): AsyncGenerator<Found> {
    const { name } = this.#glass
    for (const path of paths) yield path === name ? foundOf(name, await this.#observe(startMs, signal)) : { kind: 'absent', path }
  }

  inspect(listed: readonly { readonly path: string }[], startMs: number, signal: AbortSignal): AsyncGenerator<Found> {
    return this.find(listed.map(({ path }) => path), startMs, signal)
  }

  async close(): Promise<void> {
    // Each request has a connection of its own, which ends with it.
  }

  async #observe(nowMs: number, signal: AbortSignal): Promise<Seen> {
    const { place } = this.#glass
    const before: Known | undefined = readMemo(this.#memo, place)
    const seen = await observe(this.#glass, before, nowMs, signal)
    if ('known' in seen) this.#memo = writeMemo(seen.known, place)
    return seen
  }
}

function foundOf(path: string, seen: Seen): Found {
  return 'known' in seen ? { kind: 'entry', listed: listedOf(path, seen.known) } : { kind: 'torn', path }
}
