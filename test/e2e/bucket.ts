// Buckets and queues as their owners use them: through the AWS SDK.
import { DeleteObjectCommand, ListObjectVersionsCommand, PutBucketNotificationConfigurationCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import type { ListObjectVersionsCommandOutput, S3Client } from '@aws-sdk/client-s3'
import { CreateQueueCommand, GetQueueAttributesCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { S3_KEYS } from '../components.ts'
import { clientOf, freshBucket } from '../storage/s3/bucket.ts'

/** A bucket at `endpoint`, with its owner's hands. */
export interface Owned {
  readonly bucket: string
  readonly endpoint: string
  readonly client: S3Client
  /** Answers the versionId, where there is one. */
  put(key: string, body: string): Promise<string | undefined>
  /** Without a version: as users delete. Answers the versionId of the marker, where there is one. */
  remove(key: string, versionId?: string): Promise<string | undefined>
  /** What is there now, by the store itself: key to versionId. */
  current(prefix: string): Promise<Map<string, string>>
}

export async function ownedBucket(endpoint: string, versioned: boolean): Promise<Owned> {
  const client = clientOf(endpoint)
  const bucket = await freshBucket(client, versioned)
  return {
    bucket, endpoint, client,
    put: async (Key, Body) => (await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body, ContentLength: Buffer.byteLength(Body) }))).VersionId,
    remove: async (Key, VersionId) => (await client.send(new DeleteObjectCommand({ Bucket: bucket, Key, VersionId }))).VersionId,
    async current(Prefix) {
      const found = new Map<string, string>()
      let page: { KeyMarker?: string; VersionIdMarker?: string } | undefined = {}
      while (page !== undefined) {
        const answer: ListObjectVersionsCommandOutput = await client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix, ...page }))
        for (const one of answer.Versions ?? []) if (one.IsLatest === true) found.set(one.Key as string, one.VersionId as string)
        page = answer.IsTruncated === true ? { KeyMarker: answer.NextKeyMarker as string, VersionIdMarker: answer.NextVersionIdMarker as string } : undefined
      }
      return found
    },
  }
}

export interface Told {
  readonly url: string
  /** Messages that are neither deleted nor, by their receiver, hidden: and those hidden. */
  waiting(): Promise<number>
}

/** A queue that `owned` tells of every change; moto knows no other account. */
export async function toldQueue(owned: Owned, name: string, visibilityS = 30): Promise<Told> {
  const queue = await queueAt(owned.endpoint, name, visibilityS)
  await owned.client.send(new PutBucketNotificationConfigurationCommand({
    Bucket: owned.bucket,
    NotificationConfiguration: { QueueConfigurations: [{ QueueArn: `arn:aws:sqs:us-east-1:123456789012:${name}`, Events: ['s3:ObjectCreated:*', 's3:ObjectRemoved:*'] }] },
  }))
  return queue
}

/** A queue at `endpoint` that is told by hand: of a store that speaks to other queues only. */
export async function queueAt(endpoint: string, name: string, visibilityS = 30): Promise<Told & { tell(bucket: string, key: string): Promise<void> }> {
  const sqs = new SQSClient({ endpoint, region: 'us-east-1', credentials: S3_KEYS })
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: name, Attributes: { VisibilityTimeout: `${visibilityS}` } }))
  return {
    url: QueueUrl as string,
    async waiting() {
      const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }))
      return Number(Attributes?.['ApproximateNumberOfMessages']) + Number(Attributes?.['ApproximateNumberOfMessagesNotVisible'])
    },
    async tell(name, key) {
      const record = { eventVersion: '2.0', eventSource: 'minio:s3', eventName: 's3:ObjectCreated:Put', s3: { bucket: { name }, object: { key: encodeURIComponent(key) } } }
      await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: JSON.stringify({ Records: [record] }) }))
    },
  }
}
