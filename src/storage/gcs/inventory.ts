// What a bucket still keeps of given keys, by the listing of its generations.
import { VarveError } from '../../model/errors.ts'
import type { Terms } from '../../model/lifecycle.ts'
import { comparePaths, formatLocation } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import type { GcsAccess } from '../../model/watch.ts'
import type { Counter } from '../bucket-store.ts'
import { commonPrefix } from '../some.ts'
import type { Inventory, KeptVersion, Spend } from '../storage.ts'
import { aboutBucket } from './about.ts'
import { Bucket } from './bucket.ts'
import { connectGcs } from './config.ts'
import type { Gate } from './config.ts'
import { gcsFailure, Refusal } from './failures.ts'
import { expiriesOf } from './lifecycle.ts'
import { listedOf } from './list.ts'
import type { ObjectRow, Page } from './page.ts'

// So many pages in a row without any wanted key: the next is asked for where the next key is.
const IDLE_PAGES = 2
const PAGE = 1_000

/** Opens the bucket of `location`. Asks it nothing yet. */
export async function openGcsInventory(location: Location, access: GcsAccess): Promise<Inventory> {
  const place = formatLocation({ ...location, prefix: '' })
  return new GcsInventory(await connectGcs(place, access), location.bucket, place, access.project)
}

class GcsInventory implements Inventory {
  readonly #place: string
  readonly #bucket: Bucket

  constructor(gate: Gate, name: string, place: string, project: string | undefined) {
    this.#place = place
    this.#bucket = new Bucket(gate, name, project)
  }

  async terms(spend: Spend, signal: AbortSignal): Promise<Terms> {
    const counter = { requests: 0 }
    await spend(1)
    try {
      const { lifecycle, versioning } = await aboutBucket(this.#bucket, counter, signal)
      return { expiries: expiriesOf(lifecycle?.rule ?? []), keepsVersions: versioning?.enabled === true, notes: [] }
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof Refusal) || error.status !== 403) throw gcsFailure(error, this.#place, 'storage.buckets.get')
      const what = `the lifecycle rules of ${this.#place}, and whether it keeps older generations, could not be read`
      return { expiries: [], notes: [`${what}: storage.buckets.get is not allowed`] }
    } finally {
      if (counter.requests > 1) await spend(counter.requests - 1)
    }
  }

  async *kept(keys: readonly string[], spend: Spend, signal: AbortSignal): AsyncGenerator<{ readonly key: string; readonly versions: readonly KeptVersion[] }> {
    const shared = commonPrefix(keys)
    let from = 0
    const found = new Map<string, ObjectRow[]>()
    while (from < keys.length) {
      const begins = keys[from] as string
      let idle = 0
      found.clear()
      // Empty pages come where much was deleted: only what goes on may begin anew.
      for (let token: string | undefined; from < keys.length && (idle < IDLE_PAGES || keys[from] === begins); ) {
        const page: Page = await this.#asked('storage.objects.list', spend, signal, (counter) => this.#bucket.page({ prefix: shared, from: begins, token, versions: true }, PAGE, counter, signal))
        const wanted = new Set(keys.slice(from))
        const rows = page.rows.filter(({ key }) => wanted.has(key))
        for (const row of rows) found.set(row.key, [...(found.get(row.key) ?? []), row])
        if (page.next !== undefined && page.next === token) throw new VarveError('STORAGE_INVALID', `the listing of ${this.#place} goes in circles`)
        token = page.next
        const last = token === undefined ? undefined : page.rows.at(-1)?.key
        // Of the last name of a page the next may tell more.
        for (let key = keys[from]; key !== undefined && (token === undefined || (last !== undefined && comparePaths(key, last) < 0)); key = keys[++from]) {
          yield { key, versions: versionsOf(found.get(key) ?? []) }
          found.delete(key)
        }
        idle = rows.length > 0 ? 0 : idle + 1
      }
    }
  }

  async isThere(key: string, pin: string, spend: Spend, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#asked('storage.objects.get', spend, signal, (counter) => this.#bucket.get(key, counter, signal, pin.slice('generation:'.length)))
      return true
    } catch (error) {
      if ((error as Error).cause instanceof Refusal && ((error as Error).cause as Refusal).status === 404) return false
      throw error
    }
  }

  async close(): Promise<void> {
    this.#bucket.close()
  }

  async #asked<T>(permission: string, spend: Spend, signal: AbortSignal, ask: (counter: Counter) => Promise<T>): Promise<T> {
    const counter = { requests: 0 }
    await spend(1)
    try {
      return await ask(counter)
    } catch (error) {
      signal.throwIfAborted()
      throw gcsFailure(error, this.#place, permission)
    } finally {
      if (counter.requests > 1) await spend(counter.requests - 1)
    }
  }
}

/** Newest first. Nothing marks a deletion here: where the newest is no longer current, one is put in. */
function versionsOf(rows: readonly ObjectRow[]): readonly KeptVersion[] {
  const sorted = rows.toSorted((a, b) => (BigInt(a.generation) < BigInt(b.generation) ? 1 : -1))
  const versions = sorted.map((row): KeptVersion => ({ marker: false, archived: false, sizeBytes: row.sizeBytes, writtenMs: row.writtenMs ?? 0, content: listedOf(row, '').content ?? { digest: `etag:${row.etag}` } }))
  const replacedMs = sorted[0]?.replacedMs
  return replacedMs === undefined ? versions : [{ marker: true, archived: false, sizeBytes: 0, writtenMs: replacedMs }, ...versions]
}
