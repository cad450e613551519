// What a bucket still keeps of given keys, by the listing of its versions.
import { GetBucketLifecycleConfigurationCommand, GetBucketVersioningCommand, HeadObjectCommand } from '@aws-sdk/client-s3'
import type { S3Client } from '@aws-sdk/client-s3'
import { VarveError } from '../../model/errors.ts'
import type { Expiry, Terms } from '../../model/lifecycle.ts'
import { comparePaths, formatLocation } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import type { S3Access } from '../../model/watch.ts'
import { commonPrefix } from '../some.ts'
import type { Inventory, KeptVersion, Spend } from '../storage.ts'
import { Bucket } from './bucket.ts'
import type { Cursor } from './bucket.ts'
import { connectS3 } from './config.ts'
import { awsFailure, isRefused, statusOf } from './failures.ts'
import { expiriesOf } from './lifecycle.ts'
import { pinOf } from './list.ts'
import type { Page, PageRow } from './page.ts'
import { FROZEN } from './reader.ts'

// So many pages in a row without any wanted key: asking for each key by itself costs no more.
const IDLE_PAGES = 2

/** Opens the bucket of `location`. Asks it nothing yet. Throws USAGE when no region is known. */
export async function openS3Inventory(location: Location, access: S3Access): Promise<Inventory> {
  const place = formatLocation({ ...location, prefix: '' })
  const client = await connectS3(place, access)
  return new S3Inventory(client, location.bucket, place)
}

class S3Inventory implements Inventory {
  readonly #client: S3Client
  readonly #name: string
  readonly #bucket: Bucket
  readonly #place: string

  constructor(client: S3Client, name: string, place: string) {
    this.#client = client
    this.#name = name
    this.#bucket = new Bucket(client, name)
    this.#place = place
  }

  async terms(spend: Spend, signal: AbortSignal): Promise<Terms> {
    const notes: string[] = []
    const unread = (error: unknown, what: string, permission: string): undefined => {
      signal.throwIfAborted()
      if (!isRefused(error)) throw awsFailure(error, this.#place, permission)
      const why = statusOf(error) === 403 ? `${permission} is not allowed` : 'the store does not tell'
      notes.push(`${what} of ${this.#place} could not be read: ${why}`)
      return undefined
    }
    const state = await this.#asked(spend, () => this.#client.send(new GetBucketVersioningCommand({ Bucket: this.#name }), { abortSignal: signal }))
      .catch((error: unknown) => unread(error, 'whether older versions are kept', 's3:GetBucketVersioning'))
    const expiries = await this.#asked(spend, () => this.#client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: this.#name }), { abortSignal: signal }))
      .then(({ Rules }) => expiriesOf(Rules ?? []), (error: unknown): readonly Expiry[] => {
        if ((error as Error).name === 'NoSuchLifecycleConfiguration') return []
        return unread(error, 'the lifecycle rules', 's3:GetLifecycleConfiguration') ?? []
      })
    return { expiries, notes, ...(state !== undefined && { keepsVersions: state.Status === 'Enabled' }) }
  }

  async *kept(keys: readonly string[], spend: Spend, signal: AbortSignal): AsyncGenerator<{ readonly key: string; readonly versions: readonly KeptVersion[] }> {
    const [first] = keys
    if (first === undefined) return
    yield { key: first, versions: await this.#one(first, spend, signal) }
    const shared = commonPrefix(keys)
    let from = 1
    let idle = 0
    const found = new Map<string, PageRow[]>()
    // All keys behind the first, page by page, as long as that brings what is wanted.
    for (let cursor: Cursor | undefined = { next: first }; cursor !== undefined && from < keys.length && idle < IDLE_PAGES; ) {
      const page: Page = await this.#page(shared, cursor, spend, signal)
      const wanted = new Set(keys.slice(from))
      const rows = page.rows.filter(({ key }) => wanted.has(key))
      for (const row of rows) found.set(row.key, [...(found.get(row.key) ?? []), row])
      cursor = nextOf(page, cursor)
      // Of the last key of a page the next may tell more. It is read from the rows: in the markers of MinIO there is more than a key.
      const last = page.rows.reduce((most, { key }) => (comparePaths(most, key) < 0 ? key : most), '')
      for (let key = keys[from]; key !== undefined && (cursor === undefined || comparePaths(key, last) < 0); key = keys[++from]) {
        yield { key, versions: versionsOf(found.get(key) ?? []) }
        found.delete(key)
      }
      idle = rows.length > 0 ? 0 : idle + 1
    }
    for (const key of keys.slice(from)) yield { key, versions: await this.#one(key, spend, signal) }
  }

  async isThere(key: string, pin: string, spend: Spend, signal: AbortSignal): Promise<boolean> {
    const VersionId = pin.slice('versionId:'.length)
    try {
      await this.#asked(spend, () => this.#client.send(new HeadObjectCommand({ Bucket: this.#name, Key: key, VersionId }), { abortSignal: signal }))
      return true
    } catch (error) {
      signal.throwIfAborted()
      // 400: MinIO, of a version that cannot be one; 405: it is a delete marker.
      const status = statusOf(error)
      if (status === 404 || status === 405 || status === 400) return false
      throw awsFailure(error, this.#place, 's3:GetObjectVersion')
    }
  }

  async close(): Promise<void> {
    this.#client.destroy()
  }

  /** Keys that only begin so come after it. */
  async #one(key: string, spend: Spend, signal: AbortSignal): Promise<readonly KeptVersion[]> {
    const rows: PageRow[] = []
    for (let cursor: Cursor | undefined = {}; cursor !== undefined; ) {
      const page: Page = await this.#page(key, cursor, spend, signal)
      rows.push(...page.rows.filter((row) => row.key === key))
      cursor = page.rows.every((row) => row.key === key) ? nextOf(page, cursor) : undefined
    }
    return versionsOf(rows)
  }

  async #page(prefix: string, cursor: Cursor, spend: Spend, signal: AbortSignal): Promise<Page> {
    const counter = { requests: 0 }
    await spend(1)
    try {
      return await this.#bucket.versions(prefix, cursor, counter, signal)
    } catch (error) {
      signal.throwIfAborted()
      throw awsFailure(error, this.#place, 's3:ListBucketVersions')
    } finally {
      if (counter.requests > 1) await spend(counter.requests - 1)
    }
  }

  /** The SDK tries again by itself: each try is a request. */
  async #asked<T extends { readonly $metadata: { readonly attempts?: number | undefined } }>(spend: Spend, ask: () => Promise<T>): Promise<T> {
    await spend(1)
    const answer = await ask()
    const again = (answer.$metadata.attempts ?? 1) - 1
    if (again > 0) await spend(again)
    return answer
  }
}

function nextOf({ next, nextVersion, truncated }: Page, before: Cursor): Cursor | undefined {
  if (!truncated) return undefined
  if (next === undefined || (next === before.next && nextVersion === before.nextVersion)) throw new VarveError('STORAGE_INVALID', 'the listing of versions says that more follows, and does not go on')
  return { next, ...(nextVersion !== undefined && { nextVersion }) }
}

/** Newest first, each once: some stores write delete markers apart, and some repeat the last row of a page on the next. */
function versionsOf(rows: readonly PageRow[]): readonly KeptVersion[] {
  const once = [...new Map(rows.map((row) => [row.versionId, row])).values()]
  const aged = once.map((row) => ({ row, writtenMs: Date.parse(row.lastModified) }))
  aged.sort((a, b) => Number(b.row.latest) - Number(a.row.latest) || b.writtenMs - a.writtenMs)
  return aged.map(({ row: { etag, marker, restored, sizeBytes, storageClass = '', versionId }, writtenMs }) => {
    const content = marker ? {} : { content: { digest: `etag:${etag}`, etag, ...pinOf(versionId) } }
    return { marker, sizeBytes, writtenMs, archived: FROZEN.has(storageClass) && !restored, ...content }
  })
}
