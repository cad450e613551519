// Law 10, as the kernel sees it.
// needs: strace
import { afterEach, expect, test } from '@jest/globals'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { programOf } from '../../tools/components.ts'
import { fell, tree } from '../storage/file/tree.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-strace-'))
afterEach(() => {
  rmSync(folder, { recursive: true })
  fell()
})

test('no call to the system on a watched tree asks for more than to read', () => {
  const root = tree({ 'a': 'x', 'sub/b': 'y', 'sub/deep/c': 'z' })
  const script = join(folder, 'look.mjs')
  const log = join(folder, 'calls')
  writeFileSync(script, `
    const { fileSite } = await import(${JSON.stringify(join(import.meta.dirname, 'site.ts'))})
    const site = await fileSite(${JSON.stringify(root)}, {}, undefined, 0)
    await site.look()
    await site.look('a', 'sub', 'not-there')
    await site.look()
  `)
  execFileSync(programOf('strace'), ['-f', '-qq', '-s', '4096', '-e', 'trace=%file,%desc,flock', '-o', log, process.execPath, '--disable-warning=ExperimentalWarning', script], { timeout: 100_000 })
  const calls = readFileSync(log, 'utf8').split('\n').filter((line) => line.includes(root.slice(0, -1)) && !line.includes('look.mjs'))
  const names = new Set(calls.map((line) => /^\d+\s+(\w+)/.exec(line)?.[1]))
  expect([...names].filter((name) => !['openat', 'open', 'lstat', 'stat', 'statx', 'newfstatat', 'access', 'faccessat', 'faccessat2', 'readlink', 'readlinkat', 'statfs', 'inotify_add_watch', 'read', 'pread64'].includes(name as string))).toEqual([])
  const opened = calls.filter((line) => /\bopen(at)?\(/.test(line))
  expect(opened.length).toBeGreaterThan(3)
  expect(opened.filter((line) => /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE/.test(line))).toEqual([])
}, 120_000)
