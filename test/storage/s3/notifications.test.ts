import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { heardOf, parseNotification, parsePost } from '../../../src/storage/s3/notifications.ts'
import type { Told } from '../../../src/storage/s3/notifications.ts'
import type { Hint } from '../../../src/storage/storage.ts'

const FOLDER = join(import.meta.dirname, '../../golden/events')

const HALF = 'half-understood.json'
const DIRECT = ['datasets/mnist/train set/a+b=1.png', 'datasets/mnist/😀', 'datasets/mnist/old']
const BRIDGE = ['datasets/mnist/train set/a+b=1.png', 'datasets/mnist/train set/a b=1.png']
const EXPECTED: Readonly<Record<string, readonly string[] | 'test' | undefined>> = {
  'direct.json': DIRECT,
  'sns.json': DIRECT,
  'eventbridge.json': BRIDGE,
  'eventbridge-in-sns.json': BRIDGE,
  'eventbridge-deleted.json': ['datasets/mnist/gone'],
  'minio.json': ['datasets/mnist/a b'],
  'moto.json': ['datasets/mnist/a b'],
  'versitygw.json': ['datasets/mnist/100%'],
  'ceph.json': ['datasets/mnist/a'],
  'unknown-event.json': ['datasets/mnist/train set/a+b=1.png'],
  'test-event.json': 'test',
  'sns-test-event.json': 'test',
}

describe('a message in any dress tells where to look', () => {
  test.each(readdirSync(FOLDER).filter((file) => !file.startsWith('gcs-') && file !== HALF))('%s', (file) => {
    const parsed = parseNotification(readFileSync(join(FOLDER, file), 'utf8'))
    const expected = EXPECTED[file]
    if (!Array.isArray(expected)) expect(parsed).toBe(expected)
    else expect(parsed).toEqual(expected.map((key) => ({ scheme: 's3', bucket: 'my-bucket', key, whole: false })))
    expect(file in EXPECTED || file.startsWith('poison-')).toBe(true)
  })
})

const POSTS = join(import.meta.dirname, '../../golden/posts')
const hint = (key: string, bucket = 'my-bucket'): Hint => ({ scheme: 's3', bucket, key, whole: key === '' })
const POSTED: Readonly<Record<string, Told>> = {
  'ceph-raw.json': [hint('datasets/mnist/a b'), hint('datasets/mnist/a+b')],
  'ceph-tenant.json': [hint('datasets/mnist/a')],
  'half-understood.json': { half: [hint('datasets/mnist/a b'), hint('datasets%2Fmnist%2Fa+b')] },
  'minio-bucket.json': [hint('')],
  'minio-encoded-twice.json': [hint('datasets/mnist/a%20b+c')],
  'minio-marker.json': [hint('datasets/mnist/a b')],
  'rustfs.json': [hint('datasets/mnist/a b'), hint('datasets%2Fmnist%2Fa+b')],
  'seaweedfs-bucket.json': [hint('')],
  'seaweedfs-create.json': [hint('datasets/mnist/100%+x')],
  'seaweedfs-delete.json': [hint('datasets/mnist/a b')],
  'seaweedfs-elsewhere.json': [],
  'seaweedfs-part.json': [],
  'seaweedfs-rename.json': [hint('datasets/old'), hint('datasets/mnist/new')],
  'seaweedfs-version.json': [hint('datasets/mnist/a.versions/v_0a1b'), hint('datasets/mnist/a')],
  'versitygw-delete.json': [hint('datasets/mnist/100%')],
  'versitygw-raw.json': [hint('datasets/mnist/a b c'), hint('datasets/mnist/a+b%20c')],
  'versitygw-test.json': 'test',
}

test('of a message that is half understood, that half is told, in either dress', () => {
  const body = readFileSync(join(FOLDER, HALF), 'utf8')
  const key = 'datasets/mnist/train set/a+b=1.png'
  for (const told of [body, JSON.stringify({ Type: 'Notification', Message: body })].map(parseNotification)) {
    expect(told).toEqual({ half: [hint(key)] })
    expect(heardOf(told)).toEqual({ hints: [hint(key)], whole: false })
  }
  expect(heardOf(parsePost(body))).toMatchObject({ hints: expect.arrayContaining([hint(key)]), whole: false })
})

describe('what stores post tells where to look, in every reading that it may have', () => {
  test.each(readdirSync(POSTS))('%s', (file) => {
    expect(parsePost(readFileSync(join(POSTS, file), 'utf8'))).toEqual(POSTED[file])
    expect(file in POSTED || file.startsWith('poison-')).toBe(true)
  })
  test.each(readdirSync(FOLDER).filter((file) => file !== HALF))('what S3 writes is taken, too: %s', (file) => {
    const body = readFileSync(join(FOLDER, file), 'utf8')
    const [told, posted] = [parseNotification(body), parsePost(body)]
    if (Array.isArray(told)) expect(posted).toEqual(expect.arrayContaining([...told]))
    else expect(posted).toBe(told)
  })
})

test('a key comes through, raw or encoded, whatever it is', () => {
  const post = (key: string): string => JSON.stringify({ Records: [{ eventVersion: '2.1', s3: { bucket: { name: 'b' }, object: { key } } }] })
  fc.assert(fc.property(fc.string({ unit: 'binary', minLength: 1 }).filter((key) => key.isWellFormed()), (key) => {
    for (const written of [key, encodeURIComponent(key), encodeURIComponent(key).replaceAll('%20', '+').replaceAll('%2F', '/')])
      expect(parsePost(post(written))).toContainEqual(hint(key, 'b'))
  }))
})

test('every key that a form encodes comes out exactly', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', minLength: 1 }).filter((key) => key.isWellFormed()), (key) => {
    const body = JSON.stringify({ Records: [{ eventVersion: '2.1', s3: { bucket: { name: 'b' }, object: { key: encodeURIComponent(key).replaceAll('%20', '+') } } }] })
    expect(parseNotification(body)).toEqual([{ scheme: 's3', bucket: 'b', key, whole: false }])
  }))
})

test('a message without records hints nothing, and is no poison', () => {
  expect(parseNotification('{"Records":[]}')).toEqual([])
})

describe('no text makes it throw', () => {
  const isAnswer = (answer: unknown): boolean => answer === undefined || answer === 'test' || Array.isArray(answer) || Array.isArray((answer as { half?: unknown }).half)

  test('any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (body) => isAnswer(parseNotification(body)) && isAnswer(parsePost(body))))
  })
  test('any JSON', () => {
    fc.assert(fc.property(fc.json(), (body) => isAnswer(parseNotification(body)) && isAnswer(parsePost(body))))
  })
  test('any JSON under the names that are read', () => {
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom(null, 1, '', 'aws.s3', 'Notification', 's3:TestEvent', '2.1', 'x', '/buckets/b/k', '/buckets/'),
        fc.array(tie('any'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('Records', 's3', 'bucket', 'object', 'name', 'key', 'Type', 'Message', 'source', 'detail', 'Event', 'eventVersion', 'Key', 'event_type', 'message', 'new_parent_path', 'new_entry', '__proto__'), tie('any'), { maxKeys: 5 }),
      ),
    })).any
    const reads = [parseNotification, parsePost]
    fc.assert(fc.property(value, (one) => reads.every((read) => isAnswer(read(JSON.stringify(one))) && isAnswer(read(JSON.stringify({ Type: 'Notification', Message: JSON.stringify(one) }))))), { numRuns: 500 })
  })
})
