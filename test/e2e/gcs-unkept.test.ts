// A bucket of GCS that keeps no older generations: what is overwritten there is lost in the same commit, as it is on S3 and on disks without versions.
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { FakeGcs } from '../fakes/gcs.ts'
import { site } from './site.ts'
import type { Site } from './site.ts'

const ART = 'p/g'
let fake: FakeGcs
let place: Site
beforeEach(async () => {
  fake = await FakeGcs.start()
  place = site()
  place.configure({ watch: [{ name: 'g', location: 'gs://fake/d/', artifact: ART, type: 'dataset', gcs: { endpoint: fake.url } }], audit: { every: 'off' } })
})
afterEach(async () => {
  await place.remove()
  await fake.stop()
})

async function scanned(changes: Readonly<Record<string, string | undefined>>): Promise<void> {
  for (const [path, text] of Object.entries(changes))
    if (text === undefined) fake.remove(`d/${path}`)
    else fake.put(`d/${path}`, text)
  expect(await place.varve('scan', 'g')).toMatchObject({ exit: 0 })
}

/** Of each version, the first first. */
async function states(artifact = ART): Promise<string[]> {
  return (await place.log(artifact)).toReversed().map(({ version, restorability: { state, lost } }) => `${version} ${state}${lost > 0 ? ` ${lost}` : ''}`)
}

test('what was overwritten or removed is lost at once; moved, reverted or put elsewhere it is there, until that changes', async () => {
  await scanned({ a: 'one', b: 'two', c: 'three' })
  expect(await states()).toEqual(['v0 unpinned'])
  await scanned({ a: 'changed' })
  expect(await states()).toEqual(['v0 partly lost 1', 'v1 unpinned'])
  await scanned({ a: 'one', b: undefined, moved: 'two' })
  expect(await states()).toEqual(['v0 unpinned', 'v1 partly lost 1', 'v2 unpinned'])
  await scanned({ moved: undefined })
  expect(await states()).toEqual(['v0 partly lost 1', 'v1 partly lost 2', 'v2 partly lost 1', 'v3 unpinned'])
  // What another artifact brings is found right after, and so is its end.
  fake.put('e/copy', 'two')
  const put = (): Promise<unknown> => place.varve('put', 'gs://fake/e/', '--name', 'p/copy', '--type', 'dataset')
  expect(await put()).toMatchObject({ exit: 0 })
  expect(await states()).toEqual(['v0 unpinned', 'v1 partly lost 1', 'v2 unpinned', 'v3 unpinned'])
  fake.put('e/copy', 'none')
  expect(await put()).toMatchObject({ exit: 0 })
  expect(await states()).toEqual(['v0 partly lost 1', 'v1 partly lost 2', 'v2 partly lost 1', 'v3 unpinned'])
  expect(await states('p/copy')).toEqual(['v0 lost 1', 'v1 unpinned'])
  // It is so, and nothing that verify finds says otherwise.
  expect(await place.varve('verify', `${ART}:v1`)).toMatchObject({ exit: 1, stderr: '' })
  expect(await place.varve('verify', `${ART}:v3`)).toMatchObject({ exit: 0, stderr: '' })
  // The generation is kept for whoever fetches by it.
  expect((await place.files(`${ART}:v3`)).map(({ path, pin }) => `${path} ${pin}`)).toEqual(['a', 'c'].map((path) => `${path} generation:${fake.generationOf(`d/${path}`)}`))
  expect((await place.varve('fsck')).stdout).toBe('sound\n')
}, 120_000)

test('where nobody may ask the bucket generations are believed, until verify finds one gone: then of every version, and of what is overwritten from then on', async () => {
  fake.fault = (kind) => (kind === 'about' ? 'denied' : undefined)
  for (const text of ['one', 'two', 'three', 'four']) await scanned({ a: text, same: 'same' })
  expect(await states()).toEqual(['v0 pinned', 'v1 pinned', 'v2 pinned', 'v3 pinned'])
  expect(await place.varve('verify', `${ART}:v2`)).toMatchObject({ exit: 1 })
  expect(await states()).toEqual(['v0 partly lost 1', 'v1 partly lost 1', 'v2 partly lost 1', 'v3 unpinned'])
  await scanned({ a: 'five' })
  expect(await states()).toEqual(['v0 partly lost 1', 'v1 partly lost 1', 'v2 partly lost 1', 'v3 partly lost 1', 'v4 unpinned'])
  expect((await place.varve('fsck')).stdout).toBe('sound\n')
}, 120_000)

test('where older generations are kept they are pins, also when that is switched off later', async () => {
  fake.versioned = true
  await scanned({ a: 'one' })
  await scanned({ a: 'two' })
  expect(await states()).toEqual(['v0 pinned', 'v1 pinned'])
  fake.versioned = false
  await scanned({ a: 'three' })
  expect((await states())[1]).toBe('v1 lost 1')
  expect(await place.varve('verify', `${ART}:v0`)).toMatchObject({ exit: 0 })
  expect(await place.varve('verify', `${ART}:v1`)).toMatchObject({ exit: 1 })
}, 120_000)
