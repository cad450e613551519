// long
// The package as it is published: built JavaScript, installed as npm does, run by itself.
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, expect, test } from '@jest/globals'
import { plainEnvironment } from './process.ts'

const run = promisify(execFile)
const checkout = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'varve-pack-'))
afterAll(() => rmSync(folder, { recursive: true }))

// Node 24 first: npm itself may run on an older one.
const env = { ...plainEnvironment(), PATH: [dirname(process.execPath), join(checkout, 'node_modules/.bin'), process.env['PATH']].join(delimiter) }

test('npm pack, then npm install -g of it, gives a varve that works', async () => {
  await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: checkout, env })
  const [tarball] = readdirSync(folder).filter((name) => name.endsWith('.tgz'))
  const { stdout: listing } = await run('tar', ['-tzf', join(folder, tarball as string)])
  const packed = listing.trim().split('\n').map((name) => name.replace('package/', ''))
  expect(packed).toEqual(expect.arrayContaining(['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'dist/main.js', 'config/example.yaml']))
  expect(packed.filter((name) => name.startsWith('src/') || name.startsWith('test/') || name.endsWith('.ts'))).toEqual([])

  const prefix = join(folder, 'prefix')
  const quietly = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']
  await run('npm', ['install', '-g', '--prefix', prefix, ...quietly, join(folder, tarball as string)], { env })
  const varve = (...words: string[]): Promise<{ stdout: string }> => run(join(prefix, 'bin/varve'), words, { cwd: folder, env })
  expect((await varve('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  mkdirSync(join(folder, 'data'))
  for (let i = 0; i < 300; i++) writeFileSync(join(folder, 'data', `${i}`), `file ${i}`)
  expect((await varve('put', 'data/', '--name', 'a/b', '--type', 't')).stdout).toContain('a/b:v0  +300 ~0 -0')
  expect((await varve('files', 'a/b')).stdout.trim().split('\n')).toHaveLength(300)
  expect((await varve('get', 'a/b', 'back')).stdout).toContain('300 entries fetched')
  expect(readdirSync(join(folder, 'back'))).toHaveLength(300)
  expect((await varve('check', '--config', join(prefix, 'lib/node_modules/varve/config/quickstart.yaml'))).stdout).toContain('1 watch')
}, 300_000)
