// What the doctor says of folders: real ones, as a user who may not read all of them, and where the kernel grants too little.
import { afterAll, afterEach, expect, test } from '@jest/globals'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Diagnosis } from '../../../src/model/probe.ts'
import type { Watch } from '../../../src/model/watch.ts'
import { clockOf } from '../../../src/storage/file/examine.ts'
import { watchesNeeded } from '../../../src/storage/file/inotify.ts'
import { diagnosisOf, outcomesOf } from '../probing.ts'
import { fell, tree } from './tree.ts'

const NOBODY = 65_534
const folder = mkdtempSync(join(tmpdir(), 'varve-probe-'))
const script = join(folder, 'probe.mjs')
const here = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href)
writeFileSync(script, `
import { parseLocation } from ${here('../../../src/model/location.ts')}
import { probeFiles } from ${here('../../../src/storage/file/probe.ts')}
import { watchOf } from ${here('../../suite/registry-world.ts')}
import { MEANS } from ${here('../probing.ts')}
const asked = JSON.parse(process.argv[2])
const found = await Promise.all(asked.map(({ path, over = {}, excluded }) => {
  const location = parseLocation(path, '/')
  return probeFiles(watchOf({ locations: [location], ...over }), location, (one) => one === excluded, MEANS, new AbortController().signal)
}))
process.stdout.write(JSON.stringify(found))
`)
chmodSync(folder, 0o755)
afterAll(() => rmSync(folder, { recursive: true }))
afterEach(fell)

interface Asked {
  readonly path: string
  readonly over?: Partial<Watch>
  /** A path that the watch excludes. */
  readonly excluded?: string
}

/** What a user without any rights is told of each; or what a command is told, in which the probe runs. */
function probed(asked: readonly Asked[], within: readonly string[] = []): (readonly Diagnosis[])[] {
  const [program, ...words] = [...within, process.execPath, '--disable-warning=ExperimentalWarning', script, JSON.stringify(asked)]
  const user = within.length > 0 ? {} : { uid: NOBODY, gid: NOBODY }
  return JSON.parse(execFileSync(program as string, words, { ...user, cwd: '/', encoding: 'utf8', timeout: 60_000 })) as (readonly Diagnosis[])[]
}

function openTree(files: Readonly<Record<string, string>>): string {
  const root = tree(files)
  execFileSync('chmod', ['-R', 'a+rX', root])
  return root
}

test('what may be read works, and is counted; one file is probed as such', () => {
  const root = openTree({ a: 'x', 'sub/b': 'y', 'sub/deep/c': '' })
  symlinkSync('nowhere', `${root}dangling`)
  const [all = [], one = []] = probed([{ path: root }, { path: `${root}a` }])
  expect(outcomesOf(all)).toEqual(['root works', 'walk works', 'read works', 'hear works'])
  expect(diagnosisOf(all, 'walk')?.reason).toBe('3 files in 3 folders')
  expect(outcomesOf(one)).toEqual(['root works', 'walk works', 'read works', 'hear works'])
})

test('what may not be read is named, unless the watch leaves it out: a file, a folder, one that may be listed but not searched', () => {
  const [file, shut, unsearched, both] = ['file', 'shut', 'unsearched', 'both'].map((name) => openTree({ a: name, 'sub/b': 'y' })) as [string, string, string, string]
  chmodSync(`${file}a`, 0o600)
  chmodSync(`${shut}sub`, 0o700)
  chmodSync(`${unsearched}sub`, 0o744)
  for (const path of [`${both}a`, `${both}sub`]) chmodSync(path, 0)
  const skip = { onUnreadable: 'skip' } as const
  const walks = probed([
    { path: file }, { path: shut }, { path: unsearched }, { path: both },
    { path: file, over: skip }, { path: file, excluded: 'a' }, { path: shut, excluded: 'sub' }, { path: unsearched, excluded: 'sub' },
  ]).map((diagnoses) => diagnosisOf(diagnoses, 'walk'))
  const fails = (words: string): object => ({ capability: 'walk', outcome: 'fails', reason: `${words}: nothing is recorded (on_unreadable is fail)`, action: expect.stringMatching(/^give the user .* or exclude it$/) })
  expect(walks).toEqual([
    fails(`${file}a may not be read`), fails(`${shut}sub/ may not be read`), fails(`${unsearched}sub/ may not be read`), fails(`${both}a may not be read, nor 1 more`),
    { capability: 'walk', outcome: 'degraded', reason: `${file}a may not be read: it is left out of versions, and named in their certificates`, action: expect.any(String) },
    ...Array.from({ length: 3 }, () => expect.objectContaining({ outcome: 'works' })),
  ])
})

test('a root that is not there, may not be listed, or lacks its marker, ends it', () => {
  const root = openTree({ a: 'x', b: 'x' })
  const shut = openTree({ a: 'x' })
  chmodSync(shut, 0o700)
  chmodSync(`${root}b`, 0)
  const marked = { guard: { removedShareMax: 1, rootMarker: '.id' } }
  expect(probed([{ path: `${root}absent/` }, { path: root, over: marked }, { path: shut }, { path: `${root}b` }])).toEqual([
    [{ capability: 'root', outcome: 'fails', reason: `${root}absent/ is not there`, action: expect.any(String) }],
    [{ capability: 'root', outcome: 'fails', reason: `the marker ${root}.id is not there`, action: expect.any(String) }],
    [{ capability: 'root', outcome: 'fails', reason: `${shut} may not be read`, action: expect.stringContaining('permission to read') }],
    [{ capability: 'root', outcome: 'fails', reason: `${root}b may not be read`, action: expect.any(String) }],
  ])
})

test('more folders than the kernel grants watches are walked', () => {
  const root = openTree({ a: 'x' })
  for (let at = 0; at < 30; at++) mkdirSync(`${root}${at}`)
  // A user namespace has limits of its own, so that this machine's stay as they are.
  const within = (limit: string): Diagnosis | undefined => {
    const [diagnoses = []] = probed([{ path: root }], ['unshare', '--user', '--map-root-user', 'sh', '-c', `echo ${limit} && exec "$@"`, 'sh'])
    return diagnosisOf(diagnoses, 'hear')
  }
  expect(within('20 >/proc/sys/user/max_inotify_watches')).toMatchObject({
    outcome: 'degraded', reason: '31 folders need an inotify watch each, and 20 of 20 are free; it is walked every 60 s', action: 'set fs.inotify.max_user_watches to 62 or more',
  })
  expect(within('0 >/proc/sys/user/max_inotify_instances')).toMatchObject({ outcome: 'degraded', reason: expect.stringContaining('all 0 inotify instances of this user are taken') })
  expect(within('40 >/proc/sys/user/max_inotify_watches')).toMatchObject({ outcome: 'works' })
})

test('watches that are taken count, and folders that are heard already need none', () => {
  const grant = { watches: 100, watchesTaken: 90, instances: 10, instancesTaken: 1, heard: false }
  expect(watchesNeeded(grant, 10, true)).toBeUndefined()
  expect(watchesNeeded(grant, 11, false)).toEqual({ reason: 'at least 11 folders need an inotify watch each, and 10 of 100 are free', action: 'set fs.inotify.max_user_watches to 202 or more' })
  expect(watchesNeeded({ ...grant, heard: true }, 11, true)).toBeUndefined()
})

test('a change in the future shows a clock that is ahead, within clock_slack or not', () => {
  expect(clockOf(-5, false, 0)).toBeUndefined()
  expect(clockOf(-5, true, 0)).toMatchObject({ outcome: 'works', reason: expect.stringContaining('cannot be seen without writing') })
  expect(clockOf(2_500, true, 0)).toMatchObject({ outcome: 'degraded', reason: expect.stringContaining('at least 3 s ahead'), action: expect.stringContaining('set clock_slack to 3s or more') })
  expect(clockOf(2_500, true, 3_000)).toMatchObject({ outcome: 'works' })
  expect(clockOf(60_000, false, 0)).toMatchObject({ outcome: 'degraded', reason: expect.stringContaining('this clock was set back') })
})
