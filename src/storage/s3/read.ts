import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3'
import { VarveError } from '../../model/errors.ts'
import { formatReference, keyOf } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import type { Counter } from '../bucket-store.ts'
import { someAtOnce } from '../some.ts'
import type { Found } from '../storage.ts'
import type { Bucket } from './bucket.ts'
import { awsFailure, isMarked, statusOf } from './failures.ts'
import { fingerprintOf, isFolderMarker, pinOf } from './list.ts'

// A HEAD takes some 15 ms: 16 at once are about a thousand a second, a fifth of what S3 grants a prefix.
const HEADS_AT_ONCE = 16

/** Asks for each of `paths` under the prefix by name, some at once; yields in their order. */
export function headAll(bucket: Bucket, location: Location, paths: readonly string[], signal: AbortSignal): AsyncGenerator<Found> {
  return someAtOnce(paths, HEADS_AT_ONCE, (path, either) => headOne(bucket, location, path, false, either), signal)
}

/**
 * The whole truth about the object at `path`. `lone`: about the one that the location itself names, whose path is its base name. Throws
 * LOCATION_DENIED where it may not be read, rather than call it absent.
 */
export async function headOne(bucket: Bucket, location: Location, path: string, lone: boolean, signal: AbortSignal): Promise<Found> {
  const key = keyOf(location, path, lone)
  const reference = formatReference(location, key)
  let head: HeadObjectCommandOutput
  try {
    head = await withChecksums(bucket, key, signal)
  } catch (error) {
    signal.throwIfAborted()
    const status = statusOf(error)
    // 405: the key's present state is a delete marker.
    if (status === 404 || status === 405) return { kind: 'absent', path, ...(isMarked(error) && { marked: true }) }
    if (status !== 400 && status !== 403) throw awsFailure(error, reference, 's3:GetObject')
    await explain(bucket, location, reference, signal)
    if (status === 403) throw awsFailure(error, reference, 's3:GetObject')
    // The listing is allowed and the request well made: this object alone cannot be read (a key of the customer's own encrypts it).
    return { kind: 'skipped', skip: { path, reason: 'unreadable' } }
  }
  return foundOf(head, path, reference)
}

/** What has this key, or had it; undefined where nothing has, or nobody says. */
export async function whatIsAt(bucket: Bucket, key: string, signal: AbortSignal): Promise<'object' | 'deleted object' | undefined> {
  try {
    await bucket.head(key, false, signal)
    return 'object'
  } catch (error) {
    signal.throwIfAborted()
    return isMarked(error) ? 'deleted object' : undefined
  }
}

/** Where encryption keys may not be used, a HEAD that asks for checksums is denied while a plain one is not. */
export async function withChecksums(bucket: Bucket, key: string, signal: AbortSignal): Promise<HeadObjectCommandOutput> {
  try {
    return await bucket.head(key, true, signal)
  } catch (error) {
    if (statusOf(error) !== 403) throw error
    return bucket.head(key, false, signal)
  }
}

/** The answer to a HEAD has no body, so it cannot say why; a listing does. Throws what that says; answers whether anything lies under the prefix when nothing is wrong with the bucket. */
export async function explain(bucket: Bucket, location: Location, place: string, signal: AbortSignal, counter: Counter = { requests: 0 }): Promise<boolean> {
  try {
    return (await bucket.objects(location.prefix, {}, counter, signal, 1)).rows.length > 0
  } catch (error) {
    signal.throwIfAborted()
    throw awsFailure(error, place, 's3:ListBucket')
  }
}

function foundOf(head: HeadObjectCommandOutput, path: string, reference: string): Found {
  const sizeBytes = head.ContentLength ?? 0
  if (isFolderMarker(path, sizeBytes)) return { kind: 'skipped', skip: { path, reason: 'folder-marker' } }
  const etag = (head.ETag ?? '').replaceAll('"', '')
  if (etag === '' || head.LastModified === undefined) throw new VarveError('STORAGE_INVALID', `${reference}: the store shows no ETag or no time`)
  const checksums = checksumsOf(head, etag)
  const content = { digest: `etag:${etag}`, etag, ...pinOf(head.VersionId), ...(checksums === undefined ? {} : { checksums }) }
  return { kind: 'entry', listed: { path, sizeBytes, fingerprint: fingerprintOf(head.LastModified.toISOString(), etag), content } }
}

type Summed = Pick<HeadObjectCommandOutput, 'ChecksumType' | 'ChecksumCRC32' | 'ChecksumCRC32C' | 'ChecksumCRC64NVME' | 'ChecksumSHA1' | 'ChecksumSHA256'>

/**
 * Checksums over the whole object. Those over parts say as little of the content as a multipart ETag; a store that tells no type has them over
 * parts only there.
 */
export function checksumsOf(head: Summed, etag: string): Record<string, string> | undefined {
  if (head.ChecksumType === undefined ? etag.includes('-') : head.ChecksumType !== 'FULL_OBJECT') return undefined
  const known = {
    crc32: head.ChecksumCRC32,
    crc32c: head.ChecksumCRC32C,
    crc64nvme: head.ChecksumCRC64NVME,
    sha1: head.ChecksumSHA1,
    sha256: head.ChecksumSHA256,
  }
  const present = Object.entries(known).filter((pair): pair is [string, string] => pair[1] !== undefined)
  return present.length === 0 ? undefined : Object.fromEntries(present)
}
