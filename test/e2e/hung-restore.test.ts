// Restores from and to a file server that answers nothing more: words within a minute, and an end when one is asked for.
// needs: slow-fs
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { slowly } from '../storage/file/slow.ts'
import type { Slow } from '../storage/file/slow.ts'
import { site, until } from './site.ts'
import type { Site } from './site.ts'

let place: Site
let slow: Slow
beforeEach(async () => {
  place = site()
  slow = await slowly()
  place.configure({ data: '.varve', watch: [{ name: 'linky', location: 'linky/', artifact: 'n/linky', type: 'd' }] })
  mkdirSync(`${slow.behind}data`)
  for (const name of ['f1', 'f2']) writeFileSync(`${slow.behind}data/${name}`, `bytes of ${name}`)
  mkdirSync(join(place.folder, 'linky'))
  writeFileSync(join(place.folder, 'linky', 'own'), 'own bytes')
  symlinkSync(`${slow.root}data/f1`, join(place.folder, 'linky', 'to-far'))
})
afterEach(async () => {
  await place.remove()
  await slow.stop()
})

const put = async (folder: string, name: string): Promise<void> => expect(await place.varve('put', folder, '--name', `n/${name}`, '--type', 'd')).toMatchObject({ exit: 0 })
const silence = (): RegExp => new RegExp(`fuse\\.slow slow at ${slow.root.slice(0, -1)} has not answered for 30 s`)

describe('a link of a local folder to a file of the server', () => {
  test('is read, verified and restored while it answers, and is said not to be to be had when it does not, also where only the same bytes are asked for', async () => {
    await put('linky/', 'linky')
    await put(`${slow.root}data/`, 'far')
    expect(await place.varve('verify', 'n/linky:latest', '--deep')).toMatchObject({ exit: 0 })
    expect(await place.varve('get', 'n/linky:latest', 'out')).toMatchObject({ exit: 0, stdout: expect.stringContaining('2 entries fetched') })
    expect(readFileSync(join(place.folder, 'out', 'to-far'), 'utf8')).toBe('bytes of f1')
    expect(await place.varve('get', 'n/linky:latest', 'links', '--as', 'symlink')).toMatchObject({ exit: 2, stderr: expect.stringContaining('needs files of a local disk, and "to-far" come from elsewhere') })
    slow.pause()
    const unreachable = expect.stringMatching(new RegExp(`lost +to-far +\\(unreachable\\) .*${silence().source}`))
    const [verified, deep, got, far] = await Promise.all([
      place.varve('verify', 'n/linky:latest'), place.varve('verify', 'n/linky:latest', '--deep'), place.varve('get', 'n/linky:latest', 'out2', '--partial'), place.varve('verify', 'n/far:latest'),
    ])
    expect(verified).toMatchObject({ exit: 3, stdout: unreachable })
    expect(deep).toMatchObject({ exit: 3, stdout: unreachable })
    expect(got).toMatchObject({ exit: 1, stdout: unreachable })
    expect(readdirSync(join(place.folder, 'out2'))).toEqual(['own'])
    expect(far).toMatchObject({ exit: 3, stdout: expect.stringMatching(silence()) })
    // What is there is right by its own bytes: whoever made it a link to there has it as it was.
    expect(await place.varve('get', 'n/linky:latest', 'out')).toMatchObject({ exit: 0, stdout: expect.stringContaining('2 in place') })
  }, 600_000)

  test('stands at a destination in the place of an entry, and hangs nobody', async () => {
    mkdirSync(join(place.folder, 'near'))
    writeFileSync(join(place.folder, 'near', 'x'), 'x')
    await put('near/', 'near')
    mkdirSync(join(place.folder, 'out'))
    symlinkSync(`${slow.root}data/f1`, join(place.folder, 'out', 'x'))
    slow.pause()
    expect(await place.varve('get', 'n/near:latest', 'out')).toMatchObject({ exit: 1, stderr: expect.stringContaining('is not what a restore put there: x') })
    expect(readlinkSync(join(place.folder, 'out', 'x'))).toBe(`${slow.root}data/f1`)
    expect(await place.varve('get', 'n/near:latest', 'out', '--force')).toMatchObject({ exit: 0 })
    expect(readFileSync(join(place.folder, 'out', 'x'), 'utf8')).toBe('x')
  }, 300_000)
})

describe('a destination on the server', () => {
  // Long enough to be cut off in the middle.
  const FILES = 3_000
  beforeEach(async () => {
    mkdirSync(join(place.folder, 'many'))
    for (let i = 0; i < FILES; i++) writeFileSync(join(place.folder, 'many', `f${i}`), `bytes ${i}`)
    await put('many/', 'many')
  })
  /** The one that was killed ends when the server is back, and has its lock until then. */
  const goesOn = async (): Promise<void> => {
    slow.resume()
    await until(() => place.varve('get', 'n/many:latest', out()), ({ exit }) => exit === 0, 60_000)
    expect(readdirSync(`${slow.behind}out`)).toHaveLength(FILES)
  }
  const out = (): string => `${slow.root}out`

  test('is restored to while it answers, and refused in words when it does not; back again the next restore does it', async () => {
    slow.pause()
    const [got, dry] = await Promise.all([place.varve('get', 'n/many:latest', out()), place.varve('get', 'n/many:latest', out(), '--dry-run')])
    for (const one of [got, dry]) expect(one).toMatchObject({ exit: 1, stdout: '', stderr: expect.stringMatching(silence()) })
    expect(got.stderr).toContain('bring the file server or its network back, and run it again')
    slow.resume()
    expect(await place.varve('get', 'n/many:latest', out())).toMatchObject({ exit: 0, stdout: expect.stringContaining('3,000 entries fetched') })
    expect(readdirSync(`${slow.behind}out`)).toHaveLength(FILES)
    expect(await place.varve('get', 'n/many:latest', out())).toMatchObject({ exit: 0, stdout: expect.stringContaining('3,000 in place') })
    expect(await place.varve('get', 'n/many:v7', out())).toMatchObject({ exit: 1, stderr: expect.stringContaining('v7') })
  }, 600_000)

  test.each(['SIGINT', 'SIGTERM'] as const)('a restore to it that hangs in the middle ends at %s, and goes on when it is run again', async (signal) => {
    const restoring = place.run({ words: ['get', 'n/many:latest', out()] })
    await until(async () => (existsSync(`${slow.behind}out`) ? readdirSync(`${slow.behind}out`).length : 0), (count) => count > 20, 60_000)
    slow.pause()
    await sleep(500)
    restoring.child.kill(signal)
    const { exit, stderr } = await restoring.ended
    expect(exit).toBe(signal === 'SIGINT' ? 130 : 143)
    expect(stderr).toContain(`${out()} does not answer, and the restore was killed`)
    await goesOn()
  }, 300_000)

  test('a restore to it that hangs in the middle says so by itself', async () => {
    const restoring = place.run({ words: ['get', 'n/many:latest', out()] })
    await until(async () => (existsSync(`${slow.behind}out`) ? readdirSync(`${slow.behind}out`).length : 0), (count) => count > 20, 60_000)
    slow.pause()
    expect(await restoring.ended).toMatchObject({ exit: 1, stderr: expect.stringMatching(silence()) })
    await goesOn()
  }, 300_000)

  test('a restore that is told to stop while it answers ends by itself, and leaves no lock', async () => {
    const restoring = place.run({ words: ['get', 'n/many:latest', out()] })
    await until(async () => (existsSync(`${slow.behind}out`) ? readdirSync(`${slow.behind}out`).length : 0), (count) => count > 20, 60_000)
    restoring.child.kill('SIGINT')
    const { exit, stderr } = await restoring.ended
    expect(exit).toBe(130)
    expect(stderr).not.toContain('killed')
    expect(existsSync(`${slow.behind}out/.varve-restore/lock`)).toBe(false)
  }, 300_000)
})
