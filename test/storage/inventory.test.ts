// needs: moto, minio, versitygw, fake-gcs-server
// What real stores say of what they still keep.
import { randomUUID } from 'node:crypto'
import { PutBucketLifecycleConfigurationCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { afterEach, describe, expect, test } from '@jest/globals'
import { isFailure } from '../../src/model/errors.ts'
import { comparePaths } from '../../src/model/location.ts'
import type { Location } from '../../src/model/location.ts'
import { openInventory } from '../../src/storage/open.ts'
import type { Inventory, KeptVersion } from '../../src/storage/storage.ts'
import { start } from '../components.ts'
import { ownedBucket } from '../e2e/bucket.ts'
import { FakeGcs } from '../fakes/gcs.ts'
import { freshBucket, put as putGcs } from './gcs/bucket.ts'
import { locationAt, useKeys } from './s3/bucket.ts'

const signal = new AbortController().signal
const opened: Inventory[] = []
afterEach(async () => {
  for (const inventory of opened.splice(0)) await inventory.close()
})

/** Counts what is spent. */
function purse(): { spent: number; spend(requests: number): Promise<void> } {
  const counted = { spent: 0, spend: async (requests: number) => void (counted.spent += requests) }
  return counted
}

async function keptBy(inventory: Inventory, keys: readonly string[], spend = purse().spend): Promise<Map<string, readonly KeptVersion[]>> {
  const found = new Map<string, readonly KeptVersion[]>()
  for await (const { key, versions } of inventory.kept([...keys].sort(comparePaths), spend, signal)) {
    expect(found.has(key)).toBe(false)
    found.set(key, versions)
  }
  expect([...found.keys()]).toEqual([...keys].sort(comparePaths))
  return found
}

function pins(versions: readonly KeptVersion[] | undefined): (string | undefined)[] {
  return (versions ?? []).map(({ content, marker }) => (marker ? 'marker' : content?.pin?.slice('versionId:'.length)))
}

async function s3At(endpoint: string, bucket: string): Promise<Inventory> {
  useKeys()
  return openedAt(locationAt(endpoint, bucket, 'd/'))
}

async function openedAt(location: Location): Promise<Inventory> {
  const at = location.endpoint === undefined ? {} : { endpoint: location.endpoint }
  const inventory = (await openInventory(location, { s3: { ...at, region: 'us-east-1' }, gcs: at, http: {} })) as Inventory
  opened.push(inventory)
  return inventory
}

describe.each(['minio', 'versitygw', 'moto'] as const)('%s', (component) => {
  test('every version and marker of each key is told, newest first, however they lie among others', async () => {
    const running = await start(component)
    const owned = await ownedBucket(running.url, true)
    const many = Array.from({ length: 400 }, (_, i) => `d/m/${String(i).padStart(4, '0')}`)
    const left = ['a', 'd/a', 'd/b/c', 'd/a-', 'd/é', 'z', ...many]
    const expected = new Map<string, (string | undefined)[]>()
    await Promise.all(Array.from({ length: 8 }, async () => {
      for (let key = left.pop(); key !== undefined; key = left.pop())
        for (const body of ['one', 'two', 'three']) expected.set(key, [await owned.put(key, body), ...(expected.get(key) ?? [])])
    }))
    await owned.remove('d/a-')
    const inventory = await s3At(running.url, owned.bucket)
    const near = purse()
    const found = await keptBy(inventory, many, near.spend)
    for (const key of many) expect([key, pins(found.get(key))]).toEqual([key, expected.get(key)])
    // 1,200 rows, the first key by itself; versitygw ends with an empty page.
    expect(near.spent).toBeLessThanOrEqual(4)
    const far = await keptBy(inventory, ['a', 'd/a', 'd/a-', 'd/é', 'd/m/0200', 'not', 'z'])
    expect(pins(far.get('d/a-'))).toEqual(['marker', ...(expected.get('d/a-') ?? [])])
    for (const key of ['a', 'd/a', 'd/é', 'd/m/0200', 'z']) expect([key, pins(far.get(key))]).toEqual([key, expected.get(key)])
    expect(far.get('not')).toEqual([])
    const [first] = found.get('d/m/0000') ?? []
    expect(first).toMatchObject({ marker: false, archived: false, sizeBytes: 5, content: { etag: expect.stringMatching(/^[0-9a-f]{32}$/) } })
    expect(Math.abs((first?.writtenMs ?? 0) - Date.now())).toBeLessThan(3_600_000)
    const [, second] = expected.get('d/m/0000') as string[]
    expect(await inventory.isThere('d/m/0000', `versionId:${second}`, near.spend, signal)).toBe(true)
    await owned.remove('d/m/0000', second)
    expect(await inventory.isThere('d/m/0000', `versionId:${second}`, near.spend, signal)).toBe(false)
      owned.client.destroy()
    await running.stop()
  }, 180_000)

  test('the rules of a bucket are read; where there are none, or the store does not tell, that is no error', async () => {
    const running = await start(component)
    const [plain, ruled] = [await ownedBucket(running.url, false), await ownedBucket(running.url, true)]
    const without = await (await s3At(running.url, plain.bucket)).terms(purse().spend, signal)
    expect([without.keepsVersions ?? false, without.expiries]).toEqual([false, []])
    const set = ruled.client.send(new PutBucketLifecycleConfigurationCommand({
      Bucket: ruled.bucket,
      LifecycleConfiguration: { Rules: [{ ID: 'old', Status: 'Enabled', Filter: { Prefix: 'd/' }, NoncurrentVersionExpiration: { NoncurrentDays: 30 } }] },
    }))
    const purses = purse()
    if (component === 'versitygw') {
      // It knows no rules: what cannot be set is not told either.
      await expect(set).rejects.toThrow()
      const { notes, expiries, keepsVersions } = await (await s3At(running.url, ruled.bucket)).terms(purses.spend, signal)
      expect([expiries, keepsVersions]).toEqual([[], true])
      expect(notes.length).toBeLessThanOrEqual(1)
    } else {
      await set
      expect(await (await s3At(running.url, ruled.bucket)).terms(purses.spend, signal)).toEqual({
        keepsVersions: true, notes: [], expiries: [{ id: 'old', takes: 'noncurrent', prefixes: ['d/'], replacedDays: 30, asksMore: false, wholeDays: true }],
      })
    }
    expect(purses.spent).toBe(2)
    plain.client.destroy()
    ruled.client.destroy()
    await running.stop()
  }, 60_000)

  test('what cannot be asked is an error, never an empty answer', async () => {
    const running = await start(component)
    const missing = await s3At(running.url, `b${randomUUID().slice(0, 18)}`)
    await expect(missing.terms(purse().spend, signal)).rejects.toMatchObject({ code: 'LOCATION_MISSING' })
    await expect(keptBy(missing, ['a', 'b'])).rejects.toMatchObject({ code: 'LOCATION_MISSING' })
    await running.stop()
    await expect(keptBy(missing, ['a'])).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  }, 60_000)
})

test('what was written before a bucket kept versions is told without a pin', async () => {
  const running = await start('minio')
  const owned = await ownedBucket(running.url, false)
  await owned.client.send(new PutObjectCommand({ Bucket: owned.bucket, Key: 'd/a', Body: 'one', ContentLength: 3 }))
  const found = await keptBy(await s3At(running.url, owned.bucket), ['d/a'])
  expect(found.get('d/a')).toEqual([{ marker: false, archived: false, sizeBytes: 3, writtenMs: expect.any(Number), content: { digest: expect.any(String), etag: expect.any(String) } }])
  owned.client.destroy()
  await running.stop()
}, 60_000)

test('generations of a bucket of GCS, and what is deleted there', async () => {
  const running = await start('fake-gcs-server')
  const bucket = await freshBucket(running.url, true)
  const generations = async (key: string): Promise<string[]> => (await bucket.getFiles({ prefix: key, versions: true }))[0]
    .filter(({ name }) => name === key).map(({ metadata }) => `generation:${metadata.generation}`).sort().reverse()
  for (const key of ['d/a', 'd/a/b', 'd/b', 'd/c', 'e']) for (const text of ['one', 'two']) await putGcs(bucket, key, text)
  await bucket.file('d/b').delete()
  const inventory = await openedAt({ scheme: 'gs', endpoint: running.url, bucket: bucket.name, prefix: 'd/' })
  const found = await keptBy(inventory, ['d/a', 'd/b', 'd/c', 'd/not'])
  for (const key of ['d/a', 'd/b', 'd/c']) expect([key, (found.get(key) ?? []).flatMap(({ content }) => content?.pin ?? [])]).toEqual([key, await generations(key)])
  expect(['d/a', 'd/b', 'd/not'].map((key) => found.get(key)?.[0]?.marker)).toEqual([false, true, undefined])
  expect(found.get('d/a')?.[0]?.writtenMs).toBeGreaterThan(Date.now() - 3_600_000)
  const [pin] = await generations('d/c')
  expect(await inventory.isThere('d/c', pin as string, purse().spend, signal)).toBe(true)
  expect(await inventory.isThere('d/c', 'generation:1', purse().spend, signal)).toBe(false)
  expect(await inventory.terms(purse().spend, signal)).toEqual({ expiries: [], keepsVersions: true, notes: [] })
  await running.stop()
}, 60_000)

test('a bucket of GCS that may not be asked for its rules is a note; one that may not be listed is an error', async () => {
  const fake = await FakeGcs.start()
  const inventory = await openedAt({ scheme: 'gs', endpoint: fake.url, bucket: 'fake', prefix: '' })
  fake.fault = () => 'denied'
  expect(await inventory.terms(purse().spend, signal)).toEqual({ expiries: [], notes: [expect.stringContaining('storage.buckets.get is not allowed')] })
  await expect(keptBy(inventory, ['a'])).rejects.toMatchObject({ code: 'LOCATION_DENIED' })
  fake.fault = (_, nth) => (nth === 0 ? 'unavailable' : undefined)
  const spent = purse()
  const tried = await keptBy(inventory, ['a'], spent.spend).catch((error: unknown) => (isFailure(error) ? error.code : error))
  expect([tried instanceof Map ? tried.get('a') : tried, spent.spent > 0]).toEqual([[], true])
  await fake.stop()
})

test('places that keep no versions have no inventory', async () => {
  expect(await openInventory({ scheme: 'file', bucket: '', prefix: '/data/' }, { s3: {}, gcs: {}, http: {} })).toBeUndefined()
})
