// needs: minio
// Whether older versions can still be restored, as an operator sees it.
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PutBucketLifecycleConfigurationCommand } from '@aws-sdk/client-s3'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { freePort, start } from '../components.ts'
import type { Running } from '../components.ts'
import type { Restorability } from '../../src/model/version.ts'
import { ownedBucket } from './bucket.ts'
import type { Owned } from './bucket.ts'
import { says, site, until } from './site.ts'
import type { Site } from './site.ts'
import { hearing } from './sqs-way.ts'

const ART = 'vision/mnist'
let minio: Running
let place: Site
let owned: Owned
beforeAll(async () => void (minio = await start('minio')), 60_000)
beforeEach(async () => {
  place = site()
  owned = await ownedBucket(minio.url, true)
})
afterEach(async () => {
  owned.client.destroy()
  await place.remove()
})
afterAll(() => minio.stop())

const AUDIT = { audit: { every: '1s', requests_per_hour: 3_600_000 } }
const DEADLINE_MS = 60_000

async function restorabilityOf(version: string): Promise<Restorability | undefined> {
  return (await place.log(ART)).find((one) => one.version === version)?.restorability
}

test('a pin that is destroyed is told of by log, show, metrics and the daemon; the same bytes elsewhere are not lost', async () => {
  const port = await freePort()
  place.configure({ ...hearing(owned, undefined, 'inline', { poll: '1s' }), ...AUDIT, listen: `127.0.0.1:${port}` })
  const [pin, moved] = [await owned.put('data/a', 'one'), await owned.put('data/b', 'two')]
  const daemon = place.run()
  await says(daemon, /vision\/mnist:v0 /, 20_000)
  await owned.put('data/a', 'other')
  await owned.put('data/b', 'other, too')
  await owned.put('data/copy', 'two')
  await until(() => place.status(), ({ head, state }) => state === 'clean' && head !== 'v0', DEADLINE_MS)
  await until(async () => restorabilityOf('v0'), (now) => now?.auditedAt !== undefined && now.state === 'pinned', DEADLINE_MS)
  await owned.remove('data/b', moved)
  await owned.remove('data/a', pin)
  expect(await until(() => restorabilityOf('v0'), (now) => now?.state === 'partly lost', DEADLINE_MS)).toMatchObject({ lost: 1 })
  const { stdout } = await place.varve('show', `${ART}:v0`)
  expect(stdout).toMatch(/restorable +partly lost: 1 of 2 \(the rest can be restored\)\nlost +a: the object version that held it is gone, /)
  expect((await place.varve('log', ART)).stdout).toMatch(/partly lost: 1 of 2/)
  await says(daemon, /vision\/mnist: v0 is partly lost \(1 entry\); see varve log\n/, DEADLINE_MS)
  const metrics = await fetch(`http://127.0.0.1:${port}/metrics`)
  expect(metrics.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  const text = await metrics.text()
  expect(text).toMatch(/^varve_versions\{entity="local",artifact="vision\/mnist",state="(pinned|partly_lost)"\} \d+$/m)
  expect(text).toMatch(/^varve_watch_state\{watch="mnist",state="(clean|looking|dirty)"\} 1$/m)
  expect((await daemon.stop()).exit).toBe(0)
}, 240_000)

test('what verify finds gone, and there again, is written down; where nobody may write it is found all the same', async () => {
  place.configure({ ...hearing(owned, undefined, 'inline', { poll: '1h' }), audit: { every: 'off' } })
  const pin = await owned.put('data/a', 'one')
  await owned.put('data/b', 'two')
  const scan = async (): Promise<void> => void expect((await place.varve('scan', 'mnist')).exit).toBe(0)
  await scan()
  await owned.put('data/a', 'other')
  await scan()
  expect((await place.varve('verify', `${ART}:v0`)).exit).toBe(0)
  expect(await restorabilityOf('v0')).toMatchObject({ state: 'pinned' })
  await owned.remove('data/a', pin)
  chmodSync(place.folder, 0o755)
  chmodSync(join(place.folder, '.varve'), 0o755)
  chmodSync(join(place.folder, '.varve/varve.db'), 0o644)
  const nobody = await place.run({ words: ['verify', `${ART}:v0`], uid: 65_534 }).ended
  expect(nobody).toMatchObject({ exit: 1, stdout: expect.stringMatching(/1 entry of 2 cannot be restored\n$/), stderr: expect.stringMatching(/^the state in the registry stays as it was: this user may not write to .*\n$/) })
  expect(await restorabilityOf('v0')).toMatchObject({ state: 'pinned' })
  expect(await place.varve('verify', `${ART}:v0`)).toMatchObject({ exit: 1, stderr: 'vision/mnist: v0 is partly lost (1 entry); see varve log\n' })
  expect(await restorabilityOf('v0')).toMatchObject({ state: 'partly lost', lost: 1 })
  // Said once: nothing is new.
  expect(await place.varve('verify', `${ART}:v0`, '--deep')).toMatchObject({ exit: 1, stderr: '' })
  await owned.put('data/a', 'one')
  expect(await place.varve('verify', `${ART}:v0`, '--path', 'b')).toMatchObject({ exit: 0, stderr: '' })
  expect(await restorabilityOf('v0')).toMatchObject({ state: 'partly lost' })
  expect(await place.varve('verify', `${ART}:v0`)).toMatchObject({ exit: 0, stderr: 'vision/mnist: v0 can be restored again; see varve log\n' })
  expect(await restorabilityOf('v0')).toMatchObject({ state: 'pinned', lost: 0 })
  expect((await place.varve('fsck')).stdout).toBe('sound\n')
}, 240_000)

test('what a put recorded and no watch looks at is written down as verify finds it, its newest version too, until a put brings it anew', async () => {
  place.configure({ ...hearing(owned, undefined, 'inline', { poll: '1h' }), audit: { every: 'off' } })
  const put = async (): Promise<void> => void expect(await place.varve('put', `s3://${owned.bucket}/data/`, '--name', 'solo/z', '--type', 'd')).toMatchObject({ exit: 0 })
  const state = async (): Promise<unknown> => (JSON.parse((await place.varve('show', 'solo/z', '--json')).stdout) as { restorability: unknown }).restorability
  await owned.put('data/a', 'one')
  const pin = await owned.put('data/b', 'two')
  await put()
  await owned.put('data/b', 'other')
  await owned.remove('data/b', pin)
  expect(await place.varve('verify', 'solo/z:v0')).toMatchObject({ exit: 1, stderr: 'solo/z: v0 is partly lost (1 entry); see varve log\n' })
  expect(await state()).toMatchObject({ state: 'partly lost', lost: 1 })
  expect((await place.varve('fsck')).stdout).toBe('sound\n')
  await owned.put('data/b', 'two')
  await put()
  expect(await state()).toMatchObject({ state: 'pinned', lost: 0 })
  expect(await place.varve('verify', 'solo/z:v0')).toMatchObject({ exit: 0 })
  expect((await place.varve('fsck')).stdout).toBe('sound\n')
}, 240_000)

test('rules of the bucket put what they will take at risk, with the day', async () => {
  await owned.client.send(new PutBucketLifecycleConfigurationCommand({
    Bucket: owned.bucket,
    LifecycleConfiguration: { Rules: [{ ID: 'old', Status: 'Enabled', Filter: { Prefix: 'data/' }, NoncurrentVersionExpiration: { NoncurrentDays: 30 } }] },
  }))
  place.configure({ ...hearing(owned, undefined, 'inline', { poll: '1s' }), ...AUDIT })
  await owned.put('data/a', 'one')
  await owned.put('data/b', 'two')
  const daemon = place.run()
  await says(daemon, /vision\/mnist:v0 /, 20_000)
  const before = Date.now()
  await owned.put('data/a', 'other')
  await says(daemon, /vision\/mnist:v1 /, 20_000)
  const now = await until(() => restorabilityOf('v0'), (one) => one?.state === 'at risk', DEADLINE_MS)
  const day = Date.parse(now?.atRiskFrom ?? '')
  expect([day % 86_400_000, day > before + 29 * 86_400_000, day < Date.now() + 32 * 86_400_000]).toEqual([0, true, true])
  expect(now?.notes).toBeUndefined()
  expect(await restorabilityOf('v1')).toMatchObject({ state: 'pinned', lost: 0 })
  expect((await place.varve('show', `${ART}:v0`)).stdout).toContain(`at risk from ${now?.atRiskFrom?.slice(0, 10)} (rules of the bucket will take object versions)`)
  expect((await daemon.stop()).exit).toBe(0)
}, 240_000)

test('a store that is not there any more changes nothing, and is said', async () => {
  const gone = await start('minio')
  const bucket = await ownedBucket(gone.url, true)
  place.configure({ ...hearing(bucket, undefined, 'inline', { poll: '1h' }), ...AUDIT })
  await bucket.put('data/a', 'one')
  const first = place.run()
  await says(first, /vision\/mnist:v0 /, 20_000)
  await bucket.put('data/a', 'two')
  await first.stop()
  const daemon = place.run()
  await says(daemon, /vision\/mnist:v1 /, 20_000)
  await until(() => restorabilityOf('v0'), (now) => now?.auditedAt !== undefined, DEADLINE_MS)
  await gone.stop()
  bucket.client.destroy()
  expect(await until(() => restorabilityOf('v0'), (now) => now?.notes !== undefined, DEADLINE_MS)).toMatchObject({ state: 'pinned', lost: 0, notes: [expect.stringContaining('not all could be asked')] })
  expect((await daemon.stop()).exit).toBe(0)
}, 240_000)

test('files that are overwritten or removed are lost at once, unless they only moved', async () => {
  const tree = join(place.folder, 'tree')
  mkdirSync(tree)
  for (const name of ['a', 'b']) writeFileSync(join(tree, name), createHash('sha256').update(name).digest())
  const put = (): ReturnType<Site['varve']> => place.varve('put', 'tree/', '--name', ART, '--type', 'dataset', '--data', '.varve')
  place.configure({ watch: [{ name: 'x', location: 'other/', artifact: 'vision/x', type: 'dataset' }] })
  expect((await put()).exit).toBe(0)
  expect(await restorabilityOf('v0')).toEqual({ state: 'unpinned', lost: 0 })
  writeFileSync(join(tree, 'a'), 'overwritten')
  expect((await put()).exit).toBe(0)
  expect(await restorabilityOf('v0')).toEqual({ state: 'partly lost', lost: 1 })
  renameSync(join(tree, 'b'), join(tree, 'c'))
  expect((await put()).exit).toBe(0)
  expect(await restorabilityOf('v0')).toEqual({ state: 'partly lost', lost: 1 })
  writeFileSync(join(tree, 'c'), 'overwritten, too')
  expect((await put()).exit).toBe(0)
  expect(await restorabilityOf('v0')).toEqual({ state: 'lost', lost: 2 })
  expect(await restorabilityOf('v3')).toEqual({ state: 'unpinned', lost: 0 })
  const { stdout } = await place.varve('show', `${ART}:v0`)
  expect(stdout).toMatch(/restorable +lost \(nothing of it can be restored\)\nlost +a: it was overwritten, and nothing else holds its bytes\nlost +b: it was removed/)
}, 60_000)
