// From a post to the mark: the real webhook, router and registry.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { router } from '../../src/daemon/router.ts'
import { parseLocation } from '../../src/model/location.ts'
import { inlineQueue } from '../../src/queue/inline.ts'
import { openRegistryIn } from '../../src/registry/open.ts'
import type { Watch } from '../../src/model/watch.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { openSources } from '../../src/storage/open.ts'
import { openWebhook } from '../../src/storage/s3/webhook.ts'
import type { ToldSource } from '../../src/storage/storage.ts'
import { realClock } from '../laws/world.ts'
import { begun, NOW, watchOf } from '../suite/registry-world.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-posts-'))
const stop = new AbortController()
const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
let registry: Registry
let source: ToldSource
let listening: Promise<void>
beforeAll(async () => {
  writeFileSync(join(folder, 'token'), 'secret-token')
  const clock = realClock()
  const watches = [watchOf({ locations: [parseLocation('s3://bucket/p/', '/')] })]
  registry = await openRegistryIn(new DatabaseSync(':memory:'))
  await registry.enroll(watches, NOW)
  source = openWebhook({ path: '/hooks/x', tokenFile: join(folder, 'token'), locations: [] }, clock, log)
  listening = source.listen(router({ registry, queue: inlineQueue(clock), clock, log, watches }), stop.signal)
})
afterAll(async () => {
  stop.abort()
  await listening
  await registry.close()
  rmSync(folder, { recursive: true })
})
beforeEach(async () => registry.release(await requested(), { state: 'dirty', reason: 'for the test' }, NOW))

const requested = (): ReturnType<typeof begun> => begun(registry)

function post(...keys: readonly string[]): Promise<number> {
  const text = JSON.stringify({ Records: keys.map((key) => ({ s3: { bucket: { name: 'bucket' }, object: { key } } })) })
  return source.tell(new TextEncoder().encode(text))
}

test('a raw key is asked for as it is, and as it may have been meant', async () => {
  expect(await post('p/a+b', 'p/a%20b', 'p/100%', 'p/é')).toBe(200)
  expect((await requested()).paths).toEqual(['100%', 'a b', 'a%20b', 'a+b', 'é'])
})

test('no key keeps others from being marked, whatever is in it', async () => {
  const key = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom('\0', '\ud800', '\udfff', '%', '+', '/', '*', '"', 'a') }))
  await fc.assert(fc.asyncProperty(fc.array(key, { minLength: 1, maxLength: 4 }), async (keys) => {
    expect(await post(...keys.map((one) => `p/${one}`))).toBe(200)
  }), { numRuns: 300 })
  expect(await post('p/after')).toBe(200)
  const { paths, whole } = await requested()
  expect(whole || paths.includes('after')).toBe(true)
})

test('what a store posts is of its own buckets, and not of those of the same name elsewhere', async () => {
  const at = (name: string, endpoint: string, events: boolean): Watch => watchOf({
    name, collection: { entity: 'local', project: 'p', collection: name }, locations: [{ ...parseLocation('s3://bucket/p/', '/'), endpoint }],
    ...(events && { events: { kind: 'webhook' as const, path: '/hooks/a', tokenFile: join(folder, 'token') } }),
  })
  const watches = [at('heard', 'http://127.0.0.1:9000', true), at('elsewhere', 'http://127.0.0.1:5000', false), at('beside', 'http://127.0.0.1:9000', false)]
  const clock = realClock()
  const own = await openRegistryIn(new DatabaseSync(':memory:'))
  const ends = new AbortController()
  await own.enroll(watches, NOW)
  const [hook] = (await openSources(watches, clock, log)) as ToldSource[]
  const hearing = hook?.listen(router({ registry: own, queue: inlineQueue(clock), clock, log, watches }), ends.signal)
  try {
    const generations = async (): Promise<number[]> => Promise.all(watches.map(async ({ name }) => (await own.watchRow(name))?.generation ?? 0))
    const before = await generations()
    expect(await hook?.tell(new TextEncoder().encode(JSON.stringify({ Records: [{ s3: { bucket: { name: 'bucket' }, object: { key: 'p/a' } } }] })))).toBe(200)
    const after = await generations()
    expect(after.map((generation, i) => generation > (before[i] ?? 0))).toEqual([true, false, true])
  } finally {
    ends.abort()
    await hearing
    await own.close()
  }
})
