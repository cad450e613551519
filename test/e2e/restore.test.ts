// needs: minio, versitygw
// Bytes back from real stores, by the command line as its own process: overwritten, deleted, expired and multipart objects, through a proxy that lies, and after kill -9.
import { CompleteMultipartUploadCommand, CreateMultipartUploadCommand, PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3'
import { afterEach, describe, expect, test } from '@jest/globals'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Step } from '../../src/restore/restore.ts'
import { ended, plainEnvironment } from '../cli/process.ts'
import { S3_KEYS, start } from '../components.ts'
import type { Running } from '../components.ts'
import { always, liarBefore } from '../restore/liar.ts'
import type { Liar, Lie } from '../restore/liar.ts'
import { treeOf } from '../restore/world.ts'
import { NAMES } from '../suite/names.ts'
import { ownedBucket } from './bucket.ts'
import type { Owned } from './bucket.ts'
import { site, until } from './site.ts'
import type { Site } from './site.ts'

const MIB = 1024 * 1024
const LONG_MS = 180_000

let store: Running
let owned: Owned
let liar: Liar | undefined
let place: Site

async function begin(component: 'minio' | 'versitygw', versioned: boolean): Promise<void> {
  store = await start(component)
  owned = await ownedBucket(store.url, versioned)
  place = site()
  configure(store.url)
}

function configure(endpoint: string): void {
  place.configure({ data: '.varve', watch: [{ name: 'w', location: `s3://${owned.bucket}/data/`, artifact: 'p/art', type: 'dataset', s3: { endpoint, region: 'us-east-1' } }] })
}

async function throughLiar(): Promise<Liar> {
  liar = await liarBefore(store.url)
  configure(liar.url)
  return liar
}

afterEach(async () => {
  owned.client.destroy()
  await liar?.close()
  liar = undefined
  await store.stop()
  await place.remove()
})

async function record(): Promise<void> {
  const { exit, stderr } = await place.varve('put', `s3://${owned.bucket}/data/`, '--name', 'p/art', '--type', 'dataset')
  if (exit !== 0) throw new Error(stderr)
}

async function get(...words: readonly string[]): Promise<{ readonly exit: number | null; readonly steps: readonly Step[]; readonly stderr: string }> {
  const { exit, stdout, stderr } = await place.varve('get', ...words, '--json')
  return { exit, stderr, steps: stdout.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Step) }
}

const lost = (steps: readonly Step[]): Record<string, string> => Object.fromEntries(steps.filter(({ action }) => action === 'lost').map(({ path, reason }) => [path, reason ?? '']))
const to = (name: string): string => join(place.folder, name)

function patterned(sizeBytes: number, seed: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes)
  for (let at = 0; at + 4 <= sizeBytes; at += 4) bytes.writeUInt32LE(Math.imul(at + seed, 2_654_435_761) >>> 0, at)
  return bytes
}

/** All parts from the last of `sizes` on are of its size. */
async function multipart(key: string, body: Buffer, ...sizes: readonly number[]): Promise<void> {
  const of = { Bucket: owned.bucket, Key: key }
  const { UploadId } = await owned.client.send(new CreateMultipartUploadCommand(of))
  const Parts = []
  for (let from = 0, PartNumber = 1; from < body.length; PartNumber++) {
    const Body = body.subarray(from, from + (sizes[PartNumber - 1] ?? (sizes.at(-1) as number)))
    from += Body.length
    const { ETag } = await owned.client.send(new UploadPartCommand({ ...of, UploadId, PartNumber, Body, ContentLength: Body.length }))
    Parts.push({ ETag, PartNumber })
  }
  await owned.client.send(new CompleteMultipartUploadCommand({ ...of, UploadId, MultipartUpload: { Parts } }))
}

describe.each(['minio', 'versitygw'] as const)('%s', (component) => {
  test('with versions: overwritten, deleted and nastily named objects come back; an expired pin only from the same bytes elsewhere', async () => {
    await begin(component, true)
    for (const [key, body] of [['a', 'one'], ['b', 'two'], ['c', 'three'], ['d', 'four'], ['twin', 'five'], ['e/f', 'five']] as const) await owned.put(`data/${key}`, body)
    const names = NAMES.filter((name) => !['a/b', 'a.b/c'].includes(name) && (component === 'minio' || !name.includes('\\')))
    for (const name of names) await owned.client.send(new PutObjectCommand({ Bucket: owned.bucket, Key: `data/names/${name}`, Body: name, ContentLength: Buffer.byteLength(name) }))
    const pins = await owned.current('data/')
    await record()
    await owned.put('data/a', 'other')
    await owned.remove('data/b')
    for (const key of ['data/c', 'data/twin']) {
      await owned.put(key, 'other')
      await owned.remove(key, pins.get(key) as string)
    }
    await owned.remove('data/d')
    await owned.remove('data/d', pins.get('data/d') as string)
    const refused = await get('p/art:v0', 'to')
    expect([refused.exit, lost(refused.steps), existsSync(to('to'))]).toEqual([1, { c: 'expired', d: 'removed' }, false])
    expect(refused.stderr).toMatch(/^varve: 2 entries of p\/art:v0 cannot be restored: c \(expired\), d \(removed\); nothing was written/)
    const partial = await get('p/art:v0', 'to', '--partial')
    expect(partial.exit).toBe(1)
    expect(treeOf(to('to'))).toMatchObject({ 'a': 'one', 'b': 'two', 'twin': 'five', 'e/f': 'five' })
    expect(partial.steps.find(({ path }) => path === 'twin')?.from).toBe(`s3://${owned.bucket}/data/e/f`)
    for (const name of names) expect(readFileSync(join(to('to'), 'names', name), 'utf8')).toBe(name)
    const checked = await place.varve('verify', 'p/art:v0')
    expect([checked.exit, checked.stdout]).toEqual([1, expect.stringMatching(/lost +c .*\n.*lost +d .*\n.*2 entries of \d+ cannot be restored, 1 from another place/s)])
  }, LONG_MS)

  test('without versions: what was overwritten or deleted is lost, and the rest comes back verified', async () => {
    await begin(component, false)
    for (const key of ['a', 'b', 'c']) await owned.put(`data/${key}`, `the ${key}`)
    await record()
    await owned.put('data/a', 'THE a')
    await owned.remove('data/b')
    const { exit, steps } = await get('p/art:v0', 'to', '--partial')
    expect([exit, lost(steps), treeOf(to('to'))]).toEqual([1, { a: 'overwritten', b: 'removed' }, { c: 'the c' }])
  }, LONG_MS)

  test('multipart objects whose parts differ in size are proven part by part, small and in pieces', async () => {
    await begin(component, true)
    const shapes = { two: [5 * MIB, 6 * MIB], three: [6 * MIB, 5 * MIB, 1], large: [5 * MIB, 9 * MIB, 7 * MIB, 12 * MIB, 3], alike: [5 * MIB, 6 * MIB, 5 * MIB, 4 * MIB] }
    const bodies = Object.entries(shapes).map(([name, sizes], at) => [name, patterned(sizes.reduce((sum, size) => sum + size), at * 1_000)] as const)
    for (const [name, body] of bodies) await multipart(`data/${name}`, body, ...shapes[name as keyof typeof shapes])
    await record()
    // Of the versions that were recorded, no more the current ones.
    for (const name of ['two', 'large']) await owned.put(`data/${name}`, 'other')
    const { exit, steps, stderr } = await get('p/art:v0', 'to')
    expect([exit, stderr, steps.map(({ path, proof }) => [path, proof])]).toEqual([0, '', [['alike', 'parts'], ['large', 'parts'], ['three', 'parts'], ['two', 'parts']]])
    for (const [name, body] of bodies) expect(readFileSync(join(to('to'), name)).equals(body)).toBe(true)
    expect(await place.varve('verify', 'p/art:v0', '--deep')).toMatchObject({ exit: 0, stderr: '' })
    expect((await get('p/art:v0', 'to', '--deep')).steps.map(({ action }) => action)).toEqual(Array(4).fill('kept'))
  }, LONG_MS)
})

test('MinIO that refuses one key, or its listings for a moment: only that key is out of reach, and what passes is asked again', async () => {
  await begin('minio', false)
  const files = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`k${10 + at}`, `text ${at}`]))
  for (const [name, text] of Object.entries(files)) await owned.put(`data/${name}`, text)
  const proxy = await throughLiar()
  await record()
  // Once in the SDK's three tries, and once more.
  proxy.refuse(/list-type/, 4)
  expect([(await get('p/art:v0', 'all')).exit, treeOf(to('all'))]).toEqual([0, files])
  proxy.refuse(/data\/k12(\?|$)/, Infinity)
  // Asked by name, for so few keys are not worth a listing.
  const some = await get('p/art:v0', 'some', '--partial', '--include', 'k1?')
  const { k12, ...rest } = Object.fromEntries(Object.entries(files).filter(([name]) => name.startsWith('k1')))
  expect([some.exit, lost(some.steps), treeOf(to('some'))]).toEqual([1, { k12: 'unreachable' }, rest])
  expect(some.steps.find(({ path }) => path === 'k12')?.words).toContain(`s3://${owned.bucket}/data/k12`)
  const checked = await place.varve('verify', 'p/art:v0', '--include', 'k1?')
  expect([checked.exit, checked.stdout]).toEqual([3, expect.stringContaining('1 entry of 10 could not be asked for')])
}, LONG_MS)

test('multipart objects of three part sizes are proven part by part, small and in pieces; through a proxy that flips, cuts and refuses', async () => {
  await begin('minio', true)
  const bodies = new Map<string, Buffer>()
  for (const [at, [name, partBytes, sizeBytes]] of ([['five', 5 * MIB, 12 * MIB + 7], ['eight', 8 * MIB, 40 * MIB + 1], ['odd', 6_000_001, 13_000_000]] as const).entries()) {
    const body = patterned(sizeBytes, at * 1_000)
    bodies.set(name, body)
    await multipart(`data/${name}`, body, partBytes)
  }
  await owned.put('data/plain', 'plain')
  const proxy = await throughLiar()
  await record()
  proxy.lie(/data\//, ['flip', 'cut', 503, 'flip', 503, 'cut'])
  const { exit, steps, stderr } = await get('p/art:v0', 'to')
  expect([exit, stderr]).toEqual([0, ''])
  // More than one request for each piece: lies were told, and seen.
  expect(proxy.gets().length).toBeGreaterThanOrEqual(3 + 6 + 1 + 6)
  for (const [name, body] of bodies) expect(readFileSync(join(to('to'), name)).equals(body)).toBe(true)
  expect(Object.fromEntries(steps.map(({ path, proof }) => [path, proof]))).toEqual({ five: 'parts', eight: 'parts', odd: 'parts', plain: 'md5' })
  expect(readdirSync(to('to')).sort()).toEqual(['eight', 'five', 'odd', 'plain'])
  // For ever: then it is lost, the rest stays, and nothing is left half-written.
  proxy.lie(/data\/(five|plain)/, always('flip'))
  const spoiled = await get('p/art:v0', 'other')
  expect([spoiled.exit, lost(spoiled.steps)]).toEqual([1, { five: 'corrupt', plain: 'corrupt' }])
  expect(readdirSync(to('other')).sort()).toEqual(['eight', 'odd'])
  expect((await place.varve('verify', 'p/art:v0', '--deep')).exit).toBe(1)
  proxy.lie(/./, [])
  expect((await place.varve('verify', 'p/art:v0', '--deep')).exit).toBe(0)
}, LONG_MS)

test('what only its bytes can tell is read before anything is written: an object in other parts that took the place of a pinned one', async () => {
  await begin('minio', true)
  const body = patterned(12 * MIB, 1)
  for (const key of ['data/same', 'data/other']) await multipart(key, body, 5 * MIB)
  await owned.put('data/plain', 'plain')
  const pins = await owned.current('data/')
  await record()
  await multipart('data/same', body, 8 * MIB)
  await multipart('data/other', patterned(12 * MIB, 2), 5 * MIB)
  for (const key of ['data/same', 'data/other']) await owned.remove(key, pins.get(key) as string)
  for (const more of [[], ['--dry-run']]) {
    const refused = await get('p/art:v0', 'to', ...more)
    expect([refused.exit, lost(refused.steps), existsSync(to('to'))]).toEqual([1, { other: 'expired' }, false])
  }
  expect([(await get('p/art:v0', 'to', '--partial')).exit, Object.keys(treeOf(to('to')) ?? {})]).toEqual([1, ['plain', 'same']])
  expect(readFileSync(join(to('to'), 'same')).equals(body)).toBe(true)
  const checked = await place.varve('verify', 'p/art:v0', '--include', '{same,plain}')
  expect(checked).toMatchObject({ exit: 0, stderr: '' })
  expect((await place.varve('log', 'p/art')).stdout).toContain('pinned')
  expect(await place.varve('verify', 'p/art:v0')).toMatchObject({ exit: 1, stdout: expect.stringContaining('1 entry of 3 cannot be restored, 1 from another place') })
  // What `verify` found is what `log` says.
  expect((await place.varve('log', 'p/art')).stdout).toContain('partly lost: 1 of 3')
}, LONG_MS)

/** The first `count` are passed on, all others stall. */
function* passThen(count: number): Generator<Lie | undefined> {
  for (let at = 0; at < count; at++) yield undefined
  yield* always('stall')
}

test.each([['one PUT', 'md5'], ['parts that differ in size', 'parts']])('kill -9 in the middle: what was in place stays, a large object of %s goes on from where it was, and the end is right', async (_, proof) => {
  await begin('minio', true)
  const large = patterned(64 * MIB, 1)
  const middling = patterned(11 * MIB, 2)
  if (proof === 'md5') await owned.client.send(new PutObjectCommand({ Bucket: owned.bucket, Key: 'data/z/large', Body: large, ContentLength: large.length }))
  else await multipart('data/z/large', large, 5 * MIB, 9 * MIB, 20 * MIB, 30 * MIB)
  await multipart('data/s', middling, 5 * MIB, 6 * MIB)
  for (let at = 0; at < 50; at++) await owned.put(`data/s${at}`, `small ${at}`)
  const proxy = await throughLiar()
  await record()
  // The first pieces pass; then nothing more comes.
  proxy.lie(/z\/large/, passThen(4))
  const env = { ...plainEnvironment(), AWS_ACCESS_KEY_ID: S3_KEYS.accessKeyId, AWS_SECRET_ACCESS_KEY: S3_KEYS.secretAccessKey, AWS_REGION: 'us-east-1' }
  const main = join(import.meta.dirname, '..', '..', 'src', 'main.ts')
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, 'get', 'p/art:v0', 'to', '--config', 'varve.yaml'], { cwd: place.folder, env })
  const gone = ended(child)
  const room = join(to('to'), '.varve-restore')
  const partial = (): number => (existsSync(room) ? readdirSync(room).filter((name) => name.endsWith('.part')).reduce((sum, name) => sum + readFileSync(join(room, name)).length, 0) : 0)
  await until(() => [['s', 's9'].every((name) => existsSync(join(to('to'), name))), partial()] as const, ([small, bytes]) => small && bytes >= 16 * MIB, 60_000)
  child.kill('SIGKILL')
  await gone
  expect([readFileSync(join(to('to'), 's9'), 'utf8'), existsSync(join(to('to'), 'z/large'))]).toEqual(['small 9', false])
  const before = proxy.passed()
  proxy.lie(/./, [])
  const { exit, steps } = await get('p/art:v0', 'to')
  expect([exit, steps.find(({ path }) => path === 'z/large')]).toEqual([0, expect.objectContaining({ action: 'fetched', proof })])
  expect(steps.filter(({ action }) => action === 'kept').length).toBe(51)
  expect(readFileSync(join(to('to'), 's')).equals(middling)).toBe(true)
  expect(readFileSync(join(to('to'), 'z/large')).equals(large)).toBe(true)
  // At least the first pieces did not come again.
  expect(proxy.passed() - before).toBeLessThan(64 * MIB)
  expect(existsSync(room)).toBe(false)
}, LONG_MS)

test.each(['copy', 'hardlink', 'symlink'])('kill -9 at moments of chance while local files are restored as %s: the next run ends right', async (as) => {
  await begin('minio', true)
  const from = join(place.folder, 'from')
  for (let at = 0; at < 3_000; at++) {
    const folder = join(from, `d${at % 30}`)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, `${at}`), `file ${at} `.repeat(50))
  }
  const put = await place.varve('put', `${from}/`, '--name', 'p/files', '--type', 'dataset')
  expect(put.exit).toBe(0)
  const main = join(import.meta.dirname, '..', '..', 'src', 'main.ts')
  for (const share of [0.01, 0.3, 0.7]) {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, 'get', 'p/files:v0', 'to', '--as', as, '--config', 'varve.yaml'], { cwd: place.folder, env: plainEnvironment() })
    const gone = ended(child)
    await until(() => Object.keys(treeOf(to('to')) ?? {}).length, (files) => files >= 3_000 * share || child.exitCode !== null, 60_000, 5)
    child.kill('SIGKILL')
    await gone
    // Whatever is in place under its own name is whole.
    for (const [path, text] of Object.entries(treeOf(to('to')) ?? {})) if (!path.startsWith('.varve-restore/')) expect(text).toBe(`file ${path.replace(/^.*\//, '')} `.repeat(50))
  }
  const { exit, steps } = await get('p/files:v0', 'to', '--as', as)
  expect([exit, steps.length]).toEqual([0, 3_000])
  expect([treeOf(to('to')), existsSync(join(to('to'), '.varve-restore'))]).toEqual([treeOf(from), false])
}, LONG_MS)
