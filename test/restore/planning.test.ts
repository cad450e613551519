// long
// A store that does not answer for a moment, or of one key: planning asks again, and what fails of one entry is that entry's alone.
import { afterEach, expect, test } from '@jest/globals'
import { VarveError } from '../../src/model/errors.ts'
import type { Parts } from '../../src/restore/restore.ts'
import { standingOf } from '../../src/storage/standing.ts'
import type { Questions } from '../../src/storage/standing.ts'
import type { Held, Standing } from '../../src/storage/storage.ts'
import { RestoreWorld, treeOf } from './world.ts'

let world: RestoreWorld
afterEach(() => world.close())

async function worldWith(objects: Readonly<Record<string, string>>): Promise<void> {
  world = await new RestoreWorld().open()
  for (const [path, text] of Object.entries(objects)) world.memory.put(path, text)
  await world.record()
}

/** The memory as a bucket is asked; `fails` throws what is to fail of a key, or of a listing. */
function asBucket(fails: (key: string) => void): Partial<Parts> {
  const reader = world.memory.reader('p/')
  const standing = async (key: string, stop: AbortSignal): Promise<Standing> => {
    for await (const one of reader.standing([key], stop)) return one
    throw new Error('a reader tells of each key')
  }
  const questions: Questions = {
    page: async (_prefix, after, stop) => {
      fails('listing')
      const shown: [string, Held][] = []
      for (const path of world.memory.paths()) {
        const { held } = await standing(`p/${path}`, stop)
        if (held !== undefined && `p/${path}` > after) shown.push([`p/${path}`, held])
      }
      return { rows: new Map(shown) }
    },
    one: async (key, stop) => {
      fails(key)
      return standing(key, stop)
    },
  }
  return { openReader: async () => ({ standing: (keys, stop) => standingOf(keys, questions, stop), versions: (key, stop) => reader.versions(key, stop), open: (key, wanted, stop) => reader.open(key, wanted, stop), close: async () => undefined }) }
}

const MANY = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`k${10 + at}`, `text ${at}`]))
const unavailable = (key: string): VarveError => new VarveError('STORAGE_UNAVAILABLE', `s3://bucket/${key} does not answer as it should (503 SlowDown)`)

test.each(['p/k10', 'listing'])('what fails of %s twice is asked for again, and all comes', async (what) => {
  await worldWith(MANY)
  let times = 2
  const to = world.place()
  const { code } = await world.get('v0', to, {}, asBucket((key) => {
    if (key === what && times-- > 0) throw unavailable(key)
  }))
  expect([code, treeOf(to), world.waits.length]).toEqual([undefined, MANY, 2])
})

test('what always fails of one key is that key alone', async () => {
  await worldWith({ a: 'one', b: 'two', c: 'three' })
  const to = world.place()
  const { losses } = await world.get('v0', to, { partial: true }, asBucket((key) => {
    if (key === 'p/b') throw unavailable(key)
  }))
  expect(losses).toEqual([{ path: 'b', reason: 'unreachable', words: 's3://bucket/p/b does not answer as it should (503 SlowDown)' }])
  expect(treeOf(to)).toEqual({ a: 'one', c: 'three' })
})

test('what ends all asking at one key is told of the others as that, and not in its name', async () => {
  await worldWith({ a: 'one', b: 'two', c: 'three' })
  const { losses } = await world.get('v0', world.place(), {}, asBucket((key) => {
    if (key === 'p/b') throw new VarveError('LOCATION_DENIED', 's3://bucket/p/b may not be read')
  }))
  expect(losses.map(({ path, words }) => [path, words])).toEqual(expect.arrayContaining([['b', expect.stringContaining('s3://bucket/p/b may not be read')]]))
  for (const { path, words, reason } of losses) expect([reason, words.startsWith(`s3://bucket/p/${path} `)]).toEqual(['denied', true])
})

test('a store that is down is not asked for each key', async () => {
  await worldWith(MANY)
  let asked = 0
  const { losses } = await world.get('v0', world.place(), {}, asBucket((key) => {
    asked++
    throw unavailable(key)
  }))
  expect(new Set(losses.map(({ reason }) => reason))).toEqual(new Set(['unreachable']))
  expect([losses.length, asked <= 6]).toEqual([40, true])
})

test('a piece of a large object that never comes is asked for three times, and not as often again with the whole', async () => {
  await worldWith({ large: 'x'.repeat(40 * 1024 * 1024) })
  const reader = world.memory.reader('p/')
  let asked = 0
  const { losses } = await world.get('v0', world.place(), {}, {
    openReader: async () => ({
      standing: (keys, stop) => reader.standing(keys, stop), versions: (key, stop) => reader.versions(key, stop), close: async () => undefined,
      open: async (key, wanted, stop) => {
        if (wanted.range?.from === 8 * 1024 * 1024 && ++asked > 0) throw unavailable(key)
        return reader.open(key, wanted, stop)
      },
    }),
  })
  expect([losses, asked]).toEqual([[{ path: 'large', reason: 'unreachable', words: expect.stringContaining('503') }], 3])
})
