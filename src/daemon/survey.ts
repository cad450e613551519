import { comparePaths } from '../model/location.ts'
import { VarveError } from '../model/errors.ts'
import type { Row } from '../model/entry.ts'
import type { Stretch } from '../registry/registry.ts'
import type { Cover, Span } from '../storage/storage.ts'
import { drain, isFileAt, meet, refuseDenied, removed, skipped, stage } from './staging.ts'
import type { Staging } from './staging.ts'

// Rows per page of a merge: a page of listings is 1,000, so mostly one query each.
const PAGE = 1_000

/**
 * One pass over the whole location, merged with the rows as this look would leave them: in flat memory, directory by directory or page by page. What differs is
 * staged. Throws rather than take less than the whole for the whole.
 */
export async function survey(staging: Staging): Promise<void> {
  staging.startMs = staging.parts.clock.now()
  staging.seen = 0
  staging.taken = 0
  staging.stampsHold = true
  staging.torn.clear()
  staging.denied.count = 0
  staging.denied.first.length = 0
  const met = new Set<string>()
  const stretches = new Map<string, string | undefined>()
  let ended = false
  for await (const span of staging.store.scan(staging.startMs, staging.signal)) {
    if (ended) throw new VarveError('STORAGE_INVALID', 'the listing went on after its end')
    if ('directory' in span.cover) met.add(span.cover.directory)
    else if ('after' in span.cover) follow(stretches, span.cover)
    await mergeSpan(staging, span)
    staging.seen += span.seen
    staging.parts.tell.progress(staging.watch.name, staging.seen, staging.bytes)
    if (span.end !== undefined) {
      ended = true
      staging.requests += span.end.requests
      for (const note of span.end.notes) staging.notes.add(note)
      staging.memo = span.end.memo
      staging.lone = span.end.lone
    }
  }
  if (!ended) throw new VarveError('STORAGE_INVALID', 'the listing ended before its end', { hint: 'nothing was recorded' })
  if ([...stretches.values()].some((after) => after !== undefined)) throw new VarveError('STORAGE_INVALID', 'the listing does not reach the end of the location')
  await drain(staging)
  refuseDenied(staging)
  await removeUnmet(staging, met)
  await drain(staging)
}

/** Stretches must follow one another without a gap: a page that was dropped would look like a removal. `stretches` holds how far each place was followed. */
function follow(stretches: Map<string, string | undefined>, { after, upTo, within = '' }: Stretch): void {
  const reached = stretches.has(within) ? stretches.get(within) : within
  if (reached === undefined || comparePaths(after, reached) !== 0)
    throw new VarveError('STORAGE_INVALID', `the listing jumped from ${JSON.stringify(reached)} to ${JSON.stringify(after)}`)
  stretches.set(within, upTo)
}

async function mergeSpan(staging: Staging, span: Span): Promise<void> {
  const directory = 'directory' in span.cover ? span.cover.directory : undefined
  if (!span.settled) staging.stampsHold = false
  if (directory !== undefined) {
    const known = staging.stamps.get(directory)
    staging.stamps.set(directory, span.stamp)
    if (known !== undefined && known === span.stamp) return
    staging.signatures.set(directory, span.settled ? span.stamp : undefined)
  }
  // Before the entries: what an inspection finds unreadable again must come after the listing's own word.
  await mergeSkips(staging, span)
  const rows = new RowCursor(staging, span.cover)
  let row = await rows.next()
  let last: string | undefined
  for (const listed of span.entries()) {
    if (last !== undefined && comparePaths(last, listed.path) >= 0)
      throw new VarveError('STORAGE_INVALID', `the listing is out of order at ${JSON.stringify(listed.path)}`)
    last = listed.path
    if (listed.content?.pin === undefined && !isFileAt(staging, listed.path)) staging.stampsHold = false
    if (!staging.filter.takes(listed.path)) continue
    while (row !== undefined && comparePaths(row.path, listed.path) < 0) {
      await removed(staging, row)
      row = await rows.next()
    }
    const known = row?.path === listed.path ? row : undefined
    const waiting = meet(staging, listed, known)
    if (waiting !== undefined) await waiting
    if (known !== undefined) row = await rows.next()
  }
  for (; row !== undefined; row = await rows.next()) await removed(staging, row)
}

/** What counts as skipped in this stretch so far, by path. */
async function knownSkips(staging: Staging, cover: Cover): Promise<Map<string, string>> {
  if (staging.looking.skips === 0 && !staging.again) return new Map()
  return new Map((await staging.parts.registry.skipsIn(staging.looking, cover)).map(({ path, reason }) => [path, reason]))
}

async function mergeSkips(staging: Staging, span: Span): Promise<void> {
  const known = await knownSkips(staging, span.cover)
  for (const skip of span.skipped) {
    const folder = skip.reason === 'unreadable-directory' || skip.reason === 'symlink-directory'
    const dropped = folder ? staging.filter.dropsAll(skip.path.replace(/\/$/, '')) : !staging.filter.takes(skip.path)
    if (dropped && skip.reason !== 'left-out') continue
    if (known.get(skip.path) !== skip.reason) await skipped(staging, skip)
    known.delete(skip.path)
  }
  for (const path of known.keys()) await stage(staging, { op: 'unskip', path })
}

/** Directories of the head that the pass did not meet are gone, with all that lay directly in them. */
async function removeUnmet(staging: Staging, met: ReadonlySet<string>): Promise<void> {
  for (const directory of staging.stamps.keys()) {
    if (met.has(directory)) continue
    const rows = new RowCursor(staging, { directory })
    for (let row = await rows.next(); row !== undefined; row = await rows.next()) await removed(staging, row)
    for (const path of (await knownSkips(staging, { directory })).keys()) await stage(staging, { op: 'unskip', path })
    await stage(staging, { op: 'undirectory', path: directory })
    staging.stamps.delete(directory)
    staging.signatures.delete(directory)
  }
}

/**
 * After the first pass of a changed configuration: rows of locations that the watch had before, and that no place of now has met, are gone. What was met is staged, and so of
 * here.
 */
export async function removeForeign(staging: Staging): Promise<void> {
  const rows = new RowCursor(staging, { after: '' })
  for (let row = await rows.next(); row !== undefined; row = await rows.next()) if (!row.here) await removed(staging, row)
  await drain(staging)
}

/** The rows of a stretch in path order, page by page. */
class RowCursor {
  readonly #staging: Staging
  readonly #cover: Cover
  #page: readonly Row[] = []
  #at = 0
  #after: string
  #done: boolean

  constructor(staging: Staging, cover: Cover) {
    this.#staging = staging
    this.#cover = cover
    this.#after = 'directory' in cover ? cover.directory : 'path' in cover ? '' : cover.after
    // Before the first version, and in the first pass, there is nothing to read.
    this.#done = staging.looking.base === undefined && !staging.again
  }

  async next(): Promise<Row | undefined> {
    if (this.#at < this.#page.length) return this.#page[this.#at++]
    if (this.#done) return undefined
    const { parts, looking } = this.#staging
    const cover = this.#cover
    if ('path' in cover) this.#page = await parts.registry.rowsAt(looking, [cover.path])
    else if ('directory' in cover) this.#page = await parts.registry.rowsIn(looking, cover.directory, this.#after, PAGE)
    else this.#page = await parts.registry.rowsBetween(looking, { ...cover, after: this.#after }, PAGE)
    this.#at = 0
    this.#done = this.#page.length < PAGE
    this.#after = this.#page.at(-1)?.path ?? this.#after
    return this.#page[this.#at++]
  }
}
