import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseLocation } from '../../src/model/location.ts'
import { fileSource } from '../../src/storage/file/notifications.ts'
import { parseNotification as parseGcs } from '../../src/storage/gcs/notifications.ts'
import { parseNotification, parsePost } from '../../src/storage/s3/notifications.ts'
import type { Hint } from '../../src/storage/storage.ts'
import { FakeGcs } from '../fakes/gcs.ts'
import { FakeS3 } from '../fakes/s3.ts'
import { realClock } from '../laws/world.ts'
import { fidelitySuite } from '../suite/fidelity.ts'
import type { Site } from '../suite/fidelity.ts'
import { useKeys } from './s3/bucket.ts'

const PREFIX = 'data/mnist/'

/** As Go's `url.QueryEscape` and AWS encode: AWS leaves the slash. */
const form = (key: string): string => encodeURIComponent(key).replaceAll('%20', '+')

/** A key in every dress that stores send it in. */
function dressed(bucket: string, key: string): readonly string[] {
  const record = (text: string): string => JSON.stringify({ Records: [{ eventVersion: '2.1', s3: { bucket: { name: bucket }, object: { key: text } } }] })
  const bridge = JSON.stringify({ source: 'aws.s3', detail: { bucket: { name: bucket }, object: { key } } })
  const inSns = JSON.stringify({ Type: 'Notification', TopicArn: 'arn:aws:sns:us-east-1:1:t', Message: record(form(key)) })
  return [record(form(key)), record(form(key).replaceAll('%2F', '/')), bridge, inSns]
}

/** What a store posts of a key: raw as versitygw, encoded as MinIO. */
function posted(bucket: string, key: string): readonly Hint[] {
  return [key, form(key)].flatMap((text) => {
    const told = parsePost(JSON.stringify({ Records: [{ eventVersion: '2.2', s3: { bucket: { name: bucket }, object: { key: text } } }] }))
    if (told === undefined || told === 'test') throw new Error(`not understood: ${text}`)
    return told
  })
}

async function fakeS3(versioned: boolean): Promise<Site> {
  useKeys()
  const fake = await FakeS3.start()
  Object.assign(fake, { versioned, pageSize: 7 })
  return {
    watch: {
      locations: [{ ...parseLocation(`s3://fake/${PREFIX}`, '/'), endpoint: fake.url }], s3: { endpoint: fake.url, region: 'us-east-1' }, events: { kind: 'sqs', url: 'none' },
    },
    put: async (path, bytes) => fake.put(PREFIX + path, bytes),
    remove: async (path) => fake.remove(PREFIX + path),
    putBeside: async () => {
      for (const key of ['data/mnist', 'data/mnist2/x', 'data/mnist.txt', 'data/mnis']) fake.put(key, 'x')
    },
    hints: async (paths) => paths.flatMap((path) => dressed('fake', PREFIX + path).flatMap((body) => {
      const hints = parseNotification(body)
      if (hints === undefined || hints === 'test') throw new Error(`not understood: ${body}`)
      return hints
    }).concat(posted('fake', PREFIX + path))),
    stop: () => fake.stop(),
  }
}

async function fakeGcs(): Promise<Site> {
  const fake = await FakeGcs.start()
  fake.pageSize = 7
  return {
    watch: {
      locations: [{ ...parseLocation(`gs://fake/${PREFIX}`, '/'), endpoint: fake.url }], gcs: { endpoint: fake.url }, events: { kind: 'pubsub', subscription: 'none' },
    },
    put: async (path, bytes) => fake.put(PREFIX + path, bytes),
    remove: async (path) => fake.remove(PREFIX + path),
    putBeside: async () => {
      for (const key of ['data/mnist', 'data/mnist2/x', 'data/mnist.txt', 'data/mnis']) fake.put(key, 'x')
    },
    hints: async (paths) => paths.flatMap((path) => parseGcs({ bucketId: 'fake', objectId: PREFIX + path }) ?? []),
    stop: () => fake.stop(),
  }
}

async function folder(): Promise<Site> {
  const top = mkdtempSync(join(tmpdir(), 'varve-names-'))
  const root = join(top, 'mnist')
  mkdirSync(root)
  const heard: Hint[] = []
  const stop = new AbortController()
  const location = parseLocation(`${root}/`, '/')
  const write = (path: string, bytes: string): void => {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, bytes)
  }
  const listening = fileSource(location, realClock()).listen(async (hints) => void heard.push(...hints), stop.signal)
  return {
    watch: { locations: [location] },
    put: async (path, bytes) => write(join(root, path), bytes),
    remove: async (path) => rmSync(join(root, path)),
    putBeside: async () => {
      write(join(top, 'mnist2', 'x'), 'x')
      write(join(top, 'mnist.txt'), 'x')
    },
    hints: async (paths) => {
      const wanted = new Set(paths.map((path) => join(root, path)))
      for (let tries = 0; tries < 200 && [...wanted].some((key) => !heard.some((hint) => hint.key === key)); tries++) await realClock().sleep(50)
      return heard.splice(0).filter((hint) => !hint.whole)
    },
    stop: async () => {
      stop.abort()
      await listening
      rmSync(top, { recursive: true })
    },
  }
}

/** What a path of files has no room for. */
const noFile = (name: string): boolean => name.startsWith('/') || name.endsWith('/') || name === 'mp' || name.split('/').some((part) => ['', '.', '..'].includes(part) || Buffer.byteLength(part) > 255)

fidelitySuite('S3 with versions', () => fakeS3(true))
fidelitySuite('S3 without versions', () => fakeS3(false))
fidelitySuite('GCS', fakeGcs)
fidelitySuite('a folder', folder, noFile)
