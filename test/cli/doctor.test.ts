// The doctor as an operator meets it: real processes for what it prints and answers, and the verb itself for what throws or hangs.
import { PassThrough } from 'node:stream'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { doctor } from '../../src/cli/doctor.ts'
import { screenOn } from '../../src/cli/screen.ts'
import { environment } from '../../src/config.ts'
import type { Examination, Probe } from '../../src/model/probe.ts'
import { realClock } from '../laws/world.ts'
import { varve } from './process.ts'
import type { Ended } from './process.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-doctor-'))
const watch = (name: string, location: string, more = ''): string => `  - { name: ${name}, location: "${location}", artifact: a/${name}, type: dataset${more} }`

beforeAll(() => {
  mkdirSync(join(folder, 'tree'))
  writeFileSync(join(folder, 'tree/a'), 'x')
  writeFileSync(join(folder, 'varve.yaml'), ['data: data', 'listen: off', 'watch:', watch('good', 'tree/'), watch('gone', 'absent/')].join('\n'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const run = (...words: readonly string[]): Promise<Ended> => varve(folder, 'doctor', ...words)

function probes({ stdout }: Ended): Probe[] {
  expect(stdout).toMatch(/^(.+\n)*$/)
  return stdout.split('\n').slice(0, -1).map((line) => JSON.parse(line) as Probe)
}

test('it prints each capability of each watch, what to do, and answers 1 when one fails', async () => {
  const { exit, stdout, stderr } = await run()
  expect({ exit, stderr }).toEqual({ exit: 1, stderr: '' })
  expect(stdout.replaceAll(folder, 'FOLDER')).toMatch(new RegExp([
    '^good: file://FOLDER/tree/', ' {2}works {5}root {11}.+', ' {2}works {5}walk {11}1 file in 1 folder', ' {2}works {5}read', ' {2}works {5}hear', '',
    'gone: file://FOLDER/absent/', ' {2}fails {5}root {11}FOLDER/absent/ is not there', ' +to do: mount it, or correct the location', '',
    'FOLDER/data', ' {2}works {5}data {11}[\\d.]+ MB are free at FOLDER', '', '$',
  ].join('\n')))
})

test('it answers 0 when all of what is asked works, and prints one object per capability with --json', async () => {
  const ended = await run('good', '--json')
  expect({ exit: ended.exit, stderr: ended.stderr }).toEqual({ exit: 0, stderr: '' })
  const of = (capability: string, more: object = {}): object => ({ watch: 'good', location: `file://${folder}/tree/`, capability, outcome: 'works', ...more })
  const reason = expect.any(String)
  expect(probes(ended)).toEqual([of('root', { reason }), of('walk', { reason }), of('read'), of('hear'), { location: join(folder, 'data'), capability: 'data', outcome: 'works', reason }])
})

test('it changes nothing: not even its own data folder is made', () => {
  expect([readdirSync(folder).toSorted(), readdirSync(join(folder, 'tree'))]).toEqual([['tree', 'varve.yaml'], ['a']])
})

test('each location of a watch is probed, under the name of the watch', async () => {
  const several = `  - { name: mixed, artifact: a/mixed, type: dataset, locations: [{ location: tree/, at: one }, { location: absent/, at: two }] }`
  writeFileSync(join(folder, 'several.yaml'), ['data: data', 'listen: off', 'watch:', several].join('\n'))
  const ended = await run('--config', 'several.yaml', '--json')
  expect(ended.exit).toBe(1)
  expect(probes(ended).map(({ watch: name, location, capability, outcome }) => [name, location.replace(folder, ''), capability, outcome])).toEqual([
    ...['root', 'walk', 'read', 'hear'].map((capability) => ['mixed', 'file:///tree/', capability, 'works']), ['mixed', 'file:///absent/', 'root', 'fails'], [undefined, '/data', 'data', 'works'],
  ])
  rmSync(join(folder, 'several.yaml'))
})

test('what keeps it from probing is another exit than what it finds', async () => {
  writeFileSync(join(folder, 'broken.yaml'), 'watch: 3')
  expect(await run('other')).toMatchObject({ exit: 3, stdout: '', stderr: expect.stringMatching(/^varve: no watch other in .*; there is: good, gone\n$/) })
  expect(await run('--config', 'broken.yaml')).toMatchObject({ exit: 78, stdout: '' })
  expect(await run('--wrong')).toMatchObject({ exit: 2, stdout: '' })
  rmSync(join(folder, 'broken.yaml'))
})

test('what cannot be reached fails with words, shows no secret, and stops nothing else; policies are printed', async () => {
  writeFileSync(join(folder, 'secrets.yaml'), [
    'data: data', 'listen: off', 'queue: "redis://user:hunter2@127.0.0.1:1/0"', 'watch:', watch('good', 'tree/'),
    watch('bucket', 's3://bucket/d/', ', s3: { endpoint: "http://127.0.0.1:1", region: us-east-1, role: "arn:aws:iam::123456789012:role/reader" }, events: { sqs: "http://127.0.0.1:1/123456789012/mnist?token=hunter2" }'),
  ].join('\n'))
  for (const json of [[], ['--json']]) {
    const { exit, stdout, stderr } = await run('--config', 'secrets.yaml', ...json)
    expect(exit).toBe(1)
    expect(stdout + stderr).not.toContain('hunter2')
    for (const words of ['redis://127.0.0.1:1/0', 's3://bucket/d/', 'http://127.0.0.1:1/123456789012/mnist', `file://${folder}/tree/`]) expect(stdout).toContain(words)
    if (json.length === 0) expect(stdout).toMatch(/The least IAM policy for arn:aws:iam::123456789012:role\/reader, .*needed by bucket:\n\{[^]*"arn:aws:s3:::bucket\/d\/\*"[^]*\}\n\n$/)
    else expect(stdout).not.toContain('Statement')
  }
}, 30_000)

test('what throws, and what never answers, is a line of its own, in its place', async () => {
  const lines: string[] = []
  const stdout = new PassThrough().on('data', (text: Buffer) => lines.push(...String(text).split('\n').filter((line) => line !== '')))
  const { signal } = new AbortController()
  const screen = screenOn(stdout, new PassThrough(), { ci: true, dumb: true }, () => 0, signal)
  const asked: Examination[] = [
    { watch: 'hangs', location: 'a', ask: () => new Promise(() => undefined) },
    { watch: 'throws', location: 'b', ask: () => Promise.reject(new Error('https://user:hunter2@host/x is bad')) },
    ...Array.from({ length: 6 }, (_, at): Examination => ({ location: `${at}`, ask: async () => [{ capability: 'c', outcome: 'works' }] })),
  ]
  // Its last resort is minutes away: here the clock is in a hurry.
  const clock = { ...realClock(), sleep: (_ms: number, stop?: AbortSignal) => realClock().sleep(500, stop) }
  const opener = { examinations: async () => asked, policies: async () => [] }
  const context = { screen, clock, signal, opener, surroundings: environment({}), self: 'varve' } as unknown as Parameters<typeof doctor>[0]
  expect(await doctor(context, undefined, { config: join(folder, 'varve.yaml'), json: true })).toBe(1)
  await new Promise((resolve) => setImmediate(resolve))
  const told = lines.map((line) => JSON.parse(line) as Probe)
  expect(told.map(({ watch: name, location, outcome }) => [name, location, outcome])).toEqual([
    ['hangs', 'a', 'fails'], ['throws', 'b', 'fails'], ...Array.from({ length: 6 }, (_, at) => [undefined, `${at}`, 'works']),
  ])
  expect(told[1]?.reason).toBe('https://host/x is bad; this may be a defect of Varve')
})
