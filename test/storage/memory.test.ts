import { expect, test } from '@jest/globals'
import { Memory, MemorySource } from '../../src/storage/memory.ts'
import type { Hint, Span } from '../../src/storage/storage.ts'

const signal = new AbortController().signal

async function spans(memory: Memory): Promise<Span[]> {
  const all: Span[] = []
  for await (const span of memory.open().scan(0, signal)) all.push(span)
  return all
}

const pathsOf = (all: readonly Span[]): string[] => all.flatMap((span) => [...span.entries()].map((entry) => entry.path))

test('objects may come and go between two pages: what lay ahead is met, what lay behind is not', async () => {
  const memory = new Memory({ pageSize: 2 })
  for (const path of ['b', 'c', 'd', 'e']) memory.put(path, path)
  memory.beforePage = (page) => {
    if (page !== 1) return undefined
    memory.put('a', 'behind')
    memory.put('z', 'ahead')
    memory.remove('d')
    return undefined
  }
  const all = await spans(memory)
  expect(pathsOf(all)).toEqual(['b', 'c', 'e', 'z'])
  expect(all.at(-1)?.end?.requests).toBe(2)
})

test('a listing can be cut short, fail, or lose its root: it never ends as if it were whole', async () => {
  const memory = new Memory({ pageSize: 1 })
  memory.put('a', '1')
  memory.put('b', '2')
  memory.beforePage = (page) => (page === 1 ? 'cut' : undefined)
  expect((await spans(memory)).some((span) => span.end !== undefined)).toBe(false)
  memory.beforePage = () => {
    memory.root = undefined
    return undefined
  }
  await expect(spans(memory)).rejects.toMatchObject({ code: 'LOCATION_MISSING' })
})

test('what is written while it is read is torn', async () => {
  const memory = new Memory({ contentListed: false })
  memory.put('a', '1')
  memory.whileRead = (path) => memory.put(path, '2')
  for await (const found of memory.open().find(['a'], 0, signal)) expect(found).toEqual({ kind: 'torn', path: 'a' })
})

test('a source emits what it serves when it begins to hear, and delivers only while it hears', async () => {
  const whole: Hint = { scheme: 'file', bucket: '', key: '/a/', whole: true }
  const source = new MemorySource('test', [whole])
  const heard: Hint[] = []
  const stop = new AbortController()
  expect(await source.deliver([whole])).toBe(false)
  const listening = source.listen(async (hints) => void heard.push(...hints), stop.signal)
  await new Promise(setImmediate)
  expect(await source.deliver([{ ...whole, key: '/a/b', whole: false }])).toBe(true)
  stop.abort()
  await listening
  expect(heard.map(({ key }) => key)).toEqual(['/a/', '/a/b'])
})
