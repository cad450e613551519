// Where requests go, and what stays behind: redirects followed, private hosts, secrets in a query.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { LookupFunction } from 'node:net'
import { serve, tagOf, Web } from '../../fakes/web.ts'
import type { Site } from '../../laws/site.ts'
import { entryOf, newest, webSite } from './web.ts'

let web: Web
let other: Web
beforeEach(async () => {
  web = await Web.start()
  other = await Web.start()
})
afterEach(async () => {
  await web.stop()
  await other.stop()
})

/** `web` answers every URL in `chain` with where it leads; what is not in it is the object. */
function redirect(chain: Readonly<Record<string, string>>, status = 302, from = web): void {
  from.answer = (request, response) => {
    const to = chain[request.url ?? '']
    if (to === undefined) serve(from.served, request, response)
    else response.writeHead(status, { location: to }).end('moved')
  }
}

const at = (path = '/a.csv'): string => web.url + path
/** Names resolve to what the table says; counts how often. */
function names(table: Readonly<Record<string, readonly string[]>>, asked: string[] = []): LookupFunction {
  return (host, options, answer) => {
    asked.push(host)
    const found = (table[host] ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    if (found.length === 0) answer(Object.assign(new Error('unknown'), { code: 'ENOTFOUND' }), [])
    else if (options.all === true) answer(null, found)
    else answer(null, found[0]?.address ?? '', found[0]?.family)
  }
}

/** All that is kept or said of a site, as text. */
async function allTold(site: Site): Promise<string> {
  const row = await site.registry.watchRow(site.watch.name)
  return JSON.stringify([row, await site.registry.watchViews(0), row === undefined ? [] : await entryOf(site).catch(() => []), await newest(site)])
}

describe('a redirect', () => {
  test.each([301, 302, 303, 307, 308])('%i is followed; what is recorded is the URL that was written', async (status) => {
    redirect({ '/a.csv': '/b', '/b': 'c', '/c': `${web.url}/%C3%A9?sig=secret` }, status)
    const site = await webSite(at())
    expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
    expect(await entryOf(site)).toMatchObject({ path: 'a.csv', reference: at(), digest: `etag:${tagOf('one').slice(1, -1)}` })
    expect(web.asked.map(({ url }) => url)).toEqual(['/a.csv', '/b', '/c', '/%C3%A9?sig=secret'])
    expect((await newest(site)).certificate.requests).toBe(4)
    web.methods()
    expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
    // The condition is asked of whom it came from, and of no other.
    expect(web.asked.map(({ method, headers }) => [method, headers['if-none-match'] !== undefined])).toEqual([['HEAD', false], ['HEAD', false], ['HEAD', false], ['HEAD', true]])
  })

  test('to a signed URL: the signature, new each time, is kept and said nowhere, and makes no version', async () => {
    let signed = 0
    web.answer = (_, response) => void response.writeHead(302, { location: `${other.url}/bucket/a.csv?X-Amz-Signature=hunter${++signed}` }).end()
    const site = await webSite(at(), { allowPrivate: true })
    for (let look = 0; look < 3; look++) expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
    expect(other.asked.at(-1)?.headers['if-none-match']).toBe(tagOf('one'))
    other.put('two')
    expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
    other.answer = (_, response) => void response.writeHead(403).end()
    expect(await site.look()).toMatchObject({ versions: 2, state: 'backoff', reason: expect.stringMatching(/^LOCATION_DENIED/) })
    await other.stop()
    expect(await site.look()).toMatchObject({ versions: 2, state: 'unavailable', reason: expect.stringMatching(/redirected to 127\.0\.0\.1:\d+, does not answer \(ECONNREFUSED\)/) })
    expect(await allTold(site)).not.toMatch(/hunter|Signature/)
    other = await Web.start()
  })

  test('carries no cookie, no credentials and no body to anybody', async () => {
    web.answer = (_, response) => void response.writeHead(302, { location: `http://user:secret@127.0.0.1:${other.port}/a.csv`, 'set-cookie': 'session=1; Path=/' }).end()
    const site = await webSite(at(), { allowPrivate: true })
    expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
    for (const { headers } of [...web.asked, ...other.asked]) {
      expect(Object.keys(headers).sort()).toEqual(['accept', 'accept-encoding', 'cache-control', 'connection', 'host', 'user-agent'])
      expect([headers['accept-encoding'], headers.connection]).toEqual(['identity', 'close'])
    }
    expect(await allTold(site)).not.toMatch(/secret/)
  })

  test('that leads to another object of the same ETag, or to a mirror of the same bytes, is judged by what is shown', async () => {
    redirect({ '/a.csv': '/v1' })
    const [site, content] = [await webSite(at()), await webSite(at(), { checksum: 'content' })]
    await site.look()
    await content.look()
    redirect({ '/a.csv': '/v2' })
    web.served = { ...web.served, body: 'two' }
    web.methods()
    expect(await content.look()).toMatchObject({ versions: 2, state: 'clean' })
    // A HEAD and a GET that say nothing of the other object; then what was read of this one is confirmed.
    expect(web.asked.filter(({ url }) => url === '/v2').map(({ method, headers }) => [method, headers['if-none-match'] !== undefined])).toEqual([['HEAD', false], ['GET', false], ['GET', true]])
    web.served = { ...web.served, body: 'three' }
    expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
    for (const mirror of ['/m1', '/m2', '/m1']) {
      redirect({ '/a.csv': mirror })
      expect(await site.look()).toMatchObject({ versions: 2, state: 'clean' })
    }
  })

  const bad: readonly (readonly [string, Readonly<Record<string, string>>, RegExp])[] = [
    ['in a circle', { '/a.csv': '/b', '/b': '/a.csv' }, /^STORAGE_INVALID: .*redirected in a circle/],
    ['to itself', { '/a.csv': '/a.csv' }, /^STORAGE_INVALID: .*redirected in a circle/],
    ['to itself but for what no server sees', { '/a.csv': '/a.csv#x' }, /^STORAGE_INVALID: .*redirected in a circle/],
    ['more than ten times', Object.fromEntries(Array.from({ length: 12 }, (_, i) => [i === 0 ? '/a.csv' : `/${i}`, `/${i + 1}`])), /^STORAGE_INVALID: .*more than 10 times/],
    ['to another scheme', { '/a.csv': 'ftp://host/x?secret' }, /^STORAGE_INVALID: .*no http or https URL/],
    ['to a file', { '/a.csv': 'file:///etc/passwd' }, /^STORAGE_INVALID: .*no http or https URL/],
    ['to no URL', { '/a.csv': 'http://[x?secret' }, /^STORAGE_INVALID: .*no http or https URL/],
    ['to nowhere', { '/a.csv': '' }, /^STORAGE_INVALID: .*no Location/],
  ]
  test.each(bad)('%s is an error and no version', async (_, chain, reason) => {
    const site = await webSite(at())
    await site.look()
    redirect(chain)
    const looked = await site.look()
    expect(looked).toMatchObject({ versions: 1, state: 'backoff', reason: expect.stringMatching(reason), action: expect.stringMatching(/./) })
    expect(await allTold(site)).not.toMatch(/secret/)
  })

  test('ten times is not too often', async () => {
    redirect(Object.fromEntries(Array.from({ length: 10 }, (_, i) => [i === 0 ? '/a.csv' : `/${i}`, `/${i + 1}`])))
    expect(await (await webSite(at())).look()).toMatchObject({ versions: 1, state: 'clean' })
  })

  test('without Location, or that is none (300, 304, 305), is an error and no version', async () => {
    for (const status of [302, 300, 304, 305, 306]) {
      web.answer = (_, response) => void response.writeHead(status).end()
      expect({ status, ...(await (await webSite(at())).look()) }).toMatchObject({ status, versions: 0, state: 'backoff', reason: expect.stringMatching(/^STORAGE_INVALID/) })
    }
  })
})

describe('a private address', () => {
  test.each([
    ['by its number', () => `http://127.0.0.1:${other.port}/`], ['in another notation', () => `http://2130706433:${other.port}/`], ['within IPv6', () => `http://[::ffff:127.0.0.1]:${other.port}/`],
    ['by name', () => `http://localhost:${other.port}/`], ['of the machine\'s own cloud', () => 'http://169.254.169.254/latest/meta-data/'], ['unspecified', () => `http://0.0.0.0:${other.port}/`],
  ])('reached by redirect, %s, is asked nothing unless allow_private', async (_, to) => {
    redirect({ '/a.csv': to() })
    const site = await webSite(at())
    expect(await site.look()).toMatchObject({
      versions: 0, state: 'backoff', reason: expect.stringMatching(/^LOCATION_DENIED: .*redirected to a private address/), action: expect.stringMatching(/http\.allow_private: true/),
    })
    expect(other.connections).toBe(0)
    if (to().includes('169.254')) return
    Object.assign(site.watch, { http: { allowPrivate: true } })
    expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
    expect(other.connections).toBeGreaterThan(0)
  })

  test('is judged at every connection, by the answer that it connects to: what a name meant before does not count', async () => {
    const asked: string[] = []
    redirect({ '/a.csv': `http://rebind.test:${other.port}/` })
    const answers = [[], ['127.0.0.1'], ['::ffff:127.0.0.1'], ['127.0.0.1']]
    const site = await webSite(at(), {}, { lookup: (host, options, answer) => names({ 'rebind.test': answers[asked.push(host) - 1] ?? [] })(host, options, answer) })
    expect(await site.look()).toMatchObject({ versions: 0, state: 'unavailable', reason: expect.stringMatching(/redirected to rebind\.test:\d+, is not there: no host of that name/) })
    for (const look of [2, 3, 4]) {
      expect(await site.look()).toMatchObject({ versions: 0, reason: expect.stringMatching(/redirected to a private address/) })
      expect(asked).toHaveLength(look)
    }
    expect(other.connections).toBe(0)
  })

  test('among public ones is refused, too', async () => {
    redirect({ '/a.csv': `http://mixed.test:${other.port}/` })
    const site = await webSite(at(), {}, { lookup: names({ 'mixed.test': ['203.0.113.1', '::1'] }) })
    expect(await site.look()).toMatchObject({ versions: 0, reason: expect.stringMatching(/private address \(::1\)/) })
    expect(other.connections).toBe(0)
  })

  test('is fine where the host that was written has it, also back there by redirect; a port beside it is another host', async () => {
    const lookup = names({ 'intra.test': ['127.0.0.1'] })
    redirect({ '/a.csv': `http://INTRA.test:${web.port}/b.csv`, '/b.csv': '/c.csv' })
    const site = await webSite(`http://intra.test:${web.port}/a.csv`, {}, { lookup })
    expect(await site.look()).toMatchObject({ versions: 1, state: 'clean' })
    redirect({ '/a.csv': `http://intra.test:${other.port}/b.csv` })
    expect(await site.look()).toMatchObject({ versions: 1, state: 'backoff', reason: expect.stringMatching(/private address/) })
    expect(other.connections).toBe(0)
  })
})
