import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { digestOf } from '../model/digest.ts'
import { identityOf } from '../model/entry.ts'
import type { Holding } from '../model/entry.ts'
import { describe, isFailure, VarveError } from '../model/errors.ts'
import type { Loss } from '../model/errors.ts'
import { comparePaths, formatLocation } from '../model/location.ts'
import type { Location } from '../model/location.ts'
import type { VersionView } from '../model/version.ts'
import { broughtBy } from './begun.ts'
import { Bringer, lostStep, refuseRemote, stepFrom } from './bring.ts'
import type { Brought } from './bring.ts'
import { diskFailure } from './disk.ts'
import { extrasOf, removeExtras } from './extras.ts'
import type { Extra } from './extras.ts'
import { Fetcher, Unfetched } from './fetch.ts'
import { clearanceOf } from './obstacles.ts'
import type { Clearance } from './obstacles.ts'
import { ROOM } from './names.ts'
import { Pages } from './pages.ts'
import type { Page } from './pages.ts'
import { Planner } from './plan.ts'
import { Readers } from './readers.ts'
import type { Source } from './readers.ts'
import { bootOf, lyingBy, Receipt } from './receipt.ts'
import type { Draft } from './receipt.ts'
import type { GetWish, Parts, Report, Step, Tell } from './terms.ts'
import { enter, foldingOf, isFresh, liesIn, realOf } from './room.ts'
import type { Room } from './room.ts'
import { count, named } from './said.ts'
import { Shelf } from './shelf.ts'
import { Threads } from './threads.ts'
import type { Seal } from './verify.ts'
import { weigh } from './weigh.ts'
import type { Fate, Scales, Weighed } from './weigh.ts'

/**
 * Makes the destination hold the version, or what of it was asked for. When it resolves, every entry is in place and was verified. Throws LOST with every loss; without `partial` nothing was
 * written when the stores showed it beforehand. Throws CONFLICT, and has written nothing, for files with other bytes that may not go, and while another restore works there.
 */
export async function get(parts: Parts, wish: GetWish, tell: Tell, signal: AbortSignal): Promise<Report> {
  const view = await parts.registry.version(wish.collection, wish.version)
  const getting = new Getting(parts, wish, view, tell, signal)
  try {
    return await getting.run()
  } catch (error) {
    throw diskFailure(error)
  } finally {
    await getting.close()
  }
}

class Getting {
  readonly #parts: Parts
  readonly #wish: GetWish
  readonly #view: VersionView
  readonly #tell: Tell
  readonly #signal: AbortSignal
  readonly #stop = new AbortController()
  readonly #threads = new Threads()
  readonly #readers: Readers
  readonly #planner: Planner
  readonly #pages: Pages
  readonly #receipt: Receipt
  readonly #shelf: Shelf
  readonly #losses: Loss[] = []
  #fetched = 0
  #fetchedBytes = 0
  #linked = 0
  #linkedBytes = 0
  #byWord = 0
  #kept = 0
  #deleted = 0
  #cameBytes = 0

  constructor(parts: Parts, wish: GetWish, view: VersionView, tell: Tell, signal: AbortSignal) {
    this.#parts = parts
    this.#wish = wish
    this.#view = view
    this.#tell = tell
    this.#signal = AbortSignal.any([signal, this.#stop.signal])
    this.#readers = new Readers(parts.openReader, parts.farOf)
    this.#planner = new Planner(this.#readers, this.#threads, parts.registry, parts.clock)
    this.#pages = new Pages(parts, wish, view.version, view.entries)
    this.#receipt = new Receipt(parts.memory, realOf(wish.destination))
    this.#shelf = new Shelf()
  }

  async run(): Promise<Report> {
    const { destination, dryRun } = this.#wish
    await this.#guard()
    const fresh = isFresh(destination)
    const { trusted, whole, believed } = fresh ? NOTHING_LEFT : await this.#untouched()
    if (whole !== undefined && this.#tell === undefined) {
      this.#kept = whole
      return this.#report(whole)
    }
    if (fresh || whole === undefined) this.#threads.warm()
    if (dryRun) {
      const weighed = await this.#weigh(destination.replace(/\/*$/, '/'), { fresh, trusted, believed }, undefined)
      await this.#each(weighed, async (page) => page.map(({ holding, sources }) => ({ step: stepFrom(holding.path, this.#wish.as === 'copy' || sources[0]?.local !== true ? 'fetch' : 'link', sources[0] as Source, { sizeBytes: holding.sizeBytes }) })))
      await this.#tellGone([...this.#clearance.going.flatMap(({ parts }) => parts), ...(this.#losses.length === 0 ? this.#extras : [])])
      return this.#end(weighed)
    }
    const room = enter(destination)
    let draft: Draft | undefined
    let weighed: Weighed
    let failed = true
    try {
      weighed = await this.#weigh(room.root, { fresh, trusted, believed }, room)
      draft = this.#receipt.begin({ ...this.#wish.collection, version: this.#view.version }, fresh)
      await this.#bring(weighed, room, draft)
      failed = this.#losses.length > 0
    } catch (error) {
      this.#stop.abort()
      await draft?.drop()
      if (this.#signal.aborted) await this.#threads.close()
      throw error
    } finally {
      room.leave(failed)
    }
    // A walk has threads of its own.
    await this.#threads.close()
    // Where nothing came the destination went again.
    if (existsSync(room.root)) await this.#remember(draft, room)
    else await draft?.drop()
    return this.#end(weighed)
  }

  /** What may overwrite and remove must meet neither Varve's own data nor what the version was recorded from. */
  async #guard(): Promise<void> {
    const { destination, delete: removes, force, as } = this.#wish
    const to = `${realOf(destination)}/`
    const data = `${realOf(this.#parts.data)}/`
    const refuse = (what: string): never => {
      throw new VarveError('DESTINATION_REFUSED', `${destination} ${what}`, { hint: 'nothing was written: name another destination' })
    }
    if (to.startsWith(data) || ((removes || force) && data.startsWith(to))) refuse(`and the folder of Varve's own data, ${data}, lie one in the other`)
    if (!removes && !force && lyingBy(as) === 'copy') return
    const known = new Set<Location>()
    for await (const { holdings } of this.#pages.all())
      for (const { location } of holdings) {
        if (known.has(location)) continue
        known.add(location)
        if (location.scheme !== 'file') continue
        const source = `${await this.#realOf((location.object ?? location.prefix).replace(/(?<=.)\/$/, ''))}/`
        if (to.startsWith(source) || source.startsWith(to)) refuse(`and ${formatLocation(location)}, which the version was recorded from, lie one in the other`)
      }
  }

  /** That of a source. Throws DESTINATION_REFUSED where a mount that may hang does not tell. */
  async #realOf(path: string): Promise<string> {
    if ((await this.#parts.farOf(path)) === undefined && (await this.#parts.farOf(join(path, ROOM))) === undefined) return realOf(path)
    return this.#parts.realFar(path).catch((error: unknown) => {
      if (isFailure(error, 'LOCATION_MISSING')) return path
      const words = `whether ${this.#wish.destination} and ${path}, which the version was recorded from, lie one in the other cannot be told: ${describe(error)}`
      throw new VarveError('DESTINATION_REFUSED', words, { cause: error, hint: 'nothing was written: bring it back, or restore to a fresh folder without --force, --delete and links' })
    })
  }

  async close(): Promise<void> {
    await Promise.all([this.#threads.close(), this.#readers.close()])
    this.#shelf.close()
  }

  /** The folders in which nothing moved since a restore left them, and the number of entries when that is all of what is asked for. */
  async #untouched(): Promise<Untouched> {
    const left = await this.#receipt.left()
    const believed = left?.boot === bootOf()
    if (left === undefined || !believed || this.#wish.deep) return { ...NOTHING_LEFT, believed }
    const trusted = new Set<string>()
    let all = 0
    try {
      for await (const { cover, stamp } of this.#parts.walk(realOf(this.#wish.destination), this.#parts.clock.now(), this.#signal)) {
        all++
        if ('directory' in cover && stamp !== undefined && left.stamps.get(cover.directory) === stamp) trusted.add(cover.directory)
      }
    } catch (error) {
      // A mount below it that does not answer: where entries go they meet it themselves.
      if (!isFailure(error) || this.#signal.aborted) throw error
      return { trusted, believed, whole: undefined }
    }
    const whole = left.whole && left.order === this.#order() && trusted.size === all && left.stamps.size === all
    return { trusted, believed, whole: whole ? left.entries : undefined }
  }

  #order(): string {
    const { path = '', filters = '', as } = this.#wish
    return digestOf([this.#view.digest, path, filters, as])
  }

  async #weigh(root: string, known: Pick<Scales, 'fresh' | 'trusted' | 'believed'>, room: Room | undefined): Promise<Weighed> {
    const folding = room?.folding ?? foldingOf(root)
    const found = this.#wish.delete && !known.fresh ? await extrasOf(root, this.#pages, this.#receipt, folding) : []
    const told = async (holding: Holding): Promise<Seal | undefined> => this.#quiet().told(holding, await this.#planner.own(holding))
    const weighed = await weigh({
      ...known, pages: this.#pages, planner: this.#planner, threads: this.#threads, wish: this.#wish, root, receipt: this.#receipt, folding,
      keep: (at, fingerprint) => this.#shelf.put(at, fingerprint), farOf: this.#parts.farOf, progress: this.#parts.progress, told, prove: (holding, sources) => this.#prove(holding, sources),
    }, this.#signal)
    refuseRemote(weighed.remote, this.#wish.as)
    this.#refuseOwn(root, weighed)
    const strange = this.#wish.force ? [] : [...weighed.foreign, ...found.flatMap(({ path, ours }) => (ours ? [] : [path]))]
    const brought = await broughtBy(this.#parts.registry, strange.length === 0 ? [] : this.#receipt.begun(), strange, { root, threads: this.#threads, farOf: this.#parts.farOf, told }, this.#wish.as)
    const extras = found.map((extra) => ({ ...extra, ours: extra.ours || brought.has(extra.path) }))
    this.#clearance = clearanceOf(root, this.#wish, weighed.foreign.filter((path) => !brought.has(path)), weighed.obstacles, extras)
    const { going, conflict } = this.#clearance
    if (conflict !== undefined && room !== undefined) throw conflict.failure
    this.#losses.push(...weighed.losses)
    if (this.#losses.length > 0 && !this.#wish.partial && room !== undefined) throw await this.#lost(false)
    const first = new Set(going.flatMap(({ parts }) => parts.map(({ path }) => path)))
    this.#extras = extras.filter(({ path, ours }) => !first.has(path) && (ours || this.#wish.force))
    return weighed
  }

  /** What a restore overwrites, removes or makes links of must not be the bytes that it needs. */
  #refuseOwn(root: string, weighed: Weighed): void {
    for (const [source] of weighed.sources.values())
      if (source?.local === true && liesIn(source.key, root))
        throw new VarveError('DESTINATION_REFUSED', `of bytes of ${this.#name()} the last known copy is ${source.key}, in the destination itself`, { hint: 'nothing was written: name another destination' })
  }

  /** What it reads comes to nowhere. */
  #quiet(): Fetcher {
    return new Fetcher(this.#readers, this.#parts.clock, this.#signal, () => undefined)
  }

  async #prove(holding: Holding, sources: readonly Source[]): Promise<Unfetched | undefined> {
    return this.#quiet().only(holding, sources).then(() => undefined, (error: unknown) => {
      if (error instanceof Unfetched) return error
      throw error
    })
  }

  #clearance: Clearance = { going: [] }
  /** What goes when all is in place. */
  #extras: readonly Extra[] = []

  async #bring(weighed: Weighed, room: Room, draft: Draft | undefined): Promise<void> {
    const came = (bytes: number): void => {
      this.#cameBytes += bytes
      this.#parts.progress({ entries: this.#fetched, bytes: this.#cameBytes, of: weighed.fetch })
    }
    const fetcher = new Fetcher(this.#readers, this.#parts.clock, this.#signal, came)
    const bringer = new Bringer(room, this.#threads, this.#planner, fetcher, this.#wish.as, this.#signal, came)
    const gone: Pick<Extra, 'path'>[] = []
    try {
      for (const { obstacle, parts } of this.#clearance.going) for (const one of removeExtras(room.root, parts, `${obstacle.path}/`)) gone.push(one)
      await this.#each(weighed, (page) => bringer.start(page), draft, room.fine)
      if (this.#losses.length === 0) for (const one of removeExtras(room.root, this.#extras)) gone.push(one)
    } catch (error) {
      this.#stop.abort()
      throw error
    } finally {
      await bringer.idle()
      await this.#tellGone(gone)
    }
  }

  /** Of a dry run: what would go. */
  async #tellGone(gone: readonly Pick<Extra, 'path'>[]): Promise<void> {
    this.#deleted = gone.length
    await this.#tell?.(gone.toSorted((a, b) => comparePaths(a.path, b.path)).map(({ path }) => ({ path, action: this.#wish.dryRun ? 'delete' : 'deleted' })))
  }

  /** Every entry in path order: what is to come is begun a page ahead of what is told. */
  async #each(
    weighed: Weighed,
    begin: (page: readonly { readonly holding: Holding; readonly fate: Fate; readonly sources: readonly Source[] }[]) => Promise<readonly (Brought | Promise<Brought>)[]>,
    draft?: Draft,
    fine = true,
  ): Promise<void> {
    let last: Promise<void> = Promise.resolve()
    for await (const { from, holdings } of this.#slices()) {
      const wanted: { holding: Holding; fate: Fate; sources: readonly Source[]; i: number }[] = []
      for (const [i, holding] of holdings.entries()) {
        const fate = weighed.fateOf(from + i)
        if (fate === 'part') wanted.push({ holding, fate, i, sources: [weighed.placeOf(holding)] })
        else if (fate === 'fetch' || fate === 'replace') wanted.push({ holding, fate, i, sources: weighed.sources.get(from + i) ?? (await this.#planner.own(holding)) })
      }
      const begun = await begin(wanted)
      await last
      const ready = new Map(wanted.map(({ i }, position) => [i, begun[position] as Brought | Promise<Brought>]))
      last = this.#finish(weighed, from, holdings, ready, draft, fine)
      last.catch(() => undefined)
    }
    await last
  }

  /** Less than a page is under way at a time: what lives long fills memory. */
  async *#slices(): AsyncGenerator<Page> {
    for await (const { from, holdings } of this.#pages.all())
      for (let at = 0; at < holdings.length; at += BROUGHT_AT_ONCE) yield { from: from + at, holdings: holdings.slice(at, at + BROUGHT_AT_ONCE) }
  }

  async #finish(weighed: Weighed, from: number, holdings: readonly Holding[], ready: ReadonlyMap<number, Brought | Promise<Brought>>, draft: Draft | undefined, fine: boolean): Promise<void> {
    const steps: Step[] = []
    const now = this.#parts.clock.now()
    for (const [i, holding] of holdings.entries()) {
      const { path, sizeBytes, content } = holding
      const kept = weighed.fateOf(from + i) === 'kept'
      const brought: Brought | undefined = kept ? { step: { path, action: 'kept', sizeBytes }, fingerprint: this.#shelf.take(from + i) } : await ready.get(i)
      if (brought === undefined) continue
      const { step, fingerprint = '' } = brought
      if (step.action === 'lost') this.#losses.push({ path, reason: step.reason ?? 'unreachable', words: step.words ?? '' })
      else if (kept) this.#kept++
      else if (step.action === 'linked' || step.action === 'link') {
        this.#linked++
        this.#linkedBytes += sizeBytes
      } else {
        this.#fetched++
        if (step.proof === 'store') this.#byWord++
        this.#fetchedBytes += sizeBytes
      }
      if (step.action !== 'lost') steps.push(weighed.fateOf(from + i) === 'part' ? { ...step, words: PARTED } : step)
      if (fingerprint !== '' && (fine || isOld(fingerprint, now))) await draft?.add({ path, holds: identityOf(content, sizeBytes), sizeBytes, fingerprint, way: kept || step.action === 'linked' ? lyingBy(this.#wish.as) : 'copy' })
    }
    await this.#tell?.(steps)
  }

  async #remember(draft: Draft | undefined, room: Room): Promise<void> {
    if (draft === undefined) return
    // Nobody knew a file's name before it was in place, so that it moved again within the same tick of a fine clock needs no guard: only what the walk may have met in the making does.
    const startMs = this.#parts.clock.now() + (room.fine ? RACY_MS : 0)
    const all = this.#losses.length === 0 && this.#wish.delete
    await draft.keep(this.#order(), this.#parts.walk(room.root, startMs, this.#signal), all, this.#signal)
  }

  async #end(weighed: Weighed): Promise<Report> {
    const { conflict } = this.#clearance
    if (conflict !== undefined) {
      await this.#tell?.([...this.#losses.map(lostStep), ...conflict.steps].sort((a, b) => comparePaths(a.path, b.path)))
      throw conflict.failure
    }
    if (this.#losses.length > 0) throw await this.#lost(true)
    return this.#report(this.#kept + weighed.fetch.entries)
  }

  async #lost(written: boolean): Promise<VarveError> {
    const losses = this.#losses.toSorted((a, b) => comparePaths(a.path, b.path))
    await this.#tell?.(losses.map(lostStep))
    const what = `${count(losses.length, 'entry', 'entries')} of ${this.#name()} cannot be restored: ${named(losses.map(({ path, reason }) => `${path} (${reason})`))}`
    const others = this.#kept + this.#fetched + this.#linked
    const rest = this.#wish.dryRun ? 'the rest can be restored with --partial' : !written ? 'nothing was written; --partial restores the rest' : others === 0 ? 'nothing else was asked for' : `the rest is in ${this.#wish.destination}`
    return new VarveError('LOST', what, { losses, hint: rest })
  }

  #name(): string {
    return `${this.#view.artifact}:${this.#view.version}`
  }

  #report(entries: number): Report {
    return { name: this.#name(), entries, fetched: this.#fetched, fetchedBytes: this.#fetchedBytes, linked: this.#linked, linkedBytes: this.#linkedBytes, byWord: this.#byWord, kept: this.#kept, deleted: this.#deleted }
  }
}

// What lies there has the right bytes, and another name.
const PARTED = 'made from the file that lies there, which has other names (hard links) and stays as it is under these'

const BROUGHT_AT_ONCE = 1_000

/** What is known of the destination before it is weighed. */
interface Untouched extends Pick<Scales, 'trusted' | 'believed'> {
  readonly whole: number | undefined
}

const NOTHING_LEFT: Untouched = { trusted: new Set(), believed: false, whole: undefined }

// Of a store's racy window: FAT counts 2 s.
const RACY_MS = 2_000

function isOld(fingerprint: string, nowMs: number): boolean {
  const bytes = Buffer.from(fingerprint, 'base64')
  const before = BigInt(Math.floor(nowMs - RACY_MS)) * 1_000_000n
  return bytes.readBigInt64LE(0) < before && bytes.readBigInt64LE(8) < before
}
