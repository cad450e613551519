// needs: pubsub-fake
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as realSleep } from 'node:timers/promises'
import type { Clock } from '../../../src/model/clock.ts'
import { VarveError } from '../../../src/model/errors.ts'
import { pubsubSource } from '../../../src/storage/gcs/pubsub.ts'
import type { Hint } from '../../../src/storage/storage.ts'
import { freePort, start } from '../../components.ts'
import type { Running } from '../../components.ts'
import { notice, topicAt, Wire } from './topic.ts'
import type { Owned } from './topic.ts'

/** A clock whose sleeps are kept, and last a fiftieth. */
class QuickClock implements Clock {
  readonly slept: number[] = []
  #ms = 0
  now = (): number => this.#ms
  monotonic = (): number => this.#ms
  random = (): number => 1
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.slept.push(ms)
    await realSleep(ms / 50, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
    this.#ms += ms
  }
}

// How long a stream must last to count as heard.
const PROOF_MS = 5_000

let fake: Running
let wire: Wire
let owned: Owned
let clock: QuickClock
let stop: AbortController
let heard: (readonly Hint[])[]
let logged: string[]
let emit: (hints: readonly Hint[]) => Promise<void>
let listening: Promise<void>
let topics = 0
let told: number

const keys = (): string[] => heard.flat().filter((hint) => !hint.whole).map((hint) => hint.key)
const wholes = (): number => heard.filter((hints) => hints.some((hint) => hint.whole)).length
const waits = (): number[] => clock.slept.filter((ms) => ms !== PROOF_MS)

async function until(fact: () => boolean): Promise<void> {
  for (let tries = 0; !fact(); tries++) {
    if (tries > 4_000) throw new Error(`it never came: ${JSON.stringify({ heard, logged, slept: clock.slept })}`)
    await realSleep(5)
  }
}

function listen(subscription = owned.subscription): void {
  const log = { info: (_: unknown, message: string) => void logged.push(message), warn: (fields: unknown, message: string) => void logged.push(`${message} ${JSON.stringify(fields)}`) }
  const locations = [{ scheme: 'gs' as const, bucket: 'b', prefix: 'x/' }, { scheme: 'gs' as const, bucket: 'b', prefix: 'y/' }]
  const source = pubsubSource({ name: subscription, access: {}, locations }, clock, log)
  expect(source.name).toBe(`pubsub ${subscription.split('/')[3]}`)
  stop = new AbortController()
  listening = source.listen((hints) => emit(hints), stop.signal)
}

async function unlisten(): Promise<void> {
  stop.abort()
  await listening
}

interface Fate {
  readonly Attributes: Readonly<Record<string, string>>
  readonly Deliveries: number
  readonly Acks: number
  readonly Modacks: readonly { readonly AckDeadline: number }[] | null
}

/** What became of each message that names `test`, by the service itself. */
async function fates(): Promise<Fate[]> {
  const all = (await (await fetch(`http://127.0.0.1:${told}`)).json()) as Fate[]
  return all.filter(({ Attributes }) => Attributes['test'] === `${topics}`)
}

async function untilFates(good: (all: readonly Fate[]) => boolean): Promise<Fate[]> {
  for (let tries = 0; ; tries++) {
    const all = await fates()
    if (good(all)) return all
    if (tries > 3_000) throw new Error(`it never came: ${JSON.stringify(all)}`)
    await realSleep(10)
  }
}

const acknowledged = (count: number): Promise<Fate[]> => untilFates((all) => all.length === count && all.every(({ Acks }) => Acks > 0))

function publish(attributes: Readonly<Record<string, string>>, data?: string): Promise<void> {
  return owned.publish({ ...attributes, test: `${topics}` }, data)
}

beforeAll(async () => {
  told = await freePort()
  fake = await start('pubsub-fake', [`${told}`])
}, 60_000)
afterAll(() => fake.stop())
beforeEach(async () => {
  wire = await Wire.to(fake.port)
  process.env['PUBSUB_EMULATOR_HOST'] = wire.host
  owned = topicAt(`127.0.0.1:${fake.port}`, `${++topics}`)
  await owned.make()
  clock = new QuickClock()
  stop = new AbortController()
  listening = Promise.resolve()
  heard = []
  logged = []
  emit = async (hints) => void heard.push(hints)
})
afterEach(async () => {
  await unlisten()
  await owned.close()
  await wire.stop()
})

test('it begins with a whole hint for each location, before any message', async () => {
  await publish(notice('x/a'))
  listen()
  await until(() => keys().length === 1)
  expect(heard[0]).toEqual([{ scheme: 'gs', bucket: 'b', key: 'x/', whole: true }, { scheme: 'gs', bucket: 'b', key: 'y/', whole: true }])
  expect(heard.length).toBe(2)
})

test('each key comes as it is, with a body or without, and both halves of an overwrite are one hint', async () => {
  const names = ['x/a b+c %20', 'x/é=1/😀', 'x/c\u0001', 'x//y', '../x']
  for (const name of names) await publish(notice(name))
  await publish({ ...notice('x/both', 'OBJECT_DELETE'), overwrittenByGeneration: '2' })
  await publish({ ...notice('x/both'), payloadFormat: 'JSON_API_V1', overwroteGeneration: '1' }, JSON.stringify({ name: 'not read', bucket: 'not read' }))
  listen()
  await acknowledged(names.length + 2)
  expect(new Set(keys())).toEqual(new Set([...names, 'x/both']))
})

/** Lets the first mark of messages wait until the returned function is called. */
function holding(): () => void {
  let mark = (): void => undefined
  emit = (hints) => {
    heard.push(hints)
    return hints[0]?.whole === true || heard.length > 2 ? Promise.resolve() : new Promise((resolve) => (mark = resolve))
  }
  return () => mark()
}

test('a message is acknowledged only after its hints are durable', async () => {
  const mark = holding()
  await publish(notice('x/a'))
  listen()
  await until(() => keys().length === 1)
  await realSleep(100)
  expect(await fates()).toMatchObject([{ Deliveries: 1, Acks: 0, Modacks: null }])
  mark()
  await acknowledged(1)
})

test('messages that come while one is marked are marked together, and acknowledged; of duplicates there is one hint', async () => {
  const mark = holding()
  await Promise.all(Array.from({ length: 200 }, (_, at) => publish(notice(`x/${at % 150}`))))
  listen()
  await untilFates((all) => all.length === 200 && all.every(({ Deliveries }) => Deliveries === 1))
  await realSleep(300)
  mark()
  await acknowledged(200)
  expect(new Set(keys()).size).toBe(150)
  // One whole hint, the first that came, and the rest.
  expect(heard.length).toBeLessThanOrEqual(4)
  for (const hints of heard) expect(new Set(hints.map(({ key }) => key)).size).toBe(hints.length)
})

test('what has come and is not marked when it is to stop is given back at once', async () => {
  emit = async (hints) => {
    if (hints[0]?.whole !== true) await new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve()))
    heard.push(hints)
  }
  for (let at = 0; at < 5; at++) await publish(notice(`x/${at}`))
  listen()
  await untilFates((all) => all.length === 5 && all.every(({ Deliveries }) => Deliveries === 1))
  await realSleep(100)
  await unlisten()
  const all = await fates()
  // What was being marked is done.
  expect(all.every(({ Acks, Modacks }) => Acks === 1 || Modacks?.[0]?.AckDeadline === 0)).toBe(true)
  expect(all.filter(({ Acks }) => Acks === 1).length).toBe(new Set(keys()).size)
})

test('while hints cannot be marked nothing is acknowledged, the waits double up to a minute, and then all is looked at again', async () => {
  let failing = true
  emit = async (hints) => {
    // All but the whole hint at the start: a message that was given back may come late.
    if (failing && heard.length > 0) throw new VarveError('REGISTRY_FULL', 'the disk is full')
    heard.push(hints)
  }
  await publish(notice('x/a'))
  listen()
  await until(() => waits().length >= 8)
  expect(waits().slice(0, 8)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  expect([logged.filter((line) => line.includes('the disk is full')).length, keys(), wholes()]).toEqual([1, [], 1])
  failing = false
  await acknowledged(1)
  expect([new Set(keys()), wholes()]).toEqual([new Set(['x/a']), 2])
  expect(logged.filter((line) => line.includes('heard again')).length).toBe(1)
}, 60_000)

test('a mark that throws outright, with no error of Varve\'s own, holds no message', async () => {
  let throwing = true
  emit = (hints) => {
    if (throwing && hints.some((hint) => !hint.whole)) throw new TypeError('a defect')
    heard.push(hints)
    return Promise.resolve()
  }
  await publish(notice('x/a'))
  listen()
  await until(() => logged.some((line) => line.includes('a defect')))
  throwing = false
  await acknowledged(1)
  expect(keys()).toEqual(['x/a'])
})

test('poison stays for the dead-letter topic, with one line; what came with it is heard, and it is not given back to come at once', async () => {
  await publish({ bucketId: 'b' }, 'no object')
  await publish({}, '{}')
  await publish(notice('x/a'))
  listen()
  await until(() => keys().length === 1)
  await publish({ eventType: 'OBJECT_FINALIZE' })
  await publish(notice('x/b'))
  await until(() => keys().includes('x/b'))
  await realSleep(200)
  expect(logged).toEqual([expect.stringMatching(/left to the dead-letter topic .*"messages":\d}/)])
  const poison = (await fates()).filter(({ Attributes }) => Attributes['objectId'] === undefined)
  expect(poison).toMatchObject(Array.from({ length: 3 }, () => ({ Deliveries: 1, Acks: 0, Modacks: null })))
})

test('a stream that the service ends is opened anew without a word, and nothing is asked for', async () => {
  listen()
  await until(() => clock.slept.includes(PROOF_MS) && wire.connections === 1)
  await publish(notice('x/a'))
  await until(() => keys().length === 1)
  wire.drop()
  await until(() => waits().length === 1)
  await publish(notice('x/b'))
  await until(() => keys().includes('x/b'))
  expect([logged, wholes(), waits()]).toEqual([[], 1, [1_000]])
})

test('a service that is gone is one line, waits that grow, and a line when it is back; then all is looked at again', async () => {
  listen()
  await until(() => wire.connections === 1)
  wire.cut()
  await until(() => waits().length >= 4)
  expect(waits().slice(-1)[0]).toBeGreaterThanOrEqual(4_000)
  await publish(notice('x/a'))
  wire.mend()
  await until(() => keys().includes('x/a'))
  await until(() => wholes() === 2)
  expect(logged).toEqual([expect.stringMatching(/^the subscription is not heard .*STORAGE_UNAVAILABLE|^the subscription is not heard .*does not answer/), 'the subscription is heard again'])
})

test('a service that nobody answers for is found again when it is there, by the try that follows', async () => {
  await fake.kill()
  process.env['PUBSUB_EMULATOR_HOST'] = `127.0.0.1:${fake.port}`
  listen()
  // Refused so often that a shared connection would be in a wait of its own, of seconds that no clock shortens.
  await until(() => waits().length >= 5)
  await fake.restart()
  await owned.make()
  const before = waits().length
  await publish(notice('x/a'))
  await until(() => keys().includes('x/a'))
  expect(wholes()).toBe(2)
  // At most the try that had begun when it came back was in vain.
  expect(waits().length - before).toBeLessThanOrEqual(1)
}, 60_000)

test('silence after a failure counts as hearing, once the stream has lasted: then all is looked at again', async () => {
  wire.cut()
  listen()
  await until(() => logged.length === 1)
  wire.mend()
  await until(() => wholes() === 2)
  expect(keys()).toEqual([])
})

test('a subscription that is not there is named; when it is made, and again when it was lost, all is looked at', async () => {
  const other = topicAt(`127.0.0.1:${fake.port}`, `later-${topics}`)
  listen(other.subscription)
  await until(() => waits().length >= 2)
  expect(logged).toEqual([expect.stringMatching(/pubsub s-later-\d+ is not there/)])
  await other.make()
  await until(() => wholes() === 2)
  await fake.kill()
  await until(() => logged.length === 3)
  await fake.restart()
  await other.make()
  await other.publish(notice('x/new'))
  await until(() => keys().includes('x/new') && wholes() >= 3)
  await other.close()
}, 60_000)

test('an abort ends the wait for messages at once, and a wait before the next try', async () => {
  listen()
  await until(() => wire.connections === 1)
  await unlisten()
  await until(() => wire.connections === 0)
  wire.cut()
  listen()
  await until(() => waits().length > 1)
  await unlisten()
})

test('at an emulator no metadata server is asked, and no credentials are looked for', async () => {
  let asked = 0
  const metadata = createServer((_, response) => {
    asked++
    response.writeHead(200, { 'metadata-flavor': 'Google' }).end('x')
  }).listen(0, '127.0.0.1')
  await once(metadata, 'listening')
  process.env['GCE_METADATA_HOST'] = `127.0.0.1:${(metadata.address() as AddressInfo).port}`
  process.env['GOOGLE_APPLICATION_CREDENTIALS'] = '/nowhere.json'
  delete process.env['METADATA_SERVER_DETECTION']
  try {
    await publish(notice('x/a'))
    listen()
    await until(() => keys().length === 1)
    await unlisten()
    expect([asked, logged]).toEqual([0, []])
  } finally {
    delete process.env['GCE_METADATA_HOST']
    delete process.env['GOOGLE_APPLICATION_CREDENTIALS']
    metadata.close()
  }
})

test('without credentials it is not heard, and says so in words', async () => {
  delete process.env['PUBSUB_EMULATOR_HOST']
  const source = pubsubSource({ name: owned.subscription, access: { credentialsFile: '/nowhere.json' }, locations: [] }, clock, { info: () => undefined, warn: (fields) => void logged.push(String(fields['error'])) })
  listening = source.listen(async () => undefined, stop.signal)
  await until(() => logged.length === 1)
  expect(logged[0]).toMatch(/the credentials file \/nowhere\.json cannot be read \(ENOENT\)/)
})
