import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from '@jest/globals'
import { hasDied, ownerName } from '../../src/daemon/owner.ts'

const OWNER = new URL('../../src/daemon/owner.ts', import.meta.url).href

test('a process that runs has not died, and has a name that no other has', () => {
  expect(hasDied(ownerName())).toBe(false)
  expect(ownerName()).not.toBe(ownerName())
})

test('one that was killed has', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', `import { ownerName } from '${OWNER}'; process.stdout.write(ownerName()); setInterval(() => undefined, 1_000)`])
  const [name] = (await once(child.stdout, 'data')) as [Buffer]
  expect(hasDied(String(name))).toBe(false)
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(hasDied(String(name))).toBe(true)
})

test('a number that another process has by now is not the process that had it', () => {
  const [machine, pid, , id] = ownerName().split(' ')
  expect(hasDied([machine, pid, '1', id].join(' '))).toBe(true)
})

test('of another boot, another container, and what is no such name, nothing is known', () => {
  const [machine, , started, id] = ownerName().split(' ')
  const [boot, space] = machine?.split('/') as [string, string]
  // No process has this number.
  const gone = '4194305'
  expect(hasDied([machine, gone, started, id].join(' '))).toBe(true)
  for (const other of [`${boot}x/${space}`, `${boot}/pid:[1]`]) expect(hasDied([other, gone, started, id].join(' '))).toBe(false)
  for (const name of ['daemon', 'host:1:id', '']) expect(hasDied(name)).toBe(false)
})
