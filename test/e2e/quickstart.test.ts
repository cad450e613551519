// long
// `npm start` as a newcomer runs it: a checkout, one command, one version per change.
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync, appendFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { ended, plainEnvironment } from '../cli/process.ts'
import { until } from './site.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const NODE = dirname(process.execPath)

test('npm start shows the first version, then one for each change within two seconds; SIGTERM to npm ends all with 0', async () => {
  const checkout = mkdtempSync(join(tmpdir(), 'varve-checkout-'))
  for (const name of ['src', 'config', 'tools', 'package.json', 'package-lock.json']) cpSync(join(ROOT, name), join(checkout, name), { recursive: true, preserveTimestamps: true })
  symlinkSync(join(ROOT, 'node_modules'), join(checkout, 'node_modules'))
  const environment = { ...plainEnvironment(), PATH: `${NODE}:${process.env['PATH']}` }
  const child = spawn('npm', ['start'], { cwd: checkout, env: environment })
  let said = ''
  child.stdout.on('data', (bytes: Buffer) => (said += String(bytes)))
  const end = ended(child)
  const shows = async (pattern: RegExp, mostMs: number): Promise<void> => void (await until(() => said, (text) => pattern.test(text), mostMs, 20))
  try {
    await shows(/^demo\/files:v0 {2}\+4 ~0 -0 /m, 30_000)
    expect(said).toMatch(/quickstart: file:\/\/.*\/quickstart\/ -> demo\/files \(dataset\)/)
    const change = async (act: (folder: string) => void, pattern: RegExp): Promise<void> => {
      const fromMs = performance.now()
      act(join(checkout, 'quickstart'))
      await shows(pattern, 10_000)
      expect(performance.now() - fromMs).toBeLessThan(2_000)
    }
    await change((folder) => writeFileSync(join(folder, 'hello.txt'), 'hello\n'), /^demo\/files:v1 {2}\+1 ~0 -0 {2}\(6 B added, (hint|interval)\)$/m)
    await change((folder) => appendFileSync(join(folder, 'labels.csv'), 'x,y\n'), /^demo\/files:v2 {2}\+0 ~1 -0 /m)
    await change((folder) => rmSync(join(folder, 'hello.txt')), /^demo\/files:v3 {2}\+0 ~0 -1 /m)
    // Each line to try works when pasted, beside the daemon.
    for (const line of said.split('\n').filter((one) => one.startsWith('  npm run '))) {
      const pasted = await ended(spawn('sh', ['-c', line], { cwd: checkout, env: environment }))
      expect({ line, stderr: pasted.stderr, known: [0, 1].includes(pasted.exit ?? -1) }).toEqual({ line, stderr: '', known: true })
    }
    child.kill('SIGTERM')
    expect(await end).toMatchObject({ exit: 0 })
  } finally {
    child.kill('SIGKILL')
    await end
    rmSync(checkout, { recursive: true })
  }
}, 90_000)
