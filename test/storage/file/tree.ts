import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseLocation } from '../../../src/model/location.ts'
import type { Listed, Skip } from '../../../src/model/entry.ts'
import { openFileStore } from '../../../src/storage/file/store.ts'
import type { Found, Pass, Span, Store } from '../../../src/storage/storage.ts'

/** Never aborts. */
export const going = new AbortController().signal

/** Long after whatever a test wrote: nothing is racy. */
export const later = (): number => Date.now() + 60_000

/** A new folder with these files; it ends in `/`. */
export function tree(files: Readonly<Record<string, string>> = {}): string {
  const root = `${realpathSync(mkdtempSync(join(tmpdir(), 'varve-files-')))}/`
  trees.push(root)
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(root + path), { recursive: true })
    writeFileSync(root + path, text)
  }
  return root
}

const trees: string[] = []

/** Removes what `tree` made. */
export function fell(): void {
  for (const root of trees.splice(0)) rmSync(root, { recursive: true, force: true })
}

/** Opens a store for the time of `use`. */
export async function using<T>(path: string, use: (store: Store) => Promise<T>, rootMarker?: string): Promise<T> {
  const store = await openFileStore(parseLocation(path, '/'), { clockSlackMs: 0, ...(rootMarker === undefined ? {} : { rootMarker }) })
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}

export interface Seen {
  readonly spans: readonly Span[]
  readonly entries: readonly Listed[]
  readonly skipped: readonly Skip[]
  /** By directory. */
  readonly stamps: Readonly<Record<string, string | undefined>>
  readonly end: Pass | undefined
}

/** One whole pass; entries and skips in code unit order of their paths. */
export async function pass(store: Store, startMs: number = later()): Promise<Seen> {
  const spans: Span[] = []
  for await (const span of store.scan(startMs, going)) spans.push(span)
  const byPath = (a: { path: string }, b: { path: string }): number => (a.path < b.path ? -1 : 1)
  return {
    spans,
    entries: spans.flatMap((span) => [...span.entries()]).sort(byPath),
    skipped: spans.flatMap((span) => [...span.skipped]).sort(byPath),
    stamps: Object.fromEntries(spans.map((span) => ['directory' in span.cover ? span.cover.directory : '', span.stamp])),
    end: spans.find((span) => span.end !== undefined)?.end,
  }
}

/** All that `found` yields, in code unit order of its paths. */
export async function gather(found: AsyncIterable<Found>): Promise<readonly Found[]> {
  const all: Found[] = []
  for await (const one of found) all.push(one)
  return all.sort((a, b) => (pathOf(a) < pathOf(b) ? -1 : 1))
}

function pathOf(found: Found): string {
  return found.kind === 'entry' ? found.listed.path : found.kind === 'skipped' ? found.skip.path : found.path
}
