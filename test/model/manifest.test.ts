// Read by wandb 0.31: `ArtifactManifest.from_manifest_json` takes these, and its digest of a folder's manifest is the one that it makes of the folder itself.
import { expect, test } from '@jest/globals'
import { isFetchable, MANIFEST_BEGIN, MANIFEST_END, manifestEntry } from '../../src/model/manifest.ts'
import type { EntryView } from '../../src/model/version.ts'

function entry(reference: string, over: Partial<EntryView>): EntryView {
  return { path: 'x', reference, sizeBytes: 7, digest: 'etag:e', ...over }
}

test.each<[string, EntryView, unknown]>([
  ['a pinned object of S3', entry('s3://b/k', { digest: 'etag:abc-2', etag: 'abc-2', pin: 'versionId:x:y' }), { digest: 'abc-2', ref: 's3://b/k', size: 7, extra: { etag: 'abc-2', versionID: 'x:y' } }],
  ['one without versions', entry('s3://b/k', { etag: 'e' }), { digest: 'e', ref: 's3://b/k', size: 7, extra: { etag: 'e' } }],
  ['an object of GCS: the generation is a number', entry('gs://b/k', { digest: 'etag:CKih=', etag: 'CKih=', pin: 'generation:1754000000000001' }),
    { digest: 'CKih=', ref: 'gs://b/k', size: 7, extra: { etag: 'CKih=', versionID: 1_754_000_000_000_001 } }],
  ['a file', entry('file:///a%23b', { digest: 'md5:1ARAHIxklbIG/DXJXlWm1Q==' }), { digest: '1ARAHIxklbIG/DXJXlWm1Q==', ref: 'file:///a%23b', size: 7 }],
  ['a web object', entry('https://h/x', { etag: 'e' }), { digest: 'e', ref: 'https://h/x', size: 7, extra: { etag: '"e"' } }],
  ['one with a weak ETag', entry('https://h/x', { digest: 'modified:2026-01-01T00:00:00.000Z W/"w', etag: 'W/"w' }), { digest: 'W/"w', ref: 'https://h/x', size: 7, extra: { etag: 'W/"w"' } }],
  ['one without', entry('https://h/x', { digest: 'md5:abc' }), { digest: 'https://h/x', ref: 'https://h/x', size: 7 }],
])('%s is written as the wandb client would have', (_, view, wanted) => {
  expect(manifestEntry(view)).toEqual(wanted)
  expect(JSON.parse(`${MANIFEST_BEGIN}"x":${JSON.stringify(manifestEntry(view))}${MANIFEST_END}`)).toEqual({
    version: 1, storagePolicy: 'wandb-storage-policy-v1', storagePolicyConfig: { storageLayout: 'V2' }, contents: { x: wanted },
  })
})

test.each([['s3://b/a#b', false], ['gs://b/a?b', false], ['s3://b/\n#', false], ['s3://b/a%23', true], ['https://h/x?y', true], ['file:///a%3Fb', true]])('%j can be fetched by it: %s', (reference, can) => {
  expect(isFetchable(entry(reference, {}))).toBe(can)
})
