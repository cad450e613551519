import { afterAll, expect, test } from '@jest/globals'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import type { Opener } from '../../src/cli/context.ts'
import { execute } from '../../src/cli/program.ts'
import { screenOn } from '../../src/cli/screen.ts'
import { compose, systemClock } from '../../src/compose.ts'
import { environment } from '../../src/config.ts'
import type { Ended } from './process.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-cli-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** One command line in this process, with everything real but the streams. */
function varve(...words: string[]): Promise<Ended> {
  return varveWith({}, ...words)
}

/** The same, where a part of what is driven does as it is told. */
async function varveWith(over: Partial<Opener>, ...words: string[]): Promise<Ended> {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const signal = new AbortController().signal
  const surroundings = environment({})
  const screen = screenOn(stdout, stderr, surroundings, systemClock.monotonic, signal)
  const opener = compose(systemClock, surroundings, screen)
  const exit = await execute(words, { screen, surroundings, clock: systemClock, input: () => process.stdin, signal, opener: { ...opener, ...over }, self: 'varve' })
  return { exit, stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') }
}

test('help is asked for on stdout with 0, and shows the common options with every verb', async () => {
  const all = await varve('--help')
  expect(all).toMatchObject({ exit: 0, stderr: '' })
  const verbs = [
    'run', 'check', 'put', 'ls', 'log', 'show', 'files', 'history', 'diff', 'alias', 'scan', 'accept', 'status', 'resolve', 'use', 'finish', 'lineage', 'get', 'verify',
    'rm', 'prune', 'export', 'import', 'backup', 'restore-registry', 'fsck',
  ]
  for (const verb of verbs) expect(all.stdout).toContain(`  ${verb} `)
  const one = await varve('log', '--help')
  expect(one.stdout).toContain('--config <file>')
  expect(one.stdout).toContain('--data <folder>')
})

test.each([['run', 'SIGTERM', 0], ['run', 'SIGINT', 0], ['ls', 'SIGTERM', 143], ['ls', 'SIGINT', 130]] as const)('%s that %s cut short answers %s', async (verb, reason, exit) => {
  const cut = new AbortController()
  const surroundings = environment({})
  const screen = screenOn(new PassThrough(), new PassThrough(), surroundings, systemClock.monotonic, cut.signal)
  const stop = (): Promise<never> => {
    cut.abort(reason)
    return Promise.reject(new Error('stopped'))
  }
  const opener = { ...compose(systemClock, surroundings, screen), daemon: stop, registry: stop }
  writeFileSync(join(folder, 'cut.yaml'), 'data: cut\nwatch:\n  - { name: x, location: x/, artifact: p/x, type: d }\n')
  const context = { screen, surroundings, clock: systemClock, input: () => process.stdin, signal: cut.signal, opener, self: 'varve' }
  expect(await execute([verb, '--config', join(folder, 'cut.yaml')], context)).toBe(exit)
  expect(cut.signal.aborted).toBe(true)
  rmSync(join(folder, 'cut.yaml'))
})

test('the version is that of the package', async () => {
  expect(await varve('--version')).toEqual({ exit: 0, stdout: '0.1.0\n', stderr: '' })
})

test.each([
  [['unheard']],
  [['log']],
  [['log', 'a/b', 'c']],
  [['log', 'a/b', '--jsno']],
  [['put', 'data/']],
  [['put', 'data/', '--name', 'a/b', '--type', 't', '--max-objects', '0']],
  [['alias', 'move', 'a/b:v1', 'x']],
  [['prune', 'a/b']],
  [['export', 'a/b:v1', '--format', 'csv']],
  [['import', 'file']],
  [['backup']],
])('%j is wrong usage: exit 2 and one line on stderr', async (words) => {
  const { exit, stdout, stderr } = await varve(...words)
  expect(exit).toBe(2)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/^varve: [^\n]+\n$/)
})

test.each([
  [['log', 'a']],
  [['log', 'a/b:v3']],
  [['diff', 'a/b', 'v1']],
  [['diff', 'a/b:v1', 'a/c:v2']],
  [['diff', 'a/b:v1', 'e/a/b:v2']],
  [['diff', 'a/b:v1', 'a/b']],
  [['put', 'ftp://host/x', '--name', 'a/b', '--type', 't']],
  [['put', '/tmp', '--name', 'a/b', '--type', 't:u']],
  [['put', '/tmp', '--name', 'a/b', '--type', 't', '--alias', 'latest']],
  [['put', folder, '--name', 'a/b', '--type', 't']],
])('%j is refused before anything is made', async (words) => {
  writeFileSync(join(folder, 'varve.db'), '')
  const { exit, stderr } = await varve(...words, '--data', join(folder, 'data'))
  expect(exit).toBe(2)
  expect(stderr).toMatch(/^varve: [^\n]+; [^\n]+\n$/)
  expect(readdirSync(folder)).toEqual(['varve.db'])
})

test.each([['ls'], ['log', 'a/b'], ['show', 'a/b:v0'], ['files', 'a/b:v0'], ['history', 'a/b', 'x'], ['alias', 'add', 'a/b:v0', 'x'], ['resolve', 'a/b'],
  ['use', 'a/b', '--run', 'r'], ['finish', 'r'], ['lineage', 'a/b']])(
  'reading where there is no registry says so and makes nothing: %j', async (...words) => {
    const { exit, stdout, stderr } = await varve(...words, '--data', join(folder, 'absent'))
    expect({ exit, stdout }).toEqual({ exit: 1, stdout: '' })
    expect(stderr).toMatch(/^varve: no registry in .*absent; .*\n$/)
    expect(readdirSync(folder)).not.toContain('absent')
  })

test.each([['diff', 'a/b:v0', 'v1'], ['status']])('where 1 means different, a failure is 3: %j', async (...words) => {
  expect((await varve(...words, '--data', join(folder, 'absent'))).exit).toBe(3)
})

test('every mistake of a configuration has its line on stderr, and the exit is 78', async () => {
  const file = join(folder, 'wrong.yaml')
  writeFileSync(file, 'dat: x\nwatch:\n  - name: a\n    location: /mnt/a/\n    artifact: nonsense\n    type: t\n')
  const { exit, stdout, stderr } = await varve('check', '--config', file)
  expect({ exit, stdout }).toEqual({ exit: 78, stdout: '' })
  const lines = stderr.trimEnd().split('\n')
  expect(lines).toHaveLength(2)
  for (const line of lines) expect(line).toMatch(new RegExp(`^varve: ${file}:\\d+:\\d+: `))
  rmSync(file)
})

test('check prints what it would watch, and what a missing slash means', async () => {
  const file = join(folder, 'right.yaml')
  writeFileSync(file, [
    'watch:',
    '  - { name: one, location: s3://bucket/mnist, artifact: vision/mnist, type: dataset }',
    '  - { name: two, location: /mnt/runs/, artifact: lab/vision/runs, type: model }',
    '  - { name: three, location: s3://bucket/a/, artifact: vision/a, type: dataset, include: ["**/*.png", "**/*.jpg"], exclude: ["**/_tmp/**"] }',
    '  - { name: four, location: s3://bucket/b/, artifact: vision/b, type: dataset, exclude: ["**/_tmp/**"] }',
  ].join('\n'))
  const { exit, stdout, stderr } = await varve('check', '--config', file)
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
  const lines = stdout.trimEnd().split('\n')
  expect(lines[0]).toBe(`${file}: 4 watches, no errors`)
  expect(lines[3]).toContain('; all that lies below it, only **/*.png **/*.jpg, not **/_tmp/**; hears')
  expect(lines[4]).toContain('; all that lies below it, but not **/_tmp/**; hears')
  expect(lines[1]).toContain('one: s3://bucket/mnist -> vision/mnist (dataset); the object of that name, or, if there is none, all that lies below')
  expect(lines[2]).toContain('two: file:///mnt/runs/ -> lab/vision/runs (model); all that lies below it; hears the local file system')
  rmSync(file)
})

test('check says of a network mount that nothing is heard there, and how often it is walked', async () => {
  const file = join(folder, 'far.yaml')
  writeFileSync(file, 'watch:\n  - { name: far, location: /mnt/far/, artifact: a/far, type: t, poll: 30s }\n  - { name: near, location: /mnt/near/, artifact: a/near, type: t }\n')
  const { stdout } = await varveWith({ lagMs: async ({ name }) => (name === 'far' ? Infinity : undefined) }, 'check', '--config', file)
  expect(stdout).toMatch(/far: .*; hears nothing on a network mount, walked every 30 s\n.*near: .*; hears the local file system, walked every 1 min\n$/)
  rmSync(file)
})

test('the last --config counts, wherever it stands', async () => {
  const file = join(folder, 'last.yaml')
  writeFileSync(file, 'watch:\n  - { name: one, location: /mnt/a/, artifact: a/b, type: t }\n')
  expect((await varve('check', '--config', 'absent.yaml', '--config', file)).exit).toBe(0)
  expect((await varve('--config', file, 'check')).exit).toBe(0)
  expect((await varve('check', '--config', 'absent.yaml')).exit).toBe(78)
  rmSync(file)
})
