// Run as a user without rights, since for the superuser nothing is unreadable: looks at a tree whose parts it may not read, and prints what came of each look.
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isUnreadable } from '../../src/model/entry.ts'
import { fileSite, listing } from './site.ts'
import type { Site } from './site.ts'
import { entriesOf, versionsOf } from './world.ts'

const root = `${realpathSync(mkdtempSync(join(tmpdir(), 'varve-denied-')))}/tree/`
const silent = listing((span) => ({ skipped: span.skipped.filter((skip) => !isUnreadable(skip)) }))

async function tell(site: Site): Promise<unknown> {
  const { versions, state, reason, action } = await site.look()
  const head = (await versionsOf(site.registry)).at(-1)
  const paths = head === undefined ? [] : (await entriesOf(site.registry)).map(({ path }) => path)
  return { versions, state, code: reason?.split(':')[0], reason, action, paths, skipped: head?.certificate.skipped, notes: head?.certificate.notes }
}

for (const folder of ['', 'open/', 'shut/', 'shut/deep/']) mkdirSync(root + folder, { recursive: true })
for (const file of ['a', 'open/b', 'shut/c', 'shut/deep/d']) writeFileSync(root + file, file)
const acts: Record<string, () => void> = {
  'a directory': () => chmodSync(`${root}shut`, 0),
  'a directory that may be listed but not searched': () => chmodSync(`${root}shut`, 0o400),
  'the root': () => chmodSync(root, 0),
  'more than are named': () => {
    for (let i = 10; i < 35; i++) {
      writeFileSync(`${root}open/f${i}`, 'x')
      chmodSync(`${root}open/f${i}`, 0)
    }
  },
  'a file that changed': () => {
    writeFileSync(`${root}open/b`, 'changed')
    chmodSync(`${root}open/b`, 0)
  },
}
const mend = (): void => {
  for (const folder of ['', 'shut']) chmodSync(root + folder, 0o700)
  chmodSync(`${root}open/b`, 0o600)
  for (let i = 10; i < 35; i++) rmSync(`${root}open/f${i}`, { force: true })
}

const strict = await fileSite(root, {}, process.argv[2] === 'silent' ? silent : undefined)
const lenient = await fileSite(root, { onUnreadable: 'skip' })
const told: unknown[] = [{ act: 'nothing', strict: await tell(strict), lenient: await tell(lenient) }]
for (const [act, go] of Object.entries(acts)) {
  go()
  told.push({ act, strict: await tell(strict), lenient: await tell(lenient) })
  mend()
  told.push({ act: `${act}, mended`, strict: await tell(strict), lenient: await tell(lenient) })
}
rmSync(join(root, '..'), { recursive: true })
process.stdout.write(JSON.stringify(told))
