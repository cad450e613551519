// Files by absolute path, also where a file server may hang: then by a process of its own.
// needs: slow-fs
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, renameSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import { comparePaths } from '../../../src/model/location.ts'
import { openFileReader } from '../../../src/storage/file/reader.ts'
import type { Reader } from '../../../src/storage/storage.ts'
import { bytesOf, standing } from '../../suite/reader.ts'
import { ERRNO, outposts, slowly } from './slow.ts'
import type { Slow } from './slow.ts'
import { fell, going, later, pass, tree, using } from './tree.ts'

jest.setTimeout(60_000)
// Long beside a process that starts on a busy machine, short beside a test.
const SILENCE_MS = 4_000

const readers: Reader[] = []
const slows: Slow[] = []
afterEach(async () => {
  for (const reader of readers.splice(0)) await reader.close()
  for (const slow of slows.splice(0)) await slow.stop()
  fell()
  const end = performance.now() + 30_000
  while (outposts().length > 0 && performance.now() < end) await delay(20)
  expect(outposts()).toEqual([])
})

async function open(): Promise<Reader> {
  const reader = await openFileReader({ silenceMs: SILENCE_MS, lingerMs: 0 })
  readers.push(reader)
  return reader
}

async function server(): Promise<Slow> {
  const slow = await slowly()
  slows.push(slow)
  return slow
}

test('links to files are followed; folders, FIFOs, devices and what leads nowhere are no objects', async () => {
  const root = tree({ file: 'bytes', 'folder/x': 'x' })
  symlinkSync('file', `${root}link`)
  symlinkSync('nowhere', `${root}dangling`)
  symlinkSync('loop', `${root}loop`)
  symlinkSync('folder', `${root}way`)
  linkSync(`${root}file`, `${root}same`)
  execFileSync('mkfifo', [`${root}fifo`])
  const reader = await open()
  const there = ['file', 'link', 'same', 'way/x'].map((name) => root + name)
  const not = [...['folder', 'dangling', 'loop', 'fifo', 'file/below', 'x'.repeat(300), 'nul\0'].map((name) => root + name), '/dev/null']
  const met = await standing(reader, [...there, ...not].sort(comparePaths))
  expect(met.filter(({ held }) => held !== undefined).map(({ key }) => key)).toEqual([...there].sort(comparePaths))
  expect(met.filter(({ failed }) => failed !== undefined)).toEqual([])
  for (const key of there) expect((await bytesOf(await reader.open(key, {}, going))).length).toBeGreaterThan(0)
  for (const key of not) await expect(reader.open(key, {}, going)).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

test('the fingerprint is that of the walk, and is not given while it is young', async () => {
  const root = tree({ old: 'x', 'deep/old': 'y' })
  const reader = await open()
  expect((await standing(reader, [`${root}old`]))[0]?.held).toEqual({ sizeBytes: 1, current: true })
  const { entries } = await using(root, (store) => pass(store))
  const now = Date.now
  jest.spyOn(Date, 'now').mockImplementation(() => now() + 60_000)
  const met = await standing(reader, [`${root}deep/old`, `${root}old`])
  jest.restoreAllMocks()
  expect(later()).toBeGreaterThan(0)
  expect(new Map(met.map(({ key, held }) => [key.slice(root.length), held?.fingerprint]))).toEqual(new Map(entries.map(({ path, fingerprint }) => [path, fingerprint])))
})

test('a file that is cut short under the read is an error; one that grows is read as long as it was', async () => {
  const root = tree()
  writeFileSync(`${root}big`, randomBytes(3_000_000))
  const reader = await open()
  const [cut, grown] = [await reader.open(`${root}big`, {}, going), await reader.open(`${root}big`, { range: { from: 0, upTo: 2_000_000 } }, going)]
  const reading = cut.bytes[Symbol.asyncIterator]()
  await reading.next()
  truncateSync(`${root}big`, 2_000_000)
  expect((await bytesOf(grown)).length).toBe(2_000_000)
  await expect(bytesOf({ ...cut, bytes: { [Symbol.asyncIterator]: () => reading } })).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', message: expect.stringMatching(/cut short/) })
})

describe('on a file server', () => {
  test('what stands and what is read is as on a local disk, whole and in parts, by a process of its own', async () => {
    const slow = await server()
    const bytes = randomBytes(3_500_000)
    mkdirSync(`${slow.behind}a`)
    writeFileSync(`${slow.behind}a/big`, bytes)
    writeFileSync(`${slow.behind}a/empty`, '')
    const local = tree({ near: 'n' })
    symlinkSync(`${slow.root}a/big`, `${local}far`)
    const reader = await open()
    const keys = [`${local}far`, `${local}near`, `${slow.root}a`, `${slow.root}a/big`, `${slow.root}a/empty`, `${slow.root}a/nope`].sort(comparePaths)
    const sizes = new Map((await standing(reader, keys)).map(({ key, held }) => [key, held?.sizeBytes]))
    expect(keys.map((key) => sizes.get(key))).toEqual(keys.map((key) => (/big|far/.test(key) ? bytes.length : key.endsWith('near') ? 1 : key.endsWith('empty') ? 0 : undefined)))
    for (const key of [`${slow.root}a/big`, `${local}far`]) expect((await bytesOf(await reader.open(key, {}, going))).equals(bytes)).toBe(true)
    for (const [from, upTo] of [[0, 1], [1_000_000, 3_499_999], [3_499_999, 3_500_000], [5, 5]] as const)
      expect((await bytesOf(await reader.open(`${slow.root}a/big`, { range: { from, upTo } }, going))).equals(bytes.subarray(from, upTo))).toBe(true)
    expect((await bytesOf(await reader.open(`${slow.root}a/empty`, {}, going))).length).toBe(0)
    for (const name of ['a', 'a/nope']) await expect(reader.open(slow.root + name, {}, going)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(outposts().length).toBe(1)
  })

  test('what is replaced under the read is not mixed', async () => {
    const slow = await server()
    writeFileSync(`${slow.behind}big`, randomBytes(5_000_000))
    const reader = await open()
    const opened = await reader.open(`${slow.root}big`, {}, going)
    const reading = opened.bytes[Symbol.asyncIterator]()
    await reading.next()
    writeFileSync(`${slow.behind}new`, randomBytes(5_000_000))
    utimesSync(`${slow.behind}new`, 1, 1)
    renameSync(`${slow.behind}new`, `${slow.behind}big`)
    await expect(bytesOf({ ...opened, bytes: { [Symbol.asyncIterator]: () => reading } })).rejects.toMatchObject({ code: 'OVERTAKEN' })
  })

  test('one that hangs fails what lies on it, and nothing else; an abort does not wait for it', async () => {
    const slow = await server()
    writeFileSync(`${slow.behind}far`, 'far')
    const local = tree({ near: 'near' })
    const reader = await open()
    slow.pause()
    const keys = [`${local}near`, `${slow.root}far`].sort(comparePaths)
    const stop = new AbortController()
    const aborted = reader.open(`${slow.root}far`, {}, stop.signal)
    stop.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    const opened = reader.open(`${slow.root}far`, {}, going)
    opened.catch(() => undefined)
    expect(String(await bytesOf(await reader.open(`${local}near`, {}, going)))).toBe('near')
    const met = new Map((await standing(reader, keys)).map((one) => [one.key, one]))
    expect(met.get(`${local}near`)?.held?.sizeBytes).toBe(4)
    expect(met.get(`${slow.root}far`)?.failed).toMatchObject({ code: 'STORAGE_UNAVAILABLE', hint: expect.stringContaining('umount') })
    await expect(opened).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
    slow.resume()
    expect(String(await bytesOf(await (await open()).open(`${slow.root}far`, {}, going)))).toBe('far')
  })

  test('what is broken there is told of each file for itself', async () => {
    const slow = await server()
    for (const name of ['good', 'bad']) writeFileSync(slow.behind + name, name)
    await slow.fail('lookup', 'bad', ERRNO.EIO)
    const reader = await open()
    const [bad, good] = await standing(reader, [`${slow.root}bad`, `${slow.root}good`])
    expect(bad?.failed).toMatchObject({ code: 'STORAGE_UNAVAILABLE', message: expect.stringContaining('EIO') })
    expect(good?.held?.sizeBytes).toBe(4)
    await expect(reader.open(`${slow.root}bad`, {}, going)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
    await slow.mend()
    await slow.fail('read', 'good', ERRNO.EIO)
    await expect(reader.open(`${slow.root}good`, {}, going).then(bytesOf)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  })
})
