import { randomUUID } from 'node:crypto'
import { CreateBucketCommand, DeleteObjectCommand, PutBucketVersioningCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import type { Location } from '../../../src/model/location.ts'
import { openS3Store } from '../../../src/storage/s3/store.ts'
import type { Store } from '../../../src/storage/storage.ts'
import { S3_KEYS, start } from '../../components.ts'
import type { Ground, Place } from '../../suite/store.ts'

const PREFIX = 'data/mnist/'

/** The location of a prefix, bucket or object at `endpoint`. */
export function locationAt(endpoint: string, bucket: string, key: string): Location {
  return key === '' || key.endsWith('/') ? { scheme: 's3', endpoint, bucket, prefix: key } : { scheme: 's3', endpoint, bucket, prefix: `${key}/`, object: key }
}

/** Opens what lies at `key` with the keys of the test components. */
export function openAt(endpoint: string, bucket: string, key: string, memo?: string): Promise<Store> {
  useKeys()
  return openS3Store(locationAt(endpoint, bucket, key), { endpoint, region: 'us-east-1' }, memo)
}

/** The SDK reads its credentials from the environment. */
export function useKeys(): void {
  process.env['AWS_ACCESS_KEY_ID'] = S3_KEYS.accessKeyId
  process.env['AWS_SECRET_ACCESS_KEY'] = S3_KEYS.secretAccessKey
}

export function clientOf(endpoint: string): S3Client {
  return new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: S3_KEYS, requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED' })
}

/** A bucket of its own. */
export async function freshBucket(client: S3Client, versioned: boolean): Promise<string> {
  const bucket = `b${randomUUID().slice(0, 18)}`
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  if (versioned) await client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status: 'Enabled' } }))
  return bucket
}

/** A real store, with a bucket of its own for each test. */
export async function s3Ground(component: 'minio' | 'moto' | 'versitygw', versioned: boolean): Promise<Ground> {
  const running = await start(component)
  const client = clientOf(running.url)
  return {
    fresh: async (): Promise<Place> => {
      const bucket = await freshBucket(client, versioned)
      return {
        open: () => openAt(running.url, bucket, PREFIX),
        put: async (path, bytes) => {
          await client.send(new PutObjectCommand({ Bucket: bucket, Key: PREFIX + path, Body: bytes, ContentLength: Buffer.byteLength(bytes) }))
        },
        remove: async (path) => {
          await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: PREFIX + path }))
        },
        putBeside: async () => {
          await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'data/mnist2/x', Body: 'x' }))
          await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'data/mnist.txt', Body: 'x' }))
        },
        openMissing: () => openAt(running.url, `${bucket}-not`, PREFIX),
      }
    },
    stop: async () => {
      client.destroy()
      await running.stop()
    },
  }
}
