import { describe, expect, test } from '@jest/globals'
import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../../src/model/clock.ts'
import { inlineQueue } from '../../src/queue/inline.ts'
import { queueSuite } from '../suite/queue.ts'

const real: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) => pause(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined),
  random: () => Math.random(),
}

describe('the queue of one process', () => queueSuite(async () => inlineQueue(real)))

test('time moves by the clock alone', async () => {
  let now = 0
  const sleepers: { readonly at: number; readonly wake: () => void }[] = []
  const clock: Clock = {
    now: () => 0,
    monotonic: () => now,
    random: () => 0,
    sleep: (ms, signal) => new Promise((resolve) => {
      sleepers.push({ at: now + ms, wake: resolve })
      signal?.addEventListener('abort', () => resolve())
    }),
  }
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const advance = async (ms: number): Promise<void> => {
    now += ms
    for (const { at, wake } of sleepers) if (at <= now) wake()
    await settle()
  }
  const looks: number[] = []
  const stop = new AbortController()
  const queue = inlineQueue(clock)
  const done = queue.work(async () => (looks.push(now) === 1 ? 1_000 : undefined), 1, stop.signal)
  await queue.wake('one', 5_000)
  await settle()
  await advance(4_999)
  expect(looks).toEqual([])
  await advance(1)
  expect(looks).toEqual([5_000])
  await advance(999)
  expect(looks).toEqual([5_000])
  await advance(1)
  expect(looks).toEqual([5_000, 6_000])
  stop.abort()
  await done
})

test('who has waited longest comes first: looks that hang, and are soon ready again, keep nobody out', async () => {
  let now = 0
  const clock: Clock = { ...real, monotonic: () => now }
  const queue = inlineQueue(clock)
  const looked: string[] = []
  const stop = new AbortController()
  for (const watch of ['hangs-1', 'hangs-2', 'hangs-3', 'works']) await queue.wake(watch, 0)
  await queue.work(async (watch) => {
    looked.push(watch)
    now += 60_000
    if (looked.length === 6) stop.abort()
    return watch === 'works' ? undefined : 2_000
  }, 1, stop.signal)
  expect(looked.slice(0, 4)).toEqual(['hangs-1', 'hangs-2', 'hangs-3', 'works'])
  expect(looked).toHaveLength(6)
})
