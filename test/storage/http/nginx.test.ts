// needs: nginx
// A real server: its ETags are made of time and length, and it compresses for who asks.
import { execFileSync } from 'node:child_process'
import { readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { freePort, start } from '../../components.ts'
import type { Running } from '../../components.ts'
import { loneStoreSuite } from '../../suite/store.ts'
import { entryOf, openWeb, requestsOf, webSite } from './web.ts'

let nginx: Running
beforeAll(async () => {
  nginx = await start('nginx')
})
afterAll(() => nginx?.stop())

let files = 0
let name: string
beforeEach(() => {
  name = `${++files}.csv`
  write('one', 1)
})

const at = (path = name): string => `${nginx.url}/${path}`
const content = { checksum: 'content' } as const

/** Writes the file with a time so many seconds into 2026. */
function write(text: string, second: number, path = join(nginx.folder, 'www', name)): void {
  writeFileSync(path, text)
  utimesSync(path, 1_767_225_600 + second, 1_767_225_600 + second)
}

/** What the server was asked about the file: `HEAD 304 0`. */
function asked(): string[] {
  const lines = readFileSync(join(nginx.folder, 'access.log'), 'utf8').split('\n')
  return lines.filter((line) => line.includes(` /${name} `)).map((line) => line.replace(` /${name} `, ' '))
}

loneStoreSuite('a file of nginx', async () => {
  const own = await start('nginx')
  let places = 0
  return {
    fresh: async () => {
      const file = `${++places}.csv`
      const path = join(own.folder, 'www', file)
      let second = 0
      return {
        name: file,
        open: () => openWeb(`${own.url}/${file}`),
        put: async (bytes) => write(bytes, ++second, path),
        putBeside: async () => writeFileSync(`${path}2`, 'x'),
      }
    },
    stop: () => own.stop(),
  }
})

test('ETag and length are those of the file, for who wants it as it is; the unchanged is a 304 to one HEAD', async () => {
  const site = await webSite(at())
  for (const versions of [1, 1, 1]) expect(await site.look()).toMatchObject({ versions, state: 'clean' })
  expect(await entryOf(site)).toEqual({ path: name, reference: at(), sizeBytes: 3, digest: 'etag:6955b901-3', etag: '6955b901-3' })
  expect(await requestsOf(site)).toBe(1)
  expect(asked()).toEqual(['GET 200 3', 'HEAD 304 0', 'HEAD 304 0'])
  // What a client that takes gzip is shown: another, weak ETag, and no length.
  const packed = await fetch(at(), { headers: { 'accept-encoding': 'gzip' } })
  await packed.arrayBuffer()
  expect([packed.headers.get('etag'), packed.headers.get('content-encoding')]).toEqual(['W/"6955b901-3"', 'gzip'])
})

test('a touch is a change by what is shown, and none by what was read', async () => {
  const [plain, read] = [await webSite(at()), await webSite(at(), content)]
  await plain.look()
  await read.look()
  write('one', 2)
  expect(await plain.look()).toMatchObject({ versions: 2, state: 'clean' })
  expect(await read.look()).toMatchObject({ versions: 1, state: 'clean' })
  expect(await entryOf(read)).toMatchObject({ digest: 'etag:6955b902-3', etag: '6955b902-3' })
  write('two', 3)
  expect(await read.look()).toMatchObject({ versions: 2, state: 'clean' })
  write('one', 1)
  expect(await read.look()).toMatchObject({ versions: 3, state: 'clean' })
})

test('an edit of the same length within the same second shows nothing: reading finds it', async () => {
  // nginx counts seconds: young enough that another edit may be in this one.
  const now = Math.floor(Date.now() / 1_000) - 1_767_225_600
  write('one', now)
  const site = await webSite(at(), content)
  await site.look()
  write('two', now)
  expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
})

test('a file that goes is no version, one that comes back the same is none either, an older one put in its place is one', async () => {
  const site = await webSite(at())
  await site.look()
  const path = join(nginx.folder, 'www', name)
  renameSync(path, `${path}.away`)
  expect(await site.look()).toMatchObject({ versions: 1, state: 'unavailable', reason: `${at()} is not there (404)`, action: expect.stringMatching(/the last version stays/) })
  renameSync(`${path}.away`, path)
  expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
  write('old', -1_000_000)
  expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
  rmSync(path)
})

test('killed it is unavailable, started again it is where it was', async () => {
  const site = await webSite(at())
  await site.look()
  await nginx.kill()
  expect(await site.look()).toMatchObject({ versions: 1, state: 'unavailable', reason: expect.stringMatching(/does not answer \(ECONNREFUSED\)/) })
  await nginx.restart()
  expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
  write('two', 2)
  expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
})

describe('as it is often set up', () => {
  let secure: number
  let untrusted: readonly string[]
  beforeAll(async () => {
    untrusted = getCACertificates('default')
    secure = await freePort()
    const certificate = join(nginx.folder, 'cert.pem')
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1',
      '-keyout', join(nginx.folder, 'key.pem'), '-out', certificate], { stdio: 'ignore' })
    writeFileSync(join(nginx.folder, 'conf.d', 'odd.server'), `
      location /soft/ { error_page 404 =200 /sorry.html; }
      location /shut/ { deny all; }
      location /dead/ { proxy_pass http://127.0.0.1:1; }
      location /signed/ { rewrite ^/signed/(.*)$ /$1?token=hunter2 redirect; }
      location /secure/ { return 301 https://127.0.0.1:${secure}$uri; }`)
    writeFileSync(join(nginx.folder, 'conf.d', 'secure.conf'), `
      server { listen 127.0.0.1:${secure} ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem; root www;
        location /plain/ { rewrite ^/plain/(.*)$ ${nginx.url}/$1 redirect; } location /secure/ { alias www/; } }`)
    writeFileSync(join(nginx.folder, 'www', 'sorry.html'), '<h1>Not here')
    await nginx.restart()
  })
  afterAll(() => setDefaultCACertificates([...untrusted]))

  test('an error page with 200, a denied and a dead upstream make no version', async () => {
    expect(await (await webSite(at(`soft/${name}`))).look()).toMatchObject({ versions: 0, state: 'backoff', reason: expect.stringMatching(/HTML page/) })
    expect(await (await webSite(at(`shut/${name}`))).look()).toMatchObject({ versions: 0, state: 'backoff', reason: expect.stringMatching(/^LOCATION_DENIED: .*\(403\)/) })
    expect(await (await webSite(at(`dead/${name}`))).look()).toMatchObject({ versions: 0, state: 'unavailable', reason: expect.stringMatching(/\(502\)/) })
  })

  test('a redirect to a signed URL is recorded as the URL that was written', async () => {
    const site = await webSite(at(`signed/${name}`))
    expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
    expect(await entryOf(site)).toMatchObject({ path: name, reference: at(`signed/${name}`), digest: 'etag:6955b901-3' })
    expect(JSON.stringify(await site.registry.watchRow('mnist'))).not.toMatch(/hunter2/)
  })

  test('a certificate of an unknown authority is not trusted; a known one is, and then nothing leads back to http', async () => {
    const url = `https://127.0.0.1:${secure}/${name}`
    expect(await (await webSite(url)).look()).toMatchObject({
      versions: 0, state: 'unavailable', reason: expect.stringMatching(/TLS \(DEPTH_ZERO_SELF_SIGNED_CERT\)/), action: expect.stringMatching(/NODE_EXTRA_CA_CERTS/),
    })
    setDefaultCACertificates([...untrusted, readFileSync(join(nginx.folder, 'cert.pem'), 'utf8')])
    const site = await webSite(url)
    for (const versions of [1, 1]) expect(await site.look()).toMatchObject({ versions, state: 'clean' })
    expect(await entryOf(site)).toMatchObject({ reference: url, digest: 'etag:6955b901-3' })
    expect(await (await webSite(`https://127.0.0.1:${secure}/plain/${name}`, { allowPrivate: true })).look()).toMatchObject({
      versions: 0, state: 'backoff', reason: expect.stringMatching(/^LOCATION_DENIED: .*redirected from https to http/),
    })
    // The other way is fine, to where it may lead.
    expect(await (await webSite(at(`secure/${name}`), { allowPrivate: true })).look()).toMatchObject({ versions: 1, state: 'clean' })
    expect(await (await webSite(at(`secure/${name}`))).look()).toMatchObject({ versions: 0, reason: expect.stringMatching(/private address/) })
    expect(await (await webSite(`https://127.0.0.1:${nginx.port}/${name}`)).look()).toMatchObject({ versions: 0, reason: expect.stringMatching(/TLS|does not answer/) })
  })
})
