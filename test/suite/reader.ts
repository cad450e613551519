import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { comparePaths } from '../../src/model/location.ts'
import type { Bytes, Held, Reader, Standing, Wanted } from '../../src/storage/storage.ts'
import type { Spoil } from '../fakes/body.ts'
import { NAMES } from './names.ts'

/** A place of its own for one test, and the acts that a reader itself never does. */
export interface Shelf {
  open(): Promise<Reader>
  /** The full key of a path. */
  key(path: string): string
  put(path: string, bytes: string | Buffer): Promise<void>
  remove(path: string): Promise<void>
  /** What becomes of bytes on their way from now on; only where `spoils`. */
  spoil?(how: Spoil | undefined): void
  /** A bucket that is not there. */
  openMissing?(): Promise<Reader>
}

export interface Library {
  fresh(): Promise<Shelf>
  stop(): Promise<void>
}

export interface Traits {
  /** Old object versions can be named. */
  readonly versioned: boolean
  /** Answers tell the ETag; a condition on it holds. */
  readonly etag: boolean
  /** What it can do to bytes on their way. */
  readonly spoils?: readonly Spoil[]
  /** Only reading tells the length. */
  readonly readsTwice?: boolean
  readonly refuses?: readonly string[]
  readonly nastier?: readonly string[]
  /** How many objects stand close. */
  readonly many: number
}

const going = new AbortController().signal
const BIG_BYTES = 20_000_000

export async function bytesOf(opened: Bytes): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of opened.bytes) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export async function standing(reader: Reader, keys: readonly string[], signal: AbortSignal = going): Promise<Standing[]> {
  const all: Standing[] = []
  for await (const one of reader.standing(keys, signal)) all.push(one)
  return all
}

/** The laws of a reader of one place, `path` there, whatever the scheme. */
function oneObject(path: string, shelf: () => Shelf, reader: () => Reader, traits: Pick<Traits, 'etag' | 'spoils' | 'readsTwice'>): void {
  const bytes = randomBytes(300_000)
  const key = (): string => shelf().key(path)
  const open = (wanted: Wanted = {}, signal: AbortSignal = going): Promise<Bytes> => reader().open(key(), wanted, signal)
  const now = async (): Promise<Held> => (await reader().versions(key(), going))[0] as Held

  test('exactly the bytes that were asked for come: the whole, any range, none', async () => {
    await shelf().put(path, bytes)
    const whole = await open()
    expect(whole.sizeBytes).toBe(bytes.length)
    expect((await bytesOf(whole)).equals(bytes)).toBe(true)
    for (const [from, upTo] of [[0, 1], [0, 300_000], [299_999, 300_000], [100, 200_100], [150_000, 300_000], [7, 7], [0, 0]] as const) {
      const part = await open({ range: { from, upTo } })
      expect(part.sizeBytes).toBe(bytes.length)
      expect((await bytesOf(part)).equals(bytes.subarray(from, upTo))).toBe(true)
    }
  })

  test('an object of no bytes is there', async () => {
    await shelf().put(path, '')
    expect((await bytesOf(await open())).length).toBe(0)
    expect(await now()).toMatchObject({ sizeBytes: 0, current: true })
  })

  test('what is not there is NOT_FOUND, and has no versions', async () => {
    await shelf().put(path, 'x')
    await shelf().remove(path)
    await expect(open()).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(open({ range: { from: 0, upTo: 1 } })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await standing(reader(), [key()])).toEqual([{ key: key() }])
  })

  test('what has become shorter than was planned is not read', async () => {
    await shelf().put(path, 'short')
    for (const range of [{ from: 2, upTo: 9 }, { from: 100, upTo: 200 }]) await expect(open({ range })).rejects.toMatchObject({ code: 'OVERTAKEN' })
  })

  test('who leaves early, or never begins, leaves nothing behind', async () => {
    await shelf().put(path, randomBytes(3_000_000))
    for await (const chunk of (await open()).bytes) {
      expect(chunk.length).toBeGreaterThan(0)
      break
    }
    await (await open()).bytes[Symbol.asyncIterator]().return?.()
    const both = await Promise.all([open({ range: { from: 0, upTo: 10 } }), open()])
    expect((await bytesOf(both[0])).length).toBe(10)
    await both[1].bytes[Symbol.asyncIterator]().return?.()
  })

  test('an abort ends it: before, in the midst, and though nobody reads', async () => {
    await shelf().put(path, randomBytes(3_000_000))
    const gone = new Error('enough')
    await expect(open({}, AbortSignal.abort(gone))).rejects.toBe(gone)
    const stop = new AbortController()
    const [read, unread] = [await open({}, stop.signal), await open({}, stop.signal)]
    let came = 0
    await expect((async () => {
      for await (const chunk of read.bytes) {
        came += chunk.length
        stop.abort(gone)
      }
    })()).rejects.toBe(gone)
    expect(came).toBeLessThan(3_000_000)
    await expect(bytesOf(unread)).rejects.toBe(gone)
  })

  test('after close nothing more comes', async () => {
    await shelf().put(path, randomBytes(3_000_000))
    const other = await shelf().open()
    const opened = await other.open(key(), {}, going)
    await other.close()
    await expect(bytesOf(opened)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  })

  test('a large object streams: what nobody has taken is not read ahead', async () => {
    const big = randomBytes(BIG_BYTES)
    await shelf().put(path, big)
    const held = (): number => process.memoryUsage().arrayBuffers
    let before = held()
    const reading = (await open()).bytes[Symbol.asyncIterator]()
    // What was read to learn its length is garbage, of which nobody knows when it goes.
    if (traits.readsTwice === true) before = held()
    let came = 0
    for (let rounds = 0; rounds < 3; rounds++) {
      came += ((await reading.next()).value as Uint8Array).length
      await sleep(100)
      expect(held() - before).toBeLessThan(BIG_BYTES / 2)
    }
    let same = true
    for (let next = await reading.next(); next.done !== true; next = await reading.next()) {
      same &&= big.subarray(came, came + next.value.length).equals(next.value)
      came += next.value.length
    }
    expect([came, same]).toEqual([BIG_BYTES, true])
  }, 60_000)

  if (traits.etag)
    test('only what bears the ETag that was planned is read', async () => {
      await shelf().put(path, 'one')
      const planned = (await now()).content
      const opened = await open({ etag: planned?.etag as string })
      expect(opened.content?.digest).toBe(planned?.digest)
      expect(String(await bytesOf(opened))).toBe('one')
      await shelf().put(path, 'two!')
      await expect(open({ etag: planned?.etag as string })).rejects.toMatchObject({ code: 'OVERTAKEN' })
      await expect(open({ etag: planned?.etag as string, range: { from: 1, upTo: 2 } })).rejects.toMatchObject({ code: 'OVERTAKEN' })
    })

  const spoiled = async (how: Spoil, wanted: Wanted = {}): Promise<Buffer> => {
    await shelf().put(path, bytes)
    shelf().spoil?.(how)
    try {
      return await bytesOf(await open(wanted))
    } finally {
      shelf().spoil?.(undefined)
    }
  }
  const range = { from: 1_000, upTo: 201_000 }
  const is = (how: Spoil): boolean => traits.spoils?.includes(how) ?? false
  if (is('cut'))
    test('what breaks off is unavailable', async () => {
      for (const wanted of [{}, { range }]) await expect(spoiled('cut', wanted)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', message: expect.stringMatching(/broke off/) })
    })
  if (is('short')) test('what ends early as if that were all is unavailable', () => expect(spoiled('short', { range })).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', message: expect.stringMatching(/broke off after 100000 of 200000 bytes/) }))
  if (is('stall')) test('what stops coming is given up', () => expect(spoiled('stall')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', message: expect.stringMatching(/silent/) }), 30_000)
  if (is('long')) test('what goes on after its bytes is invalid', () => expect(spoiled('long', { range })).rejects.toMatchObject({ code: 'STORAGE_INVALID' }))
  if (is('whole')) test('who knows no ranges, and sends the whole, is read where the range lies', async () => {
    expect((await spoiled('whole', { range })).equals(bytes.subarray(range.from, range.upTo))).toBe(true)
    expect((await spoiled('whole', { range: { from: 299_000, upTo: 300_000 } })).equals(bytes.subarray(299_000))).toBe(true)
  })
  if (is('flip'))
    test('what was flipped on the way is handed on: whoever has the digest tells', async () => {
      const came = await spoiled('flip')
      expect([came.length, came.equals(bytes)]).toEqual([bytes.length, false])
    })
}

/** The laws of the door that reads bytes, for any implementation. */
export function readerSuite(name: string, begin: () => Promise<Library>, traits: Traits): void {
  describe(`the reader laws hold for ${name}`, () => {
    let library: Library
    let shelf: Shelf
    let reader: Reader
    const names = [...NAMES.filter((one) => !(traits.refuses ?? []).includes(one)), ...(traits.nastier ?? [])]

    beforeAll(async () => {
      library = await begin()
    }, 60_000)
    afterAll(() => library?.stop())
    beforeEach(async () => {
      shelf = await library.fresh()
      reader = await shelf.open()
    })
    afterEach(() => reader.close())

    oneObject('d/a b+c', () => shelf, () => reader, traits)

    test('every name stands, has its versions and its bytes, and nothing beside it has', async () => {
      for (const path of names) await shelf.put(path, `bytes of ${path}`)
      const keys = [...names, 'aa', 'nope/x', 'z-last'].map((path) => shelf.key(path)).sort(comparePaths)
      const there = new Map(names.map((path) => [shelf.key(path), `bytes of ${path}`]))
      const met = await standing(reader, keys)
      expect(met.map(({ key, held }) => [key, held?.sizeBytes])).toEqual(keys.map((key) => [key, there.has(key) ? Buffer.byteLength(there.get(key) as string) : undefined]))
      for (const key of keys) {
        const versions = await reader.versions(key, going)
        expect([key, versions.length]).toEqual([key, there.has(key) ? 1 : 0])
        const pin = versions[0]?.content?.pin
        if (there.has(key)) expect(String(await bytesOf(await reader.open(key, pin === undefined ? {} : { pin }, going)))).toBe(there.get(key))
      }
    }, 60_000)

    test('of many keys each stands once, in their order, however they lie', async () => {
      const paths = Array.from({ length: traits.many }, (_, at) => `many/d${at % 3}/${String(at * 7).padStart(6, '0')}`)
      await atOnce(paths, (path) => shelf.put(path, 'x'.repeat(path.length % 5)))
      const absent = paths.filter((_, at) => at % 10 === 0).map((path) => `${path}-not`)
      for (const [every, beside] of [[1, absent], [1, []], [40, absent.slice(0, 5)], [100, []]] as const) {
        const wanted = paths.filter((_, at) => at % every === 0)
        const keys = [...wanted, ...beside].map((path) => shelf.key(path)).sort(comparePaths)
        const there = new Set(wanted.map((path) => shelf.key(path)))
        const met = await standing(reader, keys)
        expect(met.map(({ key }) => key)).toEqual(keys)
        expect(met.filter(({ key, held, failed }) => (held !== undefined) !== there.has(key) || failed !== undefined)).toEqual([])
        for (const { key, held } of met) if (held !== undefined) expect(held).toMatchObject({ sizeBytes: (key.length - shelf.key('').length) % 5, current: true })
      }
      expect(await standing(reader, [])).toEqual([])
    }, 120_000)

    test('who leaves the standing early, or aborts it, hears no more', async () => {
      const keys = Array.from({ length: 100 }, (_, at) => shelf.key(`few/${String(at).padStart(3, '0')}`))
      await shelf.put('few/000', 'x')
      for await (const one of reader.standing(keys, going)) {
        expect(one.held?.sizeBytes).toBe(1)
        break
      }
      const gone = new Error('enough')
      await expect(standing(reader, keys, AbortSignal.abort(gone))).rejects.toBe(gone)
    })

    if (traits.versioned)
      test('what was overwritten and deleted can still be named, newest first, without what lies beside', async () => {
        for (const bytes of ['one', 'two', 'three']) await shelf.put('d/a', bytes)
        for (const beside of ['d/a-b', 'd/a/b', 'd/aa', 'd/']) if (!(traits.refuses ?? []).includes(beside)) await shelf.put(beside, 'beside')
        const before = await reader.versions(shelf.key('d/a'), going)
        expect(before.map(({ sizeBytes, current }) => [sizeBytes, current])).toEqual([[5, true], [3, false], [3, false]])
        await shelf.remove('d/a')
        const after = await reader.versions(shelf.key('d/a'), going)
        expect(after.map(({ content, current }) => [content?.pin, current])).toEqual(before.map(({ content }) => [content?.pin, false]))
        const texts = []
        for (const { content } of after) {
          const opened = await reader.open(shelf.key('d/a'), { pin: content?.pin as string, ...(traits.etag && { etag: content?.etag as string }) }, going)
          expect(opened.content?.pin).toBe(content?.pin)
          texts.push(String(await bytesOf(opened)))
        }
        expect(texts).toEqual(['three', 'two', 'one'])
        expect(await standing(reader, [shelf.key('d/a')])).toEqual([{ key: shelf.key('d/a') }])
        await expect(reader.open(shelf.key('d/a'), {}, going)).rejects.toMatchObject({ code: 'NOT_FOUND' })
        await expect(reader.open(shelf.key('d/aa'), { pin: after[0]?.content?.pin as string }, going)).rejects.toMatchObject({ code: 'NOT_FOUND' })
      })

    test('a bucket that is not there is no bucket without objects', async () => {
      if (shelf.openMissing === undefined) return expect(traits.etag).toBe(false)
      const missing = await shelf.openMissing()
      const key = shelf.key('d/a')
      for (const ask of [() => standing(missing, [key]), () => missing.versions(key, going), () => missing.open(key, {}, going)]) await expect(ask()).rejects.toMatchObject({ code: 'LOCATION_MISSING' })
      await missing.close()
    })
  })
}

/** The laws of a reader of one web object. */
export function loneReaderSuite(name: string, begin: () => Promise<Library>, traits: Pick<Traits, 'etag' | 'spoils' | 'readsTwice'>): void {
  describe(`the reader laws hold for ${name}`, () => {
    let library: Library
    let shelf: Shelf
    let reader: Reader
    beforeAll(async () => {
      library = await begin()
    }, 60_000)
    afterAll(() => library?.stop())
    beforeEach(async () => {
      shelf = await library.fresh()
      reader = await shelf.open()
    })
    afterEach(() => reader.close())

    oneObject('', () => shelf, () => reader, traits)

    test('any other key is not there', async () => {
      await shelf.put('', 'x')
      const [own, other] = [shelf.key(''), `${shelf.key('')}2`]
      expect((await standing(reader, [own, other])).map(({ held }) => held?.sizeBytes)).toEqual([1, undefined])
      await expect(reader.open(other, {}, going)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    })
  })
}

/** Calls `act` for each item, eight at once. */
async function atOnce<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const left = [...items]
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await act(item)
  }))
}
