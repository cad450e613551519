import { VarveError } from './errors.ts'

export type Scheme = 's3' | 'file'

/** Where to look. After the bucket, `s3:` text is the literal key; `file:` is a URI, percent-encoded. */
export interface Location {
  readonly scheme: Scheme
  /** The S3 endpoint when it is not AWS's own: the same bucket name elsewhere is another place. */
  readonly endpoint?: string
  /** The bucket; empty for files. */
  readonly bucket: string
  /** What every key under the location begins with: empty, or ending in `/`. For files an absolute folder, decoded. */
  readonly prefix: string
  /** The key itself, when the text had no `/` at its end: it may name one object (`object`) or a prefix (`object/`). */
  readonly object?: string
}

/** Reads `s3://bucket/key`, `file:///path`, or a bare path (resolved against `base`, absolute). Throws USAGE. */
export function parseLocation(text: string, base: string): Location {
  if (text === '') throw new VarveError('USAGE', 'the location is empty', { hint: 'give s3://bucket/prefix/ or file:///folder/' })
  if (/[\0]/.test(text)) throw new VarveError('USAGE', `the location ${JSON.stringify(text)} holds a NUL character`)
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase()
  if (scheme === 's3') return parseS3(text)
  if (scheme === 'file') return fileLocation(decodeFileUri(text))
  if (scheme !== undefined)
    throw new VarveError('USAGE', `the scheme of ${text} is not supported`, { hint: 'use s3:// or file://' })
  return fileLocation(text.startsWith('/') ? text : `${base.endsWith('/') ? base : `${base}/`}${text}`)
}

function parseS3(text: string): Location {
  const rest = text.slice('s3://'.length)
  const slash = rest.indexOf('/')
  const bucket = slash < 0 ? rest : rest.slice(0, slash)
  const key = slash < 0 ? '' : rest.slice(slash + 1)
  if (!/^[a-zA-Z0-9][a-zA-Z0-9._-]{1,61}[a-zA-Z0-9]$/.test(bucket))
    throw new VarveError('USAGE', `${text} names no valid bucket`, { hint: 'write s3://bucket/prefix/, a bucket of 3 to 63 letters, digits, dots, hyphens, underscores' })
  if (key === '' || key.endsWith('/')) return { scheme: 's3', bucket, prefix: key }
  return { scheme: 's3', bucket, prefix: `${key}/`, object: key }
}

function decodeFileUri(text: string): string {
  const rest = text.slice('file://'.length)
  const path = rest.startsWith('localhost/') ? rest.slice('localhost'.length) : rest
  if (!path.startsWith('/'))
    throw new VarveError('USAGE', `${text} is not a local file URI`, { hint: 'three slashes: file:///absolute/folder/' })
  try {
    return decodeURIComponent(path)
  } catch {
    throw new VarveError('USAGE', `${text} holds a broken percent sequence`, { hint: 'write a literal % as %25' })
  }
}

function fileLocation(path: string): Location {
  const segments: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '' || segment === '.') continue
    if (segment === '..') segments.pop()
    else segments.push(segment)
  }
  const whole = `/${segments.join('/')}`
  if (whole === '/') return { scheme: 'file', bucket: '', prefix: '/' }
  if (/(^|\/)\.{0,2}$/.test(path)) return { scheme: 'file', bucket: '', prefix: `${whole}/` }
  return { scheme: 'file', bucket: '', prefix: `${whole}/`, object: whole }
}

/** The text that `parseLocation` reads back to the same location (the endpoint apart). */
export function formatLocation(location: Location): string {
  return formatReference(location, location.object ?? location.prefix)
}

/** The URI of the object `key` (a full key, or an absolute path): literal for S3, percent-encoded for files. */
export function formatReference(location: Location, key: string): string {
  if (location.scheme === 's3') return `s3://${location.bucket}/${key}`
  return `file://${key.split('/').map((segment) => encodeURIComponent(segment)).join('/')}`
}

/** Two locations with the same text here are the same place: what a row's location id stands for. */
export function locationIdentity(location: Location): string {
  return `${location.endpoint ?? ''}|${formatLocation(location)}`
}

/** The full key of `path`. A lone object's path is its base name. */
export function keyOf(location: Location, path: string, lone: boolean): string {
  return lone && location.object !== undefined ? location.object : location.prefix + path
}

/** The path of `key` under the location, or undefined when the location does not cover it. A `/` is the only boundary. */
export function pathOf(location: Location, key: string): string | undefined {
  if (location.object !== undefined && key === location.object) return baseName(key)
  return key.startsWith(location.prefix) && key.length > location.prefix.length ? key.slice(location.prefix.length) : undefined
}

/** True when one of the two lies within the other, or they are the same. */
export function overlaps(location: Location, bucket: string, prefix: string): boolean {
  return location.bucket === bucket && (prefix.startsWith(location.prefix) || location.prefix.startsWith(prefix))
}

/** What follows the last `/`. */
export function baseName(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1)
}

/** The folder part of a path, with its `/`; empty at the root. */
export function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1)
}

/** Orders as the UTF-8 bytes do (S3, SQLite, the wandb digest); JavaScript's `<` orders UTF-16 units, which differs. */
export function comparePaths(a: string, b: string): number {
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return order(x) - order(y)
  }
  return a.length - b.length
}

/** Surrogates (D800–DFFF) stand for code points above FFFF: they go after E000–FFFF. */
function order(unit: number): number {
  if (unit < 0xd800) return unit
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}
