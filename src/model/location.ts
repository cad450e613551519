import { VarveError } from './errors.ts'

export type Scheme = 's3' | 'gs' | 'http' | 'https' | 'file'

/** Where to look. After the bucket, `s3:` and `gs:` text is the literal key; `file:` and `http:` are URIs, percent-encoded. */
export interface Location {
  readonly scheme: Scheme
  /** The endpoint of S3 or GCS when it is not the provider's own: the same bucket name elsewhere is another place. */
  readonly endpoint?: string
  /** The bucket; empty for files, `host:port` for HTTP. */
  readonly bucket: string
  /** What every key under the location begins with: empty, or ending in `/`. For files an absolute folder, decoded. Nothing lies under an HTTP location. */
  readonly prefix: string
  /** The key itself, when the text had no `/` at its end: it may name one object (`object`) or a prefix (`object/`). For HTTP path and query as they were written. */
  readonly object?: string
  /** Where its paths stand in the artifact, when it is one of several: ends in `/`. */
  readonly at?: string
}

/** Reads `s3://bucket/key`, `gs://bucket/key`, `https://host/path`, `file:///path`, or a bare path (resolved against `base`, absolute). Throws USAGE. */
export function parseLocation(text: string, base: string): Location {
  if (text === '') throw new VarveError('USAGE', 'the location is empty', { hint: 'give s3://bucket/prefix/, gs://bucket/prefix/, https://host/object or file:///folder/' })
  if (/[\0]/.test(text)) throw new VarveError('USAGE', `the location ${JSON.stringify(text)} holds a NUL character`)
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase()
  if (scheme === 's3' || scheme === 'gs') return parseBucket(scheme, text)
  if (scheme === 'http' || scheme === 'https') return parseWeb(scheme, text)
  if (scheme === 'file') return fileLocation(decodeFileUri(text))
  if (scheme !== undefined)
    throw new VarveError('USAGE', `the scheme of ${text} is not supported`, { hint: 'use s3://, gs://, https://, http:// or file://' })
  return fileLocation(text.startsWith('/') ? text : `${base.endsWith('/') ? base : `${base}/`}${text}`)
}

function parseBucket(scheme: 's3' | 'gs', text: string): Location {
  const rest = text.slice('s3://'.length)
  const slash = rest.indexOf('/')
  const bucket = slash < 0 ? rest : rest.slice(0, slash)
  const key = slash < 0 ? '' : rest.slice(slash + 1)
  if (!BUCKETS[scheme].test(bucket))
    throw new VarveError('USAGE', `${text} names no valid bucket`, { hint: `write ${scheme}://bucket/prefix/, a bucket of 3 to 63 letters, digits, dots, hyphens, underscores` })
  if (Buffer.byteLength(key) > KEY_BYTES_MOST) throw new VarveError('USAGE', `the key of ${text.slice(0, 80)}… has ${Buffer.byteLength(key)} bytes`, { hint: `no key has more than ${KEY_BYTES_MOST}` })
  if (key === '' || key.endsWith('/')) return { scheme, bucket, prefix: key }
  return { scheme, bucket, prefix: `${key}/`, object: key }
}

const KEY_BYTES_MOST = 1_024
// A bucket of GCS that is named like a domain may have 222 characters.
const BUCKETS = { s3: /^[a-zA-Z0-9][a-zA-Z0-9._-]{1,61}[a-zA-Z0-9]$/, gs: /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/ }

// What AWS, Google, CloudFront and Azure sign URLs with, and what others call their keys.
const SIGNED = /[?&](x-amz-(signature|credential|security-token)|x-goog-(signature|credential)|signature|sig|token|access_?token|api_?key|password|passwd|secret|auth)=/i

/** One object of a web server: kept as it was written, but for the case of scheme and host. */
function parseWeb(scheme: 'http' | 'https', text: string): Location {
  const [, authority = '', object = ''] = /^[^:]+:\/\/([^/?#]*)(.*)$/s.exec(text) ?? []
  const refuse = (why: string, hint: string): never => {
    throw new VarveError('USAGE', `${scheme}://${authority.replace(/^.*@/, '')}${object.replace(/[?#].*$/s, '')} ${why}`, { hint })
  }
  if (authority.includes('@')) refuse('holds a user or password', 'take it out: what is recorded is shown to everybody')
  if (!URL.canParse(`${scheme}://${authority}/`) || /[\s\p{Cc}]/u.test(authority)) refuse('names no valid host', `write ${scheme}://host/path/to/object`)
  if (object.includes('#')) refuse('holds a #, behind which no server sees anything', 'write a literal # as %23')
  if (SIGNED.test(object)) refuse('holds a signature or a key in its query', 'what is recorded is shown to everybody: name the object without it')
  if (!object.startsWith('/') || object.split('?', 1)[0]?.endsWith('/')) refuse('names no object', 'a web server cannot be listed: name each of its objects')
  if (/[\p{Cc}]/u.test(object)) refuse('holds a control character', 'write it percent-encoded')
  return { scheme, bucket: authority.toLowerCase(), prefix: `${object}/`, object }
}

function decodeFileUri(text: string): string {
  const rest = text.slice('file://'.length)
  const path = rest.startsWith('localhost/') ? rest.slice('localhost'.length) : rest
  if (!path.startsWith('/'))
    throw new VarveError('USAGE', `${text} is not a local file URI`, { hint: 'three slashes: file:///absolute/folder/' })
  if (/%2f/i.test(path)) throw new VarveError('USAGE', `${text} holds %2F`, { hint: 'no name of a file has a slash in it: write / where a folder ends' })
  if (path.includes('%00')) throw new VarveError('USAGE', `the location ${text} holds a NUL character`)
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

/** The URI of the object `key` (a full key, or an absolute path): literal for S3 and GCS, percent-encoded for files, as it was written for HTTP. */
export function formatReference(location: Location, key: string): string {
  const { scheme, bucket } = location
  if (scheme === 's3' || scheme === 'gs') return `${scheme}://${bucket}/${key}`
  if (scheme !== 'file') return `${scheme}://${bucket}${key}`
  return `file://${key.split('/').map((segment) => encodeURIComponent(segment)).join('/')}`
}

/** In words: with where each stands, when they are several. */
export function formatLocations(locations: readonly Location[]): string {
  return locations.map((location) => (location.at === undefined ? formatLocation(location) : `${formatLocation(location)} at ${location.at}`)).join(', ')
}

/** Two locations with the same text here are the same place: what a row's location id stands for. */
export function locationIdentity(location: Location): string {
  const place = `${location.endpoint ?? ''}|${formatLocation(location)}`
  return location.at === undefined ? place : `${place}|${location.at}`
}

/** Two locations with the same text here lie in one bucket (of files all do): who reaches one reaches the other. */
export function bucketIdentity({ scheme, endpoint, bucket }: Location): string {
  return JSON.stringify([scheme, endpoint, bucket])
}

/** The same of all locations of a watch. */
export function locationsIdentity(locations: readonly Location[]): string {
  const [first, ...others] = locations.map(locationIdentity)
  return first !== undefined && others.length === 0 ? first : JSON.stringify([first, ...others])
}

/** The paths of an artifact that one of its locations has for itself: a folder (`''` or ending in `/`), or one path. */
export type Area = { readonly folder: string } | { readonly path: string }

export function areaOf(location: Location): Area {
  const at = location.at ?? ''
  return isWeb(location) ? { path: at + loneName(location) } : { folder: at }
}

/** The one of `locations` that a path of the artifact belongs to; undefined when it belongs to none. */
export function locationAt(locations: readonly Location[], path: string): Location | undefined {
  if (locations.length === 1) return locations[0]
  return locations.find((location) => {
    const area = areaOf(location)
    return 'path' in area ? area.path === path : path.startsWith(area.folder)
  })
}

/** True where one path could belong to both, or be an object in one and a folder in the other, which no disk can hold. */
export function overlap(a: Area, b: Area): boolean {
  if ('path' in a && 'path' in b) return `${a.path}/`.startsWith(`${b.path}/`) || `${b.path}/`.startsWith(`${a.path}/`)
  if ('path' in a) return 'folder' in b && (a.path.startsWith(b.folder) || b.folder.startsWith(`${a.path}/`))
  return 'path' in b ? overlap(b, a) : a.folder.startsWith(b.folder) || b.folder.startsWith(a.folder)
}

/** One object of a web server, and never more. */
export function isWeb({ scheme }: Location): boolean {
  return scheme === 'http' || scheme === 'https'
}

/** The path of the one object that a location without a slash may name: its last segment, for HTTP decoded and without the query. */
export function loneName(location: Location): string {
  const object = location.object ?? ''
  if (!isWeb(location)) return baseName(object)
  const segment = baseName(object.replace(/\?.*$/s, ''))
  try {
    const decoded = decodeURIComponent(segment)
    return /[/\0]/.test(decoded) ? segment : decoded
  } catch {
    return segment
  }
}

/** The path in the artifact of the one object that a location may name. */
export function lonePath(location: Location): string {
  return (location.at ?? '') + loneName(location)
}

/** The full key of `path`. A lone object's path is its base name. */
export function keyOf(location: Location, path: string, lone: boolean): string {
  return lone && location.object !== undefined ? location.object : location.prefix + path.slice((location.at ?? '').length)
}

/** The path of `key` under the location, or undefined when the location does not cover it. A `/` is the only boundary. */
export function pathOf(location: Location, key: string): string | undefined {
  if (location.object !== undefined && key === location.object) return lonePath(location)
  return key.startsWith(location.prefix) && key.length > location.prefix.length ? (location.at ?? '') + key.slice(location.prefix.length) : undefined
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
