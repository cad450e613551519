import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { flow } from '../../../src/storage/file/flow.ts'

const going = new AbortController().signal

test('every result is yielded once, also of works that came out of others', async () => {
  const todo = [5]
  const next = (): Promise<{ of: number }> | undefined => {
    const of = todo.pop()
    return of === undefined ? undefined : sleep(of % 3).then(() => (todo.push(...Array.from({ length: of }, () => of - 1)), { of }))
  }
  const counts = new Map<number, number>()
  for await (const { of } of flow(next, 4, going)) counts.set(of, (counts.get(of) ?? 0) + 1)
  expect([...counts.entries()].sort()).toEqual([[0, 120], [1, 120], [2, 60], [3, 20], [4, 5], [5, 1]])
})

test('no more than the bound goes on or waits to be taken', async () => {
  let begun = 0
  let taken = 0
  let most = 0
  const next = (): Promise<object> | undefined => {
    if (begun === 40) return undefined
    most = Math.max(most, ++begun - taken)
    return Promise.resolve({})
  }
  for await (const one of flow(next, 5, going)) {
    await sleep(1)
    if (one !== undefined) taken++
  }
  expect(taken).toBe(40)
  expect(most).toBeLessThanOrEqual(6)
})

test('a work that fails ends it, and so does the signal; what still goes on is nobody’s rejection', async () => {
  const failing = flow(() => sleep(2).then(() => Promise.reject(new Error('broken'))), 3, going)
  await expect(failing.next()).rejects.toThrow('broken')
  const stop = new AbortController()
  const endless = flow(() => sleep(10_000, {}, { signal: stop.signal }), 3, stop.signal)
  setTimeout(() => stop.abort(), 5)
  await expect(endless.next()).rejects.toMatchObject({ name: 'AbortError' })
})

test('when nobody takes any more, nothing new is begun', async () => {
  let begun = 0
  for await (const one of flow(() => (begun++, sleep(1, {})), 2, going)) if (one !== undefined) break
  const then = begun
  await sleep(20)
  expect(begun).toBe(then)
})
