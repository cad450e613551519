import { expect, test } from '@jest/globals'
import { parseLocation } from '../../../src/model/location.ts'
import type { Watch } from '../../../src/model/watch.ts'
import { openSources, openStore } from '../../../src/storage/open.ts'
import { watchOf } from '../../suite/registry-world.ts'
import { realClock } from '../../laws/world.ts'

const silent = { info: () => undefined, warn: () => undefined }

function crops(over: Partial<Watch> = {}, subscription = 'projects/p/subscriptions/crops'): Watch {
  return watchOf({ locations: [parseLocation('gs://bucket/crops/', '/')], events: { kind: 'pubsub', subscription }, ...over })
}

test('a subscription is heard once, whatever the number of watches that it serves; with other credentials it is another', async () => {
  const names = async (...watches: Watch[]): Promise<string[]> => (await openSources(watches, realClock(), silent)).map(({ name }) => name)
  const elsewhere = { locations: [parseLocation('gs://other/', '/')] as const }
  expect(await names(crops(), crops(elsewhere), crops({ gcs: { project: 'payer' } }))).toEqual(['pubsub crops'])
  expect(await names(crops(), crops(elsewhere, 'projects/p/subscriptions/other'))).toEqual(['pubsub crops', 'pubsub other'])
  expect(await names(crops(), crops({ gcs: { credentialsFile: '/key.json' } }))).toEqual(['pubsub crops', 'pubsub crops'])
  expect(await names(crops(), crops({ gcs: { impersonate: 'reader@p.iam.gserviceaccount.com' } }))).toEqual(['pubsub crops', 'pubsub crops'])
  expect(await names(watchOf({ locations: [parseLocation('gs://bucket/crops/', '/')] }))).toEqual([])
})

test('a watch of gs:// is opened with its own access', async () => {
  const store = await openStore(crops({ locations: [{ ...parseLocation('gs://bucket/crops/', '/'), endpoint: 'http://127.0.0.1:9' }], gcs: { endpoint: 'http://127.0.0.1:9' } }), undefined)
  expect(await store.root(new AbortController().signal)).toEqual({ identity: 'http://127.0.0.1:9 bucket', words: 'the bucket bucket at http://127.0.0.1:9', mount: 'http://127.0.0.1:9 bucket', network: true })
  await store.close()
})
