import { PassThrough } from 'node:stream'
import { expect, test } from '@jest/globals'
import { screenOn } from '../../src/cli/screen.ts'

const PLAIN = { ci: false, dumb: false }

function streams(isTTY: boolean): { stdout: PassThrough & { isTTY: boolean }; stderr: PassThrough & { isTTY: boolean } } {
  return { stdout: Object.assign(new PassThrough(), { isTTY }), stderr: Object.assign(new PassThrough(), { isTTY }) }
}

test.each([
  [true, undefined, true],
  [false, undefined, false],
  [true, false, false],
  [false, true, true],
])('on a terminal (%j) with the wish %j, colours are %j', (isTTY, wish, colours) => {
  const { stdout, stderr } = streams(isTTY)
  const surroundings = wish === undefined ? PLAIN : { ...PLAIN, colours: wish }
  const screen = screenOn(stdout, stderr, surroundings, () => 0, new AbortController().signal)
  expect(screen.paint('red', 'x') !== 'x').toBe(colours)
})

test('progress goes to stderr, seldom, and gives way to the next line', async () => {
  const { stdout, stderr } = streams(true)
  let now = 0
  const screen = screenOn(stdout, stderr, PLAIN, () => now, new AbortController().signal)
  for (; now <= 1_000; now += 10) screen.progress('a\nb', now, now)
  const shown = String(stderr.read())
  expect(shown.split('\r').length - 1).toBeLessThanOrEqual(11)
  expect(shown).toContain('a\\x0ab: 1,000 objects, 1.0 kB read, 1,000 objects/s, 1 s')
  await screen.print('done')
  expect(String(stderr.read())).toBe('\r\x1b[K')
  expect(String(stdout.read())).toBe('done\n')
})

test('of what has an end, rate and the time that is left are shown', () => {
  const { stdout, stderr } = streams(true)
  let now = 0
  const screen = screenOn(stdout, Object.assign(stderr, { columns: 120 }), PLAIN, () => now, new AbortController().signal)
  for (; now <= 1_000; now += 100) screen.advance('a\nb', { objects: now / 100, bytes: now * 1_000 }, { objects: 40, bytes: 4_000_000 })
  expect(String(stderr.read())).toContain('a\\x0ab: 10 of 40 objects, 1.0 MB of 4.0 MB, 1.0 MB/s, 3 s left')
})

test.each([[false, PLAIN], [true, { ci: true, dumb: false }], [true, { ci: false, dumb: true }]])('nobody watches (terminal %j, %j): no progress', (isTTY, surroundings) => {
  const { stdout, stderr } = streams(isTTY)
  let now = 0
  const screen = screenOn(stdout, stderr, surroundings, () => (now += 1_000), new AbortController().signal)
  for (let i = 0; i < 10; i++) screen.progress('a', i, i)
  expect(stderr.read()).toBeNull()
})

test('progress never wraps: a line that did could not be taken away', () => {
  const { stdout, stderr } = streams(true)
  let now = 0
  const screen = screenOn(stdout, Object.assign(stderr, { columns: 20 }), PLAIN, () => now, new AbortController().signal)
  for (; now <= 1_000; now += 100) screen.progress('a long name', now, now)
  for (const line of String(stderr.read()).split('\r\x1b[K')) expect(line.length).toBeLessThan(20)
})

test('a slow reader holds the writer back, and a signal frees it', async () => {
  const { stdout, stderr } = streams(false)
  const stopping = new AbortController()
  const screen = screenOn(stdout, stderr, PLAIN, () => 0, stopping.signal)
  const long = screen.print('x'.repeat(100_000))
  expect(await Promise.race([long.then(() => 'written'), new Promise((resolve) => setTimeout(resolve, 20, 'held'))])).toBe('held')
  stdout.resume()
  await long
  stdout.pause()
  const other = screen.print('x'.repeat(100_000))
  stopping.abort('SIGINT')
  await expect(other).rejects.toMatchObject({ name: 'AbortError' })
  await expect(screen.print('more')).rejects.toBe('SIGINT')
})
