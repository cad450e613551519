// The rotating audit: are the bytes of what later versions closed, and of what no watch looks at, still there, and for how long? It asks within a budget, beside the looks, and what gives no answer changes nothing.
import type { Clock } from '../model/clock.ts'
import { describe, isFailure } from '../model/errors.ts'
import { isLeft } from '../model/fate.ts'
import type { Audited, AuditPoint, AuditRow, Question } from '../model/fate.ts'
import { takesCurrent } from '../model/lifecycle.ts'
import type { Keeping, Terms } from '../model/lifecycle.ts'
import { bucketIdentity, comparePaths, directoryOf } from '../model/location.ts'
import type { Location } from '../model/location.ts'
import type { Watch } from '../model/watch.ts'
import type { Auditing, AuditTurn } from '../registry/registry.ts'
import type { Access, Inventory, KeptVersion, Spend } from '../storage/storage.ts'
import type { AuditOrder, Log, Tell } from './parts.ts'
import { differing, REST, tellTurned, withRefuges } from './refuges.ts'
import type { Said } from './refuges.ts'
import { isArchived, verdictOf } from './verdict.ts'

interface AuditParts {
  readonly registry: Auditing
  readonly clock: Clock
  readonly watches: readonly Watch[]
  readonly log: Log
  readonly tell: Tell
}

// A collection that is due is noticed within this time.
const TICK_MS = 60_000
const ROWS = 1_000
// Where a store could not be asked it is asked again after this time, or at the next pass if that is sooner.
const RETRY_MS = 3_600_000

/** Audits one collection after another until `signal` aborts. */
export async function audit(parts: AuditParts, order: AuditOrder, signal: AbortSignal): Promise<void> {
  const spend = evenly(order.requestsPerHour, parts.clock, signal)
  while (!signal.aborted) {
    const turn = await parts.registry.nextAudit(order.everyMs, parts.clock.now())
    if (turn === undefined) await parts.clock.sleep(Math.min(TICK_MS, order.everyMs), signal)
    else await pass(parts, order, turn, spend, signal)
  }
}

/** Lets requests through one by one, as far apart as the hour has room for them: so no hour has more. */
export function evenly(perHour: number, clock: Pick<Clock, 'monotonic' | 'sleep'>, signal: AbortSignal): Spend {
  const gapMs = 3_600_000 / perHour
  let freeMs = -Infinity
  return async (requests) => {
    const now = clock.monotonic()
    const startMs = Math.max(now, freeMs)
    freeMs = startMs + requests * gapMs
    if (startMs > now) await clock.sleep(Math.ceil(startMs - now), signal)
    signal.throwIfAborted()
  }
}

/** Asks now about rows of which somebody has found otherwise than is written down, as a pass would; tells the versions that are in another state for it. Answers why what is written of some stayed. */
export async function askAnew(parts: AuditParts, openInventory: AuditOrder['openInventory'], questions: AsyncIterable<Question>, signal: AbortSignal): Promise<readonly string[]> {
  const { registry } = parts
  const spend: Spend = async () => signal.throwIfAborted()
  const stores = new Stores(parts, openInventory, spend, signal)
  try {
    let first = Infinity
    let asked: Audited | undefined
    let stayed = false
    let forgets = false
    for await (const { of, rows, first: least, lost } of questions) {
      asked = of
      first = Math.min(first, least)
      const told = await judge(rows, stores, spend, signal)
      stayed ||= told.some(([, said]) => said === 'unasked')
      for (const [row, said] of told) forgets ||= said === 'missing' && row.fate === undefined && (await stores.mayForget(row))
      await registry.recordFates(of, differing(await withRefuges(registry, of, told, lost)))
    }
    // Where what was overwritten is gone, so may be what other versions have and nobody asked about.
    for (let after: AuditPoint | undefined; asked !== undefined && forgets; ) {
      first = 0
      const rows = await registry.auditRows(asked, after, false, ROWS)
      const unsaid: AuditRow[] = []
      for (const row of rows) if (row.fate === undefined && (await stores.mayForget(row))) unsaid.push(row)
      if (unsaid.length > 0) await registry.recordFates(asked, differing(await withRefuges(registry, asked, await judge(unsaid, stores, spend, signal))))
      const last = rows.at(-1)
      if (last === undefined) break
      after = { path: last.holding.path, since: last.since }
    }
    await registry.learn(stores.keeping())
    if (asked !== undefined) tellTurned(parts, asked, await registry.turned(asked, first))
    return stayed ? [...stores.notes] : []
  } finally {
    await stores.close()
  }
}

async function pass(parts: AuditParts, { everyMs, openInventory }: AuditOrder, turn: AuditTurn, spend: Spend, signal: AbortSignal): Promise<void> {
  const { registry, clock } = parts
  const stores = new Stores(parts, openInventory, spend, signal)
  try {
    let heads = turn.unseen
    for (const location of turn.locations) {
      const store = await stores.of(location)
      if (store === undefined || store === 'none') continue
      heads ||= takesCurrent(store.terms)
    }
    for (let after: AuditPoint | undefined = turn.after; ; ) {
      const startedMs = clock.monotonic()
      const rows = await registry.auditRows(turn, after, heads, ROWS)
      const readMs = clock.monotonic() - startedMs
      const last = rows.at(-1)
      if (last === undefined) break
      const told = await judge(rows, stores, spend, signal, true)
      const lostMs = clock.monotonic()
      const fates = await withRefuges(registry, turn, told)
      after = { path: last.holding.path, since: last.since }
      await registry.recordFates(turn, differing(fates), { begunAt: turn.begunAt, after })
      await clock.sleep((readMs + clock.monotonic() - lostMs) * REST, signal)
      signal.throwIfAborted()
    }
    const retry = stores.trouble ? { retryAt: clock.now() + Math.min(everyMs, RETRY_MS) } : {}
    if (stores.archived > 0) stores.notes.add(`of what was replaced since, ${stores.archived} lie in an archive class: they must be thawed before they can be restored`)
    await registry.learn(stores.keeping())
    const changes = await registry.endAudit(turn, { notes: [...stores.notes], heads, ...retry })
    tellTurned(parts, turn, changes)
  } finally {
    await stores.close()
  }
}

/** `believes`: of what nobody looks at any more, at a place that cannot be asked, nothing was found that is not written down. */
async function judge(rows: readonly AuditRow[], stores: Stores, spend: Spend, signal: AbortSignal, believes = false): Promise<readonly (readonly [AuditRow, Said])[]> {
  const said = new Map<AuditRow, Said>()
  for (const own of Map.groupBy(rows, ({ holding }) => bucketIdentity(holding.location)).values()) {
    const [first] = own
    const store = first === undefined ? undefined : await stores.of(first.holding.location)
    // A place without versions lost what was overwritten or removed there; that of the head the looks see.
    if (store === undefined || store === 'none') for (const row of own) said.set(row, store === 'none' && !row.waits && !(believes && isLeft(row)) ? 'missing' : 'unasked')
    else await judgeAt(own, store, said, stores, spend, signal)
  }
  return rows.map((row) => [row, said.get(row)] as const)
}

async function judgeAt(rows: readonly AuditRow[], { inventory, terms }: Store, said: Map<AuditRow, Said>, stores: Stores, spend: Spend, signal: AbortSignal): Promise<void> {
  // Without a pin there is nothing to ask for where no older versions are kept.
  const asked = rows.filter((row) => row.waits || isLeft(row) || terms.keepsVersions !== false || (row.holding.content.pin ?? row.holding.latestPin ?? row.proof) !== undefined)
  for (const row of rows) said.set(row, 'missing')
  for (const row of asked) said.set(row, 'unasked')
  const byKey = Map.groupBy(asked, ({ holding }) => holding.key)
  const missing: AuditRow[] = []
  try {
    for await (const { key, versions } of inventory.kept([...byKey.keys()].sort(comparePaths), spend, signal))
      for (const row of byKey.get(key) ?? []) {
        const verdict = verdictOf(row, versions, terms)
        stores.met(row, versions)
        if (isArchived(row, versions, terms)) stores.archived++
        if (verdict === 'missing') missing.push(row)
        else said.set(row, verdict)
      }
    for (const row of await believed(missing, inventory, stores, spend, signal)) {
      said.set(row, 'missing')
      stores.missed(row)
    }
  } catch (error) {
    stores.failed(error, rows[0]?.holding.location as Location)
  }
}

/** Law 5: some stores list nothing of `p/…` while an object `p` has any version. So one of each folder is asked for by name before it counts as lost. */
async function believed(missing: readonly AuditRow[], inventory: Inventory, stores: Stores, spend: Spend, signal: AbortSignal): Promise<readonly AuditRow[]> {
  const sure: AuditRow[] = []
  for (const [folder, own] of Map.groupBy(missing, ({ holding }) => directoryOf(holding.key))) {
    const one = own.find(({ holding, fate }) => holding.content.pin !== undefined && (fate === undefined || fate.fate === 'risk'))
    const hidden = one !== undefined && (await inventory.isThere(one.holding.key, one.holding.content.pin as string, spend, signal))
    if (hidden) stores.notes.add(`the listing of ${folder} lacks ${one.holding.key}, which is there when asked for by name`)
    else sure.push(...own)
  }
  return sure
}

interface Store {
  readonly inventory: Inventory
  readonly terms: Terms
}

/** The stores of one pass. One that could not be asked is left alone until the next. */
class Stores {
  readonly notes = new Set<string>()
  trouble = false
  /** Rows whose bytes must be thawed. */
  archived = 0
  readonly #parts: AuditParts
  readonly #open: AuditOrder['openInventory']
  readonly #spend: Spend
  readonly #signal: AbortSignal
  readonly #opened = new Map<string, Store | 'none' | undefined>()
  /** Of buckets of GCS that do not say whether they keep older generations: whether any was met, or else what was replaced there is gone. */
  readonly #signs = new Map<string, Keeping>()
  /** What buckets of GCS say themselves. */
  readonly #said = new Map<string, Keeping>()

  constructor(parts: AuditParts, open: AuditOrder['openInventory'], spend: Spend, signal: AbortSignal) {
    this.#parts = parts
    this.#open = open
    this.#spend = spend
    this.#signal = signal
  }

  /** `none`: the place keeps no versions. Undefined: it cannot be asked. */
  async of(location: Location): Promise<Store | 'none' | undefined> {
    const place = bucketIdentity(location)
    if (!this.#opened.has(place)) this.#opened.set(place, await this.#opening(location))
    return this.#opened.get(place)
  }

  /** What these versions of the key of `row` say of its bucket. */
  met({ holding: { location } }: AuditRow, versions: readonly KeptVersion[]): void {
    if (location.scheme === 'gs' && versions.some(({ marker }, index) => index > 0 && !marker)) this.#signs.set(bucketIdentity(location), { location, keepsVersions: true })
  }

  /** What `row` lost was replaced there, and is gone. */
  missed({ holding: { location, content }, waits }: AuditRow): void {
    const place = bucketIdentity(location)
    if (location.scheme === 'gs' && !waits && content.pin !== undefined && !this.#signs.has(place)) this.#signs.set(place, { location, keepsVersions: false })
  }

  /** True where the bucket of `row` is not known to keep what is overwritten though its pin could be asked for. */
  async mayForget({ holding: { location, content } }: AuditRow): Promise<boolean> {
    if (location.scheme !== 'gs' || content.pin === undefined) return false
    const store = await this.of(location)
    return store !== undefined && store !== 'none' && store.terms.keepsVersions !== true
  }

  /** What is known of the buckets of GCS by now: by their own word, else by what was met. */
  keeping(): readonly Keeping[] {
    return [...new Map([...this.#signs, ...this.#said]).values()]
  }

  failed(error: unknown, location: Location): void {
    this.#signal.throwIfAborted()
    if (!isFailure(error)) throw error
    this.trouble = true
    this.notes.add(`not all could be asked: ${describe(error)}`)
    const place = bucketIdentity(location)
    const store = this.#opened.get(place)
    this.#opened.set(place, undefined)
    if (store !== undefined && store !== 'none') this.#closing.push(store.inventory)
  }

  async close(): Promise<void> {
    for (const store of this.#opened.values()) if (store !== undefined && store !== 'none') this.#closing.push(store.inventory)
    for (const inventory of this.#closing.splice(0)) await inventory.close()
  }

  readonly #closing: Inventory[] = []

  async #opening(location: Location): Promise<Store | 'none' | undefined> {
    let inventory: Inventory | undefined
    try {
      inventory = await this.#open(location, accessFor(location, this.#parts.watches))
      if (inventory === undefined) return 'none'
      const terms = await inventory.terms(this.#spend, this.#signal)
      for (const note of terms.notes) this.notes.add(note)
      if (location.scheme === 'gs' && terms.keepsVersions !== undefined) this.#said.set(bucketIdentity(location), { location, keepsVersions: terms.keepsVersions })
      return { inventory, terms }
    } catch (error) {
      await inventory?.close()
      this.failed(error, location)
      return undefined
    }
  }
}

/** That of a watch of this very location, else of its bucket; else the surroundings' own. */
function accessFor(location: Location, watches: readonly Watch[]): Access {
  const { endpoint, prefix } = location
  const near = watches.filter(({ locations }) => locations.some((other) => bucketIdentity(other) === bucketIdentity(location)))
  const own = near.find(({ locations }) => locations.some((other) => bucketIdentity(other) === bucketIdentity(location) && prefix.startsWith(other.prefix)))
  const at = endpoint === undefined ? {} : { endpoint }
  return own ?? near[0] ?? { s3: at, gcs: at, http: {} }
}

