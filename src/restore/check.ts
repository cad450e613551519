// Whether a version can still be restored: by what stores show, or by reading every byte.
import type { Holding } from '../model/entry.ts'
import type { Loss } from '../model/errors.ts'
import { comparePaths } from '../model/location.ts'
import { lostStep, stepFrom } from './bring.ts'
import { Fetcher, Unfetched } from './fetch.ts'
import type { Fetched } from './fetch.ts'
import type { Look } from './local.ts'
import { Names } from './names.ts'
import { Pages } from './pages.ts'
import { inParallel, Planner } from './plan.ts'
import type { Missing } from './plan.ts'
import { lossOf, Readers } from './readers.ts'
import type { Source } from './readers.ts'
import type { Parts, Step, Tell, Verified, Wish } from './terms.ts'
import { Threads } from './threads.ts'
import { sealOf } from './verify.ts'

const READ_AT_ONCE = 16
const FILES_AT_ONCE = 64
const ELSEWHERE_AT_ONCE = 10_000

/** Finds every entry that cannot be restored any more, and from where the others can. With `deep` each byte is read and digested. Writes nothing. */
export async function verify(parts: Parts, wish: Wish, tell: Tell, signal: AbortSignal): Promise<Verified> {
  const view = await parts.registry.version(wish.collection, wish.version)
  const checking = new Checking(parts, wish, tell, signal)
  try {
    const entries = await checking.pages(new Pages(parts, wish, view.version, view.entries))
    return { name: `${view.artifact}:${view.version}`, entries, ...(await checking.end()) }
  } finally {
    await checking.close()
  }
}

class Checking {
  readonly #parts: Parts
  readonly #wish: Wish
  readonly #tell: Tell
  readonly #signal: AbortSignal
  readonly #threads = new Threads()
  readonly #readers: Readers
  readonly #planner: Planner
  readonly #fetcher: Fetcher
  readonly #missing: Missing[] = []
  readonly #names = new Names('')
  /** By path: why no folder can hold it, whatever holds its bytes. */
  readonly #unnameable = new Map<string, string>()
  readonly #losses: Loss[] = []
  #entries = 0
  #byWord = 0
  #bytes = 0

  constructor(parts: Parts, wish: Wish, tell: Tell, signal: AbortSignal) {
    this.#parts = parts
    this.#wish = wish
    this.#tell = tell
    this.#signal = signal
    this.#readers = new Readers(parts.openReader, parts.farOf)
    this.#planner = new Planner(this.#readers, this.#threads, parts.registry, parts.clock)
    this.#fetcher = new Fetcher(this.#readers, parts.clock, signal, (bytes) => this.#progress(0, bytes))
  }

  async pages(pages: Pages): Promise<number> {
    for await (const { holdings } of pages.all()) {
      this.#signal.throwIfAborted()
      for (const { path } of holdings) {
        const trouble = this.#names.trouble(path)
        if (trouble !== undefined) this.#unnameable.set(path, trouble)
      }
      const found = this.#wish.deep ? await this.#read(holdings) : await this.#ask(holdings)
      const steps: Step[] = []
      for (const one of found)
        if (isMissing(one)) this.#missing.push(one)
        else steps.push(one)
      this.#count(steps)
      await this.#tell?.(this.#named(steps))
      this.#progress(this.#wish.deep ? 0 : holdings.length, 0)
    }
    return this.#entries
  }

  async end(): Promise<Pick<Verified, 'elsewhere' | 'toldByBytes' | 'byWord' | 'losses'>> {
    const losses = this.#losses
    const elsewhere: string[] = []
    const toldByBytes = new Map<string, string | undefined>()
    for (let from = 0; from < this.#missing.length; from += ELSEWHERE_AT_ONCE) {
      const asked = this.#missing.slice(from, from + ELSEWHERE_AT_ONCE)
      const found = await this.#planner.elsewhere(asked, this.#signal)
      const steps: Step[] = []
      await inParallel([...asked.entries()], READ_AT_ONCE, async ([at, missing]) => {
        const { holding, reason, words, doubtful } = missing
        const sources = found.get(at)
        const source = sources?.[0]
        const fetched = sources === undefined || source === undefined ? undefined : this.#wish.deep || source === doubtful ? await this.#bytesOf(holding, sources) : { source, proof: undefined }
        if (fetched === undefined) losses.push({ path: holding.path, reason, words })
        else {
          elsewhere.push(holding.path)
          if (source === doubtful) toldByBytes.set(holding.path, fetched.source.wanted.pin)
          steps.push(fetched.proof === undefined ? foundAt(holding, fetched.source) : verifiedBy(holding, { source: fetched.source, proof: fetched.proof }))
        }
      })
      this.#count(steps)
      await this.#tell?.(this.#named(steps.sort((a, b) => comparePaths(a.path, b.path))))
    }
    losses.sort((a, b) => comparePaths(a.path, b.path))
    await this.#tell?.(losses.map(lostStep))
    return { elsewhere, toldByBytes, byWord: this.#byWord, losses }
  }

  async close(): Promise<void> {
    await Promise.all([this.#threads.close(), this.#readers.close()])
  }

  /** Of what is there: those that a folder can hold, too. */
  #named(steps: readonly Step[]): readonly Step[] {
    return steps.filter(({ path }) => {
      const words = this.#unnameable.get(path)
      if (words !== undefined) this.#losses.push({ path, reason: 'name', words })
      return words === undefined
    })
  }

  /** By what the stores show. */
  async #ask(holdings: readonly Holding[]): Promise<readonly (Missing | Step)[]> {
    const missing = await this.#planner.missing(holdings, this.#signal)
    this.#entries += holdings.length
    return Promise.all(holdings.map(async (holding, at) => missing.get(at) ?? foundAt(holding, (await this.#planner.own(holding))[0] as Source)))
  }

  /** By their bytes. */
  async #read(holdings: readonly Holding[]): Promise<readonly (Missing | Step)[]> {
    const found = new Map<number, Missing | Step>()
    const files: number[] = []
    const objects: number[] = []
    for (const [at, holding] of holdings.entries()) ((await this.#readers.isLocal(holding)) && sealOf(holding) !== undefined ? files : objects).push(at)
    const batches = Array.from({ length: Math.ceil(files.length / FILES_AT_ONCE) }, (_, i) => files.slice(i * FILES_AT_ONCE, (i + 1) * FILES_AT_ONCE))
    await inParallel(batches, this.#threads.width, async (batch) => {
      const of = batch.map((at) => holdings[at] as Holding)
      const { outcomes } = await this.#threads.run({
        kind: 'look', base: '', follow: true, digest: 'all', fingerprints: [], paths: of.map(({ key }) => key), sizes: of.map(({ sizeBytes }) => sizeBytes), seals: of.map((holding) => sealOf(holding)),
      })
      for (const [i, at] of batch.entries()) found.set(at, await this.#judge(of[i] as Holding, outcomes[i] as Look))
      this.#progress(batch.length, of.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))
    })
    await inParallel(objects, READ_AT_ONCE, async (at) => {
      const holding = holdings[at] as Holding
      const sources = await this.#planner.own(holding)
      found.set(at, await this.#fetcher.only(holding, sources).then((fetched) => verifiedBy(holding, fetched), (error: unknown) => {
        if (!(error instanceof Unfetched)) throw error
        return { holding, reason: error.reason, words: error.message }
      }))
      this.#progress(1, 0)
    })
    // What was read and is not right may lie in another version of its key.
    const wrong = [...found].flatMap(([at, one]) => (isMissing(one) ? [{ at, one }] : []))
    const missing = await this.#planner.missing(wrong.map(({ one }) => one.holding), this.#signal)
    for (const [position, { at, one }] of wrong.entries()) found.set(at, { ...missing.get(position), ...one })
    return holdings.map((_, at) => found.get(at) as Missing | Step)
  }

  async #judge(holding: Holding, outcome: Look): Promise<Missing | Step> {
    const source = (await this.#planner.own(holding))[0] as Source
    if (outcome === 'right') return verifiedBy(holding, { source, proof: sealOf(holding)?.by ?? 'store' })
    const [reason, words] = lossOf(outcome, source)
    return { holding, reason, words }
  }

  async #bytesOf(holding: Holding, sources: readonly Source[]): Promise<Fetched | undefined> {
    const source = sources[0] as Source
    if (!source.local)
      return this.#fetcher.only(holding, sources).catch((error: unknown) => {
        if (error instanceof Unfetched) return undefined
        throw error
      })
    const seal = sealOf(holding)
    const { outcomes } = await this.#threads.run({ kind: 'look', base: '', follow: true, digest: 'all', fingerprints: [], paths: [source.key], sizes: [holding.sizeBytes], seals: [seal] })
    return seal !== undefined && outcomes[0] === 'right' ? { source, proof: seal.by } : undefined
  }

  #count(steps: readonly Step[]): void {
    for (const { proof } of steps) if (proof === 'store') this.#byWord++
  }

  #progress(entries: number, bytes: number): void {
    this.#entries += this.#wish.deep ? entries : 0
    this.#bytes += bytes
    this.#parts.progress({ entries: this.#entries, bytes: this.#bytes })
  }
}

function isMissing(found: Missing | Step): found is Missing {
  return 'holding' in found
}

function foundAt({ path, sizeBytes }: Holding, source: Source): Step {
  return stepFrom(path, 'found', source, { sizeBytes })
}

function verifiedBy({ path, sizeBytes }: Holding, { source, proof }: Fetched): Step {
  return stepFrom(path, 'verified', source, { proof, sizeBytes })
}
