// Law 10. Varve never writes to, tags, locks or reconfigures a user's storage.
import { afterEach, expect, test } from '@jest/globals'
import { execFileSync } from 'node:child_process'
import { lstatSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { FakeGcs } from '../fakes/gcs.ts'
import { FakeS3 } from '../fakes/s3.ts'
import { useKeys } from '../storage/s3/bucket.ts'
import { fell, tree } from '../storage/file/tree.ts'
import { law } from './law.ts'
import { fileSite, gcsSite, s3Site } from './site.ts'
import type { PartsRefit } from './site.ts'
import { storesWith, versionsOf } from './world.ts'

const cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup()
  fell()
})

/** Passes every request on, and writes down its method and path. */
async function wiretap(target: string): Promise<{ readonly url: string; readonly heard: string[] }> {
  const heard: string[] = []
  const server = createServer((incoming, response) => {
    heard.push(`${incoming.method} ${incoming.url}`)
    const outgoing = request(new URL(incoming.url as string, target), { method: incoming.method, headers: incoming.headers }, (answer) => {
      response.writeHead(answer.statusCode as number, answer.headers)
      answer.pipe(response)
    })
    incoming.pipe(outgoing)
    outgoing.on('error', () => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, heard }
}

type Tagger = (url: string) => PartsRefit

law<Tagger>('nothing but GET and HEAD is ever sent to S3, and of GET only listings', async (plant) => {
  useKeys()
  const fake = await FakeS3.start()
  cleanups.push(() => void fake.stop())
  const tap = await wiretap(fake.url)
  const kinds: Record<string, () => void> = {
    'with versions': () => (fake.versioned = true),
    'without versions': () => (fake.versioned = false),
    'with versions denied': () => (fake.fault = (kind) => (kind === 'versions' ? 'denied' : undefined)),
  }
  for (const [kind, go] of Object.entries(kinds)) {
    go()
    const prefix = `${kind}/`
    for (const key of ['a', 'b', 'c/d', 'folder/']) fake.put(prefix + key, key.endsWith('/') ? '' : key)
    fake.put(`${prefix}.id`, 'one')
    const site = await s3Site(tap.url, prefix, { confirm: true, guard: { removedShareMax: 1, rootMarker: '.id', completeMarker: 'a' } }, plant?.(tap.url))
    expect({ kind, ...(await site.look()) }).toMatchObject({ kind, state: 'clean' })
    fake.put(`${prefix}a`, 'changed')
    fake.remove(`${prefix}c/d`)
    await site.look('a', 'c/d', 'not-there')
    // The same bytes in another dress, so that a HEAD with checksums must tell.
    fake.put(`${prefix}b`, 'again')
    await site.look()
    expect({ kind, versions: (await versionsOf(site.registry)).length > 1 }).toEqual({ kind, versions: true })
    const lone = await s3Site(tap.url, `${prefix}a`, {}, plant?.(tap.url))
    await lone.look()
  }
  expect([...new Set(tap.heard.map((line) => line.split(' ')[0]))].sort()).toEqual(['GET', 'HEAD'])
  const gets = tap.heard.filter((line) => line.startsWith('GET ')).map((line) => new URL((line.split(' ')[1] as string), tap.url))
  // The bytes of objects are nobody's business but their owner's: S3 shows what is needed without them.
  expect(gets.filter(({ pathname, searchParams }) => !/^\/fake\/?$/.test(pathname) || !(searchParams.has('versions') || searchParams.get('list-type') === '2'))).toEqual([])
}, {
  'an object that is tagged once it was recorded': (url) => storesWith((store) => ({
    async root(signal) {
      await fetch(`${url}/fake/with%20versions/a?tagging`, { method: 'PUT', body: '<Tagging/>' }).then((answer) => answer.text())
      return store.root(signal)
    },
  })),
  'an object that is fetched to be hashed': (url) => storesWith((store) => ({
    async root(signal) {
      await fetch(`${url}/fake/with%20versions/a`).then((answer) => answer.text())
      return store.root(signal)
    },
  })),
})

law<Tagger>('nothing but GET is ever sent to GCS, and never for the bytes of an object', async (plant) => {
  const fake = await FakeGcs.start()
  cleanups.push(() => void fake.stop())
  const tap = await wiretap(fake.url)
  for (const key of ['a', 'b', 'c/d', 'folder/']) fake.put(`p/${key}`, key.endsWith('/') ? '' : key)
  fake.put('p/.id', 'one')
  const site = await gcsSite(tap.url, 'p/', { confirm: true, guard: { removedShareMax: 1, rootMarker: '.id', completeMarker: 'a' } }, plant?.(tap.url))
  expect(await site.look()).toMatchObject({ state: 'clean' })
  fake.put('p/a', 'changed')
  fake.touch('p/b')
  fake.remove('p/c/d')
  await site.look('a', 'b', 'c/d', 'not-there')
  fake.put('p/b', 'again')
  await site.look()
  expect((await versionsOf(site.registry)).length).toBeGreaterThan(1)
  await (await gcsSite(tap.url, 'p/a', {}, plant?.(tap.url))).look()
  expect(tap.heard.filter((line) => !/^GET \/storage\/v1\/b\/fake(\/o(\/[^/?]+)?)?\?/.test(line) || /[?&]alt=media/.test(line))).toEqual([])
}, {
  'an object that is labelled once it was recorded': (url) => storesWith((store) => ({
    async root(signal) {
      await fetch(`${url}/storage/v1/b/fake/o/p%2Fa?fields=kind`, { method: 'PATCH', body: '{"metadata":{"varve":"seen"}}' }).then((answer) => answer.text())
      return store.root(signal)
    },
  })),
  'an object that is fetched to be hashed': (url) => storesWith((store) => ({
    async root(signal) {
      await fetch(`${url}/storage/v1/b/fake/o/p%2Fa?alt=media`).then((answer) => answer.text())
      return store.root(signal)
    },
  })),
})

/** All that stat shows of a tree, access times aside. */
function inventory(root: string): string[] {
  return ['', ...(readdirSync(root, { recursive: true }) as string[])].sort().map((path) => {
    const { ino, mode, nlink, uid, gid, size, mtimeNs, ctimeNs } = lstatSync(root + path, { bigint: true })
    return `${path} ${ino} ${mode} ${nlink} ${uid} ${gid} ${size} ${mtimeNs} ${ctimeNs}`
  })
}

law<PartsRefit>('after any number of looks a tree is as it was, down to its change times', async (plant) => {
  const root = tree({ 'a': 'x', 'sub/b': 'y', 'sub/deep/c': '', '.dataset-id': 'one' })
  execFileSync('mkfifo', [`${root}fifo`])
  const before = inventory(root)
  const site = await fileSite(root, { guard: { removedShareMax: 1, rootMarker: '.dataset-id', completeMarker: 'a' } }, plant)
  await site.look()
  await site.look('a', 'not-there', 'sub', 'fifo')
  await site.look()
  expect(inventory(root)).toEqual(before)
  expect(await versionsOf(site.registry)).toHaveLength(1)
}, {
  'a marker of what was seen': storesWith((store, { locations: [location] }) => ({
    close: async () => {
      writeFileSync(`${location.prefix}.varve`, 'seen')
      await store.close()
    },
  })),
  'times set back to hide that a file was read': storesWith((store, { locations: [location] }) => ({
    close: async () => {
      utimesSync(`${location.prefix}a`, lstatSync(`${location.prefix}a`).atime, lstatSync(`${location.prefix}a`).mtime)
      await store.close()
    },
  })),
})

test('a tree that is mounted read only is recorded like any other', async () => {
  const root = tree({ 'data/a': 'x', 'data/sub/b': 'y' })
  mkdirSync(`${root}mnt`)
  execFileSync('mount', ['--bind', `${root}data`, `${root}mnt`])
  cleanups.push(() => void execFileSync('umount', ['-l', `${root}mnt`]))
  execFileSync('mount', ['-o', 'remount,bind,ro', `${root}mnt`])
  expect(() => writeFileSync(`${root}mnt/x`, 'x')).toThrow(expect.objectContaining({ code: 'EROFS' }))
  const site = await fileSite(`${root}mnt/`)
  expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
})
