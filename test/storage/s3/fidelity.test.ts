// needs: moto, fake-gcs-server, minio, versitygw
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { parseLocation } from '../../../src/model/location.ts'
import { parseNotification } from '../../../src/storage/gcs/notifications.ts'
import { start } from '../../components.ts'
import { fidelitySuite } from '../../suite/fidelity.ts'
import type { Site } from '../../suite/fidelity.ts'
import { freshBucket as freshGcs, put as putGcs } from '../gcs/bucket.ts'
import { clientOf, freshBucket, useKeys } from './bucket.ts'
import { told } from './dresses.ts'

const PREFIX = 'data/mnist/'
const BESIDE = ['data/mnist2/x', 'data/mnist.txt', 'data/mnis']

async function s3(component: 'minio' | 'versitygw' | 'moto'): Promise<Site> {
  useKeys()
  const running = await start(component)
  const client = clientOf(running.url)
  const bucket = await freshBucket(client, true)
  const put = async (Key: string, Body: string): Promise<void> => void (await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body, ContentLength: Buffer.byteLength(Body) })))
  return {
    watch: {
      locations: [{ ...parseLocation(`s3://${bucket}/${PREFIX}`, '/'), endpoint: running.url }], s3: { endpoint: running.url, region: 'us-east-1' }, events: { kind: 'sqs', url: 'none' },
    },
    put: (path, bytes) => put(PREFIX + path, bytes),
    remove: async (path) => void (await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: PREFIX + path }))),
    putBeside: async () => {
      for (const key of BESIDE) await put(key, 'x')
    },
    hints: async (paths) => paths.flatMap((path) => told(bucket, PREFIX + path)),
    stop: async () => {
      client.destroy()
      await running.stop()
    },
  }
}

async function gcs(): Promise<Site> {
  const running = await start('fake-gcs-server')
  const bucket = await freshGcs(running.url)
  return {
    watch: { locations: [{ ...parseLocation(`gs://${bucket.name}/${PREFIX}`, '/'), endpoint: running.url }], gcs: { endpoint: running.url }, events: { kind: 'pubsub', subscription: 'none' } },
    put: (path, bytes) => putGcs(bucket, PREFIX + path, bytes),
    remove: async (path) => void (await bucket.file(PREFIX + path).delete()),
    putBeside: async () => {
      for (const key of BESIDE) await putGcs(bucket, key, 'x')
    },
    hints: async (paths) => paths.flatMap((path) => parseNotification({ bucketId: bucket.name, objectId: PREFIX + path }) ?? []),
    stop: () => running.stop(),
  }
}

/** What becomes a path of files has no room for these, or makes others of them. */
const noPath = (name: string): boolean => name.startsWith('/') || name.endsWith('/') || name.split('/').some((part) => ['', '.', '..'].includes(part) || Buffer.byteLength(part) > 255)

// An object hides what lies under its name in MinIO, and forbids it in versitygw, whose listing destroys what XML cannot hold (then the
// certificate names it), and which cannot overwrite what has 255 bytes.
fidelitySuite('MinIO', () => s3('minio'), (name) => noPath(name) || name === 'mp/child')
fidelitySuite('versitygw', () => s3('versitygw'), (name) => noPath(name) || name === 'mp/child' || name.includes('\u0001') || name.length === 255)
// moto's server, or Python beneath it, loses line ends, and some segments.
fidelitySuite('moto', () => s3('moto'), (name) => /[\r\n]/.test(name))
fidelitySuite('fake-gcs-server', gcs, () => false)
