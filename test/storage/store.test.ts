import { Memory } from '../../src/storage/memory.ts'
import { FakeGcs } from '../fakes/gcs.ts'
import { FakeS3 } from '../fakes/s3.ts'
import { tagOf, Web } from '../fakes/web.ts'
import { loneStoreSuite, storeSuite } from '../suite/store.ts'
import type { Ground } from '../suite/store.ts'
import { openWeb } from './http/web.ts'
import { openAt as openGcsAt } from './gcs/bucket.ts'
import { openAt } from './s3/bucket.ts'

function memoryGround(contentListed: boolean): () => Promise<Ground> {
  return async () => ({
    fresh: async () => {
      const memory = new Memory({ pageSize: 7, contentListed, versioned: contentListed })
      const gone = new Memory()
      gone.root = undefined
      return {
        open: async () => memory.open(),
        put: async (path, bytes) => memory.put(path, bytes),
        remove: async (path) => void memory.remove(path),
        putBeside: async () => undefined,
        openMissing: async () => gone.open(),
      }
    },
    stop: async () => undefined,
  })
}

storeSuite('the memory that lists contents', memoryGround(true), { many: 500, nastier: ['d//x', './x', 'd/../x', '/x'] })
storeSuite('the memory that does not', memoryGround(false), { many: 500 })

const NASTIER = ['d//x', 'd/./x', 'd/../x', '/x', '//', 'c\u0001x', '\u007f', 'a\r\nb', `${'s'.repeat(300)}/x`]

function fakeGround(setUp: (fake: FakeS3) => void): () => Promise<Ground> {
  return async () => {
    const fakes: FakeS3[] = []
    return {
      fresh: async () => {
        const fake = await FakeS3.start()
        setUp(fake)
        fakes.push(fake)
        return {
          open: () => openAt(fake.url, 'fake', 'data/mnist/'),
          put: async (path, bytes) => fake.put(`data/mnist/${path}`, bytes),
          remove: async (path) => fake.remove(`data/mnist/${path}`),
          putBeside: async () => {
            fake.put('data/mnist2/x', 'x')
            fake.put('data/mnist.txt', 'x')
          },
          openMissing: () => openAt(fake.url, 'not-fake', 'data/mnist/'),
        }
      },
      stop: async () => {
        for (const fake of fakes) await fake.stop()
      },
    }
  }
}

// '//' has no bytes below it here, but it ends in a slash and has some itself: an entry.
storeSuite('S3 with versions', fakeGround((fake) => void (fake.pageSize = 5)), { many: 200, nastier: NASTIER })
storeSuite('S3 without versions', fakeGround((fake) => Object.assign(fake, { versioned: false, pageSize: 5 })), { many: 200, nastier: NASTIER })
storeSuite('S3 that encodes nothing', fakeGround((fake) => Object.assign(fake, { encodes: false, pageSize: 5 })), { many: 200, nastier: NASTIER })
storeSuite('S3 that repeats rows at page edges', fakeGround((fake) => Object.assign(fake, { pageSize: 5, fault: (kind: string) => (kind === 'versions' ? 'repeat' : undefined) })), { many: 200, nastier: NASTIER })
storeSuite('S3 that may list no versions', fakeGround((fake) => Object.assign(fake, { versioned: false, pageSize: 5, fault: (kind: string) => (kind === 'versions' ? 'denied' : undefined) })), { many: 200, nastier: NASTIER })

loneStoreSuite('an object of S3', async () => {
  const fakes: FakeS3[] = []
  return {
    fresh: async () => {
      const fake = await FakeS3.start()
      fakes.push(fake)
      return {
        name: 'labels.csv',
        open: () => openAt(fake.url, 'fake', 'data/labels.csv'),
        put: async (bytes) => fake.put('data/labels.csv', bytes),
        putBeside: async () => fake.put('data/labels.csv2', 'x'),
      }
    },
    stop: async () => {
      for (const fake of fakes) await fake.stop()
    },
  }
})

// By ETag, by time and length, and by the bytes.
const SHOWN = { 'an ETag': { etag: tagOf('') }, 'Last-Modified': { modified: new Date('2026-01-01T00:00:00Z') }, nothing: {} }
for (const [what, shown] of Object.entries(SHOWN))
  for (const conditions of [true, false])
    loneStoreSuite(`an object of a web server that shows ${what}${conditions ? '' : ' and knows no conditions'}`, async () => {
      const webs: Web[] = []
      return {
        fresh: async () => {
          const web = await Web.start()
          webs.push(web)
          web.served = { body: '', conditions, ...shown }
          return {
            name: 'é b.csv',
            open: () => openWeb(`${web.url}/data/%C3%A9%20b.csv?rev=/1`, what === 'nothing' ? { checksum: 'content' } : {}),
            put: async (bytes) => web.put(bytes),
            putBeside: async () => undefined,
          }
        },
        stop: async () => {
          for (const web of webs) await web.stop()
        },
      }
    })
function gcsGround(how: { readonly composite?: boolean; readonly sealed?: boolean }): () => Promise<Ground> {
  return async () => {
    const fakes: FakeGcs[] = []
    return {
      fresh: async () => {
        const fake = await FakeGcs.start()
        fake.pageSize = 5
        fakes.push(fake)
        return {
          open: () => openGcsAt(fake.url, 'fake', 'data/mnist/'),
          put: async (path, bytes) => fake.put(`data/mnist/${path}`, bytes, how),
          remove: async (path) => fake.remove(`data/mnist/${path}`),
          putBeside: async () => {
            fake.put('data/mnist2/x', 'x')
            fake.put('data/mnist.txt', 'x')
          },
          openMissing: () => openGcsAt(fake.url, 'not-fake', 'data/mnist/'),
        }
      },
      stop: async () => {
        for (const fake of fakes) await fake.stop()
      },
    }
  }
}

// The longest key has 1,024 bytes, of which the prefix takes 11; the template is one that Google's own client would fill in.
const NASTIEST = [...NASTIER, '.', '..', 'd/.', 'd/..', '{{projectId}}', 'é'.repeat(506)]

storeSuite('GCS', gcsGround({}), { many: 200, nastier: NASTIEST, etagMoves: true })
storeSuite('GCS of composite objects', gcsGround({ composite: true }), { many: 200, etagMoves: true })
