import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { PubSub } from '@google-cloud/pubsub'
import { connectGcs } from '../../../src/storage/gcs/config.ts'
import { identityOf } from '../../../src/storage/gcs/identity.ts'
import { FakeIam } from '../../fakes/iam.ts'

// A token server, as workload identity federation has one, and beside it what would be asked if anybody looked for a metadata server.
let server: Server
let folder: string
let asked: string[]
let answer: { readonly status: number; readonly body: unknown } | undefined
const signal = new AbortController().signal
const KEPT = ['GOOGLE_APPLICATION_CREDENTIALS', 'GCE_METADATA_HOST', 'HOME', 'STORAGE_EMULATOR_HOST'] as const
const before = KEPT.map((name) => [name, process.env[name]] as const)

const url = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

/** A file that says to change the token in another file for one of Google's, at the token server. */
function keyFile(tokenUrl = `${url()}/token`): string {
  writeFileSync(join(folder, 'subject'), 'very-secret')
  const audience = '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/one'
  const credentials = { type: 'external_account', audience, subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', token_url: tokenUrl, credential_source: { file: join(folder, 'subject') } }
  const file = join(folder, 'key.json')
  writeFileSync(file, JSON.stringify(credentials))
  return file
}

const shown = async (access: Parameters<typeof connectGcs>[1]): Promise<string | null> =>
  (await (await connectGcs('gs://b/', access)).headers('https://example.com/storage/v1/b/b/o', signal)).get('authorization')

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'varve-key-'))
  asked = []
  answer = { status: 200, body: { access_token: 'token', issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', token_type: 'Bearer', expires_in: 3_600 } }
  server = createServer(async (request, response) => {
    asked.push(`${request.method} ${request.url} ${decodeURIComponent(await text(request))}`)
    if (answer !== undefined) response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  process.env['GCE_METADATA_HOST'] = new URL(url()).host
  process.env['HOME'] = folder
  delete process.env['GOOGLE_APPLICATION_CREDENTIALS']
})
afterEach(async () => {
  for (const [name, value] of before) if (value === undefined) delete process.env[name]
  else process.env[name] = value
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
  rmSync(folder, { recursive: true })
})

test('an emulator is shown nothing, no credentials are looked for, and no metadata server is asked', async () => {
  process.env['GOOGLE_APPLICATION_CREDENTIALS'] = join(folder, 'nowhere.json')
  expect(await shown({ endpoint: 'http://127.0.0.1:4443' })).toBeNull()
  expect(await shown({ endpoint: 'http://127.0.0.1:4443', credentialsFile: keyFile() })).toBeNull()
  expect(await shown({ endpoint: 'https://127.0.0.1:4443' })).toBeNull()
  expect(await shown({ endpoint: 'https://storage.googleapis.com.example.org' })).toBeNull()
  expect(asked).toEqual([])
})

test('the key file that the access names is used: at Google, and at an endpoint that it names too; the token may only read', async () => {
  for (const access of [{}, { endpoint: 'https://storage-psc.p.googleapis.com' }, { endpoint: 'https://gcs.example.org' }]) {
    asked.length = 0
    expect(await shown({ ...access, credentialsFile: keyFile() })).toBe('Bearer token')
    expect(asked).toEqual([expect.stringMatching(/^POST \/token .*scope=https:\/\/www\.googleapis\.com\/auth\/devstorage\.read_only&/)])
  }
})

test('the application-default credentials are used where no key file is named, whatever the emulator of others', async () => {
  process.env['STORAGE_EMULATOR_HOST'] = 'http://127.0.0.1:9'
  process.env['GOOGLE_APPLICATION_CREDENTIALS'] = keyFile()
  expect(await shown({})).toBe('Bearer token')
  expect(asked.length).toBe(1)
})

test('a token is kept while it lasts, and renewed when it does not', async () => {
  const gate = await connectGcs('gs://b/', { credentialsFile: keyFile() })
  const ask = async (): Promise<string | null> => (await gate.headers('https://storage.googleapis.com/', signal)).get('authorization')
  for (let times = 0; times < 3; times++) expect(await ask()).toBe('Bearer token')
  expect(asked.length).toBe(1)
  answer = { status: 200, body: { access_token: 'short', issued_token_type: 'x', token_type: 'Bearer', expires_in: 1 } }
  const other = await connectGcs('gs://b/', { credentialsFile: keyFile() })
  expect((await other.headers('https://storage.googleapis.com/', signal)).get('authorization')).toBe('Bearer short')
  answer = { status: 200, body: { access_token: 'newer', issued_token_type: 'x', token_type: 'Bearer', expires_in: 3_600 } }
  expect((await other.headers('https://storage.googleapis.com/', signal)).get('authorization')).toBe('Bearer newer')
})

test('credentials that are missing, or not valid, are named, without a word of what they hold', async () => {
  const broken = join(folder, 'broken.json')
  writeFileSync(broken, 'very-secret')
  for (const [credentialsFile, words] of [[join(folder, 'nowhere.json'), 'cannot be read (ENOENT)'], [broken, 'holds no JSON'], [folder, 'cannot be read (EISDIR)']] as const)
    await expect(shown({ credentialsFile })).rejects.toMatchObject({ code: 'CREDENTIALS', message: `the credentials file ${credentialsFile} ${words}`, hint: expect.stringMatching(/gcs\.credentials_file/) })
  answer = { status: 400, body: { error: 'invalid_grant', error_description: 'the subject is not known' } }
  await expect(shown({ credentialsFile: keyFile() })).rejects.toMatchObject({ code: 'CREDENTIALS', message: expect.stringMatching(/invalid_grant/) })
  // No file, no login, and the machine has no identity.
  answer = { status: 404, body: {} }
  await expect(shown({})).rejects.toMatchObject({ code: 'CREDENTIALS', message: expect.stringMatching(/default credentials/), hint: expect.stringMatching(/gcloud auth application-default login/) })
})

test('a token server that is down, or not reached, is unavailable, and asked again later', async () => {
  answer = { status: 503, body: {} }
  await expect(shown({ credentialsFile: keyFile() })).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  await expect(shown({ credentialsFile: keyFile('http://127.0.0.1:9/token') })).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
}, 60_000)

test('an abort ends the wait for a token server that does not answer', async () => {
  answer = undefined
  const stop = new AbortController()
  const gate = await connectGcs('gs://b/', { credentialsFile: keyFile() })
  const waiting = gate.headers('https://storage.googleapis.com/', stop.signal)
  setTimeout(() => stop.abort(new Error('enough')), 50)
  await expect(waiting).rejects.toThrow('enough')
})

describe('a service account that is impersonated', () => {
  const ACCOUNT = 'reader@project.iam.gserviceaccount.com'
  let iam: FakeIam
  beforeEach(async () => {
    iam = await FakeIam.start()
  })
  afterEach(() => iam.stop())

  const gate = (more: object = {}) => connectGcs('gs://b/', { impersonate: ACCOUNT, credentialsFile: keyFile(), ...more }, iam.url)
  const token = async (opened: Awaited<ReturnType<typeof gate>>): Promise<string | null> => (await opened.headers('https://storage.googleapis.com/', signal)).get('authorization')

  test('is asked for with the credentials of the watch, which may do that alone; its token may only read, and is kept while it lasts', async () => {
    const opened = await gate()
    expect([await token(opened), await token(opened)]).toEqual(['Bearer token-1', 'Bearer token-1'])
    expect(iam.asked).toEqual([{ by: 'Bearer token', account: ACCOUNT, scope: ['https://www.googleapis.com/auth/devstorage.read_only'] }])
    expect(asked).toEqual([expect.stringMatching(/scope=https:\/\/www\.googleapis\.com\/auth\/iam&/)])
    process.env['GOOGLE_APPLICATION_CREDENTIALS'] = keyFile()
    expect(await token(await connectGcs('gs://b/', { impersonate: ACCOUNT }, iam.url))).toBe('Bearer token-2')
  })

  test('is never stood in for by who impersonates it, whoever asks first', async () => {
    const opened = await gate()
    expect(new Set(await Promise.all(Array.from({ length: 8 }, () => token(opened)))).has('Bearer token')).toBe(false)
  })

  test('has its token renewed when that is about to end', async () => {
    iam.lastsMs = 60_000
    const opened = await gate()
    const first = await token(opened)
    iam.lastsMs = 3_600_000
    const [second, third] = [await token(opened), await token(opened)]
    expect([first === second, second === third]).toEqual([false, true])
  })

  test('that may not be impersonated, or is not there, is named with the permission; an IAM that is down is tried again', async () => {
    const opened = await gate()
    for (const status of [403, 404]) {
      iam.refuses = status
      await expect(token(opened)).rejects.toMatchObject({ code: 'CREDENTIALS', message: expect.stringContaining(`${ACCOUNT} cannot be impersonated (${status}: `), hint: expect.stringContaining('iam.serviceAccounts.getAccessToken') })
    }
    iam.refuses = 503
    await expect(token(opened)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
    iam.refuses = undefined
    expect(await token(opened)).toMatch(/^Bearer token-\d+$/)
  }, 60_000)

  test('is asked for by what hears its subscription, too', async () => {
    const { auth } = new PubSub({ projectId: 'p' })
    const client = await identityOf(auth, { impersonate: ACCOUNT, credentialsFile: keyFile() }, 'https://www.googleapis.com/auth/pubsub', iam.url)
    auth.cachedCredential = client
    expect((await (await auth.getClient()).getRequestHeaders('https://pubsub.googleapis.com/')).get('authorization')).toBe('Bearer token-1')
    expect(iam.asked).toMatchObject([{ account: ACCOUNT, scope: ['https://www.googleapis.com/auth/pubsub'] }])
  })

  test('is shown to an emulator as nobody', async () => {
    expect(await token(await gate({ endpoint: 'http://127.0.0.1:4443' }))).toBeNull()
    expect(iam.asked).toEqual([])
  })
})
