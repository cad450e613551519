import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { healthOf } from '../../src/daemon/daemon.ts'
import type { Check } from '../../src/daemon/daemon.ts'
import { VarveError } from '../../src/model/errors.ts'
import type { ChangeSource, Hearing, Hint } from '../../src/storage/storage.ts'

let nowMs = 0
const clock = { monotonic: () => nowMs, sleep: (ms: number, signal?: AbortSignal) => sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined) }
const registry = { watchRow: async () => undefined, proveWritable: async () => undefined, setHearing: async () => undefined }
const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
const queue = { trouble: (): string | undefined => undefined, advice: (): string | undefined => undefined }
const ALL: Hint = { scheme: 's3', bucket: 'b', key: '', whole: true }

const WELL: readonly Check[] = [{ check: 'registry', ok: true }, { check: 'queue', ok: true }]

test('a registry that answers and a queue without trouble are well', async () => {
  expect(await healthOf({ registry, queue, sources: [], clock, log }).checks()).toEqual(WELL)
})

test('a registry that fails says why, scrubbed; one that hangs is asked once, and is not waited for', async () => {
  const failing = { ...registry, watchRow: () => Promise.reject(new Error('no http://user:secret@host/x?token=1')) }
  expect((await healthOf({ registry: failing, queue, sources: [], clock, log }).checks())[0]).toEqual({ check: 'registry', ok: false, why: 'no http://host/x?…' })
  let asked = 0
  let answer = (): void => undefined
  const hanging = { ...registry, watchRow: () => (asked++, new Promise<undefined>((resolve) => (answer = () => resolve(undefined)))) }
  const health = healthOf({ registry: hanging, queue, sources: [], clock, log })
  const both = await Promise.all([health.checks(), health.checks()])
  for (const checks of both) expect(checks[0]).toEqual({ check: 'registry', ok: false, why: 'it does not answer' })
  expect(asked).toBe(1)
  answer()
  await sleep(1)
  hanging.watchRow = async () => undefined
  expect(await health.checks()).toEqual(WELL)
})

test('a registry that cannot be written to says why until it can; that another process writes is no trouble; it is tried once a second', async () => {
  let tried = 0
  let answer: () => Promise<undefined> = () => Promise.reject(new VarveError('REGISTRY_FULL', 'the disk under data is full'))
  const { checks } = healthOf({ registry: { ...registry, proveWritable: () => (tried++, answer()) }, queue, sources: [], clock, log })
  const full = { check: 'registry', ok: false, why: 'the disk under data is full' }
  const next = async (): Promise<Check | undefined> => ((nowMs += 1_000), (await checks())[0])
  expect(await next()).toEqual(full)
  answer = () => Promise.reject(new VarveError('REGISTRY_BUSY', 'another process is writing'))
  expect([(await checks())[0], tried, await next(), tried]).toEqual([full, 1, full, 2])
  // One that waits for its turn is waited for no longer than the registry is, and not asked a second time.
  let end = (): void => undefined
  answer = () => new Promise((resolve) => (end = () => resolve(undefined)))
  expect([await next(), await next(), tried]).toEqual([full, full, 3])
  end()
  await sleep(1)
  answer = async () => undefined
  expect([(await checks())[0], await next()]).toEqual([{ check: 'registry', ok: true }, { check: 'registry', ok: true }])
  answer = () => Promise.reject(new VarveError('REGISTRY_BUSY', 'another process is writing'))
  expect(await next()).toEqual({ check: 'registry', ok: true })
})

test('a queue in trouble is not well; one that could be set up better is', async () => {
  const of = async (trouble?: string, advice?: string): Promise<Check | undefined> =>
    (await healthOf({ registry, queue: { trouble: () => trouble, advice: () => advice }, sources: [], clock, log }).checks())[1]
  expect(await of('Redis does not answer', 'appendonly is off')).toEqual({ check: 'queue', ok: false, why: 'Redis does not answer' })
  expect(await of(undefined, 'appendonly is off')).toEqual({ check: 'queue', ok: true, why: 'appendonly is off' })
})

test('a source is well from its first hint on, though it fails later; and not any more when the daemon stops', async () => {
  let fail = (_: Error): void => undefined
  let hint = async (): Promise<void> => undefined
  const source: ChangeSource = {
    name: 'files /x/',
    listen: (emit, signal) => new Promise((resolve, reject) => {
      hint = () => emit([ALL])
      fail = reject
      signal.addEventListener('abort', () => resolve())
    }),
  }
  const { sources, checks } = healthOf({ registry, queue, sources: [source], clock, log })
  const [kept] = sources
  if (kept === undefined) throw new Error('no source')
  expect(kept.name).toBe('files /x/')
  const check = async (): Promise<Check | undefined> => (await checks())[2]
  expect(await check()).toEqual({ check: 'files /x/', ok: false, why: 'it has not begun to hear' })
  // What cannot be marked is not heard.
  let marks: () => Promise<void> = () => Promise.reject(new Error('the disk is full'))
  const stop = new AbortController()
  const listen = (): Promise<void> => kept.listen(() => marks(), stop.signal)
  let listening = listen()
  await expect(hint()).rejects.toThrow('the disk is full')
  fail(new Error('the disk is full'))
  await expect(listening).rejects.toThrow('the disk is full')
  expect(await check()).toEqual({ check: 'files /x/', ok: false, why: 'the disk is full' })
  marks = async () => undefined
  listening = listen()
  await hint()
  expect(await check()).toEqual({ check: 'files /x/', ok: true })
  fail(new Error('another disk'))
  await expect(listening).rejects.toThrow('another disk')
  expect(await check()).toEqual({ check: 'files /x/', ok: true, why: 'another disk' })
  listening = listen()
  stop.abort()
  await listening
  expect(await check()).toMatchObject({ ok: false })
})

test('one broken source does not keep the daemon from being ready: neither one that never begins, nor one that hangs', async () => {
  const stop = new AbortController()
  const failing: ChangeSource = { name: 'files /unmounted/', listen: () => Promise.reject(new Error('nothing is mounted there')) }
  const hanging: ChangeSource = { name: 'files /hangs/', listen: (_, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())) }
  const { sources, checks } = healthOf({ registry, queue, sources: [failing, hanging], clock, log })
  const oks = async (): Promise<boolean[]> => (await checks()).map(({ ok }) => ok)
  expect(await oks()).toEqual([true, true, false, false])
  const [, listening] = sources.map((source) => source.listen(async () => undefined, stop.signal).catch(() => undefined))
  await sleep(1)
  expect(await oks()).toEqual([true, true, true, false])
  nowMs += 9_999
  expect(await oks()).toEqual([true, true, true, false])
  nowMs += 1
  expect((await checks()).slice(2)).toEqual([
    { check: 'files /unmounted/', ok: true, why: 'nothing is mounted there' }, { check: 'files /hangs/', ok: true, why: 'it has not begun to hear' },
  ])
  stop.abort()
  await listening
  expect((await oks())[3]).toBe(false)
})

test('how a source hears is written into the rows of its watches: each change once, and in words', async () => {
  const written: unknown[] = []
  const noted = { ...registry, setHearing: async (...args: readonly unknown[]) => void written.push(args) }
  let act!: { emit(): Promise<void>; tell(hearing: Hearing): void; fail(error: Error): void }
  const source: ChangeSource = {
    name: 'sqs q', serves: ['a', 'b'],
    listen: (emit, signal, tell) => new Promise((resolve, reject) => {
      act = { emit: () => emit([ALL]), tell: (hearing) => tell?.(hearing), fail: reject }
      signal.addEventListener('abort', () => resolve())
    }),
  }
  const [kept] = healthOf({ registry: noted, queue, sources: [source], clock, log }).sources
  const stop = new AbortController()
  const first = kept?.listen(async () => undefined, stop.signal)
  await act.emit()
  expect(written).toEqual([])
  act.tell({ trouble: new VarveError('LOCATION_MISSING', 'sqs q is not there', { hint: 'make it' }) })
  act.tell({ trouble: new VarveError('LOCATION_MISSING', 'sqs q is not there', { hint: 'make it' }) })
  await act.emit()
  expect(written.splice(0)).toEqual([[['a', 'b'], 'sqs q', { reason: 'it is not heard: sqs q is not there', action: 'make it' }]])
  act.tell({ limits: 'one level' })
  expect(written.splice(0)).toEqual([[['a', 'b'], 'sqs q', { limits: 'one level' }]])
  act.fail(new Error('gone'))
  await expect(first).rejects.toThrow('gone')
  expect(written.splice(0)).toEqual([[['a', 'b'], 'sqs q', { reason: 'it is not heard: gone' }]])
  const second = kept?.listen(async () => undefined, stop.signal)
  await act.emit()
  expect(written).toEqual([[['a', 'b'], 'sqs q', {}]])
  stop.abort()
  await second
})
