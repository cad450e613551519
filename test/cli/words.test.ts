import { expect, test } from '@jest/globals'
import { changeLine } from '../../src/cli/change.ts'
import { parseArtifact, parseVersion } from '../../src/cli/names.ts'
import { tableLines } from '../../src/cli/table.ts'
import { formatChanges, formatCount, formatDue, formatDuration, formatRestorability, formatSize, formatVersion, formatWhen, plural, visible } from '../../src/cli/words.ts'
import type { VersionView } from '../../src/model/version.ts'

const VERSION: VersionView = {
  artifact: 'demo/files', entity: 'local', version: 'v3', index: 3, type: 'dataset', aliases: ['latest'], digest: `varve1:${'0'.repeat(64)}`,
  createdAt: '2026-01-02T03:04:05.000Z', entries: 3, sizeBytes: 1_200, cause: 'hint', run: 'watch-files',
  changes: { added: 1, modified: 0, removed: 2, moved: 0, bytesAdded: 1_200, bytesRemoved: 30 },
  certificate: {
    startedAt: '2026-01-02T03:04:04.000Z', endedAt: '2026-01-02T03:04:05.000Z', kind: 'scan', seen: 3, recorded: 3, skipped: [], skippedByReason: {},
    filtered: 0, changedUnderLook: [], consistent: true, requests: 0, notes: [],
  },
  restorability: { state: 'pinned', lost: 0 },
}

test.each([
  [0, '0 B'], [999, '999 B'], [1_000, '1.0 kB'], [1_234, '1.2 kB'], [999_949, '999.9 kB'], [999_950, '1.0 MB'],
  [5_000_000_000, '5.0 GB'], [2 ** 53, '9.0 PB'],
])('a size of %d bytes reads %s', (bytes, words) => {
  expect(formatSize(bytes)).toBe(words)
})

test('counts have separators and the right number', () => {
  expect(formatCount(1_234_567)).toBe('1,234,567')
  expect(plural(1, 'watch', 'watches')).toBe('1 watch')
  expect(plural(0, 'watch', 'watches')).toBe('0 watches')
})

test.each([[300, '300 ms'], [5_000, '5 s'], [90_000, '1.5 min'], [6 * 3_600_000, '6 h'], [30 * 86_400_000, '30 d']])('%d ms read %s', (ms, words) => {
  expect(formatDuration(ms)).toBe(words)
})

test('times are told from now, past and future, and by date when far', () => {
  const now = Date.parse('2026-06-01T12:00:00.000Z')
  expect(formatWhen('2026-06-01T11:59:59.500Z', now)).toBe('just now')
  expect(formatWhen('2026-06-01T11:55:00.000Z', now)).toBe('5 min ago')
  expect(formatWhen('2026-06-01T14:30:00.000Z', now)).toBe('in 2 h')
  expect(formatWhen('2026-01-01T00:00:00.000Z', now)).toBe('2026-01-01')
})

test.each([
  ['11:59:00.000', 'due now'], ['12:00:00.000', 'due now'], ['12:00:00.400', 'in 1 s'], ['12:00:03.900', 'in 3 s'], ['12:05:00.000', 'in 5 min'],
])('what is due at %s reads %s at noon: it is not there yet, so nothing of it was just now', (time, words) => {
  expect(formatDue(`2026-06-01T${time}Z`, Date.parse('2026-06-01T12:00:00.000Z'))).toBe(words)
})

test('a name cannot drive the terminal', () => {
  expect(visible('a\u001b[2Jb\nc\u007f\u009b\u202ed')).toBe('a\\x1b[2Jb\\x0ac\\x7f\\x9b\\u{202e}d')
  expect(visible('naïve 猫 🐈 ~^"')).toBe('naïve 猫 🐈 ~^"')
})

test('a new version is one line that says what changed, how much, and why', () => {
  expect(formatVersion(VERSION, 'local')).toBe('demo/files:v3  +1 ~0 -2  (1.2 kB added, 30 B removed, hint)')
  expect(formatVersion(VERSION, 'other')).toBe('local/demo/files:v3  +1 ~0 -2  (1.2 kB added, 30 B removed, hint)')
  expect(formatChanges({ ...VERSION.changes, moved: 4 })).toBe('+1 ~0 -2 >4')
})

test('what was skipped or moved under the look is never left unsaid', () => {
  const certificate = { ...VERSION.certificate, skippedByReason: { fifo: 1, 'left-out': 2 }, changedUnderLook: ['a'] }
  expect(formatVersion({ ...VERSION, certificate }, 'local')).toContain('3 skipped, 1 changed under the look, hint')
  const unread = { ...certificate, skippedByReason: { fifo: 1, unreadable: 2, 'unreadable-directory': 1 } }
  expect(formatVersion({ ...VERSION, certificate: unread }, 'local')).toContain('4 skipped, of which 3 could not be read, 1 changed')
})

test('a change shows its sign, its names and its sizes', () => {
  const screen = { paint: (_colour: unknown, text: string): string => text }
  const entry = { path: 'b', reference: 'file:///b', sizeBytes: 12, digest: 'md5:x' }
  expect(changeLine({ change: 'added', path: 'b\n', after: entry }, screen)).toBe('+ b\\x0a  (12 B)')
  expect(changeLine({ change: 'modified', path: 'b', before: entry, after: { ...entry, sizeBytes: 1_300 } }, screen)).toBe('~ b  (12 B to 1.3 kB)')
  expect(changeLine({ change: 'moved', path: 'b', from: 'a', before: entry, after: entry }, screen)).toBe('> a to b  (12 B)')
})

test('a table aligns what is wide, and has no borders', () => {
  const lines = tableLines(['name', 'size'], [['猫', '1'], ['long name', '22']], ['size'])
  expect(lines).toEqual(['name       size', '猫            1', 'long name    22'])
})

test('a version is named by number, alias, or not at all: then it is the latest', () => {
  const collection = { entity: 'local', project: 'a', collection: 'b' }
  expect(parseVersion('a/b:v3', 'local')).toEqual({ collection, version: 'v3' })
  expect(parseVersion('a/b', 'local')).toEqual({ collection, version: 'latest' })
  expect(parseVersion('e/a/b:prod', 'local')).toEqual({ collection: { ...collection, entity: 'e' }, version: 'prod' })
})

test.each(['a', 'a/b:', 'a/b:c:d', 'a/b/c/d', '/b', 'a/'])('%s names no version', (text) => {
  expect(() => parseVersion(text, 'local')).toThrow(expect.objectContaining({ code: 'USAGE' }))
})

test('where all versions are meant, one is refused with what to write', () => {
  expect(() => parseArtifact('a/b:v3', 'local')).toThrow(expect.objectContaining({ code: 'USAGE', hint: 'all of them are meant: write a/b' }))
})

test.each([
  [{ state: 'pinned', lost: 0 }, 'pinned'], [{ state: 'at risk', lost: 0 }, 'at risk'], [{ state: 'at risk', lost: 0, atRiskFrom: '2026-03-01T00:00:00.000Z' }, 'at risk from 2026-03-01'],
  [{ state: 'partly lost', lost: 2, atRiskFrom: '2026-03-01T00:00:00.000Z' }, 'partly lost: 2 of 1,200, others at risk from 2026-03-01'], [{ state: 'partly lost', lost: 2 }, 'partly lost: 2 of 1,200'], [{ state: 'lost', lost: 1_200 }, 'lost'],
] as const)('a version that is %j reads %s', (restorability, words) => {
  expect(formatRestorability({ entries: 1_200, restorability })).toBe(words)
})
