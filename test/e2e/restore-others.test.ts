// needs: fake-gcs-server, nginx
// Bytes back from Google Cloud Storage and from a web server, by the command line.
import { afterEach, expect, test } from '@jest/globals'
import { utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Step } from '../../src/restore/restore.ts'
import { start } from '../components.ts'
import type { Running } from '../components.ts'
import { always, liarBefore } from '../restore/liar.ts'
import type { Liar } from '../restore/liar.ts'
import { treeOf } from '../restore/world.ts'
import { freshBucket, put } from '../storage/gcs/bucket.ts'
import { site } from './site.ts'
import type { Site } from './site.ts'

const LONG_MS = 120_000

let store: Running
let place: Site
let liar: Liar | undefined
afterEach(async () => {
  await liar?.close()
  liar = undefined
  await place.remove()
  await store.stop()
})

async function get(...words: readonly string[]): Promise<{ readonly exit: number | null; readonly steps: readonly Step[] }> {
  const { exit, stdout } = await place.varve('get', 'p/art:v0', ...words, '--json')
  return { exit, steps: stdout.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Step) }
}

const lost = (steps: readonly Step[]): Record<string, string> => Object.fromEntries(steps.filter(({ action }) => action === 'lost').map(({ path, reason }) => [path, reason ?? '']))

test.each([[true, {}], [false, { a: 'expired', b: 'removed' }]] as const)('GCS, versions kept: %j: what was overwritten or deleted comes back by its generation, or is lost by name', async (versioned, losses) => {
  store = await start('fake-gcs-server')
  place = site()
  const bucket = await freshBucket(store.url, versioned)
  for (const name of ['a', 'b', 'c/d e#%20']) await put(bucket, `data/${name}`, `the ${name}`)
  place.configure({ watch: [{ name: 'w', location: `gs://${bucket.name}/data/`, artifact: 'p/art', type: 'dataset', gcs: { endpoint: store.url } }] })
  const recorded = await place.varve('put', `gs://${bucket.name}/data/`, '--name', 'p/art', '--type', 'dataset')
  expect(recorded).toMatchObject({ exit: 0 })
  await put(bucket, 'data/a', 'other bytes')
  await bucket.file('data/b').delete()
  const { exit, steps } = await get('to', '--partial')
  expect([exit, lost(steps)]).toEqual([versioned ? 0 : 1, losses])
  const all = { 'a': 'the a', 'b': 'the b', 'c/d e#%20': 'the c/d e#%20' }
  expect(treeOf(join(place.folder, 'to'))).toEqual(versioned ? all : { 'c/d e#%20': 'the c/d e#%20' })
  expect(new Set(steps.filter(({ action }) => action === 'fetched').map(({ proof }) => proof))).toEqual(new Set(['md5']))
  expect((await place.varve('verify', 'p/art:v0', '--deep')).exit).toBe(versioned ? 0 : 1)
}, LONG_MS)

test('a web object comes back as long as it bears the recorded ETag, by the word of the server; afterwards it is lost', async () => {
  store = await start('nginx')
  place = site()
  const file = join(store.folder, 'www', 'labels.csv')
  writeFileSync(file, 'one,two\n')
  utimesSync(file, 1_767_225_600, 1_767_225_600)
  place.configure({ watch: [{ name: 'w', location: `${store.url}/labels.csv`, artifact: 'p/art', type: 'dataset' }] })
  expect(await place.varve('put', `${store.url}/labels.csv`, '--name', 'p/art', '--type', 'dataset')).toMatchObject({ exit: 0 })
  const { exit, steps } = await get('to')
  expect([exit, steps]).toEqual([0, [{ path: 'labels.csv', action: 'fetched', from: `${store.url}/labels.csv`, proof: 'store', sizeBytes: 8 }]])
  expect(treeOf(join(place.folder, 'to'))).toEqual({ 'labels.csv': 'one,two\n' })
  writeFileSync(file, 'one,TWO\n')
  expect(lost((await get('again')).steps)).toEqual({ 'labels.csv': 'overwritten' })
  // What is in place is known by its fingerprint alone, and stays.
  expect((await get('to')).exit).toBe(0)
}, LONG_MS)

// The larger comes in pieces.
const BODIES = { small: 'small', large: '0123456789abcdef'.repeat(20 * 65_536) }

/** Lies a few times, then for ever, then no more. */
async function throughLies(proxy: Liar): Promise<void> {
  for (const [to, path, lies] of [['one', /small/, ['flip', 503]], ['two', /small/, ['cut', 'flip']], ['three', /large/, ['cut', 'flip', 503]]] as const) {
    proxy.lie(path, lies)
    const { exit, steps } = await get(to)
    expect([exit, steps.map(({ proof }) => proof), proxy.told()]).toEqual([0, ['md5', 'md5'], lies.length])
    expect(treeOf(join(place.folder, to))).toEqual(BODIES)
  }
  proxy.lie(/small/, always('flip'))
  const spoiled = await get('other')
  expect([spoiled.exit, lost(spoiled.steps), treeOf(join(place.folder, 'other'))]).toEqual([1, { small: 'corrupt' }, { large: BODIES.large }])
  proxy.lie(/small|large/, always('cut'))
  const cut = await get('last')
  expect([cut.exit, lost(cut.steps)]).toEqual([1, { large: 'unreachable', small: 'unreachable' }])
  proxy.lie(/./, [])
  expect(await get('last')).toMatchObject({ exit: 0 })
  expect(treeOf(join(place.folder, 'last'))).toEqual(BODIES)
}

test('GCS through a proxy that flips, cuts and refuses: every byte that is in place is verified', async () => {
  store = await start('fake-gcs-server')
  place = site()
  const bucket = await freshBucket(store.url, true)
  for (const [name, body] of Object.entries(BODIES)) await put(bucket, `data/${name}`, body)
  liar = await liarBefore(store.url)
  place.configure({ watch: [{ name: 'w', location: `gs://${bucket.name}/data/`, artifact: 'p/art', type: 'dataset', gcs: { endpoint: liar.url } }] })
  expect(await place.varve('put', `gs://${bucket.name}/data/`, '--name', 'p/art', '--type', 'dataset')).toMatchObject({ exit: 0 })
  await throughLies(liar)
}, LONG_MS)

test('web objects whose content was digested, through the same proxy', async () => {
  store = await start('nginx')
  place = site()
  for (const [name, body] of Object.entries(BODIES)) writeFileSync(join(store.folder, 'www', name), body)
  const proxy = (liar = await liarBefore(store.url))
  const locations = Object.keys(BODIES).map((name) => ({ location: `${proxy.url}/${name}` }))
  place.configure({ watch: [{ name: 'w', locations, artifact: 'p/art', type: 'dataset', http: { checksum: 'content' } }] })
  const { stderr } = await place.varve('scan', 'w')
  expect(stderr).toBe('')
  await throughLies(proxy)
}, LONG_MS)
