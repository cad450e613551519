import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { readToken } from '../../../src/storage/s3/token.ts'
import { openWebhook } from '../../../src/storage/s3/webhook.ts'
import { isTold } from '../../../src/storage/storage.ts'
import type { Hint, ToldSource } from '../../../src/storage/storage.ts'

const TOKEN = 'a-token-that-nobody-guesses'
const BEARER = `Bearer ${TOKEN}`
const LOCATIONS = [{ scheme: 's3' as const, bucket: 'b', prefix: 'x/' }, { scheme: 's3' as const, bucket: 'c', prefix: '' }]

let folder: string
let tokenFile: string
let nowMs: number
let logged: string[]
let heard: (readonly Hint[])[]
let hearing: string[]
let emit: (hints: readonly Hint[]) => Promise<void>
let stop: AbortController
let listening: Promise<void>
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-token-'))
  tokenFile = join(folder, 'token')
  writeFileSync(tokenFile, `${TOKEN}\n`)
  nowMs = 0
  logged = []
  heard = []
  hearing = []
  emit = async (hints) => void heard.push(hints)
  stop = new AbortController()
  listening = Promise.resolve()
})
afterEach(async () => {
  stop.abort()
  await listening
  rmSync(folder, { recursive: true })
})

function opened(): ToldSource {
  const clock = { now: () => nowMs, monotonic: () => nowMs, random: () => 0, sleep: async () => undefined }
  const log = { info: (_: unknown, message: string) => void logged.push(message), warn: (fields: unknown, message: string) => void logged.push(`${message} ${JSON.stringify(fields)}`) }
  return openWebhook({ path: '/hooks/minio', tokenFile, locations: LOCATIONS }, clock, log)
}

async function begun(): Promise<ToldSource> {
  const source = opened()
  listening = source.listen((hints) => emit(hints), stop.signal, ({ trouble }) => void hearing.push(trouble === undefined ? 'well' : String(trouble)))
  await until(() => heard.length === 1)
  return source
}

async function until(fact: () => boolean): Promise<void> {
  for (let tries = 0; !fact(); tries++) {
    if (tries > 2_000) throw new Error(`it never came: ${JSON.stringify({ heard, logged })}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const record = (...keys: string[]): Uint8Array => bytes(JSON.stringify({ Records: keys.map((key) => ({ eventVersion: '2.1', s3: { bucket: { name: 'b' }, object: { key } } })) }))
const keys = (): string[] => heard.slice(1).flat().map(({ key }) => key)

test('it is a source that is told, and begins with a whole hint for each location', async () => {
  const source = await begun()
  expect([source.name, source.path, isTold(source), isTold({ name: 'x', listen: async () => undefined })]).toEqual(['webhook /hooks/minio', '/hooks/minio', true, false])
  expect(heard).toEqual([[{ scheme: 's3', bucket: 'b', key: 'x/', whole: true }, { scheme: 's3', bucket: 'c', key: '', whole: true }]])
})

describe('the token', () => {
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`
  test.each([
    ['as a bearer token', BEARER], ['whatever the case of that word', `bearer ${TOKEN}`], ['by itself', TOKEN],
    ['as a password', basic(`varve:${TOKEN}`)], ['as a password of nobody', basic(`:${TOKEN}`)],
  ])('is taken %s', async (_, authorization) => {
    expect(await (await begun()).refusal(authorization)).toBeUndefined()
  })
  test.each([
    undefined, '', 'Bearer', 'Bearer ', `Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(1)}`, `Bearer ${TOKEN} ${TOKEN}`, `Bearer ${TOKEN.toUpperCase()}`, `Digest ${TOKEN}`,
    basic(`${TOKEN}:`), basic(`${TOKEN}:x`), basic(`x:${TOKEN}:`), 'Basic !!!', `Bearer ${Buffer.from(TOKEN).toString('base64')}`, `Bearer \u0000`,
  ])('is not %j', async (authorization) => {
    expect(await (await begun()).refusal(authorization)).toBe(401)
  })

  test('strangers are one line a minute, without what they showed', async () => {
    const source = await begun()
    for (let i = 0; i < 5; i++) expect(await source.refusal('Bearer guess')).toBe(401)
    nowMs += 60_000
    await source.refusal('Bearer guess')
    expect(logged).toEqual(['posts that did not show the token were refused {"name":"webhook /hooks/minio","posts":1}', 'posts that did not show the token were refused {"name":"webhook /hooks/minio","posts":5}'])
  })

  test.each([`${TOKEN}\r\n`, TOKEN, `Bearer ${TOKEN}\n`])('is what its file holds, but for the line\'s end and the word before it: %j', async (text) => {
    writeFileSync(tokenFile, text)
    expect(await (await begun()).refusal(BEARER)).toBeUndefined()
  })

  test.each([
    ['', 'is empty'], ['\n', 'is empty'], ['\r\n', 'is empty'], ['Bearer \n', 'is empty'], ['two words', 'holds no token'], ['one\ntwo\n', 'holds no token'], [' x', 'holds no token'],
    ['tökén', 'holds no token'], ['x'.repeat(5_000), 'holds no token'],
  ])('a file that holds %j is refused', async (text, words) => {
    writeFileSync(tokenFile, text)
    await expect(readToken(tokenFile)).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: `the token file ${tokenFile} ${words}${words === 'is empty' ? '' : ': one line of printable ASCII without spaces'}`, hint: expect.stringContaining('openssl rand') })
  })

  test('a file that is not there, or a folder, is refused', async () => {
    rmSync(tokenFile)
    await expect(readToken(tokenFile)).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: `the token file ${tokenFile} cannot be read (ENOENT)` })
    symlinkSync(folder, tokenFile)
    await expect(readToken(tokenFile)).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: `the token file ${tokenFile} cannot be read (EISDIR)` })
  })

  test('another one in the file takes its place within a second; without any nobody can post, and that is said once', async () => {
    const source = await begun()
    expect(await source.refusal(BEARER)).toBeUndefined()
    writeFileSync(tokenFile, 'another')
    nowMs += 1_000
    expect([await source.refusal(BEARER), await source.refusal('Bearer another')]).toEqual([401, undefined])
    writeFileSync(tokenFile, '')
    nowMs += 1_000
    for (let i = 0; i < 3; i++) expect([await source.refusal('Bearer another'), await source.refusal('Bearer '), await source.refusal(undefined)]).toEqual([503, 503, 503])
    writeFileSync(tokenFile, TOKEN)
    nowMs += 1_000
    expect(await source.refusal(BEARER)).toBeUndefined()
    expect(hearing).toEqual([expect.stringMatching(/posts are refused: they do not show the token/), 'well', expect.stringMatching(/nobody can post: their token cannot be checked .*is empty/), 'well'])
    expect(logged.slice(1)).toEqual([expect.stringMatching(/^nobody can post: their token cannot be checked .*is empty/), 'posts are taken again'])
  })
})

describe('a post', () => {
  test('is answered 200 only after its hints are durable', async () => {
    const source = await begun()
    let mark = (): void => undefined
    emit = (hints) => (heard.push(hints), new Promise((resolve) => (mark = resolve)))
    let answered: number | undefined
    const post = source.tell(record('x/a')).then((status) => (answered = status))
    await until(() => heard.length === 2)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(answered).toBeUndefined()
    mark()
    await post
    expect([answered, keys()]).toEqual([200, ['x/a']])
  })

  test('that comes while a mark is written shares the next one; each is answered by its own', async () => {
    const source = await begun()
    const marks: { resolve(): void; reject(error: Error): void }[] = []
    emit = (hints) => (heard.push(hints), new Promise((resolve, reject) => void marks.push({ resolve, reject })))
    const first = source.tell(record('x/1'))
    await until(() => marks.length === 1)
    const others = ['x/2', 'x/3', 'x/4'].map((key) => source.tell(record(key)))
    marks[0]?.reject(new Error('the disk is full'))
    await until(() => marks.length === 2)
    marks[1]?.resolve()
    expect([await first, await Promise.all(others)]).toEqual([503, [200, 200, 200]])
    expect(heard.slice(1).map((hints) => hints.map(({ key }) => key))).toEqual([['x/1'], ['x/2', 'x/3', 'x/4']])
  })

  test('that cannot be marked is answered 503 and posted again; one line until it is over', async () => {
    const source = await begun()
    const well = emit
    emit = async () => Promise.reject(new Error('the disk is full'))
    for (let i = 0; i < 3; i++) expect(await source.tell(record('x/a'))).toBe(503)
    emit = well
    expect(await source.tell(record('x/a'))).toBe(200)
    expect(logged).toEqual([expect.stringMatching(/cannot be marked.*the disk is full/), 'posts are taken again'])
  })

  test('of which only some records are understood is marked as far as that, and answered 400', async () => {
    const source = await begun()
    expect(await source.tell(bytes('{"Records":[{"s3":{}},{"s3":{"bucket":{"name":"b"},"object":{"key":"x/a"}}},5]}'))).toBe(400)
    expect(heard.slice(1)).toEqual([[{ scheme: 's3', bucket: 'b', key: 'x/a', whole: false }]])
    emit = async () => Promise.reject(new Error('the disk is full'))
    expect(await source.tell(bytes('{"Records":[{"s3":{}},{"s3":{"bucket":{"name":"b"},"object":{"key":"x/a"}}}]}'))).toBe(503)
  })
  test('that is no notification is answered 400, with a line a minute', async () => {
    const source = await begun()
    for (const body of ['', 'no JSON', '{}', '[]', '{"Records":[{}]}', '{"Records":[{"s3":{}}]}']) expect([body, await source.tell(bytes(body))]).toEqual([body, 400])
    expect(await source.tell(Uint8Array.of(0x22, 0xff, 0x22))).toBe(400)
    nowMs += 60_000
    await source.tell(bytes('{}'))
    expect(logged).toEqual([1, 7].map((posts) => `posts that are no S3 notifications, or not whole ones, were refused {"name":"webhook /hooks/minio","posts":${posts}}`))
  })

  test('that only tests, or tells nothing, is answered 200 without a mark', async () => {
    const source = await begun()
    expect(await source.tell(bytes('{"Service":"S3","Event":"s3:TestEvent","Time":"2026-01-05T09:12:30Z","Bucket":"Test-Bucket"}'))).toBe(200)
    expect(await source.tell(bytes('{"Records":[]}'))).toBe(200)
    expect([heard.length, logged]).toEqual([1, []])
  })

  test('while nobody hears is refused with 503, before the start and after the end', async () => {
    const source = opened()
    expect(await source.refusal(BEARER)).toBe(503)
    listening = source.listen((hints) => emit(hints), stop.signal)
    await until(() => heard.length === 1)
    expect(await source.refusal(BEARER)).toBeUndefined()
    stop.abort()
    await listening
    expect([await source.refusal(BEARER), await source.tell(record('x/a')), await source.refusal('Bearer guess')]).toEqual([503, 503, 401])
    expect(heard.length).toBe(1)
  })
})

test('what is posted while it begins is heard: nothing falls between', async () => {
  const source = opened()
  let begin = (): void => undefined
  emit = (hints) => (heard.push(hints), hints[0]?.whole === true ? new Promise((resolve) => (begin = resolve)) : Promise.resolve())
  listening = source.listen((hints) => emit(hints), stop.signal)
  expect(await source.refusal(BEARER)).toBeUndefined()
  expect(await source.tell(record('x/a'))).toBe(200)
  begin()
  expect(keys()).toEqual(['x/a'])
})

test('a whole hint that cannot be marked ends it: it is started again', async () => {
  const source = opened()
  emit = async () => Promise.reject(new Error('the disk is full'))
  await expect(source.listen((hints) => emit(hints), stop.signal)).rejects.toThrow('the disk is full')
  expect(await source.refusal(BEARER)).toBe(503)
})

test('the end waits for the mark that is being written', async () => {
  const source = await begun()
  let mark = (): void => undefined
  emit = (hints) => (heard.push(hints), new Promise((resolve) => (mark = resolve)))
  const post = source.tell(record('x/a'))
  await until(() => heard.length === 2)
  let ended = false
  stop.abort()
  void listening.then(() => (ended = true))
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(ended).toBe(false)
  mark()
  await listening
  expect(await post).toBe(200)
})
