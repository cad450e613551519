// The whole way of a change (hear, request, look, record) on a bucket that tells a queue, whatever wakes the looks.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { start } from '../components.ts'
import type { Running } from '../components.ts'
import { ownedBucket, toldQueue } from './bucket.ts'
import { says, site, until } from './site.ts'
import type { Site } from './site.ts'

const ART = 'vision/mnist'

/** A configuration of one watch that hears `sqs`. */
export function hearing(owned: { readonly bucket: string; readonly endpoint: string }, sqs: string | undefined, queue: string, more: object = {}): object {
  const events = sqs === undefined ? {} : { events: { sqs } }
  return {
    data: '.varve', queue,
    watch: [{
      name: 'mnist', location: `s3://${owned.bucket}/data/`, artifact: ART, type: 'dataset', settle: '300ms', max_wait: '3s', reconcile: '1h',
      s3: { endpoint: owned.endpoint, region: 'us-east-1' }, ...events, ...more,
    }],
  }
}

/** Versions as one reads them: `v1 +1 ~0 -0 hint`. */
export async function told(place: Site, artifact = ART): Promise<string[]> {
  const versions = await place.log(artifact)
  return versions.reverse().map(({ version, changes, cause }) => `${version} +${changes.added} ~${changes.modified} -${changes.removed} ${cause}`)
}

export function sqsWay(title: string, startQueue: () => Promise<{ readonly url: string; stop(): Promise<void> }>): void {
  describe(`a bucket that tells an SQS queue, ${title}`, () => {
    let moto: Running
    let queue: { readonly url: string; stop(): Promise<void> }
    let place: Site
    beforeAll(async () => {
      ;[moto, queue] = await Promise.all([start('moto'), startQueue()])
    }, 60_000)
    afterAll(async () => {
      await place.remove()
      await Promise.all([moto.stop(), queue.stop()])
    })

    test('what is put, overwritten and deleted becomes versions, one each, told by log, files, diff and history', async () => {
      const owned = await ownedBucket(moto.url, false)
      const told1 = await toldQueue(owned, 'plain')
      place = site()
      place.configure(hearing(owned, told1.url, queue.url))
      await owned.put('data/train/a+b c.png', 'one')
      await owned.put('data/zero', '')
      await owned.put('data2/beside', 'not under the prefix')
      const daemon = place.run()
      await says(daemon, /vision\/mnist:v0 .*\n/, 20_000)
      await owned.put('data/é=1/😀.png', 'new')
      await says(daemon, /vision\/mnist:v1 .*\n/, 10_000)
      await owned.put('data/train/a+b c.png', 'two')
      await says(daemon, /vision\/mnist:v2 .*\n/, 10_000)
      await owned.remove('data/zero')
      await says(daemon, /vision\/mnist:v3 .*\n/, 10_000)
      expect((await told(place)).slice(1)).toEqual(['v1 +1 ~0 -0 hint', 'v2 +0 ~1 -0 hint', 'v3 +0 ~0 -1 hint'])
      const files = await place.files(`${ART}:latest`)
      expect(files.map(({ path, reference, sizeBytes }) => [path, reference, sizeBytes])).toEqual([
        ['train/a+b c.png', `s3://${owned.bucket}/data/train/a+b c.png`, 3],
        ['é=1/😀.png', `s3://${owned.bucket}/data/é=1/😀.png`, 3],
      ])
      expect((await place.files(`${ART}:v0`)).map(({ path }) => path)).toEqual(['train/a+b c.png', 'zero'])
      const changes = await place.diff(`${ART}:v0`, 'latest')
      expect(changes.map(({ change, path }) => `${change} ${path}`)).toEqual(['modified train/a+b c.png', 'removed zero', 'added é=1/😀.png'])
      const history = await place.history(ART, 'train/a+b c.png')
      expect(history.map(({ change, version }) => `${version} ${change}`).sort()).toEqual(['v0 added', 'v2 modified'])
      // Each was a touch-up: the prefix was listed once at the start, and no message is left.
      const [v3] = await place.log(ART)
      expect(v3?.certificate).toMatchObject({ kind: 'touch-up', requests: expect.any(Number) })
      expect(await until(() => told1.waiting(), (count) => count === 0, 5_000)).toBe(0)
      expect(await place.status()).toMatchObject({ state: 'clean', head: 'v3', reconcileFound: 0 })
      // What changes nothing makes no version: the same bytes again, and what lies beside the prefix.
      await owned.put('data/train/a+b c.png', 'two')
      await owned.put('data2/more', 'x')
      await until(() => told1.waiting(), (count) => count === 0, 5_000)
      await until(() => place.status(), ({ state, generation, committedGeneration }) => state === 'clean' && generation === committedGeneration, 5_000)
      expect(await told(place)).toHaveLength(4)
      expect(await daemon.stop()).toMatchObject({ exit: 0 })
      // What happened while nobody listened is found at the next start.
      await owned.put('data/later', 'x')
      const next = place.run()
      await says(next, /vision\/mnist:v4 .*\n/, 20_000)
      expect(await next.stop()).toMatchObject({ exit: 0, stderr: '' })
      await place.remove()
    }, 90_000)

    test('what the bucket never tells is found by the reconcile, and counted', async () => {
      const owned = await ownedBucket(moto.url, true)
      const queued = await toldQueue(owned, 'versioned')
      place = site()
      place.configure(hearing(owned, queued.url, queue.url, { reconcile: '3s' }))
      const first = await owned.put('data/a', 'one')
      await owned.put('data/b', 'b')
      const daemon = place.run()
      await says(daemon, /vision\/mnist:v0 .*\n/, 20_000)
      expect((await place.files(`${ART}:v0`)).map(({ path, pin }) => [path, pin])).toContainEqual(['a', `versionId:${first}`])
      const second = await owned.put('data/a', 'two')
      await says(daemon, /vision\/mnist:v1 .*\n/, 10_000)
      expect((await place.files(`${ART}:v1`)).map(({ pin }) => pin)).toContain(`versionId:${second}`)
      // moto says nothing of a delete marker, nor of a marker or a version that is removed.
      const marker = await owned.remove('data/a')
      await says(daemon, /vision\/mnist:v2 .*\n/, 15_000 + SWEEP_MOST_MS)
      await owned.remove('data/a', marker)
      await says(daemon, /vision\/mnist:v3 .*\n/, 15_000 + SWEEP_MOST_MS)
      await owned.remove('data/a', second)
      await says(daemon, /vision\/mnist:v4 .*\n/, 15_000 + SWEEP_MOST_MS)
      expect((await told(place)).slice(1)).toEqual(['v1 +0 ~1 -0 hint', 'v2 +0 ~0 -1 interval', 'v3 +1 ~0 -0 interval', 'v4 +0 ~1 -0 interval'])
      const now = await owned.current('data/')
      expect((await place.files(`${ART}:latest`)).map(({ path, pin }) => [`data/${path}`, pin])).toEqual([...now].map(([key, id]) => [key, `versionId:${id}`]))
      expect(now.get('data/a')).toBe(first)
      expect(await place.status()).toMatchObject({ state: expect.stringMatching(/clean|dirty|looking/), head: 'v4', reconcileFound: 3 })
      await place.remove()
    }, 150_000)
  })
}

// With Redis the sweep comes every 15 s, and only it knows the clock.
const SWEEP_MOST_MS = 16_000
