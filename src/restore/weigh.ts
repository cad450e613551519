// What is to be done to each entry, before anything is: which are in place, which must come and from where, and what stands in the way.
import { identityOf } from '../model/entry.ts'
import type { Holding } from '../model/entry.ts'
import type { Loss } from '../model/errors.ts'
import { directoryOf } from '../model/location.ts'
import { lookClosely } from './closely.ts'
import type { Destination } from './closely.ts'
import type { Unfetched } from './fetch.ts'
import type { Look } from './local.ts'
import { Names } from './names.ts'
import type { Folding } from './names.ts'
import { obstacleTo } from './obstacles.ts'
import type { Obstacle } from './obstacles.ts'
import type { Pages } from './pages.ts'
import { inParallel } from './plan.ts'
import type { Missing, Planner } from './plan.ts'
import type { Source } from './readers.ts'
import { isOurs, lyingBy, Remembered } from './receipt.ts'
import type { Kept, Receipt } from './receipt.ts'
import type { GetWish, Progress } from './terms.ts'

const LOOKED_AT_ONCE = 256
// Each question to the registry for the same content reads every row: many are asked for at once.
const ELSEWHERE_AT_ONCE = 10_000
const READ_AT_ONCE = 4

/** What becomes of an entry. `lost` stays undone; `part` has its bytes in place, in a file with other names, and gets a copy of them. */
export const FATES = ['lost', 'kept', 'fetch', 'replace', 'part'] as const
export type Fate = (typeof FATES)[number]

export interface Weighed {
  fateOf(at: number): Fate
  /** Of what parts: the place itself. */
  placeOf(holding: Holding): Source
  /** Where else than at its own place an entry's bytes are. */
  readonly sources: ReadonlyMap<number, readonly Source[]>
  readonly losses: readonly Loss[]
  /** Files with other bytes, that nobody said may go. */
  readonly foreign: readonly string[]
  /** What must go before entries can come. */
  readonly obstacles: readonly Obstacle[]
  /** What `--as` cannot do, since it is no file of this machine. */
  readonly remote: readonly string[]
  readonly fetch: { readonly entries: number; readonly bytes: number }
}

export interface Scales extends Destination {
  readonly pages: Pages
  readonly planner: Planner
  readonly wish: GetWish
  readonly folding: Folding
  /** Nothing lies at the destination. */
  readonly fresh: boolean
  readonly receipt: Receipt
  /** Folders in which nothing was touched since an earlier restore. */
  readonly trusted: ReadonlySet<string>
  /** The receipt's fingerprints tell of bytes: else, after the machine began anew, only of who put a file there. */
  readonly believed: boolean
  /** Told of each entry that is in place, in path order, with its fingerprint. */
  readonly keep: (at: number, fingerprint: string) => Promise<void>
  readonly progress: (done: Progress) => void
  /** Reads the bytes of an entry from where only they can tell whether they are the recorded ones; undefined when they are, else why not. */
  readonly prove: (holding: Holding, sources: readonly Source[]) => Promise<Unfetched | undefined>
}

export async function weigh(scales: Scales, signal: AbortSignal): Promise<Weighed> {
  const weighing = new Weighing(scales, signal)
  try {
    let entries = 0
    for await (const { from, holdings } of scales.pages.all()) {
      await weighing.page(from, holdings)
      entries += holdings.length
      scales.progress({ entries, bytes: 0 })
    }
    return await weighing.end()
  } finally {
    await weighing.remembered.close()
  }
}

class Weighing {
  readonly remembered: Remembered
  readonly #scales: Scales
  readonly #signal: AbortSignal
  readonly #names: Names
  #fates = new Uint8Array(1_024)
  readonly #missing: (Missing & { readonly at: number })[] = []
  readonly #losses: Loss[] = []
  readonly #foreign: string[] = []
  readonly #obstacles: { readonly obstacle: Obstacle; readonly before: number[] }[] = []
  readonly #remote: string[] = []
  #fetchEntries = 0
  #fetchBytes = 0

  constructor(scales: Scales, signal: AbortSignal) {
    this.#scales = scales
    this.#signal = signal
    this.#names = new Names(scales.root, scales.folding)
    this.remembered = new Remembered(scales.receipt.entries())
  }

  async page(from: number, holdings: readonly Holding[]): Promise<void> {
    this.#signal.throwIfAborted()
    this.#grow(from + holdings.length)
    const needed: number[] = []
    const look: { readonly i: number; readonly kept: Kept | undefined }[] = []
    const fingerprints = new Map<number, string>()
    for (const [i, holding] of holdings.entries()) {
      const trouble = this.#names.trouble(holding.path)
      if (trouble !== undefined) this.#lose(holding, { reason: 'name', words: trouble })
      else if (this.#scales.fresh) needed.push(i)
      else {
        const kept = await this.remembered.of(holding.path)
        const trusted = kept !== undefined && !this.#scales.wish.deep && holds(kept, holding) && kept.way === lyingBy(this.#scales.wish.as) && this.#scales.trusted.has(directoryOf(holding.path))
        if (trusted) fingerprints.set(i, kept.fingerprint)
        else look.push({ i, kept })
      }
    }
    for (let at = 0; at < look.length; at += LOOKED_AT_ONCE * this.#scales.threads.width) {
      const turn = look.slice(at, at + LOOKED_AT_ONCE * this.#scales.threads.width)
      await Promise.all(Array.from({ length: Math.ceil(turn.length / LOOKED_AT_ONCE) }, (_, batch) =>
        this.#look(from, holdings, turn.slice(batch * LOOKED_AT_ONCE, (batch + 1) * LOOKED_AT_ONCE), needed, fingerprints)))
    }
    needed.sort((a, b) => a - b)
    for (const i of [...fingerprints.keys()].sort((a, b) => a - b)) {
      this.#fates[from + i] = FATES.indexOf('kept')
      await this.#scales.keep(from + i, fingerprints.get(i) as string)
    }
    await this.#plan(from, needed.map((i) => ({ i, holding: holdings[i] as Holding })))
  }

  async end(): Promise<Weighed> {
    const sources = new Map<number, readonly Source[]>()
    for (let from = 0; from < this.#missing.length; from += ELSEWHERE_AT_ONCE) {
      const asked = this.#missing.slice(from, from + ELSEWHERE_AT_ONCE)
      const found = await this.#scales.planner.elsewhere(asked, this.#signal)
      // What is lost is to be known before anything is written.
      const untrue = new Map<number, Unfetched | undefined>()
      const doubted = [...asked.entries()].filter(([i, { doubtful }]) => doubtful !== undefined && found.get(i)?.[0] === doubtful)
      await inParallel(doubted, READ_AT_ONCE, async ([i, { holding }]) => void untrue.set(i, await this.#scales.prove(holding, found.get(i) as readonly Source[])))
      for (const [i, missing] of asked.entries()) {
        const there = found.get(i)
        const why = untrue.get(i)
        if (there === undefined || why !== undefined) {
          this.#fates[missing.at] = FATES.indexOf('lost')
          this.#lose(missing.holding, why?.reason === 'unreachable' ? { reason: why.reason, words: why.message } : missing)
        } else {
          sources.set(missing.at, there)
          this.#toFetch(missing.holding, there[0]?.local === true)
        }
      }
    }
    const fates = this.#fates
    // For what is lost nothing need go.
    const obstacles = this.#obstacles.filter(({ before }) => before.some((at) => FATES[fates[at] as number] !== 'lost')).map(({ obstacle }) => obstacle)
    return {
      fateOf: (at) => FATES[fates[at] as number] as Fate, placeOf: ({ path }) => this.#place(path), sources, losses: this.#losses, foreign: this.#foreign, obstacles, remote: this.#remote,
      fetch: { entries: this.#fetchEntries, bytes: this.#fetchBytes },
    }
  }

  async #look(from: number, holdings: readonly Holding[], batch: readonly { readonly i: number; readonly kept: Kept | undefined }[], needed: number[], fingerprints: Map<number, string>): Promise<void> {
    const { wish, believed } = this.#scales
    const of = batch.map(({ i }) => holdings[i] as Holding)
    const { outcomes, fingerprints: seen } = await lookClosely(this.#scales, of, {
      fingerprints: batch.map(({ kept }, at) => (believed && kept !== undefined && holds(kept, of[at] as Holding) ? kept.fingerprint : '')),
      digest: wish.deep ? 'all' : 'differing', way: wish.as, hard: batch.map(({ kept }) => kept?.way === 'hardlink'),
      copies: batch.map(({ kept }) => (kept?.way === 'copy' ? kept.fingerprint : '')),
    })
    for (const [at, { i, kept }] of batch.entries()) {
      const [outcome, fingerprint, holding] = [outcomes[at] as Look, seen[at] as string, of[at] as Holding]
      const ours = kept !== undefined && isOurs(kept, fingerprint)
      // Of what nothing is recorded over the bytes, only the receipt can tell that they are right.
      if (outcome === 'same' || outcome === 'right' || (outcome === 'unknown' && believed && ours && holds(kept, holding))) fingerprints.set(i, fingerprint)
      else if (outcome === 'shared') {
        this.#fates[from + i] = FATES.indexOf('part')
        this.#toFetch(holding, true)
      } else {
        needed.push(i)
        if (outcome === 'absent') continue
        if (outcome === 'barred') this.#meet(from + i, holding)
        else {
          this.#fates[from + i] = FATES.indexOf('replace')
          if (outcome !== 'otherwise' && !ours && !wish.force) this.#foreign.push(holding.path)
        }
      }
    }
  }

  #place(path: string): Source {
    const { root } = this.#scales
    return { location: { scheme: 'file', bucket: '', prefix: root }, key: root + path, wanted: {}, local: true }
  }

  /** Many entries may have the same in their way. */
  #meet(at: number, { path }: Holding): void {
    const last = this.#obstacles.at(-1)
    const obstacle = last !== undefined && path.startsWith(`${last.obstacle.path}/`) ? last.obstacle : obstacleTo(this.#scales.root, path)
    const known = obstacle === last?.obstacle ? last : this.#obstacles.find((one) => one.obstacle.path === obstacle?.path)
    if (known !== undefined) known.before.push(at)
    else if (obstacle !== undefined) this.#obstacles.push({ obstacle, before: [at] })
  }

  async #plan(from: number, needed: readonly { readonly i: number; readonly holding: Holding }[]): Promise<void> {
    const missing = await this.#scales.planner.missing(needed.map(({ holding }) => holding), this.#signal)
    for (const [position, { i, holding }] of needed.entries()) {
      const at = from + i
      if (this.#fates[at] !== FATES.indexOf('replace')) this.#fates[at] = FATES.indexOf('fetch')
      const one = missing.get(position)
      if (one !== undefined) this.#missing.push({ ...one, at })
      else this.#toFetch(holding, (await this.#scales.planner.own(holding))[0]?.local === true)
    }
  }

  #toFetch({ path, sizeBytes }: Holding, local: boolean): void {
    this.#fetchEntries++
    this.#fetchBytes += sizeBytes
    if (!local && this.#scales.wish.as !== 'copy') this.#remote.push(path)
  }

  #lose({ path }: Holding, { reason, words }: Omit<Loss, 'path'>): void {
    this.#losses.push({ path, reason, words })
  }

  #grow(count: number): void {
    if (this.#fates.length >= count) return
    const larger = new Uint8Array(Math.max(count, this.#fates.length * 2))
    larger.set(this.#fates)
    this.#fates = larger
  }
}

function holds(kept: Kept, { content, sizeBytes }: Holding): boolean {
  return kept.holds === identityOf(content, sizeBytes)
}
