// Sources: the S3 user guide ("Event message structure", "EventBridge event message structure"), SNS message formats, and what MinIO, Ceph and
// versitygw send.
import type { Hint } from '../storage.ts'

// EventBridge in SNS in SQS is two deep; whatever is deeper was not made by S3.
const DEPTH_MOST = 3

/**
 * Reads a message about S3 objects: S3's own (2.x) and that of stores that imitate it, EventBridge's, and either in an SNS envelope. Answers
 * where to look, `test` for the message that S3 sends when notifications are set up, undefined for anything else. What happened to the object
 * is not read: unknown events hint, too. Never throws.
 */
export function parseNotification(body: string): readonly Hint[] | 'test' | undefined {
  return parse(body, 1)
}

function parse(body: string, depth: number): readonly Hint[] | 'test' | undefined {
  const message = parseJson(body)
  if (!isObject(message)) return undefined
  if (Array.isArray(message['Records'])) return fromRecords(message['Records'])
  if (message['Type'] === 'Notification' && typeof message['Message'] === 'string')
    return depth < DEPTH_MOST ? parse(message['Message'], depth + 1) : undefined
  if (message['source'] === 'aws.s3') return fromEventBridge(message['detail'])
  return message['Event'] === 's3:TestEvent' ? 'test' : undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** All or nothing: a message that is only half understood stays in the queue. */
function fromRecords(records: readonly unknown[]): readonly Hint[] | undefined {
  const hints: Hint[] = []
  for (const record of records) {
    if (!isObject(record) || !isObject(record['s3'])) return undefined
    // AWS asks readers to compare the major version only; the minor one has moved six times.
    const version = record['eventVersion'] ?? '2.0'
    if (typeof version !== 'string' || !/^2(\.|$)/.test(version)) return undefined
    const place = placeOf(record['s3'])
    if (place === undefined) return undefined
    hints.push(hintOf(place.bucket, decodeForm(place.key) ?? place.key))
  }
  return hints
}

/** AWS writes the key as it is, some imitations encode it: both are looked at, since a look too many is harmless. */
function fromEventBridge(detail: unknown): readonly Hint[] | undefined {
  const place = isObject(detail) ? placeOf(detail) : undefined
  if (place === undefined) return undefined
  const decoded = decodeForm(place.key) ?? place.key
  return [...new Set([place.key, decoded])].map((key) => hintOf(place.bucket, key))
}

function placeOf(holder: Readonly<Record<string, unknown>>): { readonly bucket: string; readonly key: string } | undefined {
  const bucket = isObject(holder['bucket']) ? holder['bucket']['name'] : undefined
  const key = isObject(holder['object']) ? holder['object']['key'] : undefined
  return typeof bucket === 'string' && typeof key === 'string' && bucket !== '' && key !== '' ? { bucket, key } : undefined
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

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
