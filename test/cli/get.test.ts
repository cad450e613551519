// `varve get` and `varve verify` as processes: what they print, how they end, and what is said of wrong words.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { Web } from '../fakes/web.ts'
import { varve } from './process.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-get-'))

beforeAll(async () => {
  mkdirSync(join(folder, 'tree/d'), { recursive: true })
  writeFileSync(join(folder, 'tree/a'), 'one')
  writeFileSync(join(folder, 'tree/d/b\n'), 'two!')
  expect((await varve(folder, 'put', 'tree/', '--name', 'p/art', '--type', 'dataset')).exit).toBe(0)
}, 60_000)
afterAll(() => rmSync(folder, { recursive: true }))

test('a restore goes to artifacts/NAME:vN, says so in a line, and again does nothing', async () => {
  const first = await varve(folder, 'get', 'p/art')
  expect(first).toEqual({ exit: 0, stderr: '', stdout: `p/art:v0 is in ${join(folder, 'artifacts/art:v0')}: 2 entries; 2 entries fetched (7 B)\n` })
  expect(readFileSync(join(folder, 'artifacts/art:v0/d/b\n'), 'utf8')).toBe('two!')
  const again = await varve(folder, 'get', 'p/art:v0')
  expect(again.stdout).toBe(`p/art:v0 is in ${join(folder, 'artifacts/art:v0')}: 2 entries; 0 entries fetched (0 B), 2 in place\n`)
}, 60_000)

test('with --json a line for each entry: exactly these keys', async () => {
  const { exit, stdout, stderr } = await varve(folder, 'get', 'p/art', 'json', '--json')
  const from = (name: string): string => `file://${join(folder, 'tree')}/${name}`
  expect([exit, stderr, stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as unknown)]).toEqual([0, '', [
    { path: 'a', action: 'fetched', from: from('a'), proof: 'md5', sizeBytes: 3 }, { path: 'd/b\n', action: 'fetched', from: from('d/b%0A'), proof: 'md5', sizeBytes: 4 },
  ]])
  const kept = await varve(folder, 'get', 'p/art', 'json', '--json')
  expect(kept.stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as unknown)).toEqual([{ path: 'a', action: 'kept', sizeBytes: 3 }, { path: 'd/b\n', action: 'kept', sizeBytes: 4 }])
  const dry = await varve(folder, 'get', 'p/art', 'dry', '--dry-run', '--path', './d/')
  expect(dry.stdout).toBe(`fetch     d/b\\x0a  from ${from('d/b%0A')}\np/art:v0 to ${join(folder, 'dry')}: 1 entry; 1 entry would be fetched (4 B)\n`)
  expect((await varve(folder, 'verify', 'p/art')).stdout).toBe('p/art:v0: 2 entries can be restored\n')
  expect((await varve(folder, 'verify', 'p/art', '--deep')).stdout).toBe('p/art:v0: 2 entries can be restored (every byte was read)\n')
  const actions = async (...words: readonly string[]): Promise<readonly unknown[]> => (await varve(folder, ...words, '--json')).stdout.trimEnd().split('\n').map((line) => (JSON.parse(line) as { action: unknown }).action)
  expect([await actions('verify', 'p/art'), await actions('verify', 'p/art', '--deep'), await actions('get', 'p/art', 'dry', '--dry-run')]).toEqual([['found', 'found'], ['verified', 'verified'], ['fetch', 'fetch']])
}, 60_000)

test('links are told as links, and a dry run tells its plan beside what is in the way', async () => {
  const linked = await varve(folder, 'get', 'p/art', 'links', '--as', 'symlink')
  expect(linked.stdout).toBe(`p/art:v0 is in ${join(folder, 'links')}: 2 entries; 2 entries linked (7 B)\n`)
  mkdirSync(join(folder, 'theirs'))
  writeFileSync(join(folder, 'theirs/a'), 'mine')
  const from = (name: string): string => `file://${join(folder, 'tree')}/${name}`
  expect(await varve(folder, 'get', 'p/art', 'theirs', '--dry-run')).toEqual({
    exit: 1, stdout: `fetch     a  from ${from('a')}\nfetch     d/b\\x0a  from ${from('d/b%0A')}\nconflict  a  other bytes lie there, which no restore put there\n`,
    stderr: `varve: 1 file at ${join(folder, 'theirs')} is not what a restore put there: a; nothing was written: move it away, name another destination, or let it go with --force\n`,
  })
}, 60_000)

test('a store that could not be asked is no loss, but no answer either: verify ends with 3, and with 1 where something is lost for certain', async () => {
  const web = await Web.start()
  try {
    expect((await varve(folder, 'put', `${web.url}/o`, '--name', 'p/web', '--type', 'dataset')).exit).toBe(0)
    const serve = web.answer
    // A file whose MD5 the ETag looks like is not said to be the same.
    web.answer = (_request, response) => void response.writeHead(503).end()
    expect(await varve(folder, 'verify', 'p/web')).toMatchObject({ exit: 3, stdout: expect.stringMatching(/^lost {6}o {2}\(unreachable\) .*\/o .*503.*\np\/web:v0: 1 entry of 1 could not be asked for\n$/) })
    web.answer = (_request, response) => void response.writeHead(404).end()
    expect(await varve(folder, 'verify', 'p/web')).toMatchObject({ exit: 1, stdout: expect.stringContaining('p/web:v0: 1 entry of 1 cannot be restored\n') })
    web.answer = serve
    expect(await varve(folder, 'verify', 'p/web', '--deep')).toMatchObject({ exit: 0, stdout: "p/web:v0: 1 entry can be restored (every byte was read; 1 entry stands by the store's word alone)\n" })
  } finally {
    await web.stop()
  }
}, 60_000)

test.each([
  [['get', 'p/art', 'x', '--as', 'magic'], 2, '--as magic is not known; write one of copy, reflink, hardlink, symlink'],
  [['get', 'p/art', 'x', '--delete', '--path', 'd'], 2, '--delete makes the destination exactly the version'],
  [['get', 'p/art', 'x', '--path', '/d'], 2, '--path /d is absolute, and paths of entries are relative; varve files lists them'],
  [['get', 'p/art', 'x', '--path', ''], 2, '--path names no entry; leave it out for the whole version'],
  [['verify', 'p/art', '--path', './'], 2, '--path names no entry'],
  [['get', 'p/art', ''], 2, 'the destination is empty'],
  [['get', 'p/art', 'x', '--include', ''], 2, 'a pattern of --include or --exclude is empty'],
  [['get', 'p/art', 'tree', '--force'], 1, 'which the version was recorded from'],
  [['get', 'p/art', '.', '--delete', '--force'], 1, "Varve's own data"],
  [['get', 'p/art', 'x', '--path', 'nothing'], 1, '"nothing" names no entry of p/art:v0'],
  [['get', 'p/art', 'x', '--include', '*.nothing'], 1, 'the filters let through no entry of p/art:v0'],
  [['get', 'p/none', 'x'], 1, 'no collection p/none'],
  [['get', 'p/art:v7', 'x'], 1, 'no version v7 of p/art'],
  [['get', 'p/art', 'tree/a/x'], 1, 'ENOTDIR'],
  [['verify', 'p/art:v7'], 3, 'no version v7 of p/art'],
])('%j ends with %i, in one line', async (words, exit, said) => {
  const ended = await varve(folder, ...words)
  expect(ended).toMatchObject({ exit, stdout: '', stderr: expect.stringMatching(/^varve: [^\n]+\n$/) })
  expect(ended.stderr).toContain(said)
}, 60_000)
