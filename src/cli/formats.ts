// Lists of entries for loaders that read straight from the bucket. A page at a time, so that a million entries take no more memory than a page.
import { splitDigest } from '../model/entry.ts'
import { isFetchable, MANIFEST_BEGIN, MANIFEST_END, manifestEntry } from '../model/manifest.ts'
import type { EntryView } from '../model/version.ts'
import type { Context } from './context.ts'
import { plural } from './words.ts'

export type Format = 'wandb' | 'csv' | 'json' | 'webdataset'

/** Prints the entries of `pages` in a format; says on stderr what it could not say there. */
export async function printEntries({ screen }: Context, format: Format, pages: AsyncIterable<readonly EntryView[]>): Promise<void> {
  const list = FORMATS[format]()
  await screen.print(...list.begin)
  for await (const page of pages) await screen.print(...page.flatMap((entry) => list.line(entry) ?? []))
  await screen.print(...list.end)
  for (const line of list.remarks()) screen.note(line)
}

interface List {
  readonly begin: readonly string[]
  readonly end: readonly string[]
  /** Undefined leaves the entry out. */
  line(entry: EntryView): string | undefined
  /** When all lines are written. */
  remarks(): readonly string[]
}

const FORMATS: Readonly<Record<Format, () => List>> = { wandb, csv, json, webdataset }

function json(): List {
  return { begin: [], end: [], remarks: () => [], line: (entry) => JSON.stringify(pinnedOf(entry)) }
}

// RFC 4180: lines end in CR LF, and what holds a comma, a quote or a line end is quoted.
const COLUMNS = ['path', 'uri', 'versionId', 'generation', 'size', 'digest', 'endpoint'] as const

function csv(): List {
  const cell = (value: string | number): string => (/[",\r\n]|^\s|\s$/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value))
  const line = (entry: EntryView): string => {
    const pinned = pinnedOf(entry)
    return `${COLUMNS.map((column) => cell(pinned[column] ?? '')).join(',')}\r`
  }
  return { begin: [`${COLUMNS.join(',')}\r`], end: [], remarks: () => [], line }
}

interface Pinned {
  readonly path: string
  readonly uri: string
  readonly versionId?: string
  readonly generation?: string
  readonly size: number
  readonly digest: string
  readonly endpoint?: string
}

function pinnedOf({ path, reference, pin, sizeBytes, digest, endpoint }: EntryView): Pinned {
  const { algorithm, value } = pin === undefined ? { algorithm: '', value: '' } : splitDigest(pin)
  return {
    path,
    uri: reference,
    ...(algorithm === 'versionId' && { versionId: value }),
    ...(algorithm === 'generation' && { generation: value }),
    size: sizeBytes,
    digest,
    ...(endpoint !== undefined && { endpoint }),
  }
}

function wandb(): List {
  let begun = false
  let unfetchable = 0
  return {
    begin: [MANIFEST_BEGIN],
    end: [MANIFEST_END],
    line(entry) {
      if (!isFetchable(entry)) unfetchable++
      const line = `${begun ? ',' : ''}${JSON.stringify(entry.path)}:${JSON.stringify(manifestEntry(entry))}`
      begun = true
      return line
    },
    remarks: () => (unfetchable === 0 ? [] : [`${plural(unfetchable, 'entry has', 'entries have')} a # or ? in the key, where the wandb client ends it: it cannot fetch them`]),
  }
}

/** Plain URLs of the shards: no pins, since no such reader knows any. */
function webdataset(): List {
  let others = 0
  let unsaid = 0
  return {
    begin: [],
    end: [],
    line({ path, reference }) {
      if (!/\.tar(\.gz)?$/.test(path)) others++
      // A line is a URL: one that breaks it cannot be said.
      else if (/[\r\n]/.test(reference)) unsaid++
      else return reference
      return undefined
    },
    remarks: () => [
      ...(others === 0 ? [] : [`${plural(others, 'entry is', 'entries are')} left out: neither .tar nor .tar.gz`]),
      ...(unsaid === 0 ? [] : [`${plural(unsaid, 'shard is', 'shards are')} left out: the name holds a line end`]),
    ],
  }
}
