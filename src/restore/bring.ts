// Brings entries into place: small local files in batches by threads, objects of stores many at once, large ones in pieces.
import { identityOf } from '../model/entry.ts'
import type { Holding } from '../model/entry.ts'
import { VarveError } from '../model/errors.ts'
import type { Loss } from '../model/errors.ts'
import { formatReference } from '../model/location.ts'
import { Fetcher, PIECE_BYTES, Unfetched } from './fetch.ts'
import type { Fetched } from './fetch.ts'
import type { Put, Way } from './local.ts'
import type { Planner } from './plan.ts'
import { lossOf, wordsOf } from './readers.ts'
import type { Source } from './readers.ts'
import type { Step } from './terms.ts'
import { liesIn } from './room.ts'
import type { Room } from './room.ts'
import type { Threads } from './threads.ts'
import { sealOf } from './verify.ts'
import type { Fate } from './weigh.ts'

// Files per task, and bytes from which on a task is large enough: some 10 ms.
const FILES_AT_ONCE = 64
const BYTES_AT_ONCE = 8 * 1024 * 1024
// Requests for small objects that wait for a store at a time.
const OBJECTS_AT_ONCE = 32
// Above, an object comes in pieces. Two at a time: one thread that digests is slower than the line, and the pieces of more would fill memory.
const LARGE_BYTES = 2 * PIECE_BYTES
// Held whole, and for a moment twice: three of the largest are below 100 MB, and 32 of the smaller ones 64.
const MIDDLING_BYTES = 1024 * 1024
const MIDDLING_AT_ONCE = 3
const LARGE_AT_ONCE = 2

/** What became of an entry that was to be brought. */
export interface Brought {
  readonly step: Step
  /** Of what is in place now. */
  readonly fingerprint?: string
}

export class Bringer {
  readonly #room: Room
  readonly #threads: Threads
  readonly #planner: Planner
  readonly #fetcher: Fetcher
  readonly #way: Way
  readonly #signal: AbortSignal
  readonly #came: (bytes: number) => void
  /** The numbers of threads that pour nothing. */
  readonly #pourers = Array.from({ length: LARGE_AT_ONCE }, (_, thread) => thread)
  #pourersMost = LARGE_AT_ONCE
  readonly #local: Limit
  readonly #objects = new Limit(OBJECTS_AT_ONCE)
  readonly #middling = new Limit(MIDDLING_AT_ONCE)
  readonly #large = new Limit(LARGE_AT_ONCE)

  constructor(room: Room, threads: Threads, planner: Planner, fetcher: Fetcher, way: Way, signal: AbortSignal, came: (bytes: number) => void) {
    this.#room = room
    this.#threads = threads
    this.#planner = planner
    this.#fetcher = fetcher
    this.#way = way
    this.#signal = signal
    this.#came = came
    this.#local = new Limit(threads.width + 1)
  }

  /** Starts to bring these; resolves when all have begun, with the promise of each in their order. They are settled in no order. */
  async start(wanted: readonly { readonly holding: Holding; readonly fate: Fate; readonly sources: readonly Source[] }[]): Promise<readonly Promise<Brought>[]> {
    const coming: Promise<Brought>[] = []
    let batch: Placing[] = []
    let bytes = 0
    const flush = async (): Promise<void> => {
      const placings = batch
      batch = []
      bytes = 0
      if (placings.length > 0) await this.#local.begin(() => this.#place(placings))
    }
    for (const { holding, fate, sources } of wanted) {
      this.#signal.throwIfAborted()
      const replace = fate !== 'fetch'
      const { promise, resolve, reject } = Promise.withResolvers<Brought>()
      promise.catch(() => undefined)
      coming.push(promise)
      const task = { holding, replace, sources, resolve, reject }
      if (sources[0]?.local === true && sealOf(holding) !== undefined) {
        batch.push(task)
        bytes += holding.sizeBytes
        if (batch.length >= FILES_AT_ONCE || bytes >= BYTES_AT_ONCE) await flush()
      } else await this.#limitOf(holding).begin(() => this.#settle(task, () => this.#fetch(holding, replace, sources)))
    }
    await flush()
    return coming
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await Promise.all([this.#local.idle(), this.#objects.idle(), this.#middling.idle(), this.#large.idle()])
  }

  #limitOf({ sizeBytes }: Holding): Limit {
    if (sizeBytes > LARGE_BYTES) return this.#large
    return sizeBytes > MIDDLING_BYTES ? this.#middling : this.#objects
  }

  async #settle({ holding, resolve, reject }: Placing, act: () => Promise<Brought>): Promise<void> {
    try {
      resolve(await act())
    } catch (error) {
      if (error instanceof Unfetched) resolve({ step: lostStep({ path: holding.path, reason: error.reason, words: error.message }) })
      else reject(error)
    }
  }

  async #place(batch: readonly Placing[]): Promise<void> {
    const source = (at: number): Source => (batch[at] as Placing).sources[0] as Source
    try {
      const { outcomes, fingerprints } = await this.#threads.run({
        kind: 'place', root: this.#room.root, way: this.#way, temporary: this.#room.temporary(), sources: batch.map((_, at) => source(at).key),
        paths: batch.map(({ holding }) => holding.path), sizes: batch.map(({ holding }) => holding.sizeBytes), replace: batch.map(({ replace }) => replace),
        seals: batch.map(({ holding }) => sealOf(holding) as NonNullable<ReturnType<typeof sealOf>>),
      })
      for (const [at, task] of batch.entries()) {
        const { holding } = task
        const outcome = outcomes[at] as Put
        if (outcome === 'done') {
          this.#came(holding.sizeBytes)
          task.resolve({ step: this.#step(holding, { source: source(at), proof: sealOf(holding)?.by ?? 'store' }), fingerprint: fingerprints[at] as string })
        } else if (outcome === 'barred' || outcome === 'occupied') task.resolve({ step: lostStep(inTheWay(holding, outcome)) })
        // Not what it was at the plan, a moment ago.
        else await this.#settle(task, () => this.#instead(task, new Unfetched(...lossOf(outcome, source(at)))))
      }
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }

  /** From a store; where that fails for good, from wherever else the same bytes are. */
  async #fetch(holding: Holding, replace: boolean, sources: readonly Source[], last = false): Promise<Brought> {
    try {
      if (holding.sizeBytes > LARGE_BYTES) return await this.#fetchLarge(holding, replace, sources)
      const fetched = await this.#fetcher.whole(holding, sources)
      return await this.#write(holding, replace, fetched, this.#room.temporary(), fetched.bytes)
    } catch (error) {
      if (last || !(error instanceof Unfetched)) throw error
      return this.#instead({ holding, replace, sources }, error)
    }
  }

  async #fetchLarge(holding: Holding, replace: boolean, sources: readonly Source[]): Promise<Brought> {
    const file = this.#room.partial(`${holding.path}\0${identityOf(holding.content, holding.sizeBytes)}`)
    // A file whose bytes are elsewhere may be large, too, beyond those that were planned.
    const pourer = this.#pourers.pop() ?? this.#pourersMost++
    try {
      const fetched = await this.#fetcher.large(holding, sources, { file, place: this.#room.root + holding.path }, (task) => this.#threads.run(task, pourer))
      return await this.#write(holding, replace, fetched, file, undefined)
    } finally {
      this.#pourers.push(pourer)
    }
  }

  /** What was planned failed: the stores are asked anew, and the registry for the same content elsewhere. */
  async #instead({ holding, replace, sources }: Pick<Placing, 'holding' | 'replace' | 'sources'>, failed: Unfetched): Promise<Brought> {
    const missing = (await this.#planner.missing([holding], this.#signal)).get(0) ?? { holding, reason: failed.reason, words: failed.message }
    const others = ((await this.#planner.elsewhere([missing], this.#signal)).get(0) ?? []).filter((other) => !sources.some((one) => wordsOf(one) === wordsOf(other)) && !(other.local && liesIn(other.key, this.#room.root)))
    const [source] = others
    if (source === undefined) throw failed
    if (!source.local) return this.#fetch(holding, replace, others, true)
    const { outcomes, fingerprints } = await this.#threads.run({
      kind: 'place', root: this.#room.root, way: this.#way, temporary: this.#room.temporary(), sources: [source.key], paths: [holding.path], sizes: [holding.sizeBytes], replace: [replace],
      seals: [sealOf(holding) ?? { by: 'md5', value: '' }],
    })
    if (outcomes[0] !== 'done') throw failed
    return { step: this.#step(holding, { source, proof: sealOf(holding)?.by ?? 'store' }), fingerprint: fingerprints[0] as string }
  }

  async #write(holding: Holding, replace: boolean, fetched: Fetched, temporary: string, bytes: Uint8Array | undefined): Promise<Brought> {
    const { outcomes, fingerprints } = await this.#threads.run({ kind: 'write', root: this.#room.root, path: holding.path, replace, temporary, ...(bytes !== undefined && { bytes }) })
    const outcome = outcomes[0] as Put
    return outcome === 'done' ? { step: this.#step(holding, fetched), fingerprint: fingerprints[0] as string } : { step: lostStep(inTheWay(holding, outcome)) }
  }

  #step({ path, sizeBytes }: Holding, { source, proof }: Fetched): Step {
    return stepFrom(path, this.#way === 'copy' || !source.local ? 'fetched' : 'linked', source, { proof, sizeBytes })
  }
}

/** A step with where its bytes come from. */
export function stepFrom(path: string, action: Step['action'], { location, key, wanted }: Source, more: Partial<Step>): Step {
  return { path, action, from: formatReference(location, key), ...(wanted.pin !== undefined && { pin: wanted.pin }), ...more }
}

export function lostStep({ path, reason, words }: Loss): Step {
  return { path, action: 'lost', reason, words }
}

function inTheWay({ path }: Holding, outcome: Put): Loss {
  const words = outcome === 'occupied' ? 'a file has come to its place at the destination meanwhile' : 'a symbolic link, a folder or what is no file stands in its way at the destination'
  return { path, reason: 'name', words }
}

interface Placing {
  readonly holding: Holding
  readonly replace: boolean
  readonly sources: readonly Source[]
  resolve(brought: Brought): void
  reject(error: unknown): void
}

/** Lets so many run at a time. */
class Limit {
  readonly #most: number
  readonly #running = new Set<Promise<void>>()

  constructor(most: number) {
    this.#most = most
  }

  /** Resolves when `act` has begun. It settles what it does by itself. */
  async begin(act: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#most) await Promise.race(this.#running)
    const running: Promise<void> = act().finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  async idle(): Promise<void> {
    await Promise.all(this.#running)
  }
}

/** Throws what a broken restore of a link says by name. */
export function refuseRemote(remote: readonly string[], way: Way): void {
  if (remote.length === 0) return
  const names = remote.slice(0, 3).map((path) => JSON.stringify(path)).join(', ')
  throw new VarveError('USAGE', `--as ${way} needs files of a local disk, and ${names}${remote.length > 3 ? ` and ${remote.length - 3} more` : ''} come from elsewhere`, { hint: 'restore with --as copy' })
}
