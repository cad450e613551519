import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { setTimeout as realSleep } from 'node:timers/promises'
import type { Clock } from '../../../src/model/clock.ts'
import { VarveError } from '../../../src/model/errors.ts'
import { sqsSource } from '../../../src/storage/s3/sqs.ts'
import type { Hint } from '../../../src/storage/storage.ts'
import { FakeSqs } from '../../fakes/sqs.ts'
import { useKeys } from './bucket.ts'

/** A clock whose sleeps take no time, and are kept. */
class QuickClock implements Clock {
  readonly slept: number[] = []
  #ms = 0
  now = (): number => this.#ms
  monotonic = (): number => this.#ms
  random = (): number => 1
  async sleep(ms: number): Promise<void> {
    this.slept.push(ms)
    this.#ms += ms
    await realSleep(1)
  }
}

let queue: FakeSqs
let clock: QuickClock
let stop: AbortController
let heard: (readonly Hint[])[]
let logged: string[]
let emit: (hints: readonly Hint[]) => Promise<void>
let listening: Promise<void>

const record = (key: string): string => JSON.stringify({ Records: [{ eventVersion: '2.6', s3: { bucket: { name: 'b' }, object: { key } } }] })
const keys = (): string[] => heard.flat().filter((hint) => !hint.whole).map((hint) => hint.key)
const wholes = (): number => heard.filter((hints) => hints.some((hint) => hint.whole)).length

async function until(fact: () => boolean): Promise<void> {
  for (let tries = 0; !fact(); tries++) {
    if (tries > 2_000) throw new Error(`it never came: ${JSON.stringify({ heard, logged, requests: queue.requests, left: queue.left() })}`)
    await realSleep(5)
  }
}

function listen(): void {
  const log = { info: (_: unknown, message: string) => void logged.push(message), warn: (fields: unknown, message: string) => void logged.push(`${message} ${JSON.stringify(fields)}`) }
  const locations = [{ scheme: 's3' as const, bucket: 'b', prefix: 'x/' }, { scheme: 's3' as const, bucket: 'b', prefix: 'y/' }]
  const source = sqsSource({ url: queue.url, access: {}, locations }, clock, log)
  expect(source.name).toBe('sqs mnist')
  listening = source.listen((hints) => emit(hints), stop.signal)
}

beforeEach(async () => {
  useKeys()
  queue = await FakeSqs.start()
  clock = new QuickClock()
  stop = new AbortController()
  heard = []
  logged = []
  emit = async (hints) => void heard.push(hints)
})
afterEach(async () => {
  stop.abort()
  await listening
  await queue.stop()
})

test('it begins with a whole hint for each location, before any message', async () => {
  queue.send(record('x/a'))
  listen()
  await until(() => heard.length === 2)
  expect(heard[0]).toEqual([{ scheme: 's3', bucket: 'b', key: 'x/', whole: true }, { scheme: 's3', bucket: 'b', key: 'y/', whole: true }])
  expect(keys()).toEqual(['x/a'])
})

test('a message is deleted only after its hints are durable', async () => {
  let mark = (): void => undefined
  emit = (hints) => {
    heard.push(hints)
    return hints[0]?.whole === true ? Promise.resolve() : new Promise((resolve) => (mark = resolve))
  }
  queue.send(record('x/a'))
  listen()
  await until(() => keys().length === 1)
  await realSleep(50)
  expect(queue.left().length).toBe(1)
  mark()
  await until(() => queue.left().length === 0)
})

test('while hints cannot be marked nothing is deleted, and the waits double up to a minute', async () => {
  emit = async (hints) => {
    if (hints[0]?.whole === true) return
    heard.push(hints)
    queue.reappear()
    throw new VarveError('REGISTRY_FULL', 'the disk is full')
  }
  queue.send(record('x/a'))
  listen()
  await until(() => clock.slept.length >= 9)
  expect(queue.left().length).toBe(1)
  expect(clock.slept.slice(0, 8)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  expect(logged.filter((line) => line.includes('the disk is full')).length).toBe(1)
  emit = async (hints) => void heard.push(hints)
  await until(() => queue.left().length === 0)
})

test('messages that came together are marked together', async () => {
  queue.send(...Array.from({ length: 35 }, (_, at) => record(`x/${at}`)))
  listen()
  await until(() => queue.left().length === 0)
  expect(heard.length).toBe(2)
  expect(new Set(keys()).size).toBe(35)
  expect(queue.requests.filter((one) => one.startsWith('Delete')).sort()).toEqual(['DeleteMessageBatch 10', 'DeleteMessageBatch 10', 'DeleteMessageBatch 10', 'DeleteMessageBatch 5'])
})

test('poison stays for the dead-letter queue, with one line; what came with it is heard', async () => {
  queue.send('no JSON', '{}', record('x/a'))
  listen()
  await until(() => keys().length === 1)
  queue.reappear()
  await until(() => queue.requests.filter((one) => one === 'ReceiveMessage 2').length > 0)
  await realSleep(30)
  expect(queue.left()).toEqual(['no JSON', '{}'])
  expect(logged.filter((line) => line.includes('dead-letter')).length).toBe(1)
})

test('of a message that is half understood that half is heard, and the message stays for the dead-letter queue', async () => {
  const half = JSON.stringify({ Records: [{ s3: {} }, { eventVersion: '2.1', s3: { bucket: { name: 'b' }, object: { key: 'x/a' } } }] })
  queue.send(half, record('x/b'))
  listen()
  await until(() => keys().length === 2)
  await until(() => queue.left().length === 1)
  expect([keys(), queue.left()]).toEqual([['x/a', 'x/b'], [half]])
  expect(logged.filter((line) => line.includes('dead-letter')).length).toBe(1)
})

test('the test message is deleted without a word, bare or in an envelope', async () => {
  const bare = JSON.stringify({ Service: 'Amazon S3', Event: 's3:TestEvent', Bucket: 'b' })
  queue.send(bare, JSON.stringify({ Type: 'Notification', Message: bare }))
  listen()
  await until(() => queue.left().length === 0)
  expect([heard.length, logged]).toEqual([1, []])
})

test('what the queue does not delete is said, and comes again', async () => {
  queue.refuses = 'stubborn'
  queue.send(record('x/stubborn'), record('x/a'))
  listen()
  await until(() => queue.left().length === 1)
  await until(() => logged.some((line) => line.includes('InternalError')))
  queue.refuses = undefined
  queue.reappear()
  await until(() => queue.left().length === 0)
  expect(keys().filter((key) => key === 'x/stubborn').length).toBe(2)
})

test('a queue that fails is one line, waits that grow, and a line when it is back; after more than a minute all is looked at again', async () => {
  queue.down = 503
  listen()
  await until(() => clock.slept.length >= 7)
  queue.down = undefined
  await until(() => wholes() === 2)
  queue.send(record('x/a'))
  await until(() => keys().length === 1)
  expect(logged.filter((line) => line.includes('not heard')).length).toBe(1)
  expect(logged.filter((line) => line.includes('heard again')).length).toBe(1)
})

test('a short failure asks for nothing anew', async () => {
  listen()
  await until(() => wholes() === 1)
  queue.down = 503
  await until(() => logged.length === 1)
  queue.down = undefined
  queue.send(record('x/a'))
  await until(() => keys().length === 1)
  expect(wholes()).toBe(1)
})

test('an abort ends a long poll at once', async () => {
  listen()
  await until(() => queue.requests.length > 0)
  stop.abort()
  await listening
})
