import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parseNotification } from '../../../src/storage/s3/notifications.ts'

const FOLDER = join(import.meta.dirname, '../../golden/events')

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
  test.each(readdirSync(FOLDER).filter((file) => !file.startsWith('gcs-')))('%s', (file) => {
    const parsed = parseNotification(readFileSync(join(FOLDER, file), 'utf8'))
    const expected = EXPECTED[file]
    if (!Array.isArray(expected)) expect(parsed).toBe(expected)
    else expect(parsed).toEqual(expected.map((key) => ({ scheme: 's3', bucket: 'my-bucket', key, whole: false })))
    expect(file in EXPECTED || file.startsWith('poison-')).toBe(true)
  })
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
  const isAnswer = (answer: unknown): boolean => answer === undefined || answer === 'test' || Array.isArray(answer)

  test('any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (body) => isAnswer(parseNotification(body))))
  })
  test('any JSON', () => {
    fc.assert(fc.property(fc.json(), (body) => isAnswer(parseNotification(body))))
  })
  test('any JSON under the names that are read', () => {
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom(null, 1, '', 'aws.s3', 'Notification', 's3:TestEvent', '2.1', 'x'),
        fc.array(tie('any'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('Records', 's3', 'bucket', 'object', 'name', 'key', 'Type', 'Message', 'source', 'detail', 'Event', 'eventVersion', '__proto__'), tie('any'), { maxKeys: 5 }),
      ),
    })).any
    fc.assert(fc.property(value, (one) => isAnswer(parseNotification(JSON.stringify(one))) && isAnswer(parseNotification(JSON.stringify({ Type: 'Notification', Message: JSON.stringify(one) })))), { numRuns: 500 })
  })
})
