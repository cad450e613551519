// A file server that answers nothing more, and the rest of the day's work beside it.
// needs: slow-fs
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { slowly } from '../storage/file/slow.ts'
import type { Slow } from '../storage/file/slow.ts'
import { says, site, until } from './site.ts'
import type { Site } from './site.ts'

// More than there are places for looks.
const FAR = ['far1', 'far2', 'far3', 'far4', 'far5', 'far6']
let place: Site
let slow: Slow
beforeEach(async () => {
  place = site()
  slow = await slowly()
  mkdirSync(join(place.folder, 'near'))
  writeFileSync(join(place.folder, 'near', 'x'), 'x')
  const watch = (name: string, location: string): object => ({ name, location, artifact: `demo/${name}`, type: 'dataset', settle: '100ms', max_wait: '1s', poll: '1s' })
  for (const name of FAR) {
    mkdirSync(slow.behind + name)
    writeFileSync(`${slow.behind}${name}/x`, name)
  }
  place.configure({ data: '.varve', watch: [watch('near', 'near/'), ...FAR.map((name) => watch(name, `${slow.root}${name}/`))] })
})
afterEach(async () => {
  await place.remove()
  await slow.stop()
})

test('however many watches hang on it, what is local goes on, status answers, and the daemon stops when it is told to; back again, all go on', async () => {
  let daemon = place.run()
  for (const name of ['near', ...FAR]) await says(daemon, new RegExp(`demo/${name}:v0 `), 30_000)
  for (const line of ['hears the local file system, walked every 1 s', 'hears nothing on a network mount, walked every 1 s']) expect(daemon.said()).toContain(line)
  const { stdout } = await place.varve('status')
  expect(stdout).toContain('network mount: how long it hides what other machines change is not known')
  expect(await place.status('far1')).toMatchObject({ othersSeenWithinMs: null, reconcileFound: 0 })
  expect((await place.status('near')).othersSeenWithinMs).toBeUndefined()
  slow.pause()
  // Where the server hangs this does not.
  expect((await place.varve('check')).stdout).toContain('hears nothing on a network mount, walked every 1 s')
  const hungAt = performance.now()
  // Four looks are all that there is place for, but for those that may hang.
  await until(() => place.varve('status', '--json'), (answer) => answer.stdout.split('"state":"looking"').length > 4, 20_000)
  for (let version = 1; version <= 3; version++) {
    writeFileSync(join(place.folder, 'near', 'x'), `x${version}`)
    await says(daemon, new RegExp(`demo/near:v${version} `), 20_000)
  }
  const stopAt = performance.now()
  expect(await daemon.stop()).toMatchObject({ exit: 0 })
  expect(performance.now() - stopAt).toBeLessThan(15_000)
  daemon = place.run()
  await until(() => place.status('far6'), ({ reason }) => reason?.includes(`fuse.slow slow at ${slow.root.slice(0, -1)} has not answered for 30 s`) === true, 90_000)
  expect(performance.now() - hungAt).toBeGreaterThan(30_000)
  slow.resume()
  for (const name of FAR) {
    writeFileSync(`${slow.behind}${name}/x`, 'written by another')
    await says(daemon, new RegExp(`demo/${name}:v1 `), 60_000)
  }
  expect((await place.status('far1')).reconcileFound).toBe(0)
  expect(await daemon.stop()).toMatchObject({ exit: 0 })
}, 300_000)
