import { identityOf, sameContent } from '../model/entry.ts'
import { isLeft } from '../model/fate.ts'
import type { AuditRow, Fate } from '../model/fate.ts'
import { goneAt } from '../model/lifecycle.ts'
import type { Terms } from '../model/lifecycle.ts'
import type { KeptVersion } from '../storage/storage.ts'

/** True when what is left of a row must be thawed before it can be read. */
export function isArchived(row: AuditRow, versions: readonly KeptVersion[]): boolean {
  const holds = holdsOf(row, versions)
  return holds.length > 0 && holds.every(({ archived }) => archived)
}

interface Hold {
  readonly index: number
  /** By its own pin. */
  readonly named: boolean
  /** False for what the next write destroys. */
  readonly lasts: boolean
  readonly archived: boolean
}

/** The versions at its own key that have its bytes. */
function holdsOf(row: AuditRow, versions: readonly KeptVersion[]): readonly Hold[] {
  const { holding, waits } = row
  const pins = [holding.content.pin, holding.latestPin].filter((pin) => pin !== undefined)
  const recorded = { ...holding, identity: identityOf(holding.content, holding.sizeBytes), here: true }
  return versions.flatMap(({ archived, content, sizeBytes }, index) => {
    if (content === undefined) return []
    const named = content.pin !== undefined && pins.includes(content.pin)
    // The current object without a pin is the head's: the next write destroys it.
    const lasts = waits || content.pin !== undefined || index > 0
    return named || ((lasts || isLeft(row)) && sameContent(recorded, content, sizeBytes)) ? [{ index, named, lasts, archived }] : []
  })
}

/**
 * What became of a row at its own key, of which `versions` are left: undefined when it is there as it was recorded, or its fate; `missing` when nothing has its bytes any more. Of what
 * waits for a look the fate stays.
 */
export function verdictOf(row: AuditRow, versions: readonly KeptVersion[], terms: Terms): Fate | undefined | 'missing' {
  const { holding, waits } = row
  const all = holdsOf(row, versions)
  if (all.length === 0) return waits ? row.fate : 'missing'
  const holds = all.filter(({ lasts }) => lasts)
  if (holds.length === 0) return row.fate
  const dates = holds.flatMap(({ index }) => goneAt(terms, holding.key, versions, index) ?? [])
  if (dates.length === holds.length) {
    const last = Math.max(...dates)
    return Number.isNaN(last) ? { fate: 'risk' } : { fate: 'risk', goneAtMs: last }
  }
  return waits || holds.some(({ named }) => named) ? undefined : { fate: 'elsewhere' }
}
