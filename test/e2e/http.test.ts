// needs: nginx
// Objects of a web server, and the real daemon that asks for them.
import { renameSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { start } from '../components.ts'
import type { Running } from '../components.ts'
import { says, site, until } from './site.ts'
import type { Site } from './site.ts'

let place: Site
let nginx: Running
beforeEach(async () => {
  place = site()
  nginx = await start('nginx')
})
afterEach(async () => {
  await place.remove()
  await nginx.stop()
})

const SHOWN = 'demo/shown'
const READ = 'demo/read'

function write(text: string, second: number): void {
  const path = join(nginx.folder, 'www', 'labels.csv')
  writeFileSync(`${path}.new`, text)
  utimesSync(`${path}.new`, 1_767_225_600 + second, 1_767_225_600 + second)
  renameSync(`${path}.new`, path)
}

const versions = async (artifact: string): Promise<number> => (await place.log(artifact)).length

test('a change is a version within a poll, a touch is none where the bytes are compared, and a server that goes and comes back is a state', async () => {
  const location = `${nginx.url}/labels.csv`
  const pace = { settle: '100ms', max_wait: '2s', poll: '1s' }
  place.configure({
    data: '.varve', listen: 'off',
    watch: [
      { name: 'shown', location, artifact: SHOWN, type: 'dataset', ...pace },
      { name: 'read', location, artifact: READ, type: 'dataset', http: { checksum: 'content' }, ...pace },
    ],
  })
  expect((await place.varve('check')).stdout).toContain(`shown: ${location} -> demo/shown (dataset); that object; hears nothing, asked every 1 s\n`)
  write('one', 1)
  const daemon = place.run()
  await says(daemon, /demo\/shown:v0 {2}\+1 ~0 -0 {2}\(3 B added, config\)/, 15_000)
  await says(daemon, /demo\/read:v0 /, 15_000)
  expect(await place.files(`${SHOWN}:v0`)).toEqual([{ path: 'labels.csv', reference: location, sizeBytes: 3, digest: 'etag:6955b901-3', etag: '6955b901-3' }])

  write('four', 2)
  await says(daemon, /demo\/shown:v1 {2}\+0 ~1 -0 .*interval/, 15_000)
  await says(daemon, /demo\/read:v1 {2}\+0 ~1 -0 .*interval/, 15_000)

  write('four', 3)
  // The ETag is of the time: it moved, and where it is all that is looked at it counts.
  await says(daemon, /demo\/shown:v2 /, 15_000)
  const touched = await until(() => place.files(`${READ}:latest`), ([entry]) => entry?.etag === '6955b903-4', 15_000)
  expect(touched[0]).toMatchObject({ digest: 'etag:6955b903-4' })
  expect(await versions(READ)).toBe(2)

  await nginx.kill()
  const gone = await until(() => place.status('shown'), ({ state }) => state === 'unavailable', 15_000)
  expect(gone).toMatchObject({ head: 'v2', location, reason: `${location} does not answer (ECONNREFUSED)`, action: expect.stringMatching(/it is tried again/) })
  expect((await place.varve('status')).exit).toBe(1)
  await nginx.restart()
  for (const watch of ['shown', 'read']) await until(() => place.status(watch), ({ state }) => state === 'clean', 30_000)

  expect([await versions(SHOWN), await versions(READ)]).toEqual([3, 2])

  // Nothing was heard, so nothing was lost; and what does not move costs one request.
  const rested = await until(() => place.status('read'), ({ lastLook }) => lastLook?.outcome === 'same' && lastLook.requests === 1, 15_000)
  expect(rested).toMatchObject({ reconcileFound: 0, pollEveryMs: 1_000, lastLook: { kind: 'scan' } })
  expect((await place.varve('status')).stdout).not.toContain('hints were lost')
  expect(await daemon.stop()).toMatchObject({ exit: 0 })
}, 120_000)

test('put records an object of a web server once, and says what stands in the way', async () => {
  place.configure({ data: '.varve', watch: [{ name: 'other', location: `${nginx.url}/other.csv`, artifact: 'demo/other', type: 'dataset', http: { checksum: 'content' } }] })
  write('one', 1)
  const url = `${nginx.url}/labels.csv?rev=1`
  const put = (uri: string) => place.varve('put', uri, '--name', 'demo/put', '--type', 'dataset')
  expect(await put(url)).toEqual({ exit: 0, stdout: 'demo/put:v0  +1 ~0 -0  (3 B added, put)\n', stderr: '' })
  expect(await put(url)).toMatchObject({ exit: 0, stdout: 'unchanged: demo/put:v0\n' })
  // It is looked at as the watch of that host is.
  expect(await place.files('demo/put:v0')).toMatchObject([{ path: 'labels.csv', reference: url, digest: 'etag:6955b901-3', checksums: { md5: '+XxdKZQb+xsv2rCHSQargg==' } }])
  write('one', 2)
  expect(await put(url)).toMatchObject({ exit: 0, stdout: 'unchanged: demo/put:v0\n' })
  write('two', 3)
  expect(await put(url)).toMatchObject({ exit: 0, stdout: 'demo/put:v1  +0 ~1 -0  (3 B added, 3 B removed, put)\n' })
  expect(await put(`${nginx.url}/none.csv?rev=hunter2`)).toMatchObject({ exit: 1, stdout: '', stderr: expect.stringMatching(/none\.csv\?… is not there \(404\)/) })
  expect(await put(`${nginx.url}/none.csv?token=hunter2`)).toMatchObject({ exit: 2, stdout: '', stderr: expect.not.stringContaining('hunter2') })
  expect(await put(`${nginx.url}/`)).toMatchObject({ exit: 2, stderr: expect.stringMatching(/names no object/) })
}, 60_000)
