// The manifest that a stock wandb client reads: its digests are what its own handlers would have recorded (wandb 0.30: storage_handlers/*, artifact_manifest_v1).
import { splitDigest } from './entry.ts'
import type { EntryView } from './version.ts'

/** What stands before the entries; after them stands `MANIFEST_END`. */
export const MANIFEST_BEGIN = '{"version":1,"storagePolicy":"wandb-storage-policy-v1","storagePolicyConfig":{"storageLayout":"V2"},"contents":{'
export const MANIFEST_END = '}}'

/** One entry, a reference. `extra` is never null: the client takes that for an error. */
export interface ManifestEntry {
  readonly digest: string
  readonly ref: string
  readonly size: number
  readonly extra?: { readonly etag?: string; readonly versionID?: string | number }
}

export function manifestEntry({ reference, sizeBytes, digest, etag, pin }: EntryView): ManifestEntry {
  const { value } = splitDigest(digest)
  const pinned = pin === undefined ? undefined : splitDigest(pin).value
  const entry = { digest: value, ref: reference, size: sizeBytes }
  if (reference.startsWith('file:')) return entry
  // A generation is a JSON number there; all of them are below 2^53 (microseconds since 1970).
  if (reference.startsWith('gs:')) return { ...entry, extra: { ...(etag !== undefined && { etag }), ...(pinned !== undefined && { versionID: Number(pinned) }) } }
  if (reference.startsWith('s3:')) return { ...entry, extra: { etag: etag ?? value, ...(pinned !== undefined && { versionID: pinned }) } }
  // The ETag of a web server: kept here without its quotes, of a weak one without the last.
  if (etag === undefined) return { ...entry, digest: reference }
  return { ...entry, digest: etag, extra: { etag: /^w\//i.test(etag) ? `${etag}"` : `"${etag}"` } }
}

/** False for a reference that the client cuts at the `#` or `?` of its key, and so cannot fetch. */
export function isFetchable({ reference }: EntryView): boolean {
  return !/^(s3|gs):.*[#?]/s.test(reference)
}
