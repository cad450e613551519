// Source: `docs.cloud.google.com/storage/docs/pubsub-notifications`.
import type { Hint } from '../storage.ts'

/**
 * Reads the attributes of a message about a GCS object, which both payload formats carry; the body repeats them, or is empty. Answers where to
 * look; undefined for what names no object. What happened to it is not read: an overwrite also sends a delete, in either order, and an unknown
 * event hints, too. Never throws.
 */
export function parseNotification(attributes: unknown): Hint | undefined {
  if (typeof attributes !== 'object' || attributes === null) return undefined
  // The key stands there as it is, not encoded.
  const { bucketId: bucket, objectId: key } = attributes as Readonly<Record<string, unknown>>
  if (typeof bucket !== 'string' || bucket === '' || typeof key !== 'string' || key === '') return undefined
  return { scheme: 'gs', bucket, key, whole: false }
}
