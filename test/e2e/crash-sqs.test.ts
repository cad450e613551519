// needs: redis, moto
// `kill -9` of the daemon at each point of the way from a message to its acknowledgement, with both queues.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import type { WatchView } from '../../src/model/version.ts'
import { start } from '../components.ts'
import type { Running } from '../components.ts'
import { ownedBucket, toldQueue } from './bucket.ts'
import { says, site, until } from './site.ts'
import type { Site } from './site.ts'
import { hearing } from './sqs-way.ts'

const ART = 'vision/mnist'
let moto: Running
let redis: Running
let place: Site
beforeAll(async () => {
  ;[moto, redis] = await Promise.all([start('moto'), start('redis')])
}, 60_000)
afterEach(() => place.remove())
afterAll(async () => {
  await Promise.all([moto.stop(), redis.stop()])
})

const POINTS = ['before-mark', 'before-ack', 'after-ack', 'mid-commit', 'before-commit', 'after-commit']

describe.each(['inline', 'redis'])('with the queue %s', (kind) => {
  test.each(POINTS)('killed at %s: nothing lost, nothing twice', async (point) => {
    const owned = await ownedBucket(moto.url, false)
    const queue = await toldQueue(owned, `${kind}-${point}`, 1)
    place = site()
    place.configure(hearing(owned, queue.url, kind === 'inline' ? 'inline' : redis.url))
    await owned.put('data/a', 'one')
    // The message of the first object is taken, too: it must not be what kills the daemon.
    await until(() => queue.waiting(), (count) => count > 0, 5_000)
    const first = place.run()
    await says(first, /vision\/mnist:v0 /, 20_000)
    await until(() => queue.waiting(), (count) => count === 0, 10_000)
    await first.stop()
    // The start's own look commits nothing now, so the one change is the first version of this process.
    const daemon = place.run({ crashAt: `${point}:1` })
    await until(() => place.status(), ({ state, lastLook }) => state === 'clean' && lastLook !== undefined, 15_000)
    await owned.put('data/b', 'two')
    const { exit } = await daemon.ended
    expect({ exit, signal: daemon.child.signalCode }).toEqual({ exit: null, signal: 'SIGKILL' })
    const killedAt = new Date().toISOString()
    const next = place.run()
    // The next one has looked, and what came again has been looked at, too. Redis gives a dead worker's job away after 25 s.
    const isDone = ({ state, head, generation, committedGeneration, lastLook }: WatchView): boolean =>
      state === 'clean' && head === 'v1' && generation === committedGeneration && lastLook !== undefined && lastLook.startedAt > killedAt
    await until(() => place.status(), isDone, 60_000, 300)
    await until(() => queue.waiting(), (count) => count === 0, 10_000)
    await until(() => place.status(), isDone, 60_000, 300)
    expect((await place.files(`${ART}:latest`)).map(({ path }) => path)).toEqual(['a', 'b'])
    const versions = (await place.log(ART)).reverse()
    expect(versions.map(({ version, changes }) => [version, changes.added])).toEqual([['v0', 1], ['v1', 1]])
    expect(next.logged()).toBe('')
  }, 180_000)
})
