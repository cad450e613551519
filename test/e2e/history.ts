// What may happen to the objects of a bucket that keeps versions, act by act; and what Varve makes of each. Stores that keep versions make the same of it.
import { PutBucketVersioningCommand } from '@aws-sdk/client-s3'
import { expect } from '@jest/globals'
import type { EntryView } from '../../src/model/version.ts'
import { ownedBucket } from './bucket.ts'
import type { Owned } from './bucket.ts'
import { says } from './site.ts'
import type { Site } from './site.ts'
import { hearing, told } from './sqs-way.ts'

const ART = 'vision/mnist'
// Three versions each, so that the thousandth row, where a page ends, lies within a key.
const CROWD = 350
const PUTS_AT_ONCE = 8

/** An act, and the version that it makes, if it makes one. */
type Act = readonly [what: string, act: (owned: Owned) => Promise<unknown>, makes?: string]

/** The acts, in order. What an act leaves for a later one is kept beside. */
function acts(): readonly Act[] {
  const ids: Record<string, string | undefined> = {}
  const put = (id: string, key: string, text: string) => async (owned: Owned) => void (ids[id] = await owned.put(`data/${key}`, text))
  const remove = (key: string, id: string) => (owned: Owned) => owned.remove(`data/${key}`, ids[id])
  const mark = (id: string, key: string) => async (owned: Owned) => void (ids[id] = await owned.remove(`data/${key}`))
  const versioning = (Status: 'Enabled' | 'Suspended') => (owned: Owned) => owned.client.send(new PutBucketVersioningCommand({ Bucket: owned.bucket, VersioningConfiguration: { Status } }))
  return [
    ['an object', put('a1', 'a', 'one'), '+1 ~0 -0'],
    ['overwritten', put('a2', 'a', 'two'), '+0 ~1 -0'],
    ['deleted: a marker', mark('marker', 'a'), '+0 ~0 -1'],
    ['undeleted: the marker deleted', remove('a', 'marker'), '+1 ~0 -0'],
    ['the newest version deleted: the older one is current again', remove('a', 'a2'), '+0 ~1 -0'],
    ['overwritten again', put('a3', 'a', 'three'), '+0 ~1 -0'],
    ['an old version deleted', remove('a', 'a1')],
    ['all versions deleted', remove('a', 'a3'), '+0 ~0 -1'],
    ['another', put('b1', 'b', 'same'), '+1 ~0 -0'],
    ['overwritten with the same bytes', put('b2', 'b', 'same')],
    ['the first of the twins deleted', remove('b', 'b1')],
    ['the same bytes, again', put('b3', 'b', 'same')],
    ['the last of the twins deleted', remove('b', 'b3')],
    ['an object of no bytes', put('zero', 'zero', ''), '+1 ~0 -0'],
    ['a folder marker', put('folder', 'folder/', '')],
    ['versions suspended', versioning('Suspended')],
    ['an object without a version', put('n', 'n', 'none'), '+1 ~0 -0'],
    ['overwritten, with nothing left of it', put('n', 'n', 'other'), '+0 ~1 -0'],
    ['one with versions overwritten without', put('b', 'b', 'unversioned'), '+0 ~1 -0'],
    ['that undone: the version before is current again', (owned) => owned.remove('data/b', 'null'), '+0 ~1 -0'],
    ['deleted without a version: a marker without', mark('marker', 'n'), '+0 ~0 -1'],
    ['versions again', versioning('Enabled')],
    ['overwritten with a version', put('b4', 'b', 'versioned'), '+0 ~1 -0'],
  ]
}

/** Lives the history on a store at `endpoint`: after each act the head is what the store itself says, and there is a version only where the content changed. */
export async function live(endpoint: string, place: Site): Promise<void> {
  const owned = await ownedBucket(endpoint, true)
  await crowd(owned)
  place.configure(hearing(owned, undefined, 'inline', { poll: '1s' }))
  const daemon = place.run()
  await says(daemon, /vision\/mnist:v0 /, 30_000)
  const expected = [`+${CROWD} ~0 -0`]
  for (const [what, act, makes] of acts()) {
    await act(owned)
    if (makes !== undefined) expected.push(makes)
    const scanned = await place.varve('scan', 'mnist', '--wait', '--json')
    expect({ what, exit: scanned.exit, stderr: scanned.stderr, head: (JSON.parse(scanned.stdout) as { head: string }).head }).toEqual({ what, exit: 0, stderr: '', head: `v${expected.length - 1}` })
    const head = await place.files(`${ART}:latest`)
    expect({ what, pins: new Map(head.map((entry) => [`data/${entry.path}`, newest(entry)])) }).toEqual({ what, pins: await current(owned) })
    if (what.includes('same bytes')) expect(head.find(({ path }) => path === 'b')).toMatchObject({ pin: expect.stringMatching(/^versionId:/), latestPin: expect.stringMatching(/^versionId:/) })
  }
  const versions = (await told(place)).map((text) => text.split(' ').slice(0, 4).join(' '))
  expect(versions).toEqual(expected.map((makes, index) => `v${index} ${makes}`))
  const [last] = await place.log(ART)
  expect(last?.certificate).toMatchObject({ skipped: [{ path: 'folder/', reason: 'folder-marker' }], notes: [] })
  // What nobody asks for is found by the poll.
  await owned.put('data/later', 'x')
  await says(daemon, new RegExp(`vision/mnist:v${expected.length} `), 60_000)
  expect((await told(place)).at(-1)).toBe(`v${expected.length} +1 ~0 -0 interval`)
  expect(await daemon.stop()).toMatchObject({ exit: 0, stderr: '' })
  owned.client.destroy()
}

async function crowd(owned: Owned): Promise<void> {
  const left = Array.from({ length: CROWD }, (_, at) => `data/crowd/${String(at).padStart(3, '0')}`)
  await Promise.all(Array.from({ length: PUTS_AT_ONCE }, async () => {
    for (let key = left.pop(); key !== undefined; key = left.pop()) for (const text of ['one', 'two', 'three']) await owned.put(key, text)
  }))
}

/** Under which version the newest bytes lie. */
function newest({ pin, latestPin }: EntryView): string | undefined {
  return latestPin ?? pin
}

/** What is there now by the store itself, but for folder markers. What has no version of its own has no pin. */
async function current(owned: Owned): Promise<Map<string, string | undefined>> {
  const there = await owned.current('data/')
  return new Map([...there].filter(([key]) => !key.endsWith('/')).map(([key, id]) => [key, id === 'null' ? undefined : `versionId:${id}`]))
}
