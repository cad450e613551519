import type { Row } from '../model/entry.ts'
import { directoryOf, locationAt, lonePath } from '../model/location.ts'
import { drain, foundOne, isFileAt, refuseDenied, removed, stage } from './staging.ts'
import type { Staging } from './staging.ts'

// A page of a listing tells of so many objects, and costs about what ten HEADs do (AWS: 12.5 times the price, and about the time of what goes at once).
const PAGE = 1_000
const HEADS_PER_PAGE = 10

/**
 * Looks at just these paths. False when only a scan can tell (a folder lies at one of them, the head has rows under it, or the location may be the object itself), or a scan asks less.
 * What is found is staged; a file that moved while it was read is in `staging.torn`.
 */
export async function touchUp(staging: Staging, paths: readonly string[]): Promise<boolean> {
  const { registry, clock } = staging.parts
  if (staging.watch.locations.some((location) => location.object !== undefined && paths.includes(lonePath(location)))) return false
  if (isDearer(staging, paths)) return false
  staging.startMs = clock.now()
  staging.requests += paths.filter((path) => !isFileAt(staging, path)).length
  for (const path of paths) if (await registry.hasRowsUnder(staging.looking, path)) return false
  const rows = new Map<string, Row>((await registry.rowsAt(staging.looking, paths)).map((row) => [row.path, row]))
  for (const path of paths) staging.torn.delete(path)
  for await (const found of staging.store.find(paths, staging.startMs, staging.signal)) {
    staging.seen++
    if (found.kind === 'directory') return false
    const path = found.kind === 'entry' ? found.listed.path : found.kind === 'skipped' ? found.skip.path : found.path
    const row = rows.get(path)
    // An object may have taken the place of the prefix: then nothing under it is ours any more, and only a scan says so.
    if (found.kind === 'absent' && row !== undefined && mayBeObject(staging, path)) return false
    if (found.kind !== 'absent') await foundOne(staging, found, row)
    else {
      if (row !== undefined) await removed(staging, row)
      if (staging.looking.skips > 0 || staging.again) await stage(staging, { op: 'unskip', path })
    }
    // The directory's signature no longer tells what lies in it.
    if (isFileAt(staging, path)) await stage(staging, { op: 'directory', path: directoryOf(path) })
  }
  await drain(staging)
  refuseDenied(staging)
  return true
}

/** True where a location that names no slash may have become an object. A file and a folder never have one name. */
function mayBeObject({ watch }: Staging, path: string): boolean {
  const location = locationAt(watch.locations, path)
  return location?.object !== undefined && location.scheme !== 'file'
}

/** True where to ask for each path by name costs more than to list all that is known to lie there. */
function isDearer({ watch, looking }: Staging, paths: readonly string[]): boolean {
  const pages = Math.ceil(Math.max(1, looking.base?.entries ?? 0) / PAGE)
  return watch.locations.every(({ scheme }) => scheme === 's3' || scheme === 'gs') && paths.length > pages * HEADS_PER_PAGE
}
