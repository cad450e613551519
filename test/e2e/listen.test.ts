// long
// What hangs, and what is full, as the listener tells it.
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { FakeS3 } from '../fakes/s3.ts'
import { says, site, until } from './site.ts'
import type { Daemon, Site } from './site.ts'
import { fillUp } from './full.ts'

let place: Site
let store: FakeS3
beforeEach(async () => {
  place = site()
  store = await FakeS3.start()
  writeFileSync(join(place.folder, 'token'), 'secret-token')
})
afterEach(async () => {
  await place.remove()
  await store.stop()
})

async function began(more: object = {}): Promise<{ daemon: Daemon; url: string }> {
  place.configure({
    data: '.varve', listen: '127.0.0.1:0',
    watch: [{
      name: 'mnist', location: 's3://fake/data/', artifact: 'vision/mnist', type: 'dataset', settle: '100ms', max_wait: '1s', reconcile: '1d', poll: '1d',
      s3: { endpoint: store.url, region: 'us-east-1' }, events: { webhook: { path: '/hooks/store', token_file: 'token' } }, ...more,
    }],
  })
  const daemon = place.run()
  return { daemon, url: / listening on (http:\S+)/.exec(await says(daemon, /listening on http:\S+\n/, 60_000))?.[1] as string }
}

const post = async (url: string, key: string): Promise<number> =>
  (await fetch(`${url}/hooks/store`, { method: 'POST', headers: { authorization: 'Bearer secret-token' }, body: JSON.stringify({ Records: [{ s3: { bucket: { name: 'fake' }, object: { key } } }] }) })).status

test('while looks hang, the daemon says that it is alive and ready, and takes what is posted', async () => {
  store.put('data/a', 'one')
  store.fault = () => 'silent'
  const { daemon, url } = await began()
  await until(() => store.requests.length, (count) => count > 0, 60_000)
  expect(await place.status()).toMatchObject({ state: 'looking' })
  // The bound is for a machine that is busy; what hangs would not answer in it either.
  const patience = { signal: AbortSignal.timeout(30_000) }
  expect((await fetch(`${url}/livez`, patience)).status).toBe(200)
  await until(async () => (await fetch(`${url}/readyz`, patience)).status, (status) => status === 200, 60_000)
  expect(await post(url, 'data/a')).toBe(200)
  expect(await place.status()).toMatchObject({ state: 'looking' })
  expect(await daemon.stop()).toMatchObject({ exit: 0 })
}, 180_000)

test('while the disk under data is full a post is refused, so that it comes again; with room it is taken', async () => {
  const data = join(place.folder, '.varve')
  mkdirSync(data)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'varve-hook', data])
  try {
    store.put('data/a', 'one')
    const { daemon, url } = await began()
    await says(daemon, /vision\/mnist:v0 /, 60_000)
    await until(() => place.status(), ({ state }) => state === 'clean', 60_000)
    fillUp(join(data, 'ballast'))
    store.put('data/b', 'two')
    // A log that was begun anew has room for some more marks.
    await until(() => post(url, 'data/b'), (status) => status === 503, 60_000)
    expect(daemon.logged()).toMatch(/what was posted cannot be marked/)
    rmSync(join(data, 'ballast'))
    await until(() => post(url, 'data/b'), (status) => status === 200, 60_000)
    await says(daemon, /vision\/mnist:v1 {2}\+1 ~0 -0 {2}\(3 B added, hint\)/, 60_000)
    expect(await daemon.stop()).toMatchObject({ exit: 0 })
  } finally {
    execFileSync('umount', ['-l', data])
  }
}, 180_000)

test('a store that lists no versions is recorded without pins, which the version says; each entry says which store has it', async () => {
  store.put('data/a', 'one')
  store.fault = (kind) => (kind === 'versions' ? 'not-offered' : undefined)
  const { daemon, url } = await began()
  await says(daemon, /vision\/mnist:v0 /, 60_000)
  store.put('data/b+c', 'two')
  expect(await post(url, 'data/b+c')).toBe(200)
  await says(daemon, /vision\/mnist:v1 /, 60_000)
  const entries = await place.files('vision/mnist:v0')
  expect(entries).toEqual([{ path: 'a', reference: 's3://fake/data/a', endpoint: store.url, sizeBytes: 3, digest: expect.any(String), etag: expect.any(String) }])
  const [v1, v0] = await place.log('vision/mnist')
  expect(v0?.certificate.notes).toEqual([expect.stringMatching(/^versions of s3:\/\/fake\/data\/ could not be listed .*entries are without pins, and overwritten objects cannot be restored$/)])
  expect(v1?.changes).toMatchObject({ added: 1, modified: 0, removed: 0 })
  expect(await daemon.stop()).toMatchObject({ exit: 0, stderr: '' })
}, 180_000)
