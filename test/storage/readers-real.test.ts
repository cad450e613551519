// needs: minio, versitygw, moto, fake-gcs-server, nginx
import { hash, randomBytes } from 'node:crypto'
import { renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CompleteMultipartUploadCommand, CreateMultipartUploadCommand, DeleteObjectCommand, PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3'
import { describe, expect, test } from '@jest/globals'
import { parseLocation } from '../../src/model/location.ts'
import { openGcsReader } from '../../src/storage/gcs/reader.ts'
import { openHttpReader } from '../../src/storage/http/reader.ts'
import { openS3Reader } from '../../src/storage/s3/reader.ts'
import { start } from '../components.ts'
import { bytesOf, loneReaderSuite, readerSuite } from '../suite/reader.ts'
import type { Library } from '../suite/reader.ts'
import { freshBucket as freshGcs } from './gcs/bucket.ts'
import { clientOf, freshBucket, locationAt, useKeys } from './s3/bucket.ts'

const PREFIX = 'data/mnist/'
const MIB = 1024 * 1024
const going = new AbortController().signal

const s3 = (component: 'minio' | 'moto' | 'versitygw', versioned: boolean) => async (): Promise<Library> => {
  useKeys()
  const running = await start(component)
  const client = clientOf(running.url)
  const open = (bucket: string) => openS3Reader(locationAt(running.url, bucket, PREFIX), { endpoint: running.url, region: 'us-east-1' })
  return {
    fresh: async () => {
      const bucket = await freshBucket(client, versioned)
      return {
        open: () => open(bucket),
        key: (path) => PREFIX + path,
        put: async (path, bytes) => void (await client.send(new PutObjectCommand({ Bucket: bucket, Key: PREFIX + path, Body: bytes, ContentLength: Buffer.byteLength(bytes) }))),
        remove: async (path) => void (await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: PREFIX + path }))),
        openMissing: () => open(`${bucket}-not`),
      }
    },
    stop: async () => {
      client.destroy()
      await running.stop()
    },
  }
}

const gcs = (versioned: boolean) => async (): Promise<Library> => {
  const running = await start('fake-gcs-server')
  return {
    fresh: async () => {
      const bucket = await freshGcs(running.url, versioned)
      const open = (name: string) => openGcsReader({ scheme: 'gs', endpoint: running.url, bucket: name, prefix: PREFIX }, { endpoint: running.url })
      return {
        open: () => open(bucket.name),
        key: (path) => PREFIX + path,
        put: (path, bytes) => bucket.file(PREFIX + path).save(bytes, { resumable: false }),
        remove: async (path) => void (await bucket.file(PREFIX + path).delete()),
        openMissing: () => open(`${bucket.name}-not`),
      }
    },
    stop: () => running.stop(),
  }
}

async function nginx(): Promise<Library> {
  const running = await start('nginx')
  let places = 0
  return {
    fresh: async () => {
      const name = `${++places}.bin`
      const path = join(running.folder, 'www', name)
      let second = 0
      return {
        open: () => openHttpReader(parseLocation(`${running.url}/${name}`, '/'), {}),
        key: () => `/${name}`,
        put: async (_, bytes) => {
          // Its ETag is made of time and length.
          writeFileSync(`${path}.new`, bytes)
          utimesSync(`${path}.new`, 1_767_225_600 + ++second, 1_767_225_600 + second)
          renameSync(`${path}.new`, path)
        },
        remove: async () => rmSync(path),
      }
    },
    stop: () => running.stop(),
  }
}

readerSuite('MinIO with versions', s3('minio', true), { versioned: true, etag: true, many: 1_050, refuses: ['d/a/b', 'd/'] })
readerSuite('MinIO without versions', s3('minio', false), { versioned: false, etag: true, many: 300 })
readerSuite('versitygw with versions', s3('versitygw', true), { versioned: true, etag: true, many: 1_050, refuses: ['d/a/b', 'd/'] })
readerSuite('moto with versions', s3('moto', true), { versioned: true, etag: true, many: 1_050, refuses: ['line\nbreak'] })
readerSuite('fake-gcs-server with generations', gcs(true), { versioned: true, etag: true, many: 100 })
loneReaderSuite('a file of nginx', nginx, { etag: true })

// Moto shows a part under an ETag of its own, so that nothing says that it is one of this object.
describe.each(['minio', 'versitygw'] as const)('an upload in parts to %s', (component) => {
  test.each([[[5 * MIB, 5 * MIB, 1_000]], [[8 * MIB, 5]], [[6 * MIB]], [[5 * MIB, 6 * MIB]], [[6 * MIB, 5 * MIB, 1]], [[5 * MIB, 6 * MIB, 4 * MIB]]])('of %j bytes: the sizes of its parts are told, and the MD5s of these make the ETag', async (sizes) => {
    useKeys()
    const running = await start(component)
    const client = clientOf(running.url)
    const bucket = await freshBucket(client, true)
    const parts = sizes.map((size) => randomBytes(size))
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: 'd/a' }))
    const done = []
    for (const [at, Body] of parts.entries()) {
      const { ETag } = await client.send(new UploadPartCommand({ Bucket: bucket, Key: 'd/a', UploadId, PartNumber: at + 1, Body, ContentLength: Body.length }))
      done.push({ ETag, PartNumber: at + 1 })
    }
    await client.send(new CompleteMultipartUploadCommand({ Bucket: bucket, Key: 'd/a', UploadId, MultipartUpload: { Parts: done } }))
    const reader = await openS3Reader(locationAt(running.url, bucket, 'd/'), { endpoint: running.url, region: 'us-east-1' })
    const opened = await reader.open('d/a', {}, going)
    const whole = Buffer.concat(parts)
    expect((await bytesOf(opened)).equals(whole)).toBe(true)
    const alike = sizes.every((size, at) => size === sizes[0] || (at === sizes.length - 1 && size < (sizes[0] as number)))
    for (const each of [false, true]) expect(await opened.partBytes?.(going, each)).toEqual(alike ? sizes.slice(0, 1) : sizes)
    const sums = parts.map((part) => hash('md5', part, 'hex'))
    expect(opened.content?.etag).toBe(`${hash('md5', Buffer.from(sums.join(''), 'hex'), 'hex')}-${sums.length}`)
    await reader.close()
    client.destroy()
    await running.stop()
  }, 60_000)
})
