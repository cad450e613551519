// Who asks: profiles, roles, and credentials that end while Varve runs.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { describe as words } from '../../../src/model/errors.ts'
import type { S3Access } from '../../../src/model/watch.ts'
import { sqsSource } from '../../../src/storage/s3/sqs.ts'
import { openS3Store } from '../../../src/storage/s3/store.ts'
import type { Hint, Store } from '../../../src/storage/storage.ts'
import { FakeS3 } from '../../fakes/s3.ts'
import { FakeSqs } from '../../fakes/sqs.ts'
import { FakeSts } from '../../fakes/sts.ts'
import { scanned } from '../../suite/store.ts'
import { useKeys } from './bucket.ts'

const ROLE = 'arn:aws:iam::123456789012:role/reader'
const signal = new AbortController().signal

let folder: string
let s3: FakeS3
let sts: FakeSts
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'varve-identity-'))
  process.env['AWS_SHARED_CREDENTIALS_FILE'] = join(folder, 'credentials')
  process.env['AWS_CONFIG_FILE'] = join(folder, 'config')
  writeFileSync(join(folder, 'config'), '')
  useKeys()
  s3 = await FakeS3.start()
  sts = await FakeSts.start()
  s3.put('x/a', 'one')
})
afterEach(async () => {
  await Promise.all([s3.stop(), sts.stop()])
  rmSync(folder, { recursive: true })
})

/** `name: key` of each profile; the secret says whose it is. */
function profiles(keys: Readonly<Record<string, string>>): void {
  writeFileSync(join(folder, 'credentials'), Object.entries(keys).map(([name, key]) => `[${name}]\naws_access_key_id = ${key}\naws_secret_access_key = secret-of-${key}\n`).join('\n'))
}

function store(access: S3Access): Promise<Store> {
  return openS3Store({ scheme: 's3', endpoint: s3.url, bucket: 'fake', prefix: 'x/' }, { endpoint: s3.url, region: 'us-east-1', ...access }, undefined)
}

/** One look: the keys that signed its requests. Throws what the store says. */
async function look(access: S3Access): Promise<string[]> {
  const from = s3.keyIds.length
  const opened = await store(access)
  try {
    await scanned(opened, signal)
  } finally {
    await opened.close()
  }
  return [...new Set(s3.keyIds.slice(from))]
}

async function failure(access: S3Access): Promise<{ code: string; message: string; hint: string }> {
  return look(access).then(() => { throw new Error('it was let in') }, (error: unknown) => error as { code: string; message: string; hint: string })
}

const role = (more: S3Access = {}): S3Access => ({ role: ROLE, stsEndpoint: sts.url, ...more })

test('a profile goes before the environment, each watch its own', async () => {
  profiles({ one: 'AKIAONE', two: 'AKIATWO' })
  expect([await look({ profile: 'one' }), await look({ profile: 'two' }), await look({})]).toEqual([['AKIAONE'], ['AKIATWO'], ['varve']])
})

test('a profile that is not there, or tells nothing, is named with the files that were searched, and the identity of the machine is not taken for it', async () => {
  profiles({ one: 'AKIAONE' })
  writeFileSync(join(folder, 'config'), '[profile bare]\nregion = us-east-1\n')
  const sharedFiles = [join(folder, 'credentials'), join(folder, 'config')]
  for (const profile of ['nobody', 'bare'])
    expect(await failure({ profile, sharedFiles })).toMatchObject({
      code: 'CREDENTIALS', message: expect.stringContaining(`the profile ${profile} (s3.profile) tells no credentials: `), hint: `${sharedFiles.join(' and ')} were searched: give it some there, or name another in s3.profile`,
    })
})

describe('a role', () => {
  test('is assumed under the name varve, by the profile, and shared by the looks that follow', async () => {
    profiles({ one: 'AKIAONE', two: 'AKIATWO' })
    expect([await look(role({ profile: 'one' })), await look(role({ profile: 'one' }))]).toEqual([[sts.assumptions[0]?.given], [sts.assumptions[0]?.given]])
    expect(await look(role({ profile: 'two' }))).toEqual([sts.assumptions[1]?.given])
    expect(await look(role())).toEqual([sts.assumptions[2]?.given])
    expect(sts.assumptions.map(({ by, role, session }) => [by, role, session])).toEqual([['AKIAONE', ROLE, 'varve'], ['AKIATWO', ROLE, 'varve'], ['varve', ROLE, 'varve']])
  })

  test('looks at once assume it once', async () => {
    await Promise.all([look(role()), look(role()), look(role())])
    expect(sts.assumptions.length).toBe(1)
  })

  test('that is about to end is assumed anew, within one look if need be', async () => {
    sts.lastsMs = 60_000
    s3.admits = (keyId) => keyId === sts.assumptions.at(-1)?.given
    await look(role())
    const before = sts.assumptions.length
    await look(role())
    expect(sts.assumptions.length).toBeGreaterThan(before)
    const opened = await store(role())
    await scanned(opened, signal)
    const between = sts.assumptions.length
    await scanned(opened, signal)
    expect(sts.assumptions.length).toBeGreaterThan(between)
    await opened.close()
  })

  test.each([[403, 'AccessDenied'], [400, 'ValidationError'], [403, 'InvalidClientTokenId']] as const)('that may not be assumed says so, and no secret: %d %s', async (status, code) => {
    sts.refuses = [status, code]
    const error = await failure(role())
    expect(error).toMatchObject({ code: 'CREDENTIALS', message: `the role ${ROLE} cannot be assumed (${code})`, hint: expect.stringContaining('sts:AssumeRole') })
    expect(words(error) + error.hint).not.toMatch(/secret/i)
    sts.refuses = undefined
    expect(await look(role())).toEqual([sts.assumptions[0]?.given])
  })

  test('with an STS that is down is tried again: that is no fault of the credentials', async () => {
    sts.refuses = [503, 'ServiceUnavailable']
    expect(await failure(role())).toMatchObject({ code: 'STORAGE_UNAVAILABLE', message: expect.stringContaining(`the role ${ROLE} cannot be assumed: STS does not answer`) })
    expect(await failure(role({ stsEndpoint: 'http://127.0.0.1:1' }))).toMatchObject({ code: 'STORAGE_UNAVAILABLE', hint: expect.stringContaining('AWS_ENDPOINT_URL_STS') })
  })

  test('without credentials to assume it with says which are missing', async () => {
    profiles({ one: 'AKIAONE' })
    expect(await failure(role({ profile: 'none' }))).toMatchObject({ code: 'CREDENTIALS', message: expect.stringContaining('the profile none (s3.profile) tells no credentials: ') })
  })
})

describe('credentials that change while Varve runs', () => {
  test('in the shared file are those of the next look', async () => {
    s3.admits = (keyId) => keyId === 'AKIANEW'
    profiles({ one: 'AKIAOLD' })
    const error = await failure({ profile: 'one' })
    expect(error).toMatchObject({ code: 'CREDENTIALS', message: 's3://fake/x/ cannot be asked: the credentials are missing or not valid (InvalidAccessKeyId)' })
    expect(words(error) + error.hint).not.toMatch(/secret-of|AKIAOLD/)
    profiles({ one: 'AKIANEW' })
    expect(await look({ profile: 'one' })).toEqual(['AKIANEW'])
  })

  test('that a program tells, with their end, are asked for anew when that is near', async () => {
    const program = join(folder, 'tell.sh')
    writeFileSync(program, `#!/bin/sh
n=$(($(cat ${folder}/n 2>/dev/null || echo 0) + 1)); echo $n > ${folder}/n
echo "{\\"Version\\":1,\\"AccessKeyId\\":\\"AKIA$n\\",\\"SecretAccessKey\\":\\"secret\\",\\"SessionToken\\":\\"token\\",\\"Expiration\\":\\"$(date -u -d '+1 minute' +%Y-%m-%dT%H:%M:%SZ)\\"}"
`)
    chmodSync(program, 0o755)
    writeFileSync(join(folder, 'credentials'), '')
    writeFileSync(join(folder, 'config'), `[profile told]\ncredential_process = ${program}\n`)
    const opened = await store({ profile: 'told' })
    // How often the SDK asks is its own affair.
    for (let tries = 0; new Set(s3.keyIds).size < 2 && tries < 500; tries++) {
      await scanned(opened, signal)
      await sleep(20)
    }
    await opened.close()
    expect(new Set(s3.keyIds).size).toBeGreaterThan(1)
    expect(s3.keyIds.every((keyId) => /^AKIA\d+$/.test(keyId))).toBe(true)
  })

  test('are those of a queue, too, though it is heard all the time', async () => {
    const queue = await FakeSqs.start()
    const logged: string[] = []
    const heard: Hint[] = []
    const stop = new AbortController()
    const clock = { now: Date.now, monotonic: () => performance.now(), random: () => 0, sleep: (_: number, until?: AbortSignal) => sleep(5, undefined, until === undefined ? {} : { signal: until }).catch(() => undefined) }
    const log = { info: (_: unknown, message: string) => void logged.push(message), warn: (fields: unknown, message: string) => void logged.push(`${message} ${JSON.stringify(fields)}`) }
    profiles({ one: 'AKIAOLD' })
    queue.admits = (keyId) => keyId === 'AKIANEW'
    queue.send(JSON.stringify({ Records: [{ s3: { bucket: { name: 'fake' }, object: { key: 'x/a' } } }] }))
    const source = sqsSource({ url: queue.url, access: { profile: 'one', region: 'us-east-1' }, locations: [] }, clock, log)
    const listening = source.listen(async (hints) => void heard.push(...hints), stop.signal)
    const until = async (fact: () => boolean): Promise<void> => {
      for (let tries = 0; !fact(); tries++) {
        if (tries > 2_000) throw new Error(`it never came: ${JSON.stringify({ heard, logged, requests: queue.requests })}`)
        await sleep(5)
      }
    }
    await until(() => queue.requests.filter((one) => one.endsWith('of a stranger')).length >= 3)
    profiles({ one: 'AKIANEW' })
    await until(() => queue.left().length === 0)
    expect(heard.map(({ key }) => key)).toEqual(['x/a'])
    // A role that was taken away from it, and given back under another key.
    queue.admits = (keyId) => keyId === 'AKIALAST'
    await until(() => logged.filter((line) => line.startsWith('the queue is not heard')).length === 2)
    profiles({ one: 'AKIALAST' })
    await until(() => logged.filter((line) => line === 'the queue is heard again').length === 2)
    stop.abort()
    await listening
    await queue.stop()
    expect(logged.join()).not.toMatch(/secret|AKIA/)
  }, 60_000)
})
