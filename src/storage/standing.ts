import { isFailure } from '../model/errors.ts'
import { comparePaths, directoryOf } from '../model/location.ts'
import { someAtOnce } from './some.ts'
import type { Held, Standing } from './storage.ts'

/** A page of a listing: what it shows by key, and the last key that it tells of; no `edge` when it tells of all that follow. */
export interface Shown {
  readonly rows: ReadonlyMap<string, Held>
  readonly edge?: string
}

/** How a bucket is asked. */
export interface Questions {
  /** A page of what lies under `prefix` behind `after`. Undefined where listing is not allowed: then each key is asked for. */
  page(prefix: string, after: string, signal: AbortSignal): Promise<Shown | undefined>
  /** One key by name. */
  one(key: string, signal: AbortSignal): Promise<Standing>
}

// A page costs as much as 12.5 requests for one object each (S3: $5 and $0.40 for a million), and as long as some ten of them: below 16 answers it is dear.
const ANSWERS_LEAST = 16
const ASKED_AT_ONCE = 16
// What fails of one key is told of that key; so many in a row are the store's failure.
const FAILED_MOST = 16
// After a page of no use some keys are asked by name before the next try, each time twice as many: few pages are wasted, and a stretch that lies close is found.
const BY_NAME_MOST = 4_096

/**
 * What stands at each of `keys`, given in path order. Keys are asked for by name until a page answers many of them at once: then pages follow one another as long as each answers at least
 * `ANSWERS_LEAST`. What a page does not show is asked for by name before it is called absent: listings have been seen to hide what is there.
 */
export async function* standingOf(keys: readonly string[], questions: Questions, signal: AbortSignal): AsyncGenerator<Standing> {
  let failedInRow = 0
  const one = async (key: string, either: AbortSignal): Promise<Standing> => {
    try {
      const standing = await questions.one(key, either)
      failedInRow = 0
      return standing
    } catch (error) {
      if (either.aborted || ++failedInRow > FAILED_MOST || !(isFailure(error, 'STORAGE_UNAVAILABLE') || isFailure(error, 'STORAGE_INVALID'))) throw error
      return { key, failed: error }
    }
  }
  const ask = (some: readonly string[], shown?: Shown): AsyncGenerator<Standing> => someAtOnce(some, ASKED_AT_ONCE, async (key, either) => {
    const held = shown?.rows.get(key)
    return held === undefined ? one(key, either) : { key, held }
  }, signal)
  // A page begins behind a key that is known, so the first is asked by name.
  let byName = keys.length < ANSWERS_LEAST ? keys.length : 1
  let misses = 0
  let after = ''
  for (let at = 0; at < keys.length; ) {
    const from = at
    const page = byName > 0 || keys.length - at < ANSWERS_LEAST ? undefined : await questions.page(within(keys, at), after, signal)
    if (page === undefined) {
      // Where no page is to be had all that is left goes by name.
      at = byName > 0 ? Math.min(at + byName, keys.length) : keys.length
      yield* ask(keys.slice(from, at))
      after = keys[at - 1] as string
      byName = 0
      continue
    }
    const { edge } = page
    let answers = 0
    for (; at < keys.length && (edge === undefined || comparePaths(keys[at] as string, edge) <= 0); at++) if (page.rows.has(keys[at] as string)) answers++
    yield* ask(keys.slice(from, at), page)
    after = edge ?? after
    misses = answers < ANSWERS_LEAST ? misses + 1 : 0
    if (misses > 0) byName = Math.min(BY_NAME_MOST, ANSWERS_LEAST * 2 ** misses)
  }
}

/** The folder that all keys from number `at` on lie in: whoever may list only that is not refused. */
function within(keys: readonly string[], at: number): string {
  const first = keys[at] as string
  const last = keys.at(-1) as string
  let shared = 0
  while (shared < first.length && first[shared] === last[shared]) shared++
  return directoryOf(first.slice(0, shared))
}
