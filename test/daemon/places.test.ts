import { expect, test } from '@jest/globals'
import { Places } from '../../src/daemon/places.ts'
import type { Place } from '../../src/daemon/places.ts'
import { Memory } from '../../src/storage/memory.ts'
import type { Store } from '../../src/storage/storage.ts'

const going = new AbortController().signal

/** A clock that a test moves: who sleeps is woken, and looks again. */
function slowClock(): { readonly clock: ConstructorParameters<typeof Places>[1]; pass(ms: number): Promise<void> } {
  let nowMs = 0
  const sleepers = new Set<() => void>()
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  return {
    clock: {
      monotonic: () => nowMs,
      sleep: (_, signal) => new Promise((resolve) => {
        sleepers.add(resolve)
        signal?.addEventListener('abort', () => resolve(), { once: true })
      }),
    },
    async pass(ms) {
      nowMs += ms
      for (const wake of sleepers) wake()
      sleepers.clear()
      await settle()
    },
  }
}

/** Takes a place; `has` is true once it has one. */
function comer(places: Places, signal = going): { has: boolean; place: Promise<Place | undefined> } {
  const one = { has: false, place: places.take(signal) }
  void one.place.then((place) => (one.has = place !== undefined))
  return one
}

/** A store of which nothing comes before `go` is called. */
function hanging(): { readonly store: Store; go(): void } {
  const memory = new Memory()
  memory.put('a', 'x')
  const store = memory.open()
  const { promise, resolve } = Promise.withResolvers<void>()
  return { store: { ...store, root: async (signal) => promise.then(() => store.root(signal)), scan: (startMs, signal) => store.scan(startMs, signal), close: () => store.close() }, go: resolve }
}

test('so many work as there are places; whoever comes first is first; who stops coming keeps nobody', async () => {
  const { clock, pass } = slowClock()
  const places = new Places(2, clock)
  const stop = new AbortController()
  const [a, b, c, d, e] = [comer(places), comer(places), comer(places), comer(places, stop.signal), comer(places)] as const
  const have = (): boolean[] => [a, b, c, d, e].map(({ has }) => has)
  await pass(60_000)
  expect(have()).toEqual([true, true, false, false, false])
  ;(await b.place)?.leave()
  await pass(0)
  expect(have()).toEqual([true, true, true, false, false])
  stop.abort()
  expect(await d.place).toBeUndefined()
  ;(await a.place)?.leave()
  await pass(0)
  expect(have()).toEqual([true, true, true, false, true])
})

test.each(['opened', 'asked for its root', 'listed'] as const)('a look whose store is %s, and brings nothing for five seconds, leaves its place to another until something comes', async (what) => {
  const { clock, pass } = slowClock()
  const places = new Places(1, clock)
  const first = (await places.take(going)) as Place
  const { store, go } = hanging()
  const { promise, resolve } = Promise.withResolvers<void>()
  const slow: Store = what !== 'listed' ? store : {
    ...store,
    async *scan(startMs, signal) {
      await promise
      yield* store.scan(startMs, signal)
    },
  }
  const use = async (): Promise<number> => {
    const seen = await first.observe(what === 'opened' ? promise.then(() => slow) : Promise.resolve(slow))
    if (what === 'asked for its root') await seen.root(going)
    let count = 0
    for await (const span of seen.scan(0, going)) count += span.seen
    return count
  }
  const used = use()
  const second = comer(places)
  await pass(0)
  await pass(4_999)
  expect(second.has).toBe(false)
  await pass(1)
  expect(second.has).toBe(true)
  const third = comer(places)
  go()
  resolve()
  expect(await used).toBe(1)
  // It works again, and so does the second: nobody else comes in before both have left.
  await pass(60_000)
  ;(await second.place)?.leave()
  await pass(1_000)
  expect(third.has).toBe(false)
  first.leave()
  await pass(0)
  expect(third.has).toBe(true)
})
