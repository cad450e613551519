// `npm run bench`: ratios against a named peer or limit, measured in one run. Exit 1 when a row does not hold. `npm run bench -- NAME…` runs some.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { firstScan, networkScan, unchangedScan } from './files.ts'
import { gcsListing } from './gcs.ts'
import { listing } from './listing.ts'
import { print } from './measure.ts'
import type { Result } from './measure.ts'
import { restoreAgain, restoreLocal, restoreMemory } from './restore.ts'
import { restoreS3 } from './restore-s3.ts'
import { oneChange } from './scale.ts'

const ROWS: Readonly<Record<string, (folder: string) => Promise<readonly Result[]>>> = {
  unchanged: unchangedScan, first: firstScan, network: networkScan, listing, gcs: gcsListing, scale: oneChange,
  restore: restoreLocal, again: restoreAgain, 'restore-memory': restoreMemory, 'restore-s3': restoreS3,
}

const wanted = process.argv.slice(2)
let held = true
for (const [name, row] of Object.entries(ROWS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  const folder = mkdtempSync(join(tmpdir(), 'varve-bench-'))
  try {
    for (const result of await row(folder)) held = print(result) && held
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
process.exitCode = held ? 0 : 1
