import { describe, expect, test } from '@jest/globals'
import { ListObjectsV2Command, ListObjectVersionsCommand } from '@aws-sdk/client-s3'
import fc from 'fast-check'
import { decodeKey, parsePage, unescapeXml } from '../../../src/storage/s3/page.ts'
import { FakeS3 } from '../../fakes/s3.ts'
import { clientOf } from './bucket.ts'

const anyKey = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }).filter((key) => key.isWellFormed())

test('the scanner reads what the parser of the SDK reads, from the same bytes', async () => {
  const fake = await FakeS3.start()
  const client = clientOf(fake.url)
  try {
    for (const key of [...fc.sample(anyKey, 60), 'a b', 'a+b', 'a%20b', '&lt;&amp;', 'a\r\nb', '😀', '\uff5e']) {
      fake.put(key, key)
      fake.put(key, `${key}${key}`)
    }
    for (const key of ['a b', '😀']) fake.remove(key)
    fake.pageSize = 100
    const versions = await client.send(new ListObjectVersionsCommand({ Bucket: 'fake', EncodingType: 'url' }))
    const page = parsePage(await (await fetch(`${fake.url}/fake?versions&encoding-type=url`)).text(), 'ListVersionsResult', 'fake')
    const plain = (rows: typeof page.rows) => rows.map(({ key, versionId, latest, sizeBytes, etag, lastModified }) => [key, versionId, latest, sizeBytes, etag, lastModified])
    expect(plain(page.rows.filter((row) => !row.marker))).toEqual(
      (versions.Versions ?? []).map((one) => [decodeKey(one.Key as string).key, one.VersionId, one.IsLatest, one.Size, one.ETag?.replaceAll('"', ''), one.LastModified?.toISOString()]),
    )
    expect(page.rows.filter((row) => row.marker).map(({ key, versionId }) => [key, versionId])).toEqual((versions.DeleteMarkers ?? []).map((one) => [decodeKey(one.Key as string).key, one.VersionId]))
    expect([page.truncated, page.next]).toEqual([versions.IsTruncated, decodeKey(versions.NextKeyMarker as string).key])
    const objects = await client.send(new ListObjectsV2Command({ Bucket: 'fake', EncodingType: 'url' }))
    const current = parsePage(await (await fetch(`${fake.url}/fake?list-type=2&encoding-type=url`)).text(), 'ListBucketResult', 'fake')
    expect(current.rows.map(({ key, sizeBytes }) => [key, sizeBytes])).toEqual((objects.Contents ?? []).map((one) => [decodeKey(one.Key as string).key, one.Size]))
  } finally {
    client.destroy()
    await fake.stop()
  }
})

describe('keys', () => {
  test('what a form encodes is decoded to the same key, whatever it is', () => {
    fc.assert(fc.property(anyKey, (key) => {
      expect(decodeKey(encodeURIComponent(key).replaceAll('%20', '+'))).toEqual({ key, garbled: false })
      expect(decodeKey(encodeURIComponent(key))).toEqual({ key, garbled: false })
    }))
  })
  test('bytes that are not UTF-8 stay visible', () => {
    expect(decodeKey('a+%C3%A9/%FF')).toEqual({ key: 'a é/%FF', garbled: true })
    expect(decodeKey('100%')).toEqual({ key: '100%', garbled: true })
  })
  test('entities are read by name and by number', () => {
    expect(unescapeXml('&amp;lt; &#10;&#xD;&#x1F600; &quot;&apos;&gt;&lt; &unknown;')).toBe('&lt; \n\r😀 "\'>< &unknown;')
  })
})

describe('a page', () => {
  const row = '<Contents><Key>a</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>"e"</ETag><Size>1</Size></Contents>'
  const whole = `<ListBucketResult><IsTruncated>false</IsTruncated>${row}</ListBucketResult>`

  test('is whole or an error, wherever it is cut', () => {
    expect(parsePage(whole, 'ListBucketResult', 'fake').rows.length).toBe(1)
    for (let length = 0; length < whole.length; length++) expect(() => parsePage(whole.slice(0, length), 'ListBucketResult', 'fake')).toThrow(/cannot be right/)
  })
  test.each(['Key', 'LastModified', 'ETag', 'Size', 'IsTruncated'])('without %s cannot be right', (name) => {
    expect(() => parsePage(whole.replace(new RegExp(`<${name}>.*</${name}>`), ''), 'ListBucketResult', 'fake')).toThrow(/cannot be right/)
  })
  test('of a size that no number holds, or of a row that is neither the present state nor an older one, cannot be right', () => {
    expect(() => parsePage(whole.replace('<Size>1<', `<Size>1${'0'.repeat(25)}<`), 'ListBucketResult', 'fake')).toThrow(/no size for "a"/)
    const version = (latest: string): string => `<ListVersionsResult><IsTruncated>false</IsTruncated>${row.replaceAll('Contents', 'Version').replace('<Size>', `<IsLatest>${latest}</IsLatest><Size>`)}</ListVersionsResult>`
    expect(['true', 'false'].map((latest) => parsePage(version(latest), 'ListVersionsResult', 'fake').rows[0]?.latest)).toEqual([true, false])
    for (const latest of ['True', 'yes', '']) expect(() => parsePage(version(latest), 'ListVersionsResult', 'fake')).toThrow(/lacks its key, time or state/)
  })
  test.each([
    ['ListBucketResult', '<NextContinuationToken>t</NextContinuationToken>'], ['ListVersionsResult', '<NextKeyMarker>b</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>'],
  ] as const)('of a %s that says that nothing follows, and where, cannot be right; an empty marker says nothing', (root, next) => {
    const page = (more: string): string => `<${root}><IsTruncated>false</IsTruncated>${more}</${root}>`
    expect(() => parsePage(page(next), root, 'fake')).toThrow(/cannot be right: it says that nothing follows, and also where that begins/)
    expect(parsePage(page(next.replace(/>\w+</g, '><')), root, 'fake').truncated).toBe(false)
  })
  test('that counts more rows than it shows cannot be right; common prefixes are counted, and fewer are none lost', () => {
    const counting = (count: number | string, more = ''): string => whole.replace('<IsTruncated>', `<KeyCount>${count}</KeyCount>${more}<IsTruncated>`)
    expect(() => parsePage(counting(2), 'ListBucketResult', 'fake')).toThrow(/cannot be right: it counts 2 rows and shows 1/)
    for (const page of [counting(0), counting(1), counting(''), counting(2, '<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>')])
      expect(parsePage(page, 'ListBucketResult', 'fake').rows.length).toBe(1)
  })
  test('never makes the scanner throw anything else', () => {
    const piece = fc.constantFrom('<', '>', '</', '/>', 'Contents', '<Contents>', '</Contents>', '<Key>', '</Key>', '&', '&#x110000;', '%', 'ListBucketResult', '<IsTruncated>true</IsTruncated>', 'x')
    fc.assert(fc.property(fc.array(piece), (pieces) => {
      try {
        parsePage(`<ListBucketResult>${pieces.join('')}</ListBucketResult>`, 'ListBucketResult', 'fake')
      } catch (error) {
        expect(error).toMatchObject({ code: 'STORAGE_INVALID' })
      }
    }))
  })
})
