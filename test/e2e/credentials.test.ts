// Credentials that a person mends while the daemon runs. Of the stores only a fake looks at who comes.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { FakeS3 } from '../fakes/s3.ts'
import { says, site, until } from './site.ts'

test('wrong credentials are said without showing them, and right ones in their place need no restart', async () => {
  const place = site()
  const store = await FakeS3.start()
  store.put('data/a', 'one')
  store.admits = (keyId) => keyId === 'AKIARIGHT'
  const keys = (id: string): void => writeFileSync(join(place.folder, 'credentials'), `[reader]\naws_access_key_id = ${id}\naws_secret_access_key = hidden-${id}\n`)
  keys('AKIAWRONG')
  place.configure({ data: '.varve', watch: [{ name: 'mnist', location: 's3://fake/data/', artifact: 'vision/mnist', type: 'dataset', reconcile: '1d', poll: '1d', s3: { endpoint: store.url, region: 'us-east-1', profile: 'reader' } }] })
  const daemon = place.run({ environment: { AWS_SHARED_CREDENTIALS_FILE: join(place.folder, 'credentials'), AWS_CONFIG_FILE: join(place.folder, 'config') } })
  await says(daemon, /mnist is backoff/, 60_000)
  const state = await until(() => place.status(), ({ state }) => state === 'backoff', 60_000)
  expect(state).toMatchObject({ reason: 'CREDENTIALS: s3://fake/data/ cannot be asked: the credentials are missing or not valid (InvalidAccessKeyId)', action: expect.stringContaining('s3.profile') })
  keys('AKIARIGHT')
  await place.varve('scan', 'mnist')
  await says(daemon, /vision\/mnist:v0 /, 60_000)
  expect((await daemon.stop()).exit).toBe(0)
  expect(daemon.said() + daemon.logged() + JSON.stringify(state)).not.toMatch(/hidden-|AKIA/)
  await place.remove()
  await store.stop()
}, 180_000)
