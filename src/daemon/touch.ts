import type { Row } from '../model/entry.ts'
import { directoryOf, lonePath } from '../model/location.ts'
import { drain, foundOne, isFileAt, refuseDenied, removed, stage } from './staging.ts'
import type { Staging } from './staging.ts'

/**
 * Looks at just these paths. False when only a scan can tell: a folder lies at one of them, the head has rows under it, or the location may be the object itself.
 * What is found is staged; a file that moved while it was read is in `staging.torn`.
 */
export async function touchUp(staging: Staging, paths: readonly string[]): Promise<boolean> {
  const { registry, clock } = staging.parts
  if (staging.watch.locations.some((location) => location.object !== undefined && paths.includes(lonePath(location)))) return false
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
