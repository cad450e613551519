import { expect, test } from '@jest/globals'
import { expiriesOf } from '../../../src/storage/s3/lifecycle.ts'

const COMMON = { asksMore: false, wholeDays: true }

test('rules are read with their filters; those that are off, and moves to another class, take nothing', () => {
  expect(expiriesOf([
    { ID: 'old', Status: 'Enabled', Filter: { Prefix: 'data/' }, NoncurrentVersionExpiration: { NoncurrentDays: 30, NewerNoncurrentVersions: 2 } },
    { ID: 'tmp', Status: 'Enabled', Filter: { And: { Prefix: 'tmp/', ObjectSizeGreaterThan: 10, ObjectSizeLessThan: 99 } }, Expiration: { Days: 7 } },
    { Status: 'Enabled', Prefix: 'before/', Expiration: { Date: new Date('2026-02-01T00:00:00Z') } },
    { ID: 'tagged', Status: 'Enabled', Filter: { Tag: { Key: 'keep', Value: 'no' } }, Expiration: { Days: 1 } },
    { ID: 'and', Status: 'Enabled', Filter: { And: { Tags: [{ Key: 'a', Value: 'b' }] } }, NoncurrentVersionExpiration: { NoncurrentDays: 1 } },
    { ID: 'off', Status: 'Disabled', Filter: {}, Expiration: { Days: 1 } },
    { ID: 'moves', Status: 'Enabled', Filter: {}, NoncurrentVersionTransitions: [{ NoncurrentDays: 30, StorageClass: 'GLACIER' }] },
    { ID: 'markers', Status: 'Enabled', Filter: {}, Expiration: { ExpiredObjectDeleteMarker: true } },
    { ID: 'both', Status: 'Enabled', Filter: { ObjectSizeGreaterThan: 5 }, Expiration: { Days: 2 }, NoncurrentVersionExpiration: { NoncurrentDays: 3 } },
  ])).toEqual([
    { ...COMMON, id: 'old', takes: 'noncurrent', prefixes: ['data/'], replacedDays: 30, newer: 3 },
    { ...COMMON, id: 'tmp', takes: 'current', prefixes: ['tmp/'], largerThan: 10, smallerThan: 99, writtenDays: 7 },
    { ...COMMON, id: 'rule 3', takes: 'current', prefixes: ['before/'], fromMs: Date.UTC(2026, 1, 1) },
    { ...COMMON, id: 'tagged', takes: 'current', prefixes: [''], writtenDays: 1, asksMore: true },
    { ...COMMON, id: 'and', takes: 'noncurrent', prefixes: [''], replacedDays: 1, asksMore: true },
    { ...COMMON, id: 'both', takes: 'current', prefixes: [''], largerThan: 5, writtenDays: 2 },
    { ...COMMON, id: 'both', takes: 'noncurrent', prefixes: [''], largerThan: 5, replacedDays: 3 },
  ])
})
