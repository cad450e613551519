// needs: pubsub-fake, fake-gcs-server
import { describe, expect, test } from '@jest/globals'
import { setTimeout as sleep } from 'node:timers/promises'
import { comparePaths } from '../../../src/model/location.ts'
import { Bucket } from '../../../src/storage/gcs/bucket.ts'
import { connectGcs } from '../../../src/storage/gcs/config.ts'
import { pubsubSource } from '../../../src/storage/gcs/pubsub.ts'
import { start } from '../../components.ts'
import { scanned, storeSuite } from '../../suite/store.ts'
import { freshBucket, gcsGround, openAt, put } from './bucket.ts'
import { topicAt } from './topic.ts'

const signal = new AbortController().signal

// Google's client, by which the objects are written, fills in what looks like a template: that name is asked of the fake alone.
const NASTIER = ['d//x', 'd/./x', 'd/../x', '/x', '//', '.', '..', 'd/..', 'c\u0001x', '\u007f', 'a\r\nb', 'é'.repeat(506)]

// Its etag is the MD5. A page of ours would take thousands of uploads to fill.
storeSuite('fake-gcs-server', gcsGround, { many: 200, nastier: NASTIER })

test('pages of any size follow one another by their tokens, and together are the whole', async () => {
  const running = await start('fake-gcs-server')
  const bucket = await freshBucket(running.url)
  const keys = Array.from({ length: 60 }, (_, at) => `d/${at % 3 === 0 ? '😀' : at % 3 === 1 ? '\uff5e' : 'a b+c'}/${String(at).padStart(3, '0')}`)
  await Promise.all(keys.map((key) => put(bucket, key, 'x')))
  const asked = new Bucket(await connectGcs('gs://b/', { endpoint: running.url }), bucket.name, undefined)
  for (const most of [1, 7, 59, 60, 61]) {
    const counter = { requests: 0 }
    const met: string[] = []
    let token: string | undefined
    do {
      const page = await asked.list('d/', token, most, counter, signal)
      met.push(...page.rows.map(({ key }) => key))
      token = page.next
    } while (token !== undefined)
    expect(met).toEqual([...keys].sort(comparePaths))
    expect(counter.requests).toBe(Math.ceil(60 / most))
  }
  asked.close()
  await running.stop()
}, 60_000)

describe('a bucket that keeps old generations', () => {
  test('the live one is listed, with its generation; what was deleted is not', async () => {
    const running = await start('fake-gcs-server')
    const bucket = await freshBucket(running.url, true)
    for (const body of ['one', 'two', 'three']) await put(bucket, 'd/a', body)
    await put(bucket, 'd/gone', 'x')
    await bucket.file('d/gone').delete()
    const [{ generation }] = await bucket.file('d/a').getMetadata()
    const store = await openAt(running.url, bucket.name, 'd/')
    const { entries } = await scanned(store, signal)
    expect([...entries.values()].map(({ path, sizeBytes, content }) => [path, sizeBytes, content?.pin])).toEqual([['a', 5, `generation:${generation}`]])
    await store.close()
    await running.stop()
  })
})

test('what fake-gcs-server tells of a bucket is heard: put, overwritten, its metadata edited, deleted', async () => {
  const pubsub = await start('pubsub-fake')
  const host = `127.0.0.1:${pubsub.port}`
  const owned = topicAt(host, 'told')
  await owned.make()
  const events = ['-event.pubsub-project-id', 'p', '-event.pubsub-topic', 't-told', '-event.list', 'finalize,delete,metadataUpdate,archive']
  const gcs = await start('fake-gcs-server', events, { PUBSUB_EMULATOR_HOST: host })
  const bucket = await freshBucket(gcs.url)
  process.env['PUBSUB_EMULATOR_HOST'] = host
  const keys: string[] = []
  const lines: string[] = []
  const stop = new AbortController()
  const clock = { now: Date.now, monotonic: () => performance.now(), random: Math.random, sleep: (ms: number, until?: AbortSignal) => sleep(ms, undefined, until === undefined ? {} : { signal: until }).catch(() => undefined) }
  const log = { info: () => undefined, warn: (_: unknown, message: string) => void lines.push(message) }
  const source = pubsubSource({ name: owned.subscription, access: {}, locations: [{ scheme: 'gs', bucket: bucket.name, prefix: 'data/' }] }, clock, log)
  const listening = source.listen(async (hints) => void keys.push(...hints.filter(({ whole }) => !whole).map(({ bucket: name, key }) => `${name} ${key}`)), stop.signal)
  const heard = async (key: string): Promise<void> => {
    for (let tries = 0; !keys.includes(`${bucket.name} ${key}`); tries++) {
      if (tries > 400) throw new Error(`${key} was not heard: ${JSON.stringify({ keys, lines })}`)
      await sleep(50)
    }
    keys.length = 0
  }
  const names = ['data/a b+c', 'data/é=1/😀', 'data/100%', 'data//x/../y']
  for (const key of names) {
    await put(bucket, key, 'one')
    await heard(key)
    await put(bucket, key, 'two')
    await heard(key)
  }
  await bucket.file('data/100%').setMetadata({ metadata: { edited: 'yes' } })
  await heard('data/100%')
  await bucket.file('data/100%').delete()
  await heard('data/100%')
  expect(lines).toEqual([])
  stop.abort()
  await listening
  await owned.close()
  await gcs.stop()
  await pubsub.stop()
}, 60_000)
