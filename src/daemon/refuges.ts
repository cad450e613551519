// What is lost at its own place may be elsewhere: how the audit, a commit and `verify` alike find that out, and write it down.
import { fateBy } from '../model/fate.ts'
import type { Audited, AuditRow, Fate } from '../model/fate.ts'
import type { StateChange } from '../model/version.ts'
import type { Auditing } from '../registry/registry.ts'
import type { Log, Tell } from './parts.ts'

/** So many times as long as it worked at the registry whoever asks beside the looks rests: as looking by the clock does, it works for at most a twentieth of the time, for its reads are the looks' too. */
export const REST = 19

/** What is said of a row; `missing` where its own place lost it, `unasked` where nothing is known anew. */
export type Said = Fate | undefined | 'missing' | 'unasked'

export type Fates = readonly (readonly [AuditRow, Fate | undefined])[]

/** What becomes of each row of which something is said: what its own place lost may be elsewhere, unless its path is one of `lost`. */
export async function withRefuges(
  registry: Pick<Auditing, 'refuges' | 'recordFates'>, of: Audited, told: readonly (readonly [AuditRow, Said])[], lost: ReadonlySet<string> = new Set(),
): Promise<Fates> {
  const missing = told.flatMap(([row, said]) => (said === 'missing' && !lost.has(row.holding.path) ? [row] : []))
  // First what is known of the others: the risk of one that holds the same bytes is that of what is missing.
  if (missing.length > 0) await registry.recordFates(of, differing(told.flatMap(([row, said]): Fates => (said === 'missing' || said === 'unasked' ? [] : [[row, said]]))))
  const refuges = new Map((missing.length === 0 ? [] : await registry.refuges(of, missing)).map((refuge, at) => [missing[at], refuge]))
  return told.flatMap(([row, said]): Fates => (said === 'unasked' ? [] : [[row, said === 'missing' ? fateBy(row, refuges.get(row)) : said]]))
}

/** Those of `fates` that are not written down already. */
export function differing(fates: Fates): Fates {
  return fates.filter(([row, fate]) => JSON.stringify(fate) !== JSON.stringify(row.fate))
}

/** Tells of versions that are in another state than before, if any are. */
export function tellTurned({ tell, log }: { readonly tell: Tell; readonly log: Log }, of: Audited, changes: readonly StateChange[]): void {
  if (changes.length === 0) return
  // In a place without versions every overwrite ends so: an event, and no trouble of the daemon.
  log.info({ artifact: of.artifact, entity: of.entity, versions: changes.length, changes: changes.slice(0, 100) }, 'versions can be restored otherwise than before')
  tell.restorability(of, changes)
}
