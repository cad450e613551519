// Real NFS: servers and clients in a user-mode Linux (`init.sh`), where the real daemon watches mounts of them (`guest.ts`). What it saw there is judged here.
// needs: nfs
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { WatchView } from '../../src/model/version.ts'
import { programOf } from '../../tools/components.ts'

const ROOT = join(import.meta.dirname, '..', '..')
// Beside the packages that it needs: the guest would take long to strip types.
const BUILT = join(ROOT, 'node_modules', `.varve-nfs-${process.pid}`)
const MOST_MS = 600_000
// The next look by the clock may be coming or going on.
const WELL = /^(clean|dirty|looking)$/
const MOUNTS = ['v42', 'v3', 'ganesha']

interface Fact {
  readonly name: string
  readonly [key: string]: unknown
}

let facts: readonly Fact[] = []
let output = ''

beforeAll(async () => {
  programOf('nfs')
  mkdirSync(BUILT, { recursive: true })
  writeFileSync(join(BUILT, 'package.json'), '{"type":"module","version":"0.0.0"}')
  execFileSync(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', 'tsconfig.build.json', '--outDir', join(BUILT, 'dist')], { cwd: ROOT })
  const kernel = ['root=/dev/root', 'rootfstype=hostfs', 'rootflags=/', 'ro', 'mem=1024M', `init=${join(import.meta.dirname, 'init.sh')}`, 'con=null', 'con0=fd:0,fd:1', 'quiet', 'loglevel=0']
  const command = [process.execPath, '--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'guest.ts'), join(BUILT, 'dist', 'main.js')]
  const guest = spawn('setpriv', ['--pdeathsig', 'KILL', 'linux.uml', ...kernel, '--', ...command], { stdio: ['ignore', 'pipe', 'pipe'] })
  for (const stream of [guest.stdout, guest.stderr]) stream.on('data', (bytes: Buffer) => (output += String(bytes)))
  const timer = setTimeout(() => guest.kill('SIGKILL'), MOST_MS)
  await once(guest, 'close')
  clearTimeout(timer)
  facts = output.split('\n').filter((line) => line.startsWith('FACT ')).map((line) => JSON.parse(line.slice(5)) as Fact)
}, MOST_MS + 60_000)
afterAll(() => rmSync(BUILT, { recursive: true, force: true }))

/** All facts of a name; without any, what the guest said instead. */
function all(name: string): readonly Fact[] {
  const found = facts.filter((fact) => fact.name === name)
  if (found.length === 0) throw new Error(`the guest told nothing of ${name}: ${output.slice(-4_000)}`)
  return found
}

const one = (name: string): Fact => all(name)[0] as Fact
const viewsOf = (name: string): readonly WatchView[] => one(name)['views'] as readonly WatchView[]
const viewOf = (name: string, watch: string): WatchView => viewsOf(name).find((view) => view.watch === watch) as WatchView

test('v3 and v4.2 of the kernel, and ganesha, are mounted, each a second time as another client', () => {
  const mounts = one('up')['mounts'] as readonly string[]
  expect(mounts.filter((line) => / nfs4 .*vers=4\.2/.test(line)).length).toBe(4)
  expect(mounts.filter((line) => / nfs .*vers=3/.test(line)).length).toBe(2)
})

test('status says within what time changes by other machines are seen: the interval, and what the mount lets its client remember', () => {
  for (const [watch, lagMs] of [['v42', 3_000], ['v3', 1_000], ['ganesha', 1_000]] as const) {
    const { pollEveryMs, othersSeenWithinMs } = viewOf('status', watch)
    expect([watch, othersSeenWithinMs]).toEqual([watch, (pollEveryMs as number) + lagMs])
  }
  expect(viewOf('status', 'local').othersSeenWithinMs).toBeUndefined()
})

test('each mount has a process of its own, and a local folder none', () => {
  expect(one('status')['outposts']).toEqual(['varve outpost', 'varve outpost', 'varve outpost'])
})

test.each(MOUNTS)('what another client writes on %s is found within that time, and when the server is back after a hang, and after it was started anew', (watch) => {
  const found = all('others').filter((fact) => fact['watch'] === watch)
  expect(found.map((fact) => fact['version'])).toEqual([1, 2, 3])
  // The look itself, on a busy machine, comes on top.
  const [{ ms, boundMs }] = found as unknown as readonly [Record<string, number>]
  expect(ms).toBeLessThan((boundMs as number) + 20_000)
})

describe('while no server answers', () => {
  test('a local folder makes one version after the other, and status answers', () => {
    const { localVersions, localSlowestMs, statusSlowestMs } = one('hung') as unknown as Record<string, number>
    expect(localVersions).toBeGreaterThan(2)
    expect(viewOf('hung', 'local')).toMatchObject({ head: `v${localVersions}` })
    // A look that hangs waits for 30 s; nobody else may.
    expect(Math.max(localSlowestMs as number, statusSlowestMs as number)).toBeLessThan(25_000)
  })

  test.each(MOUNTS)('%s is said not to answer, in words that name the mount and what to do, and keeps its version', (watch) => {
    const view = viewOf('hung', watch)
    expect(['unavailable', 'looking']).toContain(view.state)
    expect(view).toMatchObject({ head: 'v1', reason: expect.stringMatching(new RegExp(`^nfs4? 127\\.0\\.0\\.1:/\\S* at /run/mnt/${watch} has not answered for 30 s$`)), action: expect.stringContaining(`umount -f -l /run/mnt/${watch}`) })
  })

  test('the processes that hang do not pile up', () => {
    expect((one('hung')['outposts'] as readonly string[]).length).toBeLessThanOrEqual(3 * 3)
  })

  test('the daemon stops when it is told to, long before it would be killed', () => {
    expect(one('stopped')).toMatchObject({ exit: 0 })
    expect(one('stopped')['ms']).toBeLessThan(15_000)
  })
})

test('the same files anew on the server, behind the back of the client, are no change, and never a removal', () => {
  expect(one('replaced')['exits']).toEqual([0, 0, 0])
  for (const watch of MOUNTS) expect(viewOf('replaced', watch)).toMatchObject({ state: expect.stringMatching(WELL), head: 'v3' })
})

test('a root whose handle is stale is unavailable, and says so; mounted again it goes on where it was', () => {
  const { exit, stale, exitAfter, after } = one('stale root')
  expect(exit).toBe(1)
  expect(stale).toMatchObject({ head: 'v3', reason: expect.stringContaining('ESTALE'), action: expect.stringContaining('mount it again') })
  expect(exitAfter).toBe(0)
  expect(after).toMatchObject({ state: expect.stringMatching(WELL), head: 'v3' })
})

test('all of it came to its end', () => {
  expect(facts.filter(({ name }) => name === 'failed')).toEqual([])
  expect(one('end')).toMatchObject({ exit: 0 })
})
