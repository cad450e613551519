// Sources: the S3 user guide ("Event message structure", "EventBridge event message structure"), SNS message formats, and what MinIO, Ceph, versitygw and
// SeaweedFS send.
import type { Hint } from '../storage.ts'

// EventBridge in SNS in SQS is two deep; whatever is deeper was not made by S3.
const DEPTH_MOST = 3

/** Where to look; `half` where only some records are understood; `test` for the message that is sent when notifications are set up; undefined for what is no notification. */
export type Told = readonly Hint[] | Half | 'test' | undefined

/** What is understood of a message that stays with its sender for the rest. */
export interface Half {
  readonly half: readonly Hint[]
}

/** What of a message is to be marked, and whether that is all of it. */
export function heardOf(told: Told): { readonly hints: readonly Hint[]; readonly whole: boolean } {
  if (told === undefined) return { hints: [], whole: false }
  if (told === 'test') return { hints: [], whole: true }
  return 'half' in told ? { hints: told.half, whole: false } : { hints: told, whole: true }
}

/** How S3 tells where an object is, in one dress of its messages. */
interface Dress {
  /** The keys that the key of a record may mean. */
  keys(key: string, bucket: string, message: Message): readonly string[]
  /** True where a record may be about the bucket itself. */
  readonly keyless: boolean
}

type Message = Readonly<Record<string, unknown>>

/**
 * Reads a message about S3 objects: S3's own (2.x) and that of stores that imitate it, EventBridge's, and either in an SNS envelope. What happened to the object
 * is not read: unknown events hint, too. Never throws.
 */
export function parseNotification(body: string): Told {
  return parse(body, AMAZON, 1)
}

/**
 * The same of what stores post: they write keys as they are, or encoded as in HTML forms, and do not say which. So both readings are hinted, since a look too many
 * is harmless and one too few is not. Never throws.
 */
export function parsePost(body: string): Told {
  return parse(body, POSTED, 1)
}

const AMAZON: Dress = { keys: (key) => [decodeForm(key) ?? key], keyless: false }

const POSTED: Dress = {
  keyless: true,
  keys(key, bucket, message) {
    const decoded = decodeForm(key) ?? key
    // MinIO encodes, and says above the records what it encoded.
    return message['Key'] === `${bucket}/${decoded}` ? [decoded] : [...new Set([decoded, key])]
  },
}

function parse(body: string, dress: Dress, depth: number): Told {
  const message = parseJson(body)
  if (!isObject(message)) return undefined
  if (Array.isArray(message['Records'])) return fromRecords(message['Records'], message, dress)
  if (message['Type'] === 'Notification' && typeof message['Message'] === 'string')
    return depth < DEPTH_MOST ? parse(message['Message'], dress, depth + 1) : undefined
  if (message['source'] === 'aws.s3') return fromEventBridge(message['detail'])
  if (dress === POSTED && typeof message['event_type'] === 'string') return fromSeaweed(message)
  return message['Event'] === 's3:TestEvent' ? 'test' : undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A record that is not understood takes nothing from the others: they are marked, and the message stays in the queue. */
function fromRecords(records: readonly unknown[], message: Message, dress: Dress): readonly Hint[] | Half | undefined {
  const read = records.map((record) => fromRecord(record, message, dress))
  const hints = read.flatMap((one) => one ?? [])
  if (read.every((one) => one !== undefined)) return hints
  return hints.length === 0 ? undefined : { half: hints }
}

function fromRecord(record: unknown, message: Message, dress: Dress): readonly Hint[] | undefined {
  if (!isObject(record) || !isObject(record['s3'])) return undefined
  // AWS asks readers to compare the major version only; the minor one has moved six times.
  const version = record['eventVersion'] ?? '2.0'
  if (typeof version !== 'string' || !/^2(\.|$)/.test(version)) return undefined
  const place = placeOf(record['s3'])
  if (place === undefined || (place.key === '' && !dress.keyless)) return undefined
  // Ceph may name a bucket with the tenant that it belongs to.
  const bucket = place.bucket.replace(/^.*[/:]/s, '')
  return place.key === '' ? [wholeOf(bucket)] : dress.keys(place.key, place.bucket, message).map((key) => hintOf(bucket, key))
}

/** AWS writes the key as it is, some imitations encode it: both are looked at, since a look too many is harmless. */
function fromEventBridge(detail: unknown): readonly Hint[] | undefined {
  const place = isObject(detail) ? placeOf(detail) : undefined
  if (place === undefined || place.key === '') return undefined
  const decoded = decodeForm(place.key) ?? place.key
  return [...new Set([place.key, decoded])].map((key) => hintOf(place.bucket, key))
}

/** SeaweedFS tells of the files that it keeps objects in: `/buckets/BUCKET/KEY`, and where they went when they were renamed. */
function fromSeaweed(message: Message): readonly Hint[] | undefined {
  const { key, message: told } = message
  if (typeof key !== 'string' || !isObject(told)) return undefined
  const { new_parent_path: folder, new_entry: entry } = told
  const moved = typeof folder === 'string' && isObject(entry) && typeof entry['name'] === 'string' ? [`${folder}/${entry['name']}`] : []
  return [...new Set([key, ...moved])].flatMap(hintsOfFile)
}

function hintsOfFile(path: string): readonly Hint[] {
  const [, bucket, key = ''] = /^\/buckets\/([^/]+)(?:\/(.*))?$/s.exec(path) ?? []
  // Parts of an upload are no objects yet.
  if (bucket === undefined || key.startsWith('.uploads/')) return []
  if (key === '') return [wholeOf(bucket)]
  // In a versioned bucket an object is a folder of its versions.
  const object = /^(.+)\.versions(\/[^/]+)?$/s.exec(key)?.[1]
  return [key, ...(object === undefined ? [] : [object])].map((one) => hintOf(bucket, one))
}

function placeOf(holder: Message): { readonly bucket: string; readonly key: string } | undefined {
  const bucket = isObject(holder['bucket']) ? holder['bucket']['name'] : undefined
  const key = isObject(holder['object']) ? holder['object']['key'] : undefined
  return typeof bucket === 'string' && typeof key === 'string' && bucket !== '' ? { bucket, key } : undefined
}

/** Decodes a key as HTML forms encode it; undefined for one that was not encoded so. */
export function decodeForm(key: string): string | undefined {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}

function hintOf(bucket: string, key: string): Hint {
  return { scheme: 's3', bucket, key, whole: false }
}

function wholeOf(bucket: string): Hint {
  return { scheme: 's3', bucket, key: '', whole: true }
}

function isObject(value: unknown): value is Message {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
