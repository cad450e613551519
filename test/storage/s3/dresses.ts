// What stores that speak S3 tell of a key, in every dress in which it comes.
import { parseNotification, parsePost } from '../../../src/storage/s3/notifications.ts'
import type { Hint } from '../../../src/storage/storage.ts'

/** As Go's `url.QueryEscape` and AWS encode: AWS leaves the slash. */
const form = (key: string): string => encodeURIComponent(key).replaceAll('%20', '+')

/** A key in every dress that stores send it in. */
function dressed(bucket: string, key: string): readonly string[] {
  const record = (text: string): string => JSON.stringify({ Records: [{ eventVersion: '2.1', s3: { bucket: { name: bucket }, object: { key: text } } }] })
  const bridge = JSON.stringify({ source: 'aws.s3', detail: { bucket: { name: bucket }, object: { key } } })
  const inSns = JSON.stringify({ Type: 'Notification', TopicArn: 'arn:aws:sns:us-east-1:1:t', Message: record(form(key)) })
  return [record(form(key)), record(form(key).replaceAll('%2F', '/')), bridge, inSns]
}

/** What a store posts of a key: raw as versitygw, encoded as MinIO. */
function posted(bucket: string, key: string): readonly Hint[] {
  return [key, form(key)].flatMap((text) => {
    const told = parsePost(JSON.stringify({ Records: [{ eventVersion: '2.2', s3: { bucket: { name: bucket }, object: { key: text } } }] }))
    if (!Array.isArray(told)) throw new Error(`not understood: ${text}`)
    return told
  })
}

/** All hints of a key, by all who tell of it. Throws when one of them is not understood. */
export function told(bucket: string, key: string): readonly Hint[] {
  const hints = dressed(bucket, key).flatMap((body) => {
    const heard = parseNotification(body)
    if (!Array.isArray(heard)) throw new Error(`not understood: ${body}`)
    return heard
  })
  return [...hints, ...posted(bucket, key)]
}
