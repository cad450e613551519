import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parseNotification } from '../../../src/storage/gcs/notifications.ts'

const FOLDER = join(import.meta.dirname, '../../golden/events')
const KEY = 'datasets/mnist/train set/a+b=1 %20😀.png'

/** The messages of the golden files, as REST writes them; those named poison speak of no object. */
const FILES = readdirSync(FOLDER).filter((file) => file.startsWith('gcs-'))

describe('a message tells where to look by its attributes, whatever happened and whatever its body', () => {
  test.each(FILES)('%s', (file) => {
    const { attributes } = JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as { attributes?: unknown }
    const key = file === 'gcs-folder-placeholder.json' ? 'datasets/mnist/new folder/' : KEY
    expect(parseNotification(attributes)).toEqual(file.startsWith('gcs-poison-') ? undefined : { scheme: 'gs', bucket: 'my-bucket', key, whole: false })
  })

  test('every event of GCS is there, in both payload formats, and both halves of an overwrite', () => {
    const all = FILES.map((file) => (JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as { attributes?: Record<string, string> }).attributes ?? {})
    expect(new Set(all.map(({ eventType }) => eventType))).toEqual(new Set(['OBJECT_FINALIZE', 'OBJECT_DELETE', 'OBJECT_ARCHIVE', 'OBJECT_METADATA_UPDATE', 'OBJECT_TRANSMOGRIFY', undefined]))
    expect(new Set(all.map(({ payloadFormat }) => payloadFormat))).toEqual(new Set(['JSON_API_V1', 'NONE', undefined]))
    expect(all.filter(({ overwrittenByGeneration, overwroteGeneration }) => overwrittenByGeneration !== undefined || overwroteGeneration !== undefined).length).toBe(4)
  })
})

test('every key comes out exactly: nothing in it is decoded', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', minLength: 1 }), (objectId) => {
    expect(parseNotification({ bucketId: 'b', objectId, eventType: 'OBJECT_FINALIZE' })).toEqual({ scheme: 'gs', bucket: 'b', key: objectId, whole: false })
  }))
})

describe('nothing makes it throw', () => {
  const isAnswer = (answer: unknown): boolean => answer === undefined || (typeof answer === 'object' && answer !== null)

  test('anything at all', () => {
    fc.assert(fc.property(fc.anything(), (attributes) => isAnswer(parseNotification(attributes))))
  })
  test('anything under the names that are read', () => {
    const value = fc.oneof(fc.anything(), fc.constantFrom(null, '', 'x', 1, {}, []))
    fc.assert(fc.property(fc.dictionary(fc.constantFrom('bucketId', 'objectId', 'eventType', 'payloadFormat', '__proto__'), value), (attributes) => isAnswer(parseNotification(attributes))), { numRuns: 500 })
  })
})
