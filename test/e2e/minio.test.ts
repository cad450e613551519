// needs: minio
// The users' own store: 50,000 objects, every kind of delete, and a tree that the listing hides. Nothing tells of changes here: Varve looks.
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { start } from '../components.ts'
import type { Running } from '../components.ts'
import { ownedBucket } from './bucket.ts'
import type { Owned } from './bucket.ts'
import { live } from './history.ts'
import { putMany } from './many.ts'
import { says, site, until } from './site.ts'
import type { Site } from './site.ts'
import { hearing, told } from './sqs-way.ts'

const ART = 'vision/mnist'
const OBJECTS = 50_000
// Rows of a page.
const PAGE = 1_000

let disk: Site
let minio: Running
let place: Site
let owned: Owned | undefined
beforeAll(async () => {
  disk = site()
  const data = join(disk.folder, 'tmpfs')
  mkdirSync(data)
  // In memory, since MinIO waits for the disk at each of 50,000 objects.
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2g', 'varve-minio', data])
  minio = await start('minio', [], {}, data)
}, 60_000)
beforeEach(() => void (place = site()))
afterEach(async () => {
  owned?.client.destroy()
  owned = undefined
  await place.remove()
})
afterAll(async () => {
  await minio.stop()
  execFileSync('umount', ['-l', join(disk.folder, 'tmpfs')])
  await disk.remove()
})

test('50,000 objects are recorded whole, in one request for each thousand; of a few changes the diff tells exactly those', async () => {
  owned = await ownedBucket(minio.url, true)
  const keys = Array.from({ length: OBJECTS }, (_, i) => `data/${String(i).padStart(6, '0')}`)
  await putMany(owned.client, owned.bucket, keys.map((key) => [key, `object ${key}`]))
  place.configure(hearing(owned, undefined, 'inline', { max_objects: OBJECTS }))
  const daemon = place.run()
  await says(daemon, /vision\/mnist:v0 /, 120_000)
  const [v0] = await place.log(ART)
  expect(v0).toMatchObject({ entries: OBJECTS, changes: { added: OBJECTS }, certificate: { kind: 'scan', seen: OBJECTS, recorded: OBJECTS, skipped: [], notes: [] } })
  expect(v0?.certificate.requests).toBeLessThanOrEqual(Math.ceil(OBJECTS / PAGE) + 1)
  const files = await place.files(`${ART}:v0`)
  expect([files.length, files[0]?.path, files.at(-1)?.path]).toEqual([OBJECTS, '000000', '049999'])
  const pins = await owned.current('data/')
  expect(files.filter(({ path, pin }) => pin !== `versionId:${pins.get(`data/${path}`)}`)).toEqual([])
  expect(new Set(pins.values()).size).toBe(OBJECTS)

  // The first and the last, both sides of an edge between pages, and what was not there: as many go as come.
  await owned.put('data/000000', 'changed')
  await owned.put('data/025000', 'changed')
  await owned.put('data/049999', 'changed')
  await owned.remove('data/000999')
  await owned.remove('data/001000')
  await owned.put('data/000998a', 'new')
  await owned.put('data/zzz', 'new')
  expect(await place.varve('scan', 'mnist', '--wait')).toEqual({ exit: 0, stdout: `${ART}:v1\n`, stderr: '' })
  const changes = await place.diff(`${ART}:v0`, 'v1')
  expect(changes.map(({ change, path }) => `${change} ${path}`)).toEqual([
    'modified 000000', 'added 000998a', 'removed 000999', 'removed 001000', 'modified 025000', 'modified 049999', 'added zzz',
  ])
  const [v1] = await place.log(ART)
  expect(v1).toMatchObject({ version: 'v1', entries: OBJECTS, changes: { added: 2, modified: 3, removed: 2 } })
  // Seven rows more: two are new, three old versions, two markers.
  expect(v1?.certificate.requests).toBeLessThanOrEqual(Math.ceil((OBJECTS + 7) / PAGE) + 1)
  expect(await place.varve('scan', 'mnist', '--wait')).toEqual({ exit: 0, stdout: `unchanged: ${ART}:v1\n`, stderr: '' })
  expect(await place.varve('status')).toMatchObject({ exit: 0, stderr: '' })
  expect(await daemon.stop()).toMatchObject({ exit: 0, stderr: '' })
}, 300_000)

test('every kind of delete, undelete and overwrite makes the version that it should, or none', () => live(minio.url, place), 180_000)

test.each([true, false])('a tree that an object of its name hides from the listing is held until it shows again; versioned: %s', async (versioned) => {
  owned = await ownedBucket(minio.url, versioned)
  // Few enough are hidden that no percentage would hold them.
  await putMany(owned.client, owned.bucket, ['d/mp/deep/y', 'd/mp/x1', 'd/mp/x2', ...Array.from({ length: 25 }, (_, i) => `keep/${i}`)].map((path) => [`data/${path}`, path]))
  place.configure(hearing(owned, undefined, 'inline', { poll: '1s' }))
  const daemon = place.run()
  await says(daemon, /vision\/mnist:v0 /, 20_000)
  const put = await owned.put('data/d/mp', 'an object now')
  const held = await until(() => place.status(), ({ state }) => state === 'held', 30_000)
  expect(held).toMatchObject({
    head: 'v0', reason: expect.stringMatching(/^the object d\/mp hides what lies under d\/mp\/ .*: d\/mp\/.* is there when asked for by name$/), action: expect.stringContaining('delete d/mp'),
  })
  expect((await place.varve('status')).exit).toBe(1)
  const { bucket } = owned
  const record = (): Promise<unknown> => place.varve('put', `s3://${bucket}/data/d/mp/`, '--name', 'vision/mp', '--type', 'dataset')
  const refused = (what: string): object => ({ exit: 1, stderr: expect.stringMatching(new RegExp(`holds no entry; the ${what} data/d/mp may hide what lies under data/d/mp/`)) })
  expect(await record()).toMatchObject(refused('object'))
  const marker = await owned.remove('data/d/mp')
  if (versioned) {
    // A marker hides as well as an object does.
    await until(() => place.status(), ({ state, reason }) => state === 'held' && reason?.startsWith('the deleted object d/mp hides') === true, 30_000)
    expect(await record()).toMatchObject(refused('deleted object'))
    await owned.remove('data/d/mp', marker)
    await owned.remove('data/d/mp', put)
  }
  expect(await until(() => place.status(), ({ state }) => state === 'clean', 30_000)).toMatchObject({ head: 'v0' })
  expect(await told(place)).toEqual(['v0 +28 ~0 -0 config'])
  // What goes without being hidden is gone.
  await owned.remove('data/d/mp/x1')
  await says(daemon, /vision\/mnist:v1 {2}\+0 ~0 -1 /, 30_000)
  expect((await daemon.stop()).exit).toBe(0)
}, 120_000)
