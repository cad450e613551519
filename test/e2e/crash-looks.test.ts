// needs: minio
// `kill -9` of the daemon in the middle of a look: while it lists, while it reads, and around its commit.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { start } from '../components.ts'
import type { Running } from '../components.ts'
import { ownedBucket } from './bucket.ts'
import type { Owned } from './bucket.ts'
import { putMany } from './many.ts'
import { site, until } from './site.ts'
import type { Site } from './site.ts'
import { hearing, told } from './sqs-way.ts'

const ART = 'vision/mnist'
let minio: Running
let place: Site
beforeAll(async () => void (minio = await start('minio')), 60_000)
beforeEach(() => void (place = site()))
afterEach(() => place.remove())
afterAll(() => minio.stop())

/** Runs a daemon that dies at `crashAt`, by itself or when `provoke` has given it reason to. */
async function killed(crashAt: string, provoke?: () => unknown): Promise<void> {
  const daemon = place.run({ crashAt })
  if (provoke !== undefined) {
    await until(() => place.status(), ({ state, lastLook }) => state === 'clean' && lastLook !== undefined, 60_000, 300)
    await provoke()
  }
  const { exit } = await daemon.ended
  expect({ exit, signal: daemon.child.signalCode }).toEqual({ exit: null, signal: 'SIGKILL' })
}

/** Runs a daemon until nothing is left to do and `head` is there. */
async function settled(head: string): Promise<void> {
  const daemon = place.run()
  const well = await until(() => place.status(), (status) => status.state === 'clean' && status.generation === status.committedGeneration && status.head === head, 60_000, 300)
  expect(well.reason).toBeUndefined()
  expect(await place.varve('status')).toMatchObject({ exit: 0, stderr: '' })
  expect(await daemon.stop()).toMatchObject({ exit: 0, stderr: '' })
  expect(left()).toEqual({ look: 0, scratch: 0, scratch_skip: 0, scratch_directory: 0 })
}

/** Rows of looks, and of what they staged. */
function left(): Record<string, number> {
  const database = new DatabaseSync(join(place.folder, '.varve', 'varve.db'), { readOnly: true })
  try {
    return Object.fromEntries(['look', 'scratch', 'scratch_skip', 'scratch_directory'].map((table) => [table, (database.prepare(`SELECT count(*) AS count FROM ${table}`).get() as { count: number }).count]))
  } finally {
    database.close()
  }
}

/** Path and size of each entry of a version. */
async function contentOf(version: string): Promise<Map<string, number>> {
  return new Map((await place.files(`${ART}:${version}`)).map(({ path, sizeBytes }) => [path, sizeBytes]))
}

describe('a local folder', () => {
  // They are read 128 at a time, and staged 2,000 at a time: at the 36th time some are read, some staged, some neither.
  const FILES = 5_000
  const content = new Map<string, string>()
  beforeEach(() => {
    content.clear()
    for (let i = 0; i < FILES; i++) write(`d${i % 10}/f${String(i).padStart(4, '0')}`, `file ${i}`)
    place.configure({ data: '.varve', watch: [{ name: 'mnist', location: 'disk/', artifact: ART, type: 'dataset', settle: '1s', max_wait: '10s', poll: '1h' }] })
  })

  function write(path: string, text: string): void {
    content.set(path, text)
    mkdirSync(join(place.folder, 'disk', path, '..'), { recursive: true })
    writeFileSync(join(place.folder, 'disk', path), text)
  }

  function change(): void {
    write('d0/f0000', 'changed')
    write('d1/new', 'new')
    content.delete('d2/f0002')
    rmSync(join(place.folder, 'disk', 'd2', 'f0002'))
  }

  const sizes = () => new Map([...content].map(([path, text]) => [path, text.length]))

  // What the killed look had laid into scratch, and whether its version is there.
  test.each<readonly [string, 'none' | 'some' | 'all', boolean]>([
    ['mid-hash:1', 'none', false], ['mid-hash:36', 'some', false], ['mid-commit:1', 'all', false], ['before-commit:1', 'all', false], ['after-commit:1', 'none', true],
  ])('killed at %s of the first look, and of one at a change: nothing lost, nothing twice', async (point, scratch, recorded) => {
    await killed(point)
    const after = left()
    expect(after).toMatchObject({ look: recorded ? 0 : 1 })
    if (scratch !== 'some') expect(after['scratch']).toBe(scratch === 'all' ? FILES : 0)
    else expect(after['scratch']).toBeLessThan(FILES)
    await settled('v0')
    expect(await told(place)).toEqual([`v0 +${FILES} ~0 -0 config`])
    expect(await contentOf('v0')).toEqual(sizes())
    // A change that was heard: the startup look of this daemon has nothing to record.
    await killed(point.replace(/:\d+/, ':1'), change)
    await settled('v1')
    expect((await told(place)).map((text) => text.split(' ').slice(0, 4).join(' '))).toEqual([`v0 +${FILES} ~0 -0`, 'v1 +1 ~1 -1'])
    expect(await contentOf('v1')).toEqual(sizes())
    expect((await place.diff(`${ART}:v0`, 'v1')).map(({ change, path }) => `${change} ${path}`)).toEqual(['modified d0/f0000', 'added d1/new', 'removed d2/f0002'])
  }, 240_000)
})

describe('a bucket', () => {
  // Five pages: the second is merged while others come, and behind the last nothing is missing but the commit.
  const OBJECTS = 4_500
  let owned: Owned
  afterEach(() => owned.client.destroy())

  test.each(['mid-list:2', 'mid-list:5'])('killed at %s of the first look, and of one at a change: nothing lost, nothing twice', async (point) => {
    owned = await ownedBucket(minio.url, true)
    const keys = Array.from({ length: OBJECTS }, (_, i) => `data/${String(i).padStart(4, '0')}`)
    await putMany(owned.client, owned.bucket, keys.map((key) => [key, key]))
    place.configure(hearing(owned, undefined, 'inline', { poll: '1h' }))
    await killed(point)
    expect(left()['look']).toBe(1)
    await settled('v0')
    expect(await told(place)).toEqual([`v0 +${OBJECTS} ~0 -0 config`])
    // While no daemon runs, so that the next one's first look is at a change.
    await owned.put('data/0000', 'changed')
    await owned.remove('data/2500')
    await owned.put('data/9999', 'new')
    await killed(point)
    expect(left()['look']).toBe(1)
    await settled('v1')
    expect((await told(place)).map((text) => text.split(' ').slice(0, 4).join(' '))).toEqual([`v0 +${OBJECTS} ~0 -0`, 'v1 +1 ~1 -1'])
    const pins = new Map((await place.files(`${ART}:v1`)).map(({ path, pin }) => [`data/${path}`, pin?.replace('versionId:', '')]))
    expect(pins).toEqual(await owned.current('data/'))
  }, 240_000)
})
