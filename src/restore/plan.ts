// Where the bytes of each entry come from, before any of them is read.
import type { Clock } from '../model/clock.ts'
import { byteDigests } from '../model/entry.ts'
import type { Holding } from '../model/entry.ts'
import { describe, isFailure } from '../model/errors.ts'
import type { LossReason, VarveError } from '../model/errors.ts'
import { comparePaths, formatReference, isWeb } from '../model/location.ts'
import type { Location } from '../model/location.ts'
import type { Catalog } from '../registry/registry.ts'
import type { Held, Standing } from '../storage/storage.ts'
import type { Look } from './local.ts'
import { isPassing, pause, TRIES } from './patience.ts'
import { lossOf, placeOf } from './readers.ts'
import type { Readers, Source } from './readers.ts'
import type { Threads } from './threads.ts'
import { sealOf } from './verify.ts'

/** Its own place does not have the bytes any more, or does not show that it has. */
export interface Missing {
  readonly holding: Holding
  readonly reason: LossReason
  readonly words: string
  /** Another object version of the same key that has them. */
  readonly beside?: Source
  /** What stands at its place may be the same: only its bytes will tell. */
  readonly doubtful?: Source
}

// Rows that may match are checked at their stores: most are found at the first.
const ASKED_AT_ONCE = 16
const LOOKED_AT_ONCE = 128
// A place that failed so often in a row is down: it is asked once a time from then on, for a version has many pages.
const FAILED_MOST = 3

/** Finds sources. Its answers are as good as the stores' listings of this moment; what is read is verified all the same. */
export class Planner {
  readonly #readers: Readers
  readonly #threads: Threads
  readonly #registry: Pick<Catalog, 'sameContent'>
  readonly #clock: Clock
  /** By place: how often in a row it did not answer, in all its tries. */
  readonly #failed = new Map<string, number>()

  constructor(readers: Readers, threads: Threads, registry: Pick<Catalog, 'sameContent'>, clock: Clock) {
    this.#readers = readers
    this.#threads = threads
    this.#registry = registry
    this.#clock = clock
  }

  /** Of `holdings`, in path order, those that their own place does not surely have: the pin, `latestPin`, or without them what stands there. By their position. */
  async missing(holdings: readonly Holding[], signal: AbortSignal): Promise<ReadonlyMap<number, Missing>> {
    const missing = new Map<number, Missing>()
    const local = await Promise.all(holdings.map((holding) => this.#readers.isLocal(holding)))
    for (const group of Map.groupBy(holdings.keys(), (at) => `${local[at]} ${placeOf((holdings[at] as Holding).location)}`).values()) {
      const first = group[0] as number
      const { location } = holdings[first] as Holding
      const asked = group.map((at) => ({ at, holding: holdings[at] as Holding }))
      try {
        if (local[first] === true) await this.#missingFiles(asked, missing)
        else await this.#missingObjects(location, asked, missing, signal)
      } catch (error) {
        const reason = storeReason(error)
        if (reason === undefined || signal.aborted) throw error
        for (const { at, holding } of asked) missing.set(at, { holding, reason, words: describe(error) })
      }
    }
    return missing
  }

  /** Where the bytes of each of `missing` lie besides, by its position: another row of the registry with the same content, else what stands at its place if only its bytes could tell. */
  async elsewhere(missing: readonly Missing[], signal: AbortSignal): Promise<ReadonlyMap<number, readonly Source[]>> {
    const found = new Map<number, readonly Source[]>()
    if (missing.length === 0) return found
    const asking = missing.filter(({ beside }) => beside === undefined).map(({ holding }) => holding)
    const same = asking.length === 0 ? new Map<string, readonly Holding[]>() : await this.#registry.sameContent(asking)
    const open = new Map<number, readonly Holding[]>()
    for (const [at, { holding, beside }] of missing.entries()) {
      // Where nothing over the bytes is recorded, only what bears the recorded ETag can be told to be them: a file bears none.
      const places = (same.get(holding.path) ?? []).filter(({ content }) => sealOf(holding) !== undefined || (content.etag !== undefined && content.etag === holding.content.etag))
      if (beside === undefined && places.length > 0) open.set(at, places)
    }
    for (let turn = 0; open.size > 0; turn++) {
      const asked: { at: number; place: Holding }[] = []
      for (const [at, places] of open) {
        const place = places[turn]
        if (place !== undefined) asked.push({ at, place })
        else open.delete(at)
      }
      // A store's keys are asked for in path order.
      asked.sort((a, b) => comparePaths(a.place.key, b.place.key))
      const gone = await this.missing(asked.map(({ place }) => place), signal)
      for (const [position, { at, place }] of asked.entries()) {
        const lacking = gone.get(position)
        const sources = lacking === undefined ? await this.own(place) : lacking.beside === undefined ? [] : [lacking.beside]
        if (sources.length === 0) continue
        found.set(at, sources)
        open.delete(at)
      }
    }
    for (const [at, { beside, doubtful }] of missing.entries()) {
      const there = beside ?? (found.has(at) ? undefined : doubtful)
      if (there !== undefined) found.set(at, [there])
    }
    return found
  }

  /** The places of an entry's own, in their order. */
  async own({ content, latestPin, location, key }: Holding): Promise<readonly Source[]> {
    const local = await this.#readers.isLocal({ location, key })
    const pins = [content.pin, latestPin].filter((pin) => pin !== undefined)
    const wanted = pins.length > 0 ? pins.map((pin) => ({ pin })) : [content.etag === undefined ? {} : { etag: content.etag }]
    return wanted.map((one) => ({ location, key, wanted: one, local }))
  }

  async #missingFiles(asked: readonly Asked[], missing: Map<number, Missing>): Promise<void> {
    const batches: Asked[][] = []
    for (let from = 0; from < asked.length; from += LOOKED_AT_ONCE) batches.push(asked.slice(from, from + LOOKED_AT_ONCE))
    await Promise.all(batches.map(async (batch) => {
      const { outcomes } = await this.#threads.run({
        kind: 'look', base: '', paths: batch.map(({ holding }) => holding.key), sizes: batch.map(({ holding }) => holding.sizeBytes),
        fingerprints: batch.map(({ holding }) => holding.fingerprint ?? ''), seals: batch.map(({ holding }) => sealOf(holding)), digest: 'differing', follow: true,
      })
      for (const [i, { at, holding }] of batch.entries()) {
        const outcome = outcomes[i] as Look
        if (outcome === 'same' || outcome === 'right') continue
        const [reason, words] = lossOf(outcome, { ...holding, wanted: {} })
        missing.set(at, { holding, reason, words })
      }
    }))
  }

  async #missingObjects(location: Location, asked: readonly Asked[], missing: Map<number, Missing>, signal: AbortSignal): Promise<void> {
    const standing = await this.#standing(location, [...new Set(asked.map(({ holding }) => holding.key))].sort(comparePaths), signal)
    const hard: Asked[] = []
    for (const one of asked) {
      const { held, failed, unasked } = standing.get(one.holding.key) ?? {}
      if (failed !== undefined) missing.set(one.at, untold(one.holding, failed, unasked))
      else if (!isThere(one.holding, held)) hard.push(one)
    }
    await inParallel(hard, ASKED_AT_ONCE, async ({ at, holding }) => {
      const versions = await this.#versions(location, holding.key, signal)
      if (isFailure(versions)) {
        missing.set(at, untold(holding, versions))
        return
      }
      // Of what is not pinned and holds still no older version can be known by more than the listing told.
      const same = versions.filter((held) => agreement(holding, held) === 'same')
      const ready = same.find(({ archived }) => archived === undefined)
      if (ready !== undefined) {
        if (!isOwn(holding, ready)) missing.set(at, { holding, ...overwritten(formatReference(holding.location, holding.key)), beside: sourceOf(holding, ready) })
        return
      }
      missing.set(at, await this.#absent(holding, standing.get(holding.key)?.held, same[0]))
    })
  }

  /** What stands at each of `keys`, or what its store said of it in all the tries. */
  async #standing(location: Location, keys: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, Told>> {
    const told = new Map<string, Told>()
    let left = keys
    for (let tries = this.#firstTry(location); ; tries++) {
      let failure: VarveError | undefined
      const before = left.length
      try {
        for await (const one of (await this.#readers.of(location)).standing(left, signal)) told.set(one.key, one)
      } catch (error) {
        failure = failureOf(error, signal)
      }
      left = left.filter((key) => told.get(key) === undefined || isPassing(told.get(key)?.failed))
      if (failure === undefined) this.#note(location, true)
      if (left.length === 0) return told
      // As long as it answers more, it is not down.
      if (left.length < before) tries = 0
      if (tries >= TRIES || (failure !== undefined && !isPassing(failure))) {
        if (failure !== undefined) this.#note(location, false)
        for (const key of left) if (!told.has(key) && failure !== undefined) told.set(key, { failed: failure, unasked: true })
        return told
      }
      await pause(tries, this.#clock, signal)
    }
  }

  /** The object versions of a key, or what its store said in all the tries. */
  async #versions(location: Location, key: string, signal: AbortSignal): Promise<readonly Held[] | VarveError> {
    for (let tries = this.#firstTry(location); ; tries++) {
      try {
        const versions = await (await this.#readers.of(location)).versions(key, signal)
        this.#note(location, true)
        return versions
      } catch (error) {
        const failure = failureOf(error, signal)
        if (tries >= TRIES) this.#note(location, false)
        if (tries >= TRIES || !isPassing(failure)) return failure
        await pause(tries, this.#clock, signal)
      }
    }
  }

  #firstTry(location: Location): number {
    return (this.#failed.get(placeOf(location)) ?? 0) >= FAILED_MOST ? TRIES : 1
  }

  #note(location: Location, answered: boolean): void {
    const place = placeOf(location)
    this.#failed.set(place, answered ? 0 : (this.#failed.get(place) ?? 0) + 1)
  }

  async #absent(holding: Holding, current: Held | undefined, frozen: Held | undefined): Promise<Missing> {
    const name = formatReference(holding.location, holding.key)
    if (frozen?.archived !== undefined) return { holding, reason: 'archived', words: `${name} lies in ${frozen.archived}, and must be thawed first` }
    if (current === undefined) return { holding, ...removed(name) }
    const { pin } = holding.content
    const told = pin === undefined ? overwritten(name) : ({ reason: 'expired', words: `${pin} of ${name} is gone, and what is there now is other bytes` } as const)
    if (agreement(holding, current) !== 'unknown' || current.archived !== undefined) return { holding, ...told }
    return { holding, ...told, doubtful: sourceOf(holding, current) }
  }
}

/** Of one key. `unasked`: what failed is its store, or the asking for another key. */
type Told = Pick<Standing, 'held' | 'failed'> & { readonly unasked?: boolean }

interface Asked {
  readonly at: number
  readonly holding: Holding
}

const removed = (name: string): { readonly reason: 'removed'; readonly words: string } => ({ reason: 'removed', words: `${name} is not there any more` })
const overwritten = (name: string): { readonly reason: 'overwritten'; readonly words: string } => ({ reason: 'overwritten', words: `${name} holds other bytes now` })

/** The object version that a store shows at the entry's key. */
function sourceOf({ location, key }: Holding, { content }: Held): Source {
  const wanted = content?.pin !== undefined ? { pin: content.pin } : content?.etag !== undefined ? { etag: content.etag } : {}
  return { location, key, wanted, local: false }
}

/** True when a store's listing shows that the entry's own place has its bytes. */
function isThere(holding: Holding, held: Held | undefined): boolean {
  return held !== undefined && held.archived === undefined && agreement(holding, held) === 'same' && isOwn(holding, held)
}

/** True when asking for the entry's own pin, or for what stands there where it has none, answers `held`. */
function isOwn({ content, latestPin }: Holding, held: Held): boolean {
  if (content.pin !== undefined) return held.content?.pin === content.pin || (latestPin !== undefined && held.content?.pin === latestPin)
  return held.current && (content.etag === undefined || held.content === undefined || held.content.etag === content.etag)
}

/** Whether what a store shows is the recorded content; `unknown`: the bytes would tell, by what is recorded over them. */
export function agreement(holding: Holding, held: Held): 'same' | 'other' | 'unknown' {
  const { content, latestPin, sizeBytes, fingerprint, location } = holding
  if (sizeBytes !== held.sizeBytes) return 'other'
  const shown = held.content
  if (shown === undefined) return fingerprint !== undefined && held.fingerprint === fingerprint ? 'same' : 'unknown'
  if (shown.pin !== undefined && (shown.pin === content.pin || shown.pin === latestPin)) return 'same'
  if (shown.digest === content.digest || (shown.etag !== undefined && shown.etag === content.etag)) return 'same'
  let told: 'other' | 'unknown' = 'unknown'
  const theirs = byteDigests(shown)
  for (const [algorithm, value] of isWeb(location) ? [] : byteDigests(content)) {
    const other = theirs.get(algorithm)
    if (other === value) return 'same'
    // The same bytes in other parts have another ETag.
    if (other !== undefined && algorithm !== 'multipart') told = 'other'
  }
  return told === 'unknown' && sealOf(holding) === undefined ? 'other' : told
}

/** Throws what is no matter of stores. */
function failureOf(error: unknown, signal: AbortSignal): VarveError {
  signal.throwIfAborted()
  if (!isFailure(error) || storeReason(error) === undefined) throw error
  return error
}

function untold(holding: Holding, failed: VarveError, unasked = false): Missing {
  const words = unasked ? `${formatReference(holding.location, holding.key)} was not asked for, since its store failed: ` : ''
  return { holding, reason: storeReason(failed) ?? 'unreachable', words: words + describe(failed) }
}

/** What is wrong with a store as the reason of a loss; undefined for what is no matter of stores. */
export function storeReason(error: unknown): LossReason | undefined {
  if (!isFailure(error)) return undefined
  if (error.code === 'LOCATION_DENIED' || error.code === 'CREDENTIALS') return 'denied'
  if (error.code === 'ARCHIVED') return 'archived'
  return ['LOCATION_MISSING', 'STORAGE_UNAVAILABLE', 'STORAGE_INVALID', 'NOT_FOUND', 'USAGE'].includes(error.code) ? 'unreachable' : undefined
}

/** Calls `act` for each of `items`, `most` at a time. Rejects with the first failure, after which none begins. */
export async function inParallel<T>(items: readonly T[], most: number, act: (item: T) => Promise<void>): Promise<void> {
  const left = items.values()
  let failed = false
  const work = async (): Promise<void> => {
    for (const item of left) {
      if (failed) return
      await act(item).catch((error: unknown) => {
        failed = true
        throw error
      })
    }
  }
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, work))
}
