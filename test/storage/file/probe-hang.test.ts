// needs: strace
// A mount whose server is gone, as a process meets it: a call that does not return.
import { afterEach, expect, test } from '@jest/globals'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Diagnosis } from '../../../src/model/probe.ts'
import { programOf } from '../../../tools/components.ts'
import { outcomesOf } from '../probing.ts'
import { fell, tree } from './tree.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-hang-'))
afterEach(() => {
  rmSync(folder, { recursive: true })
  fell()
})

test('a folder that hangs ends with words, and hangs nothing else', async () => {
  const root = tree({ a: 'x' })
  const script = join(folder, 'probe.mjs')
  const here = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href)
  writeFileSync(script, `
    import { parseLocation } from ${here('../../../src/model/location.ts')}
    import { probeFiles } from ${here('../../../src/storage/file/probe.ts')}
    import { watchOf } from ${here('../../suite/registry-world.ts')}
    import { MEANS } from ${here('../probing.ts')}
    const location = parseLocation(process.argv[2], '/')
    const found = await probeFiles(watchOf({ locations: [location] }), location, () => false, { ...MEANS, boundMs: 8_000 }, new AbortController().signal)
    process.stdout.write(JSON.stringify(found))
  `)
  // Far longer than the test may take: only the bound can end it.
  const hang = ['-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', '-P', root.slice(0, -1), '-e', 'trace=getdents64', '-e', 'inject=getdents64:delay_enter=600000000']
  const strace = spawn(programOf('strace'), [...hang, process.execPath, '--disable-warning=ExperimentalWarning', script, root], { stdio: ['ignore', 'pipe', 'ignore'] })
  // strace itself sits out the delay, though nobody is left whom it delays.
  const [text] = (await once(strace.stdout, 'data')) as [Buffer]
  const gone = once(strace, 'close')
  strace.kill('SIGKILL')
  await gone
  const diagnoses = JSON.parse(String(text)) as readonly Diagnosis[]
  expect(outcomesOf(diagnoses)).toEqual(['root works', 'walk fails'])
  expect(diagnoses[1]).toMatchObject({ reason: 'no answer within 8 s: the mount hangs', action: 'see to its server or disk, or unmount it' })
}, 120_000)
