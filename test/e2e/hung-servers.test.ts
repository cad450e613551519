// Servers that take every question and answer none, and the rest of the day's work beside them: on both queues.
// needs: redis
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { start } from '../components.ts'
import { Web } from '../fakes/web.ts'
import { says, site, until } from './site.ts'
import type { Site } from './site.ts'

// Twice as many as there are places for looks that work.
const FAR = Array.from({ length: 8 }, (_, i) => `far${i}`)
let place: Site
let web: Web
beforeEach(async () => {
  place = site()
  web = await Web.start()
  mkdirSync(join(place.folder, 'near'))
  writeFileSync(join(place.folder, 'near', 'x'), 'x')
})
afterEach(async () => {
  await place.remove()
  await web.stop()
})

test.each(['inline', 'redis'])('however many watches hang on them, the others go on; the queue is %s', async (kind) => {
  const redis = kind === 'redis' ? await start('redis') : undefined
  try {
    const watch = (name: string, location: string): object => ({ name, location, artifact: `demo/${name}`, type: 'dataset', settle: '100ms', max_wait: '1s', poll: '1s' })
    place.configure({ data: '.varve', queue: redis?.url ?? 'inline', watch: [watch('near', 'near/'), ...FAR.map((name) => watch(name, `${web.url}/${name}.csv`))] })
    const daemon = place.run()
    for (const name of ['near', ...FAR]) await says(daemon, new RegExp(`demo/${name}:v0 `), 60_000)
    const answer = web.answer
    web.answer = () => undefined
    // Four looks are all that work at once: those that wait are not of them.
    await until(() => place.varve('status', '--json'), ({ stdout }) => stdout.split('"state":"looking"').length > FAR.length, 60_000)
    for (let version = 1; version <= 2; version++) {
      writeFileSync(join(place.folder, 'near', 'x'), `x${version}`)
      await says(daemon, new RegExp(`demo/near:v${version} `), 20_000)
    }
    web.answer = answer
    web.put('two')
    for (const name of FAR) await says(daemon, new RegExp(`demo/${name}:v1 `), 60_000)
    expect(await daemon.stop()).toMatchObject({ exit: 0 })
  } finally {
    await redis?.stop()
  }
}, 240_000)
