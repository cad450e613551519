// The contract of the queue as laws, for every implementation. Time is real: BullMQ knows no other. A law is a function, so that a planted queue can be shown to break it.
import { expect, test } from '@jest/globals'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Queue } from '../../src/queue/queue.ts'

interface Looked {
  readonly watch: string
  readonly startMs: number
  endMs: number | undefined
}

/** A worker that writes down each look; `act` is what a look does, told how many of this watch came before. */
class Workshop {
  readonly looks: Looked[] = []
  readonly #queue: Queue
  readonly #stop = new AbortController()
  readonly #done: Promise<void>
  /** The most looks at once, of all watches and of one. */
  most = 0
  mostOfOne = 0

  constructor(queue: Queue, act: (watch: string, before: number, signal: AbortSignal) => Promise<number | undefined> = async () => undefined, concurrency = 4) {
    this.#queue = queue
    this.#done = queue.work(async (watch, signal) => {
      const before = this.of(watch).length
      const look: Looked = { watch, startMs: performance.now(), endMs: undefined }
      this.looks.push(look)
      const open = this.looks.filter(({ endMs }) => endMs === undefined)
      this.most = Math.max(this.most, open.length)
      this.mostOfOne = Math.max(this.mostOfOne, open.filter((one) => one.watch === watch).length)
      try {
        return await act(watch, before, signal)
      } finally {
        look.endMs = performance.now()
      }
    }, concurrency, this.#stop.signal)
  }

  of(watch: string): readonly Looked[] {
    return this.looks.filter((look) => look.watch === watch)
  }

  async wake(watch: string, delayMs: number): Promise<number> {
    await this.#queue.wake(watch, delayMs)
    return performance.now()
  }

  /** Waits until `count` looks at the watch have begun. */
  async begun(watch: string, count: number, mostMs = 5_000): Promise<Looked> {
    await until(() => this.of(watch).length >= count, `${count} looks at ${watch}`, mostMs)
    return this.of(watch)[count - 1] as Looked
  }

  abort(): void {
    this.#stop.abort()
  }

  async end(): Promise<void> {
    this.abort()
    await this.#done
  }
}

/** Waits for what must come; throws, naming it, when it does not. */
export async function until(holds: () => boolean, what: string, mostMs = 5_000): Promise<void> {
  for (const start = performance.now(); !holds(); await sleep(5)) if (performance.now() - start > mostMs) throw new Error(`not within ${mostMs} ms: ${what}`)
}

type Law = (queue: Queue) => Promise<void>

// Long enough to tell one window from the next on a busy machine.
const WINDOW_MS = 300

export const covering: Law = async (queue) => {
  let go: () => void = () => undefined
  const held = new Promise<void>((resolve) => (go = resolve))
  const shop = new Workshop(queue, async (_, before) => (before === 0 ? held.then(() => undefined) : undefined))
  await shop.wake('one', 0)
  await shop.begun('one', 1)
  const woken = [await shop.wake('one', 0), await shop.wake('one', 0)]
  go()
  const second = await shop.begun('one', 2)
  expect(second.startMs).toBeGreaterThanOrEqual(Math.max(...woken))
  await sleep(WINDOW_MS)
  expect(shop.of('one')).toHaveLength(2)
  await shop.end()
}

const oneAtATime: Law = async (queue) => {
  const shop = new Workshop(queue, async () => void (await sleep(40)) as undefined)
  for (let n = 0; n < 40; n++) {
    await shop.wake('one', n % 3)
    await sleep(10)
  }
  await until(() => shop.looks.every(({ endMs }) => endMs !== undefined), 'all looks end')
  expect(shop.mostOfOne).toBe(1)
  expect(shop.looks.length).toBeGreaterThan(3)
  await shop.end()
}

const sideBySide: Law = async (queue) => {
  const watches = ['a', 'b', 'c', 'd', 'e', 'f']
  let open = false
  const shop = new Workshop(queue, async () => void (await until(() => open, 'the gate opens')) as undefined, 3)
  for (const watch of watches) await shop.wake(watch, 0)
  await until(() => shop.looks.length === 3, 'three looks at once')
  await sleep(WINDOW_MS)
  expect([shop.looks.length, shop.most]).toEqual([3, 3])
  open = true
  for (const watch of watches) await shop.begun(watch, 1)
  expect([shop.most, shop.mostOfOne]).toEqual([3, 1])
  await shop.end()
}

const coalescing: Law = async (queue) => {
  const shop = new Workshop(queue)
  for (let n = 0; n < 20; n++) await shop.wake('one', WINDOW_MS)
  await shop.begun('one', 1)
  await sleep(2 * WINDOW_MS)
  expect(shop.of('one')).toHaveLength(1)
  await shop.end()
}

export const bounded: Law = async (queue) => {
  const shop = new Workshop(queue)
  const start = performance.now()
  for (; performance.now() - start < 7 * WINDOW_MS; await sleep(15)) await shop.wake('one', WINDOW_MS)
  const count = shop.of('one').length
  // At most one in a window; a busy machine may make them fewer, but a stream must not make them none.
  expect(count).toBeGreaterThanOrEqual(3)
  expect(count).toBeLessThanOrEqual(7)
  expect((shop.of('one')[0] as Looked).startMs - start).toBeGreaterThanOrEqual(WINDOW_MS - 5)
  const last = await shop.wake('one', 0)
  await until(() => shop.of('one').some(({ startMs }) => startMs >= last - 50), 'a look for the last of the stream')
  await shop.end()
}

const sleepingOn: Law = async (queue) => {
  const shop = new Workshop(queue, async (_, before) => (before < 2 ? WINDOW_MS : undefined))
  await shop.wake('one', 0)
  await shop.begun('one', 3)
  const starts = shop.of('one').map(({ startMs }) => startMs)
  expect(Math.min((starts[1] as number) - (starts[0] as number), (starts[2] as number) - (starts[1] as number))).toBeGreaterThanOrEqual(WINDOW_MS - 5)
  await sleep(2 * WINDOW_MS)
  expect(shop.of('one')).toHaveLength(3)
  await shop.end()
}

const wokenAsleep: Law = async (queue) => {
  const shop = new Workshop(queue, async (_, before) => (before === 0 ? WINDOW_MS : undefined))
  await shop.wake('one', 0)
  const first = await shop.begun('one', 1)
  await until(() => first.endMs !== undefined, 'the look ends')
  await sleep(50)
  for (let n = 0; n < 3; n++) await shop.wake('one', WINDOW_MS)
  await shop.begun('one', 2)
  await sleep(3 * WINDOW_MS)
  expect([shop.of('one').length, shop.mostOfOne]).toEqual([2, 1])
  await shop.end()
}

const wokenBeforeAsleep: Law = async (queue) => {
  const shop = new Workshop(queue, async (_, before) => {
    if (before > 0) return undefined
    await queue.wake('one', WINDOW_MS)
    return 60_000
  })
  await shop.wake('one', 0)
  const first = await shop.begun('one', 1)
  const second = await shop.begun('one', 2)
  expect(second.startMs - first.startMs).toBeGreaterThanOrEqual(WINDOW_MS - 5)
  await sleep(2 * WINDOW_MS)
  expect(shop.of('one')).toHaveLength(2)
  await shop.end()
}

const wokenFromLongSleep: Law = async (queue) => {
  const shop = new Workshop(queue, async (_, before) => (before === 0 ? 60_000 : undefined))
  await shop.wake('one', 0)
  const first = await shop.begun('one', 1)
  await until(() => first.endMs !== undefined, 'the look ends')
  await sleep(50)
  await shop.wake('one', 30_000)
  const woken = await shop.wake('one', WINDOW_MS)
  await shop.wake('one', 30_000)
  const second = await shop.begun('one', 2)
  expect(second.startMs - woken).toBeGreaterThanOrEqual(WINDOW_MS - 100)
  await shop.end()
}

const throwing: Law = async (queue) => {
  const shop = new Workshop(queue, async (watch) => {
    if (watch === 'bad') throw new Error('a look that fails')
    return undefined
  })
  await shop.wake('bad', 0)
  await shop.begun('bad', 1)
  await shop.wake('good', 0)
  await shop.begun('good', 1)
  await sleep(WINDOW_MS)
  expect(shop.of('bad')).toHaveLength(1)
  await shop.wake('bad', 0)
  await shop.begun('bad', 2)
  await shop.end()
}

const ending: Law = async (queue) => {
  const told: boolean[] = []
  const shop = new Workshop(queue, async (_, before, signal) => {
    if (before > 0) return undefined
    await until(() => signal.aborted, 'the look is told to stop')
    await sleep(100)
    told.push(true)
    return undefined
  })
  await shop.wake('one', 0)
  await shop.begun('one', 1)
  await shop.end()
  expect(told).toEqual([true])
  await queue.wake('two', 0)
  await sleep(WINDOW_MS)
  expect(shop.looks.map(({ watch }) => watch)).toEqual(['one'])
  const next = new Workshop(queue)
  await next.begun('two', 1)
  await next.end()
}

const names: Law = async (queue) => {
  const watches = ['a:b', 'a', 'a:b:c', '*', '123', '0', 'é', 'e\u0301', '🎉 party', 'line\nbreak', '{brace}', '"quoted\\"', 'x'.repeat(3_000)]
  const shop = new Workshop(queue)
  for (const watch of watches) await shop.wake(watch, 20)
  for (const watch of watches) await shop.begun(watch, 1)
  expect(shop.looks.map(({ watch }) => watch).sort()).toEqual([...watches].sort())
  await shop.end()
}

const LAWS: Readonly<Record<string, Law>> = {
  'a wake during a look causes another look, that starts later': covering,
  'one watch is looked at one at a time': oneAtATime,
  'different watches are looked at side by side, as many as are allowed': sideBySide,
  'many wakes within one delay are one look': coalescing,
  'a stream of wakes never puts a look off, and makes at most one in each delay': bounded,
  'a look that asks to be called again is, when its time has come': sleepingOn,
  'a wake while a look sleeps on makes no second look': wokenAsleep,
  'a wake during a look that then sleeps on for long is not kept waiting': wokenBeforeAsleep,
  'a wake while a look sleeps on for long is not kept waiting': wokenFromLongSleep,
  'a look that throws stops nothing': throwing,
  'an abort ends the work when the running looks have ended, and what is woken then waits for the next work': ending,
  'the name of a watch may be any text': names,
}

/** Runs every law on a queue of its own. */
export function queueSuite(open: () => Promise<Queue>): void {
  test.each(Object.entries(LAWS))('%s', async (_, law) => {
    const queue = await open()
    try {
      await law(queue)
    } finally {
      await queue.close()
    }
    expect(queue.trouble()).toBeUndefined()
  }, 20_000)
}
