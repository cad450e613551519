import { randomUUID } from 'node:crypto'
import { Storage } from '@google-cloud/storage'
import type { Bucket } from '@google-cloud/storage'
import type { Location } from '../../../src/model/location.ts'
import { openGcsStore } from '../../../src/storage/gcs/store.ts'
import type { Store } from '../../../src/storage/storage.ts'
import { start } from '../../components.ts'
import type { Ground, Place } from '../../suite/store.ts'

const PREFIX = 'data/mnist/'

/** The location of a prefix, bucket or object at `endpoint`. */
export function locationAt(endpoint: string, bucket: string, key: string): Location {
  return key === '' || key.endsWith('/') ? { scheme: 'gs', endpoint, bucket, prefix: key } : { scheme: 'gs', endpoint, bucket, prefix: `${key}/`, object: key }
}

/** Opens what lies at `key`. */
export function openAt(endpoint: string, bucket: string, key: string, project?: string, silentMs?: number): Promise<Store> {
  return openGcsStore(locationAt(endpoint, bucket, key), { endpoint, ...(project !== undefined && { project }) }, undefined, silentMs)
}

/** A bucket of its own, by Google's client. */
export async function freshBucket(endpoint: string, versioned = false): Promise<Bucket> {
  const [bucket] = await new Storage({ projectId: 'p', apiEndpoint: endpoint }).createBucket(`b${randomUUID().slice(0, 18)}`, versioned ? { versioning: { enabled: true } } : {})
  return bucket
}

export async function put(bucket: Bucket, key: string, body: string): Promise<void> {
  await bucket.file(key).save(body, { resumable: false })
}

/** A real server of the JSON API, with a bucket of its own for each test. */
export async function gcsGround(): Promise<Ground> {
  const running = await start('fake-gcs-server')
  return {
    fresh: async (): Promise<Place> => {
      const bucket = await freshBucket(running.url)
      return {
        open: () => openAt(running.url, bucket.name, PREFIX),
        put: (path, bytes) => put(bucket, PREFIX + path, bytes),
        remove: async (path) => void (await bucket.file(PREFIX + path).delete()),
        putBeside: async () => {
          await put(bucket, 'data/mnist2/x', 'x')
          await put(bucket, 'data/mnist.txt', 'x')
        },
        openMissing: () => openAt(running.url, `${bucket.name}-not`, PREFIX),
      }
    },
    stop: () => running.stop(),
  }
}
