// needs: moto
// A full disk under `data`: nothing is acknowledged, nothing is lost, and it is said.
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { start } from '../components.ts'
import { ownedBucket, toldQueue } from './bucket.ts'
import { fillUp } from './full.ts'
import { says, site, until } from './site.ts'
import { hearing, told } from './sqs-way.ts'

test('while the disk under data is full, messages stay upstream and status says so; with room it goes on by itself', async () => {
  const moto = await start('moto')
  const place = site()
  const data = join(place.folder, '.varve')
  mkdirSync(data)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'varve-data', data])
  try {
    const owned = await ownedBucket(moto.url, false)
    // What is not deleted within a second comes again.
    const queue = await toldQueue(owned, 'full', 1)
    place.configure({ ...hearing(owned, queue.url, 'inline'), listen: '127.0.0.1:0' })
    await owned.put('data/a', 'one')
    const daemon = place.run()
    const [, url] = / listening on (http:\S+)/.exec(await says(daemon, /listening on http:\S+\n/, 20_000)) ?? []
    const ready = async (): Promise<readonly [number, unknown]> => {
      const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(10_000) })
      return [answer.status, await answer.json()]
    }
    await says(daemon, /vision\/mnist:v0 /, 20_000)
    await until(() => queue.waiting(), (count) => count === 0, 10_000)
    await until(() => place.status(), ({ state }) => state === 'clean', 5_000)
    await until(ready, ([status]) => status === 200, 10_000)
    fillUp(join(data, 'ballast'))
    for (let i = 0; i < 5; i++) await owned.put(`data/b${i}`, 'two')
    await until(() => daemon.logged(), (text) => text.includes('the disk under data is full'), 20_000)
    await sleep(3_000)
    expect(await queue.waiting()).toBe(5)
    const status = await place.varve('status')
    expect(status.exit).toBe(1)
    expect(status.stdout + status.stderr).toMatch(/disk under data is full/)
    expect(await told(place)).toHaveLength(1)
    expect(await ready()).toEqual([503, { ready: false, checks: expect.arrayContaining([{ check: 'registry', ok: false, why: expect.stringMatching(/^the disk under data is full or failing/) }]) }])
    rmSync(join(data, 'ballast'))
    await says(daemon, /vision\/mnist:v1 /, 60_000)
    await until(() => queue.waiting(), (count) => count === 0, 20_000)
    await until(() => place.status(), ({ state, head }) => state === 'clean' && head !== 'v0', 15_000)
    expect((await place.files('vision/mnist:latest')).map(({ path }) => path)).toEqual(['a', 'b0', 'b1', 'b2', 'b3', 'b4'])
    expect((await place.varve('status')).exit).toBe(0)
    await until(ready, ([status]) => status === 200, 10_000)
    expect(await daemon.stop()).toMatchObject({ exit: 0 })
  } finally {
    execFileSync('umount', ['-l', data])
    await place.remove()
    await moto.stop()
  }
}, 120_000)
