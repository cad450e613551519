import { identityOf, sameContent } from '../model/entry.ts'
import { isLeft } from '../model/fate.ts'
import type { AuditRow, Fate } from '../model/fate.ts'
import { goneAt } from '../model/lifecycle.ts'
import type { Terms } from '../model/lifecycle.ts'
import type { KeptVersion } from '../storage/storage.ts'

/** True when what is left of a row must be thawed before it can be read. */
export function isArchived(row: AuditRow, versions: readonly KeptVersion[], terms: Terms): boolean {
  const holds = holdsOf(row, versions, terms)
  return holds.length > 0 && holds.every(({ archived }) => archived)
}

interface Hold {
  readonly index: number
  /** By its own pin. */
  readonly named: boolean
  /** By the pin of what was read. */
  readonly proven: boolean
  /** False for what the next write destroys. */
  readonly lasts: boolean
  readonly archived: boolean
}

/** The versions at its own key that have its bytes. */
function holdsOf(row: AuditRow, versions: readonly KeptVersion[], { keepsVersions }: Terms): readonly Hold[] {
  const { holding, waits, proof } = row
  const pins = [holding.content.pin, holding.latestPin].filter((pin) => pin !== undefined)
  const recorded = { ...holding, identity: identityOf(holding.content, holding.sizeBytes), here: true }
  return versions.flatMap(({ archived, content, sizeBytes }, index) => {
    if (content === undefined) return []
    const named = content.pin !== undefined && pins.includes(content.pin)
    const proven = content.pin !== undefined && content.pin === proof
    // The current object is the head's where nothing pins it, and a generation does so only where older ones are kept: the next write destroys it.
    const lasts = named || proven || waits || index > 0 || (content.pin !== undefined && !(holding.location.scheme === 'gs' && keepsVersions === false))
    return named || proven || ((lasts || isLeft(row)) && sameContent(recorded, content, sizeBytes)) ? [{ index, named, proven, lasts, archived }] : []
  })
}

/**
 * What became of a row at its own key, of which `versions` are left: undefined when it is there as it was recorded, or its fate; `missing` when nothing has its bytes any more. Of what
 * waits for a look the fate stays.
 */
export function verdictOf(row: AuditRow, versions: readonly KeptVersion[], terms: Terms): Fate | undefined | 'missing' {
  const { holding, waits } = row
  const all = holdsOf(row, versions, terms)
  if (all.length === 0) return waits ? row.fate : 'missing'
  const holds = all.filter(({ lasts }) => lasts)
  if (holds.length === 0) return row.fate
  const proof = row.proof !== undefined && holds.some(({ proven }) => proven) ? { proof: row.proof } : {}
  const dates = holds.flatMap(({ index }) => goneAt(terms, holding.key, versions, index) ?? [])
  if (dates.length === holds.length) {
    const last = Math.max(...dates)
    return { fate: 'risk', ...(!Number.isNaN(last) && { goneAtMs: last }), ...proof }
  }
  return waits || holds.some(({ named }) => named) ? undefined : { fate: 'elsewhere', ...proof }
}
