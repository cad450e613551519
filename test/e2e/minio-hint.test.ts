// needs: moto, minio
// A hint of a key that MinIO's listing hides. MinIO speaks to no SQS queue, so its message is put there for it.
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { start } from '../components.ts'
import type { Running } from '../components.ts'
import { ownedBucket, queueAt } from './bucket.ts'
import { says, site, until } from './site.ts'
import type { Site } from './site.ts'
import { hearing, told } from './sqs-way.ts'

const ART = 'vision/mnist'
let moto: Running
let minio: Running
let place: Site
beforeAll(async () => {
  ;[moto, minio] = await Promise.all([start('moto'), start('minio')])
  place = site()
}, 60_000)
afterAll(async () => {
  await place.remove()
  await Promise.all([moto.stop(), minio.stop()])
})

test('a hinted key that is there, and that the listing lacks, is recorded when asked for by name, and missed by no scan', async () => {
  const owned = await ownedBucket(minio.url, true)
  const queue = await queueAt(moto.url, 'hidden')
  place.configure(hearing(owned, queue.url, 'inline', { poll: '1s' }))
  for (const key of ['data/a', 'data/b', 'data/d/mp']) await owned.put(key, key)
  const daemon = place.run()
  await says(daemon, /vision\/mnist:v0 /, 20_000)

  // A scan that knows of the hint: both were asked for while the store was away.
  await owned.put('data/d/mp/first', 'x')
  await minio.kill()
  await place.varve('scan', 'mnist')
  await until(() => place.status(), ({ state }) => state === 'unavailable', 60_000)
  await queue.tell(owned.bucket, 'data/d/mp/first')
  await until(() => queue.waiting(), (count) => count === 0, 20_000)
  await minio.restart()
  const held = await until(() => place.status(), ({ state }) => state === 'held', 60_000)
  expect(held.reason).toBe('the object d/mp hides what lies under d/mp/ from the listing: d/mp/first is there when asked for by name')
  expect(await told(place)).toHaveLength(1)
  for (const id of [...(await owned.current('data/d/mp')).values()]) await owned.remove('data/d/mp', id)
  await says(daemon, /vision\/mnist:v1 {2}\+1 ~0 -1 /, 60_000)
  expect((await place.files(`${ART}:v1`)).map(({ path }) => path)).toEqual(['a', 'b', 'd/mp/first'])

  // A touch-up asks by name, so it sees what is hidden; the scan after it does not take the listing's word.
  await owned.put('data/d/mp/second', 'x')
  const hider = await owned.put('data/d/mp', 'again')
  await queue.tell(owned.bucket, 'data/d/mp/second')
  await says(daemon, /vision\/mnist:v2 {2}\+1 ~0 -0 /, 30_000)
  expect(await place.varve('scan', 'mnist', '--wait')).toMatchObject({ exit: 1, stderr: expect.stringContaining('the object d/mp hides what lies under d/mp/') })
  expect(await told(place)).toHaveLength(3)
  await owned.remove('data/d/mp', hider)
  await until(() => place.status(), ({ state }) => state === 'clean', 30_000)
  expect((await place.files(`${ART}:latest`)).map(({ path }) => path)).toEqual(['a', 'b', 'd/mp/first', 'd/mp/second'])
  expect(await told(place)).toHaveLength(3)
  expect(await daemon.stop()).toMatchObject({ exit: 0 })
  owned.client.destroy()
}, 240_000)
