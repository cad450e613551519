// The bytes of what needs no component: a memory, files, and the fakes that misbehave.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { openReader } from '../../src/storage/open.ts'
import { openGcsReader } from '../../src/storage/gcs/reader.ts'
import { openHttpReader } from '../../src/storage/http/reader.ts'
import { Memory } from '../../src/storage/memory.ts'
import { openS3Reader } from '../../src/storage/s3/reader.ts'
import { parseLocation } from '../../src/model/location.ts'
import type { Spoil } from '../fakes/body.ts'
import { FakeGcs } from '../fakes/gcs.ts'
import { FakeS3 } from '../fakes/s3.ts'
import { Web } from '../fakes/web.ts'
import { loneReaderSuite, readerSuite } from '../suite/reader.ts'
import type { Library } from '../suite/reader.ts'
import { useKeys } from './s3/bucket.ts'

const PREFIX = 'data/mnist/'
const SPOILS: readonly Spoil[] = ['cut', 'stall', 'flip', 'long', 'short', 'whole']
// Long beside a chunk on a busy machine.
const SILENT_MS = 2_000
const NASTIER = ['d//x', '//', './x', 'd/./x', 'd/../x', '../x', '/lead', 'c\u0001x', 'a\r\nb', 'nel\u0085', '%', '%zz', '%2e%2e', '+', '*', 'mp', 'mp/child', 'x'.repeat(255), `k/${'é'.repeat(505)}`]

const memories = (versioned: boolean, contentListed: boolean) => async (): Promise<Library> => ({
  fresh: async () => {
    const memory = new Memory({ versioned, contentListed })
    return {
      open: async () => memory.reader(PREFIX),
      key: (path) => PREFIX + path,
      put: async (path, bytes) => memory.put(path, bytes),
      remove: async (path) => void memory.remove(path),
      ...(contentListed && {
        openMissing: async () => {
          const gone = new Memory()
          gone.root = undefined
          return gone.reader()
        },
      }),
    }
  },
  stop: async () => undefined,
})

async function files(): Promise<Library> {
  const top = await mkdtemp(join(tmpdir(), 'varve-readers-'))
  let places = 0
  return {
    fresh: async () => {
      const folder = join(top, `${++places}`, 'mnist')
      return {
        open: () => openReader(parseLocation(`${folder}/`, '/'), { s3: {}, gcs: {}, http: {} }),
        key: (path) => `${folder}/${path}`,
        put: async (path, bytes) => {
          await mkdir(dirname(`${folder}/${path}`), { recursive: true })
          await writeFile(`${folder}/${path}`, bytes)
        },
        remove: (path) => rm(`${folder}/${path}`),
      }
    },
    stop: () => rm(top, { recursive: true }),
  }
}

const fakeS3 = (versioned: boolean) => async (): Promise<Library> => {
  useKeys()
  const started: FakeS3[] = []
  return {
    fresh: async () => {
      const fake = await FakeS3.start()
      started.push(fake)
      Object.assign(fake, { versioned, pageSize: 70 })
      const open = (bucket: string) => openS3Reader({ ...parseLocation(`s3://${bucket}/${PREFIX}`, '/'), endpoint: fake.url }, { endpoint: fake.url, region: 'us-east-1' }, SILENT_MS)
      return {
        open: () => open('fake'),
        key: (path) => PREFIX + path,
        put: async (path, bytes) => fake.put(PREFIX + path, bytes),
        remove: async (path) => fake.remove(PREFIX + path),
        spoil: (how) => void (fake.spoil = () => how),
        openMissing: () => open('fake-not'),
      }
    },
    stop: async () => void (await Promise.all(started.map((fake) => fake.stop()))),
  }
}

const fakeGcs = (versioned: boolean) => async (): Promise<Library> => {
  const started: FakeGcs[] = []
  return {
    fresh: async () => {
      const fake = await FakeGcs.start()
      started.push(fake)
      Object.assign(fake, { versioned, pageSize: 70 })
      const open = (bucket: string) => openGcsReader({ ...parseLocation(`gs://${bucket}/${PREFIX}`, '/'), endpoint: fake.url }, { endpoint: fake.url }, SILENT_MS)
      return {
        open: () => open('fake'),
        key: (path) => PREFIX + path,
        put: async (path, bytes) => fake.put(PREFIX + path, bytes),
        remove: async (path) => fake.remove(PREFIX + path),
        spoil: (how) => void (fake.spoil = () => how),
        openMissing: () => open('fake-not'),
      }
    },
    stop: async () => void (await Promise.all(started.map((fake) => fake.stop()))),
  }
}

const webs = (length: boolean) => async (): Promise<Library> => {
  const started: Web[] = []
  return {
    fresh: async () => {
      const web = await Web.start()
      started.push(web)
      web.served = { ...web.served, length, ...(length && { ranges: {} }) }
      const good = web.answer
      return {
        open: () => openHttpReader(parseLocation(`${web.url}/a/one.csv?x=1`, '/'), {}, { silentMs: SILENT_MS }),
        key: () => '/a/one.csv?x=1',
        put: async (_, bytes) => {
          web.answer = good
          web.put(bytes)
        },
        remove: async () => void (web.answer = (_, response) => void response.writeHead(404).end()),
        spoil: (spoil) => void (web.served = { ...web.served, ranges: { spoil } }),
      }
    },
    stop: async () => void (await Promise.all(started.map((web) => web.stop()))),
  }
}

readerSuite('a memory with versions', memories(true, true), { versioned: true, etag: true, many: 300, nastier: NASTIER })
readerSuite('a memory of files', memories(false, false), { versioned: false, etag: false, many: 300 })
readerSuite('files', files, { versioned: false, etag: false, many: 1_300 })
readerSuite('the fake S3 with versions', fakeS3(true), { versioned: true, etag: true, many: 300, spoils: SPOILS, nastier: NASTIER })
readerSuite('the fake S3 without versions', fakeS3(false), { versioned: false, etag: true, many: 300, nastier: NASTIER })
readerSuite('the fake GCS with versions', fakeGcs(true), { versioned: true, etag: true, many: 300, spoils: SPOILS, nastier: NASTIER })
readerSuite('the fake GCS without versions', fakeGcs(false), { versioned: false, etag: true, many: 300 })
loneReaderSuite('a web object', webs(true), { etag: true, spoils: SPOILS })
loneReaderSuite('a web object of untold length, of which no ranges are known', webs(false), { etag: true, readsTwice: true })
