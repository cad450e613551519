// needs: moto
// Two watches of one bucket, each as somebody else: what the store itself saw of who asked.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { start } from '../components.ts'
import type { Running } from '../components.ts'
import { ownedBucket, toldQueue } from './bucket.ts'
import { says, site, until } from './site.ts'
import type { Site } from './site.ts'

const ROLE = 'arn:aws:iam::123456789012:role/reader'

let moto: Running
let place: Site
beforeEach(async () => {
  place = site()
  moto = await start('moto', [], { MOTO_RECORDER_FILEPATH: join(place.folder, 'requests'), MOTO_ENABLE_RECORDING: 'true' })
})
afterEach(async () => {
  await place.remove()
  await moto.stop()
})

interface Seen {
  readonly url: string
  readonly body: string
  readonly keyId: string
}

/** Every request that moto got, with the key that signed it. */
function seen(): Seen[] {
  return readFileSync(join(place.folder, 'requests'), 'utf8').split('\n').filter((line) => line !== '').map((line) => {
    const { url, body, headers } = JSON.parse(line) as { url: string; body: string | null; headers: Record<string, string> }
    return { url, body: Buffer.from(body ?? '', 'base64').toString(), keyId: /Credential=([^/]+)\//.exec(headers['Authorization'] ?? '')?.[1] ?? '' }
  })
}

test('a profile and a role, each for its own watch, its bucket and its queue; no secret is said', async () => {
  const owned = await ownedBucket(moto.url, false)
  const queue = await toldQueue(owned, 'mnist')
  await owned.put('plain/a', 'one')
  await owned.put('assumed/a', 'one')
  writeFileSync(join(place.folder, 'credentials'), ['plain', 'assuming'].map((name) => `[${name}]\naws_access_key_id = AKIA${name.toUpperCase()}\naws_secret_access_key = hidden-${name}\n`).join('\n'))
  const watch = (name: string, access: object, events: object): object => ({
    name, location: `s3://${owned.bucket}/${name}/`, artifact: `vision/${name}`, type: 'dataset', settle: '200ms', reconcile: '1d', poll: '1d', s3: { endpoint: moto.url, region: 'us-east-1', ...access }, ...events,
  })
  place.configure({ data: '.varve', watch: [watch('plain', { profile: 'plain' }, {}), watch('assumed', { profile: 'assuming', role: ROLE }, { events: { sqs: queue.url } })] })
  const daemon = place.run({ environment: { AWS_SHARED_CREDENTIALS_FILE: join(place.folder, 'credentials'), AWS_CONFIG_FILE: join(place.folder, 'config'), LOG_LEVEL: 'debug' } })
  await says(daemon, /vision\/plain:v0 /, 60_000)
  await says(daemon, /vision\/assumed:v0 /, 60_000)
  await owned.put('assumed/b', 'two')
  await says(daemon, /vision\/assumed:v1 {2}\+1 ~0 -0 {2}\(3 B added, hint\)/, 60_000)
  await until(() => queue.waiting(), (count) => count === 0, 60_000)
  const { exit } = await daemon.stop()
  const requests = seen()
  const assumptions = requests.filter(({ body }) => body.includes('Action=AssumeRole'))
  // One for the bucket, which its looks share; one for the queue at the most.
  expect([1, 2]).toContain(assumptions.length)
  for (const { body, keyId } of assumptions) {
    const asked = new URLSearchParams(body)
    expect([keyId, asked.get('RoleArn'), asked.get('RoleSessionName')]).toEqual(['AKIAASSUMING', ROLE, 'varve'])
  }
  const listers = (prefix: string): string[] => [...new Set(requests.filter(({ url }) => url.includes('versions') && decodeURIComponent(url).includes(`prefix=${prefix}/`)).map(({ keyId }) => keyId))]
  expect(listers('plain')).toEqual(['AKIAPLAIN'])
  expect(listers('assumed')).toEqual([expect.stringMatching(/^ASIA/)])
  const receivers = new Set(requests.filter(({ body }) => body.includes('WaitTimeSeconds')).map(({ keyId }) => keyId))
  expect([...receivers]).toEqual([expect.stringMatching(/^ASIA/)])
  const status = await place.varve('status', '--json')
  expect(exit).toBe(0)
  expect(daemon.said() + daemon.logged() + status.stdout + status.stderr).not.toMatch(/hidden-|AKIA|ASIA/)
}, 180_000)
