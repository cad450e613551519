import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { afterEach, expect, test } from '@jest/globals'
import type { Root } from '../../../src/storage/storage.ts'
import { asNobody } from './nobody.ts'
import { fell, going, tree, using } from './tree.ts'

const mounted: string[] = []

afterEach(() => {
  for (const point of mounted.splice(0).reverse()) execFileSync('umount', ['-l', point])
  fell()
})

function mount(point: string, ...options: readonly string[]): void {
  execFileSync('mount', [...options, point])
  mounted.push(point)
}

function unmount(point: string): void {
  execFileSync('umount', [point])
  mounted.splice(mounted.indexOf(point), 1)
}

const rootOf = (path: string, marker?: string): Promise<Root> => using(path, (store) => store.root(going), marker)

test('a root is type, source and subpath: the same at each opening, another for another folder', async () => {
  const root = tree({ 'a/x': '', 'b/x': '' })
  const first = await rootOf(`${root}a/`)
  expect(await rootOf(`${root}a/`)).toEqual(first)
  expect((await rootOf(`${root}b/`)).identity).not.toBe(first.identity)
  expect((await rootOf(`${root}b/`)).mount).toBe(first.mount)
  expect(first.network).toBe(false)
  expect(first.words).toMatch(/^\w+ \S+ at \//)
})

test('a mount that is gone shows as another root at another mount point', async () => {
  const root = tree({ 'mnt/under': '' })
  mount(`${root}mnt`, '-t', 'tmpfs', 'varve-disk-1')
  const before = await rootOf(`${root}mnt/`)
  expect(before).toMatchObject({ words: `tmpfs varve-disk-1 at ${root}mnt`, mount: `${root}mnt`, identity: 'tmpfs varve-disk-1 /' })
  unmount(`${root}mnt`)
  const after = await rootOf(`${root}mnt/`)
  expect(after.identity).not.toBe(before.identity)
  expect(after.mount).not.toBe(before.mount)
})

test('another disk in its place is another root; the same one mounted again is the same', async () => {
  const root = tree({ 'mnt/under': '' })
  const seen: string[] = []
  for (const source of ['varve-disk-1', 'varve-disk-2', 'varve-disk-1']) {
    mount(`${root}mnt`, '-t', 'tmpfs', source)
    mkdirSync(`${root}mnt/data`)
    seen.push((await rootOf(`${root}mnt/data/`)).identity)
    unmount(`${root}mnt`)
  }
  expect(seen[1]).not.toBe(seen[0])
  expect(seen[2]).toBe(seen[0])
})

test('in memory one that is mounted over another of its name is not the same, and gone again it is', async () => {
  const root = tree({ 'mnt/under': '' })
  const seen: Root[] = []
  for (const step of [mount, mount, unmount]) {
    step(`${root}mnt`, ...(step === mount ? ['-t', 'tmpfs', 'varve-disk'] : []))
    seen.push(await rootOf(`${root}mnt/`))
  }
  expect(seen.map(({ finer }) => finer)).toEqual([['layer 1 there'], ['layer 2 there'], ['layer 1 there']])
  expect(new Set(seen.map(({ identity }) => identity)).size).toBe(1)
})

test('what is mounted over it, or over a folder above it, is what counts', async () => {
  const root = tree({ 'top/mnt/under': '' })
  mount(`${root}top/mnt`, '-t', 'tmpfs', 'lower')
  mount(`${root}top`, '-t', 'tmpfs', 'upper')
  mkdirSync(`${root}top/mnt`)
  expect(await rootOf(`${root}top/mnt/`)).toMatchObject({ identity: 'tmpfs upper /mnt', mount: `${root}top` })
})

test('a bind mount is the folder that it shows', async () => {
  const root = tree({ 'real/deep/x': '', 'bound/under': '' })
  mount(`${root}bound`, '--bind', `${root}real`)
  expect((await rootOf(`${root}bound/deep/`)).identity).toBe((await rootOf(`${root}real/deep/`)).identity)
})

test('mount points with spaces are told as they are written', async () => {
  const root = tree({ 'a mount\\point/under': '' })
  mount(`${root}a mount\\point`, '-t', 'tmpfs', 'with space')
  expect(await rootOf(`${root}a mount\\point/`)).toMatchObject({ words: `tmpfs with space at ${root}a mount\\point`, identity: 'tmpfs with space /' })
})

test('a root behind a symbolic link is where the link leads', async () => {
  const root = tree({ 'one/x': '', 'two/x': '' })
  symlinkSync('one', `${root}link`)
  const first = await rootOf(`${root}link/`)
  expect(first.identity).toBe((await rootOf(`${root}one/`)).identity)
  rmSync(`${root}link`)
  symlinkSync('two', `${root}link`)
  expect((await rootOf(`${root}link/`)).identity).not.toBe(first.identity)
})

test('the text of the marker is part of the root, and its absence is a missing root that names it', async () => {
  const root = tree({ 'data/.dataset-id': 'alpha\n' })
  const first = await rootOf(`${root}data/`, '.dataset-id')
  expect(first.words).toContain('"alpha"')
  writeFileSync(`${root}data/.dataset-id`, 'beta\n')
  expect((await rootOf(`${root}data/`, '.dataset-id')).identity).not.toBe(first.identity)
  writeFileSync(`${root}data/.dataset-id`, 'alpha')
  expect((await rootOf(`${root}data/`, '.dataset-id')).identity).toBe(first.identity)
  rmSync(`${root}data/.dataset-id`)
  await expect(rootOf(`${root}data/`, '.dataset-id')).rejects.toMatchObject({ code: 'LOCATION_MISSING', message: expect.stringContaining('.dataset-id') })
})

test('a root that is not there is missing; one that may not be listed is denied', async () => {
  const root = tree({ file: '' })
  await expect(rootOf(`${root}gone/`)).rejects.toMatchObject({ code: 'LOCATION_MISSING' })
  await expect(rootOf(`${root}file/`)).rejects.toMatchObject({ code: 'LOCATION_MISSING' })
  await expect(rootOf(`${root}gone`)).rejects.toMatchObject({ code: 'LOCATION_MISSING' })
  for (const mode of [0o000, 0o711, 0o744]) {
    chmodSync(root, mode)
    expect(asNobody(root, 'root')).toEqual({ failed: 'LOCATION_DENIED' })
  }
})

test('a lone object has the root of where it lies', async () => {
  const root = tree({ 'a/one': '' })
  expect((await rootOf(`${root}a/one`)).identity).toBe(`${(await rootOf(`${root}a/`)).identity}/one`)
})

test('the root of the whole machine can be told', async () => {
  expect(await rootOf('/')).toMatchObject({ mount: '/', network: false })
})

test('a file system that is not known to be local counts as network: nothing is promised to be heard there', async () => {
  expect(await rootOf('/proc/sys/kernel/')).toMatchObject({ network: true })
})
