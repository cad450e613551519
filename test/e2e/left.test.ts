// What a version holds of places that nobody looks at any more.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { site } from './site.ts'
import type { Site } from './site.ts'

let place: Site
beforeEach(() => void (place = site()))
afterEach(() => place.remove())

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(place.folder, path, '..'), { recursive: true })
    writeFileSync(join(place.folder, path), text)
  }
}

async function scan(location: string): Promise<string[]> {
  place.configure({ data: '.varve', watch: [{ name: 'w', location, artifact: 'a/b', type: 'dataset', settle: '1ms' }] })
  expect(await place.varve('scan', 'w')).toMatchObject({ exit: 0 })
  return states()
}

async function states(): Promise<string[]> {
  expect(await place.varve('fsck')).toMatchObject({ exit: 0 })
  return (await place.log('a/b')).toReversed().map(({ version, restorability: { state, lost } }) => `${version} ${state}${lost > 0 ? ` ${lost}` : ''}`)
}

test('a location that moves takes nothing from what was recorded at the one before, until verify, or a look there, finds it gone', async () => {
  write({ 'w/a': 'one', 'w/b': 'two', 'w2/a': 'one', 'w2/c': 'three' })
  expect(await scan('w/')).toEqual(['v0 unpinned'])
  expect(await scan('w2/')).toEqual(['v0 unpinned', 'v1 unpinned'])
  expect(await place.varve('verify', 'a/b:v0')).toMatchObject({ exit: 0 })
  // The same bytes lay here, too: that they go says nothing of there.
  write({ 'w2/a': 'changed' })
  expect(await scan('w2/')).toEqual(['v0 unpinned', 'v1 partly lost 1', 'v2 unpinned'])
  rmSync(join(place.folder, 'w/a'))
  expect(await place.varve('verify', 'a/b:v0')).toMatchObject({ exit: 1, stderr: 'a/b: v0 is partly lost (1 entry); see varve log\n' })
  expect(await states()).toEqual(['v0 partly lost 1', 'v1 partly lost 1', 'v2 unpinned'])
  // Looked at again it is as any other: what changes there is lost with the commit that records it.
  expect(await scan('w/')).toEqual(['v0 partly lost 1', 'v1 partly lost 1', 'v2 unpinned', 'v3 unpinned'])
  write({ 'w/b': 'changed, too' })
  expect(await scan('w/')).toEqual(['v0 lost 2', 'v1 partly lost 1', 'v2 unpinned', 'v3 lost 1', 'v4 unpinned'])
}, 120_000)

test('what a look finds gone on its return is lost by that, be it never asked for', async () => {
  write({ 'w/a': 'one', 'w/b': 'two', 'w2/c': 'three' })
  await scan('w/')
  expect(await scan('w2/')).toEqual(['v0 unpinned', 'v1 unpinned'])
  rmSync(join(place.folder, 'w/a'))
  expect(await scan('w/')).toEqual(['v0 partly lost 1', 'v1 unpinned', 'v2 unpinned'])
}, 60_000)

test('a location that becomes wider still looks at what it had; one that becomes narrower has left the rest', async () => {
  write({ 'w/in/a': 'one', 'w/out/b': 'two' })
  await scan('w/in/')
  rmSync(join(place.folder, 'w/in/a'))
  expect(await scan('w/')).toEqual(['v0 lost 1', 'v1 unpinned'])
  write({ 'w/in/c': 'three' })
  expect(await scan('w/')).toEqual(['v0 lost 1', 'v1 unpinned', 'v2 unpinned'])
  rmSync(join(place.folder, 'w/in/c'))
  write({ 'w/in/d': 'four' })
  expect(await scan('w/in/')).toEqual(['v0 lost 1', 'v1 unpinned', 'v2 partly lost 1', 'v3 unpinned'])
}, 60_000)
