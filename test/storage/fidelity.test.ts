import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseLocation } from '../../src/model/location.ts'
import { fileSource } from '../../src/storage/file/notifications.ts'
import { parseNotification as parseGcs } from '../../src/storage/gcs/notifications.ts'
import type { Hint } from '../../src/storage/storage.ts'
import { FakeGcs } from '../fakes/gcs.ts'
import { FakeS3 } from '../fakes/s3.ts'
import { realClock } from '../laws/world.ts'
import { fidelitySuite } from '../suite/fidelity.ts'
import type { Site } from '../suite/fidelity.ts'
import { useKeys } from './s3/bucket.ts'
import { told } from './s3/dresses.ts'

const PREFIX = 'data/mnist/'

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
    hints: async (paths) => paths.flatMap((path) => told('fake', PREFIX + path)),
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
