// long
// Law 8. Events are hints, storage is the truth. Nothing that a message says is recorded. It says only where to look.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { runDaemon } from '../../src/daemon/daemon.ts'
import type { Parts } from '../../src/daemon/daemon.ts'
import { parseLocation } from '../../src/model/location.ts'
import { inlineQueue } from '../../src/queue/inline.ts'
import { openRegistryIn } from '../../src/registry/open.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { openSources } from '../../src/storage/open.ts'
import { openS3Store } from '../../src/storage/s3/store.ts'
import type { Found } from '../../src/storage/storage.ts'
import { FakeS3 } from '../fakes/s3.ts'
import { FakeSqs } from '../fakes/sqs.ts'
import { useKeys } from '../storage/s3/bucket.ts'
import { watchOf } from '../suite/registry-world.ts'
import { law } from './law.ts'
import { entriesOf, hintOf, lookPartsOf, realClock, storesWith, unfitted, versionsOf, World } from './world.ts'
import type { Refit } from './world.ts'

let s3: FakeS3
let sqs: FakeSqs
beforeAll(async () => {
  useKeys()
  s3 = await FakeS3.start()
  sqs = await FakeSqs.start()
})
const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})
afterAll(async () => {
  await s3.stop()
  await sqs.stop()
})

/** What S3 would say of an object, true or not. */
function message(event: string, key: string, said: Record<string, unknown> = {}, bucket = 'fake'): string {
  const s3 = { s3SchemaVersion: '1.0', bucket: { name: bucket }, object: { key, size: 1, eTag: 'd41d8cd98f00b204e9800998ecf8427e', versionId: 'v99', sequencer: '00', ...said } }
  return JSON.stringify({ Records: [{ eventVersion: '2.5', eventSource: 'aws:s3', awsRegion: 'us-east-1', eventTime: '1999-01-01T00:00:00Z', eventName: event, s3 }] })
}

/** Every lie that a message can tell of `p/`. */
const LIES: readonly string[] = [
  message('ObjectRemoved:Delete', 'p/a'), message('ObjectRemoved:DeleteMarkerCreated', 'p/b'), message('LifecycleExpiration:Delete', 'p/c/d'),
  message('ObjectCreated:Put', 'p/not-there', { size: 12 }), message('ObjectCreated:Put', 'p/a', { size: 999, eTag: 'ffffffffffffffffffffffffffffffff', versionId: 'v1' }),
  message('ObjectCreated:Put', 'q/a'), message('ObjectCreated:Put', 'p2/a'), message('ObjectCreated:Put', 'p'), message('ObjectRemoved:Delete', 'p/a', {}, 'another-bucket'),
  message('ObjectRemoved:Delete', 'p/'), message('ObjectRemoved:Delete', 'p/c/'), message('ObjectRemoved:Delete', 'p/c'), message('ObjectCreated:Put', 'p/%2e%2e/x'), message('NobodyKnows:This', 'p/b'),
  message('ObjectCreated:Put', 'p//a'), message('ObjectCreated:Put', 'p/A'), message('ObjectCreated:Put', `p/${'k'.repeat(1_500)}`),
]

interface Way {
  readonly registry: Registry
  /** Sends messages, and waits until none is left and all is still. */
  send(...bodies: readonly string[]): Promise<void>
  stop(): Promise<void>
}

async function wayOf(refit: Refit): Promise<Way> {
  const location = { ...parseLocation('s3://fake/p/', '/'), endpoint: s3.url }
  const watch = watchOf({ locations: [location], s3: { endpoint: s3.url, region: 'us-east-1' }, events: { kind: 'sqs', url: sqs.url }, settleMs: 10, maxWaitMs: 1_000 })
  const registry = await openRegistryIn(new DatabaseSync(':memory:'))
  const clock = realClock()
  const nothing = (): void => undefined
  const log = { info: nothing, warn: nothing, error: nothing }
  const parts: Parts = {
    ...lookPartsOf(registry, clock, (one, memo) => openS3Store(one.locations[0], one.s3, memo)),
    queue: inlineQueue(clock), watches: [watch], sources: await openSources([watch], clock, log, sqs.url), sweepMs: 20, concurrency: 1,
  }
  const stop = new AbortController()
  const running = runDaemon(refit(parts), stop.signal)
  const still = async (): Promise<void> => {
    for (let calm = 0, tries = 0; calm < 3; tries++) {
      if (tries > 1_000) throw new Error(`it never came to rest: ${JSON.stringify(await registry.watchRow('mnist'))}, ${sqs.left().length} messages`)
      const row = await registry.watchRow('mnist')
      calm = sqs.left().length === 0 && row !== undefined && row.generation === row.committedGeneration ? calm + 1 : 0
      await sleep(20)
    }
  }
  await still()
  return {
    registry,
    async send(...bodies) {
      sqs.send(...bodies)
      await still()
    },
    async stop() {
      stop.abort()
      await running
    },
  }
}

/** A daemon that takes a message at its word. */
const believing: Refit = (parts) => {
  const said = new Map<string, Found>()
  const heard: Refit = storesWith((store) => ({
    async *find(paths, startMs, signal) {
      for await (const found of store.find(paths, startMs, signal)) yield said.get(found.kind === 'entry' ? found.listed.path : found.kind === 'skipped' ? found.skip.path : found.path) ?? found
    },
  }))
  for (const body of LIES) {
    const { eventName, s3: { bucket, object } } = JSON.parse(body).Records[0]
    const path = object.key.slice(2)
    if (bucket.name !== 'fake' || !object.key.startsWith('p/') || path === '') continue
    const content = { digest: `etag:${object.eTag}`, etag: object.eTag, pin: `versionId:${object.versionId}` }
    said.set(path, eventName.includes('Created') ? { kind: 'entry', listed: { path, sizeBytes: object.size, content } } : { kind: 'absent', path })
  }
  return heard(parts)
}

law<Refit>('messages that lie change nothing; what they point at is taken from storage', async (refit) => {
  s3.versioned = true
  for (const key of ['p/a', 'p/b', 'p/c/d', 'p2/a']) s3.put(key, key)
  const way = await wayOf(refit ?? unfitted)
  cleanups.push(() => way.stop())
  const told = async (): Promise<string[]> => (await entriesOf(way.registry)).map(({ path, digest, sizeBytes, pin }) => `${path} ${digest} ${sizeBytes} ${pin}`)
  const before = await told()
  expect((await entriesOf(way.registry)).map(({ path }) => path)).toEqual(['a', 'b', 'c/d'])
  for (let at = 0; at < LIES.length; at += 3) await way.send(...LIES.slice(at, at + 3))
  await way.send(...LIES, ...[...LIES].reverse())
  expect({ versions: (await versionsOf(way.registry)).length, entries: await told() }).toEqual({ versions: 1, entries: before })
  // The wrong message about the right key is good enough.
  s3.put('p/a', 'second')
  await way.send(message('ObjectRemoved:Delete', 'p/a'))
  s3.remove('p/b')
  await way.send(message('ObjectCreated:Put', 'p/b'))
  const after = (await entriesOf(way.registry)).map(({ path, sizeBytes }) => `${path} ${sizeBytes}`)
  expect([(await versionsOf(way.registry)).length, after]).toEqual([3, ['a 6', 'c/d 5']])
}, { 'a daemon that takes a message at its word': believing })

law<Refit>('hints that are late, doubled, lost or out of order lead to the same versions', async (refit) => {
  const seen: string[][] = []
  for (const order of [[0, 1, 2], [2, 1, 0], [0, 0, 1, 1, 2, 2], [2]]) {
    const world = new World()
    world.memory.put('a', '0')
    await world.start(refit ?? unfitted)
    await world.clock.pass(60_000)
    for (const text of ['1', '2', '3']) world.memory.put('a', text)
    for (const nth of order) await world.source.deliver([hintOf('a'), hintOf(`other ${nth}`)])
    await world.clock.pass(60_000)
    await world.hint('a')
    await world.clock.pass(60_000)
    expect(await world.recorded()).toEqual(world.lying())
    seen.push((await world.versions()).map(({ digest }) => digest))
    await world.stop()
  }
  expect(new Set(seen.map((digests) => digests.join())).size).toBe(1)
}, {
  'a version for each hint': (parts) => storesWith((store) => ({
    async *find(paths, startMs, signal) {
      for await (const found of store.find(paths, startMs, signal)) yield found.kind === 'entry' ? { kind: 'entry', listed: { ...found.listed, content: { digest: `etag:${parts.clock.now()}` } } } : found
    },
  }))(parts) as Parts,
})

test('a hint of a key that is covered twice goes to both watches, one that is covered by none to nobody', async () => {
  const world = new World()
  world.memory.put('a', 'x')
  const other = watchOf({ ...world.watch, name: 'other', locations: [parseLocation('s3://bucket/', '/')], collection: { entity: 'local', project: 'vision', collection: 'other' } })
  await world.start((parts) => ({ ...parts, watches: [world.watch, other] }))
  await world.clock.pass(60_000)
  const generations = async (): Promise<(number | undefined)[]> => [(await world.registry.watchRow('mnist'))?.generation, (await world.registry.watchRow('other'))?.generation]
  const [mnist, both] = await generations() as [number, number]
  await world.source.deliver([hintOf('a')])
  expect(await generations()).toEqual([mnist + 1, both + 1])
  await world.source.deliver([{ scheme: 's3', bucket: 'bucket', key: 'elsewhere/a', whole: false }])
  expect(await generations()).toEqual([mnist + 1, both + 2])
  await world.source.deliver([hintOf('a', 'nobody'), { scheme: 'file', bucket: '', key: '/p/a', whole: false }])
  expect(await generations()).toEqual([mnist + 1, both + 2])
  expect(world.said.filter((line) => line.startsWith('hints that no watch covers'))).toHaveLength(1)
  await world.stop()
})
