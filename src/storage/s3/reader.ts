import type { GetObjectCommandOutput, HeadObjectCommandOutput } from '@aws-sdk/client-s3'
import type { Content } from '../../model/entry.ts'
import { isFailure, VarveError } from '../../model/errors.ts'
import { formatLocation, formatReference } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import type { S3Access } from '../../model/watch.ts'
import { bytesOf, partOfWhole, rangeHeader, shownRange } from '../body.ts'
import { someAtOnce } from '../some.ts'
import { standingOf } from '../standing.ts'
import type { Shown } from '../standing.ts'
import type { Bytes, Held, Reader, Standing, Wanted } from '../storage.ts'
import { Bucket } from './bucket.ts'
import type { Which } from './bucket.ts'
import { connectS3, forBodies } from './config.ts'
import { awsFailure, isRefused, openFailure, statusOf } from './failures.ts'
import { pinOf } from './list.ts'
import type { PageRow } from './page.ts'
import { checksumsOf, explain, withChecksums } from './read.ts'

const PAGE = 1_000
// Few keys have more versions than this, and what follows belongs to longer keys.
const VERSIONS_PAGE = 100
// As S3 has it.
const PARTS_MOST = 10_000
// A HEAD takes some 15 ms.
const PARTS_AT_ONCE = 16
// Classes whose bytes must be thawed. All others answer at once, tiers of MinIO and of Ceph among them.
export const FROZEN: ReadonlySet<string> = new Set(['GLACIER', 'DEEP_ARCHIVE'])
// Only a HEAD tells whether its object lies in an archive tier.
const TIERING = 'INTELLIGENT_TIERING'

/** Opens the bytes of a bucket of S3, or of what speaks S3. Asks it nothing yet. Throws USAGE when no region is known. */
export async function openS3Reader(location: Location, access: S3Access, silentMs?: number): Promise<Reader> {
  const place = formatLocation(location)
  const bucket = new Bucket(await connectS3(place, access), location.bucket)
  return new S3Reader(location, bucket, new Bucket(await connectS3(place, access, forBodies()), location.bucket), silentMs)
}

class S3Reader implements Reader {
  readonly #location: Location
  readonly #bucket: Bucket
  readonly #bodies: Bucket
  readonly #silentMs: number | undefined
  /** It was allowed to be listed: what is absent is so within a bucket that is there. */
  #there = false

  constructor(location: Location, bucket: Bucket, bodies: Bucket, silentMs: number | undefined) {
    this.#location = location
    this.#bucket = bucket
    this.#bodies = bodies
    this.#silentMs = silentMs
  }

  standing(keys: readonly string[], signal: AbortSignal): AsyncIterable<Standing> {
    return standingOf(keys, { page: (prefix, after, either) => this.#page(prefix, after, either), one: (key, either) => this.#one(key, either) }, signal)
  }

  async versions(key: string, signal: AbortSignal): Promise<readonly Held[]> {
    const rows = await this.#rowsOf(key, signal)
    // Some hide what lies under `p/` while `p` has versions, and where versions may not be listed there may still be an object.
    if (rows.length === 0) {
      const { held, failed } = await this.#one(key, signal)
      if (failed !== undefined) throw failed
      return held === undefined ? [] : [held]
    }
    const held: Held[] = []
    for (const row of rows) held.push(row.storageClass === TIERING ? await this.#tiered(row, signal) : heldOf(row))
    return held
  }

  async open(key: string, wanted: Wanted, signal: AbortSignal): Promise<Bytes> {
    const { range } = wanted
    const place = formatReference(this.#location, key)
    const which = whichOf(wanted)
    let answer: Awaited<ReturnType<Bucket['get']>>
    try {
      answer = await this.#bodies.get(key, { ...which, ...(range !== undefined && range.from < range.upTo && { Range: rangeHeader(range) }) }, signal)
    } catch (error) {
      signal.throwIfAborted()
      throw openFailure(error, place, wanted.pin !== undefined)
    }
    const body = answer.Body
    try {
      const shown = shownRange(answer.ContentRange, range, place)
      const sizeBytes = shown?.sizeBytes ?? answer.ContentLength
      if (sizeBytes === undefined) throw new VarveError('STORAGE_INVALID', `${place}: the store tells no length`, { hint: 'the store is at fault' })
      const content = contentOf(answer, place)
      // Stores that know no conditions answer whatever stands there.
      if (wanted.etag !== undefined && content.etag !== wanted.etag) throw new VarveError('OVERTAKEN', `${place} is not what was planned to be read: its ETag is ${content.etag}`)
      const part = shown?.part ?? partOfWhole(sizeBytes, range, place)
      return {
        sizeBytes, content, opaque: isOpaque(answer),
        bytes: bytesOf(body, part, place, (error) => awsFailure(error, place, 's3:GetObject'), signal, this.#silentMs),
        ...(content.etag?.includes('-') === true && { partBytes: (either: AbortSignal, each: boolean) => this.#partBytes(key, { ...which, IfMatch: `"${content.etag}"` }, { sizeBytes, etag: content.etag as string }, either, each) }),
      }
    } catch (error) {
      body.on('error', () => undefined).destroy()
      throw error
    }
  }

  async close(): Promise<void> {
    this.#bucket.close()
    this.#bodies.close()
  }

  async #page(prefix: string, after: string, signal: AbortSignal): Promise<Shown | undefined> {
    try {
      const { rows, truncated } = await this.#bucket.objects(prefix, {}, { requests: 0 }, signal, PAGE, { after, restored: true })
      this.#there = true
      const shown = rows.filter(({ garbled }) => !garbled)
      // Of what may lie in an archive tier a listing does not tell enough.
      const held = new Map(shown.filter(({ storageClass }) => storageClass !== TIERING).map((row) => [row.key, heldOf(row)]))
      return truncated ? { rows: held, edge: shown.at(-1)?.key ?? after } : { rows: held }
    } catch (error) {
      signal.throwIfAborted()
      if (isRefused(error)) return undefined
      throw awsFailure(error, formatReference(this.#location, prefix), 's3:ListBucket')
    }
  }

  async #one(key: string, signal: AbortSignal): Promise<Standing> {
    const place = formatReference(this.#location, key)
    try {
      return { key, held: headOf(await withChecksums(this.#bucket, key, signal), place) }
    } catch (error) {
      signal.throwIfAborted()
      const status = statusOf(error)
      const absent = status === 404 || status === 405
      if (!absent && status !== 400 && status !== 403) throw awsFailure(error, place, 's3:GetObject')
      // A HEAD says 404 for a missing bucket, too, and of a refusal it cannot say why.
      if (!this.#there || !absent) await explain(this.#bucket, this.#location, place, signal)
      this.#there = true
      return absent ? { key } : { key, failed: openFailure(error, place, false) }
    }
  }

  /** The versions of the key, newest first; none where they cannot be listed. */
  async #rowsOf(key: string, signal: AbortSignal): Promise<readonly PageRow[]> {
    const met: PageRow[] = []
    let cursor = {}
    const asked = new Set<string>()
    for (;;) {
      try {
        const page = await this.#bucket.versions(key, cursor, { requests: 0 }, signal, VERSIONS_PAGE, { restored: true })
        this.#there = true
        // Markers may stand apart from versions, so that only a version of another key shows that this one is passed.
        const rows = page.rows.filter(({ marker }) => !marker)
        met.push(...rows.filter((row) => row.key === key && !row.garbled))
        const { next, nextVersion } = page
        const at = JSON.stringify([next, nextVersion])
        if (!page.truncated || next === undefined || next !== key || rows.some((row) => row.key !== key) || asked.has(at)) break
        asked.add(at)
        cursor = { next, ...(nextVersion !== undefined && { nextVersion }) }
      } catch (error) {
        signal.throwIfAborted()
        if (isRefused(error)) return []
        throw awsFailure(error, formatReference(this.#location, key), 's3:ListBucketVersions')
      }
    }
    return met.sort((a, b) => Number(b.latest) - Number(a.latest))
  }

  async #tiered(row: PageRow, signal: AbortSignal): Promise<Held> {
    const place = formatReference(this.#location, row.key)
    const head = await this.#bucket.head(row.key, false, signal, row.versionId === undefined ? {} : { VersionId: row.versionId }).catch((error: unknown) => {
      signal.throwIfAborted()
      throw openFailure(error, place, true)
    })
    const archived = archivedOf(head)
    return { ...heldOf(row), ...(archived !== undefined && { archived }) }
  }

  /** As `Bytes.partBytes`. */
  async #partBytes(key: string, which: Which, { sizeBytes, etag }: { readonly sizeBytes: number; readonly etag: string }, signal: AbortSignal, each: boolean): Promise<readonly number[] | undefined> {
    const count = Number(etag.slice(etag.indexOf('-') + 1))
    const tell = async (PartNumber: number, either: AbortSignal): Promise<number | undefined> => {
      const head = await this.#bucket.head(key, false, either, { ...which, PartNumber })
      return head.ETag?.replaceAll('"', '') === etag && (head.PartsCount ?? count) === count ? head.ContentLength : undefined
    }
    try {
      const first = (await tell(1, signal)) ?? 0
      // The whole, whatever the number, tells nothing.
      if (first === 0 || count > PARTS_MOST || (first >= sizeBytes && count > 1)) return undefined
      const last = sizeBytes - (count - 1) * first
      const alike = last > 0 && last <= first
      if (alike && (count <= 2 || (!each && (await tell(count, signal)) === last))) return [first]
      const sizes = [first]
      let total = first
      for await (const size of someAtOnce(Array.from({ length: count - 1 }, (_, at) => at + 2), PARTS_AT_ONCE, tell, signal)) {
        if (size === undefined || (total += size) > sizeBytes) return undefined
        sizes.push(size)
      }
      if (total !== sizeBytes) return undefined
      return alike && sizes.every((size, at) => size === first || at === count - 1) ? [first] : sizes
    } catch (error) {
      signal.throwIfAborted()
      const failure = openFailure(error, formatReference(this.#location, key), which.VersionId !== undefined)
      // It knows no parts, and says so in its own way.
      if (isFailure(failure, 'STORAGE_UNAVAILABLE') && ![400, 501].includes(statusOf(error) ?? 0)) throw failure
      return undefined
    }
  }
}

function whichOf({ pin, etag }: Wanted): { VersionId?: string; IfMatch?: string } {
  return { ...(pin !== undefined && { VersionId: pin.replace(/^versionId:/, '') }), ...(etag !== undefined && { IfMatch: `"${etag}"` }) }
}

function heldOf({ sizeBytes, etag, versionId, latest, storageClass, restored }: PageRow): Held {
  // What was written without versions is named `null` when it is no more the current one.
  const pin = latest ? pinOf(versionId) : { pin: `versionId:${versionId}` }
  const archived = storageClass !== undefined && FROZEN.has(storageClass) && !restored
  return { sizeBytes, content: { digest: `etag:${etag}`, etag, ...pin }, current: latest, ...(archived && { archived: storageClass }) }
}

function headOf(head: HeadObjectCommandOutput, place: string): Held {
  const archived = archivedOf(head)
  return { sizeBytes: head.ContentLength ?? 0, content: contentOf(head, place), current: true, ...(archived !== undefined && { archived }) }
}

/** The class, or the archive tier, whose bytes are not at hand. */
function archivedOf({ StorageClass: storageClass, ArchiveStatus: tier, Restore: restored = '' }: HeadObjectCommandOutput): string | undefined {
  if (/ongoing-request="false"/.test(restored)) return undefined
  if (tier !== undefined) return tier
  return storageClass !== undefined && FROZEN.has(storageClass) ? storageClass : undefined
}

type Told = HeadObjectCommandOutput | GetObjectCommandOutput

function contentOf(told: Told, place: string): Content {
  const etag = (told.ETag ?? '').replaceAll('"', '')
  if (etag === '') throw new VarveError('STORAGE_INVALID', `${place}: the store shows no ETag`, { hint: 'the store is at fault' })
  const checksums = 'ContentRange' in told && told.ContentRange !== undefined ? undefined : checksumsOf(told, etag)
  return { digest: `etag:${etag}`, etag, ...pinOf(told.VersionId), ...(checksums !== undefined && { checksums }) }
}

/** The ETag is an MD5 of what the store keeps, which it has encrypted. */
function isOpaque({ ServerSideEncryption: encryption, SSECustomerAlgorithm: own }: GetObjectCommandOutput): boolean {
  return own !== undefined || (encryption !== undefined && encryption !== 'AES256')
}
