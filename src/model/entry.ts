/**
 * What is known of an object's content. `digest` is what a stock wandb client compares: `etag:â¦` (S3, GCS, HTTP) or `md5:â¦` (files, base64). Of a web object without a
 * strong ETag it is `md5:â¦` of bytes that were read, or `modified:` and the time; that client compares its `etag`, or, where there is none, the URL.
 */
export interface Content {
  readonly digest: string
  /** What stands for the bytes where the digest moves with more than them (the etag of GCS, with metadata): `md5:…`, `crc32c:…` or `generation:…`. */
  readonly identity?: string
  readonly etag?: string
  /** What fetches exactly these bytes: `versionId:…`, `generation:…`. */
  readonly pin?: string
  /** Full-object checksums by algorithm (`crc32c`, `crc64nvme`, `sha256`…), as the store writes them. Composite ones do not count. */
  readonly checksums?: Readonly<Record<string, string>>
}

/** One object as a listing, a HEAD or a stat shows it. */
export interface Listed {
  /** Relative to the location. */
  readonly path: string
  readonly sizeBytes: number
  /** Opaque. The same text at the same path means: not touched since. Absent while that cannot be promised (racy). */
  readonly fingerprint?: string
  /** Absent where only `Store.inspect` can tell (files: the bytes must be read; S3 by V2 on a versioned bucket: a HEAD). */
  readonly content?: Content
}

/** A recorded entry of a version: a row that is valid for a range of versions. */
export interface Row {
  readonly path: string
  readonly sizeBytes: number
  readonly content: Content
  /** What the set digest counts: `identityOf` the content that the row was made with. It stays when the same bytes get another ETag. */
  readonly identity: string
  /** A newer object version with the same bytes: the second place to restore from. */
  readonly latestPin?: string
  readonly fingerprint?: string
  /** False when the row was recorded from another location than the one now looked at. */
  readonly here: boolean
}

/** Something under the prefix that is no entry, and why. */
export interface Skip {
  readonly path: string
  readonly reason: SkipReason
}

export type SkipReason =
  | 'unreadable' | 'unreadable-directory' | 'symlink-directory' | 'dangling-symlink' | 'loop'
  | 'fifo' | 'socket' | 'device' | 'not-utf8' | 'left-out' | 'folder-marker' | 'too-long'

/** What unreadable things do to a look: `fail` records nothing at all, `skip` names them in the certificate. */
export function isUnreadable(skip: Skip): boolean {
  return skip.reason === 'unreadable' || skip.reason === 'unreadable-directory'
}

/** The identity text of new content. */
export function identityOf(content: Content, sizeBytes: number): string {
  return `${content.identity ?? content.digest} ${sizeBytes}`
}

/** Same content: a full-object checksum that both carry agrees, and the size; with none in common, digest and size, or the identity that the row was made with. */
export function sameContent(row: Row, content: Content, sizeBytes: number): boolean {
  if (row.sizeBytes !== sizeBytes) return false
  for (const [algorithm, value] of Object.entries(content.checksums ?? {})) {
    const known = row.content.checksums?.[algorithm]
    if (known !== undefined) return known === value
  }
  return row.content.digest === content.digest || row.identity === identityOf(content, sizeBytes)
}

/** True when a checksum, if only it were asked for, could show that the bytes are the same although the ETag moved. */
export function mayBeSame(row: Row, listed: Listed): boolean {
  return row.sizeBytes === listed.sizeBytes && row.content.checksums !== undefined && listed.content?.checksums === undefined
}
