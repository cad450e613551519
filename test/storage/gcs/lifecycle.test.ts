import { expect, test } from '@jest/globals'
import { expiriesOf } from '../../../src/storage/gcs/lifecycle.ts'

const COMMON = { prefixes: [''], asksMore: false, wholeDays: false }
const Delete = { type: 'Delete' }

test('rules are read with all their conditions; what only moves, or ends uploads, takes nothing', () => {
  expect(expiriesOf([
    { action: Delete, condition: { age: 30, matchesPrefix: ['a/', 'b/'], matchesSuffix: ['.tmp'] } },
    { action: Delete, condition: { numNewerVersions: 3, isLive: false } },
    { action: Delete, condition: { daysSinceNoncurrentTime: 7 } },
    { action: Delete, condition: { isLive: true, createdBefore: '2026-01-01' } },
    { action: Delete, condition: { noncurrentTimeBefore: '2026-01-01' } },
    { action: Delete, condition: { age: 1, matchesStorageClass: ['NEARLINE'] } },
    { action: { type: 'SetStorageClass' }, condition: { age: 1 } },
    { action: { type: 'AbortIncompleteMultipartUpload' }, condition: { age: 1 } },
  ])).toEqual([
    { ...COMMON, id: 'rule 1', takes: 'either', prefixes: ['a/', 'b/'], suffixes: ['.tmp'], writtenDays: 30 },
    { ...COMMON, id: 'rule 2', takes: 'noncurrent', newer: 3 },
    { ...COMMON, id: 'rule 3', takes: 'noncurrent', replacedDays: 7 },
    { ...COMMON, id: 'rule 4', takes: 'current', writtenBeforeMs: Date.UTC(2026, 0, 1) },
    { ...COMMON, id: 'rule 5', takes: 'noncurrent', replacedBeforeMs: Date.UTC(2026, 0, 1) },
    { ...COMMON, id: 'rule 6', takes: 'either', writtenDays: 1, asksMore: true },
  ])
})
