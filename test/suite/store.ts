import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Listed, Skip } from '../../src/model/entry.ts'
import { comparePaths } from '../../src/model/location.ts'
import type { Found, Pass, Span, Store } from '../../src/storage/storage.ts'
import { NAMES } from './names.ts'

/** A place of its own for one test, and the acts that a store itself never does. */
export interface Place {
  open(): Promise<Store>
  put(path: string, bytes: string): Promise<void>
  remove(path: string): Promise<void>
  /** Writes where the location must not look: a sibling whose name begins alike. */
  putBeside(): Promise<void>
  /** A location whose root is not there. */
  openMissing(): Promise<Store>
}

/** An implementation, running. */
export interface Ground {
  fresh(): Promise<Place>
  stop(): Promise<void>
}

export interface Traits {
  /** Names that it cannot hold, of those in NAMES. */
  readonly refuses?: readonly string[]
  /** Names that others cannot hold. */
  readonly nastier?: readonly string[]
  /** More objects than one page, batch or directory block holds. */
  readonly many: number
  /** The digest moves whenever an object is written; what stands for the bytes is the content's identity. */
  readonly etagMoves?: boolean
}

// Far behind every write, so that nothing is young.
const START_MS = Date.now() + 86_400_000

/** The laws of the door of `storage`, for any implementation. */
export function storeSuite(name: string, begin: () => Promise<Ground>, traits: Traits): void {
  describe(`the store laws hold for ${name}`, () => {
    let ground: Ground
    let place: Place
    let store: Store
    const signal = new AbortController().signal
    const names = [...NAMES.filter((one) => !(traits.refuses ?? []).includes(one)), ...(traits.nastier ?? [])]

    beforeAll(async () => {
      ground = await begin()
    }, 60_000)
    afterAll(() => ground?.stop())
    beforeEach(async () => {
      place = await ground.fresh()
      store = await place.open()
    })
    afterEach(() => store.close())

    const scan = (): Promise<Scanned> => scanned(store, signal)
    const whole = async (): Promise<Map<string, Listed>> => wholly(store, (await scan()).entries, signal)
    const find = (paths: readonly string[]): Promise<Map<string, Found>> => foundBy(store, paths, signal)

    test('every name is kept exactly, and every object is in exactly one span', async () => {
      for (const path of names) await place.put(path, path)
      const { entries, skipped } = await scan()
      expect([...entries.keys()].sort(comparePaths)).toEqual([...names].sort(comparePaths))
      expect(skipped).toEqual([])
      const found = await find([...names])
      for (const path of names) expect(found.get(path)).toMatchObject({ kind: 'entry', listed: { path, sizeBytes: Buffer.byteLength(path) } })
    }, 30_000)

    test('more objects than a page are all met, once, in order', async () => {
      const paths = Array.from({ length: traits.many }, (_, at) => `d${at % 3}/${String(at * 7).padStart(6, '0')}`)
      await atOnce(paths, (path) => place.put(path, 'x'))
      const { entries, seen } = await scan()
      expect(entries.size).toBe(traits.many)
      expect([...entries.keys()].sort(comparePaths)).toEqual([...paths].sort(comparePaths))
      expect(seen).toBeGreaterThanOrEqual(traits.many)
    }, 120_000)

    test('an empty location is one whole pass without entries', async () => {
      const { entries, skipped } = await scan()
      expect([entries.size, skipped.length]).toEqual([0, 0])
    })

    test('an object without bytes counts', async () => {
      await place.put('_SUCCESS', '')
      expect((await whole()).get('_SUCCESS')).toMatchObject({ sizeBytes: 0 })
    })

    test('a sibling whose name begins alike is not met', async () => {
      await place.put('a', '1')
      await place.putBeside()
      expect([...(await scan()).entries.keys()]).toEqual(['a'])
    })

    test('what was not touched shows the same fingerprint and content, also to another opening', async () => {
      await place.put('a', 'one')
      const first = await whole()
      await store.close()
      store = await place.open()
      expect(first.get('a')?.fingerprint).toBeDefined()
      expect(await whole()).toEqual(first)
    })

    test('an edit of the same size changes fingerprint and content; the same bytes again keep what stands for them', async () => {
      await place.put('a', 'one')
      const first = (await whole()).get('a') as Listed
      await place.put('a', 'two')
      const second = (await whole()).get('a') as Listed
      expect(second.fingerprint).not.toBe(first.fingerprint)
      expect(second.content?.digest).not.toBe(first.content?.digest)
      await place.put('a', 'one')
      const third = (await whole()).get('a')
      if (traits.etagMoves === true) {
        expect(third?.content?.digest).not.toBe(first.content?.digest)
        expect([second.content?.identity, third?.content?.identity]).toEqual([expect.not.stringContaining(`${first.content?.identity}`), first.content?.identity])
        expect(third?.content?.checksums).toEqual(first.content?.checksums)
      } else expect(third?.content?.digest).toBe(first.content?.digest)
    })

    test('what is asked by name agrees with what is listed', async () => {
      for (const path of ['a', 'b/c', 'b/d', 'empty']) await place.put(path, path === 'empty' ? '' : path)
      const listed = await whole()
      const found = await find([...listed.keys()])
      for (const [path, one] of listed) {
        const other = found.get(path)
        expect(other).toMatchObject({ kind: 'entry', listed: { path, sizeBytes: one.sizeBytes, fingerprint: one.fingerprint, content: { digest: one.content?.digest } } })
        expect(other?.kind === 'entry' ? other.listed.content?.pin : 'none').toBe(one.content?.pin)
      }
    })

    test('what is not there, or not any more, is absent', async () => {
      await place.put('a', '1')
      await place.put('b', '2')
      await place.remove('a')
      expect([...(await scan()).entries.keys()]).toEqual(['b'])
      expect([...(await find(['a', 'never', 'never/below'])).values()].map(({ kind }) => kind)).toEqual(['absent', 'absent', 'absent'])
    })

    test('the root is the same at every opening, and its absence is an error, never emptiness', async () => {
      const root = await store.root(signal)
      await place.put('a', '1')
      const again = await place.open()
      expect(await again.root(signal)).toEqual(root)
      await again.close()
      const missing = await place.openMissing()
      await expect(missing.root(signal).then(() => scanned(missing, signal))).rejects.toMatchObject({ code: 'LOCATION_MISSING' })
      await expect(scanned(missing, signal)).rejects.toMatchObject({ code: 'LOCATION_MISSING' })
      await expect(missing.root(signal).then(() => foundBy(missing, ['a'], signal))).rejects.toMatchObject({ code: 'LOCATION_MISSING' })
      await missing.close()
    }, 20_000)

    test('an aborted scan stops, and an aborted question too', async () => {
      await place.put('a', '1')
      const stop = new AbortController()
      stop.abort()
      await expect(scanned(store, stop.signal)).rejects.toBeDefined()
      await expect(async () => {
        for await (const found of store.find(['a'], START_MS, stop.signal)) expect(found).toBeUndefined()
      }).rejects.toBeDefined()
    })

    test('a scan that is left half-way leaks nothing, and closing twice is no harm', async () => {
      await place.put('a', '1')
      const other = await place.open()
      for await (const span of other.scan(START_MS, signal)) {
        expect(span.seen).toBeGreaterThanOrEqual(0)
        break
      }
      await other.close()
      await other.close()
    })
  })
}

/** One object at a location that names it. */
export interface LonePlace {
  /** What its entry is called. */
  readonly name: string
  open(): Promise<Store>
  put(bytes: string): Promise<void>
  /** Writes where the location must not look: another object, whose name begins alike. */
  putBeside(): Promise<void>
}

export interface LoneGround {
  fresh(): Promise<LonePlace>
  stop(): Promise<void>
}

/** The laws of the door of `storage` for a location that is one object. */
export function loneStoreSuite(name: string, begin: () => Promise<LoneGround>): void {
  describe(`the laws of a lone object hold for ${name}`, () => {
    let ground: LoneGround
    let place: LonePlace
    let store: Store
    const signal = new AbortController().signal

    beforeAll(async () => {
      ground = await begin()
    }, 60_000)
    afterAll(() => ground?.stop())
    beforeEach(async () => {
      place = await ground.fresh()
      await place.put('one')
      store = await place.open()
    })
    afterEach(() => store.close())

    const whole = async (of = store): Promise<Map<string, Listed>> => {
      const { entries, end } = await scanned(of, signal)
      expect(end.lone).toHaveLength(1)
      return wholly(of, entries, signal)
    }

    test('it is the one entry, by its base name, and nothing beside it is met', async () => {
      await place.putBeside()
      const all = await whole()
      expect([...all.keys()]).toEqual([place.name])
      expect(all.get(place.name)).toMatchObject({ path: place.name, sizeBytes: 3, content: { digest: expect.stringMatching(/^[a-z0-9]+:./) } })
      expect((await scanned(store, signal)).skipped).toEqual([])
    })

    test('it shows the same fingerprint and content again, also to another opening', async () => {
      const first = await whole()
      const other = await place.open()
      expect(first.get(place.name)?.fingerprint).toBeDefined()
      expect(await whole()).toEqual(first)
      expect(await whole(other)).toEqual(first)
      await other.close()
    })

    test('an edit of the same size changes fingerprint and content', async () => {
      const first = (await whole()).get(place.name) as Listed
      await place.put('two')
      const second = (await whole()).get(place.name) as Listed
      expect(second.fingerprint).not.toBe(first.fingerprint)
      expect(second.content?.digest).not.toBe(first.content?.digest)
      expect(second.sizeBytes).toBe(3)
    })

    test('no bytes at all are an object', async () => {
      await place.put('')
      expect((await whole()).get(place.name)).toMatchObject({ sizeBytes: 0 })
    })

    test('asked by name it is what is listed, and all other names are absent', async () => {
      await place.putBeside()
      const listed = (await whole()).get(place.name) as Listed
      const found = await foundBy(store, [place.name, 'other', `${place.name}/below`, `x/${place.name}`], signal)
      expect(found.get(place.name)).toEqual({ kind: 'entry', listed })
      for (const other of ['other', `${place.name}/below`, `x/${place.name}`]) expect(found.get(other)).toEqual({ kind: 'absent', path: other })
      expect(found.size).toBe(4)
    })

    test('the root is the same at every opening', async () => {
      const other = await place.open()
      expect(await other.root(signal)).toEqual(await store.root(signal))
      await other.close()
    })

    test('an aborted scan stops, and an aborted question too; closing twice is no harm', async () => {
      const stop = AbortSignal.abort()
      await expect(scanned(store, stop)).rejects.toBeDefined()
      await expect(foundBy(store, [place.name], stop)).rejects.toBeDefined()
      await store.close()
      await store.close()
    })
  })
}

/** A scan, gathered, with the promises of spans checked on the way. */
export interface Scanned {
  readonly entries: ReadonlyMap<string, Listed>
  readonly skipped: readonly Skip[]
  readonly seen: number
  readonly end: Pass
}

/** Scans and checks: spans follow one another or are directories each once, entries lie in them in order, and only the last has an end. */
export async function scanned(store: Store, signal: AbortSignal): Promise<Scanned> {
  const entries = new Map<string, Listed>()
  const skipped: Skip[] = []
  const directories = new Set<string>()
  const stretches = new Map<string, string | undefined>()
  let seen = 0
  let end: Pass | undefined
  for await (const span of store.scan(START_MS, signal)) {
    expect(end).toBeUndefined()
    if ('directory' in span.cover) {
      expect(directories.has(span.cover.directory)).toBe(false)
      directories.add(span.cover.directory)
    } else if ('after' in span.cover) {
      const { after, upTo, within = '' } = span.cover
      expect(after).toBe(stretches.has(within) ? stretches.get(within) : within)
      stretches.set(within, upTo)
    }
    checkEntries(span, entries)
    skipped.push(...span.skipped)
    seen += span.seen
    end = span.end
  }
  if (end === undefined) throw new Error('the scan had no end')
  expect([...stretches.values()].every((after) => after === undefined)).toBe(true)
  return { entries, skipped, seen, end }
}

function checkEntries(span: Span, entries: Map<string, Listed>): void {
  let last: string | undefined
  for (const listed of span.entries()) {
    if (last !== undefined) expect(comparePaths(last, listed.path)).toBeLessThan(0)
    last = listed.path
    if ('directory' in span.cover) expect(listed.path.slice(0, listed.path.lastIndexOf('/') + 1)).toBe(span.cover.directory)
    else if ('path' in span.cover) expect(listed.path).toBe(span.cover.path)
    else {
      expect(listed.path.startsWith(span.cover.within ?? '')).toBe(true)
      expect(comparePaths(span.cover.after, listed.path)).toBeLessThan(0)
      if (span.cover.upTo !== undefined) expect(comparePaths(listed.path, span.cover.upTo)).toBeLessThanOrEqual(0)
    }
    expect(entries.has(listed.path)).toBe(false)
    entries.set(listed.path, listed)
  }
}

/** What `find` says of each path, each once. */
async function foundBy(store: Store, paths: readonly string[], signal: AbortSignal): Promise<Map<string, Found>> {
  const all = new Map<string, Found>()
  for await (const found of store.find(paths, START_MS, signal)) {
    expect(all.has(pathOf(found))).toBe(false)
    all.set(pathOf(found), found)
  }
  return all
}

/** The entries with their contents: inspected where the listing could not tell. */
async function wholly(store: Store, entries: ReadonlyMap<string, Listed>, signal: AbortSignal): Promise<Map<string, Listed>> {
  const all = new Map(entries)
  const unknown = [...entries.values()].filter((listed) => listed.content === undefined)
  const left = new Set(unknown.map(({ path }) => path))
  for await (const found of store.inspect(unknown, START_MS, signal)) {
    if (found.kind !== 'entry') throw new Error(`${pathOf(found)} is ${found.kind}`)
    expect(left.delete(found.listed.path)).toBe(true)
    all.set(found.listed.path, found.listed)
  }
  expect([...left]).toEqual([])
  return all
}

function pathOf(found: Found): string {
  return found.kind === 'entry' ? found.listed.path : found.kind === 'skipped' ? found.skip.path : found.path
}

async function atOnce(paths: readonly string[], act: (path: string) => Promise<void>): Promise<void> {
  const left = [...paths]
  await Promise.all(Array.from({ length: 12 }, async () => {
    for (let path = left.pop(); path !== undefined; path = left.pop()) await act(path)
  }))
}
