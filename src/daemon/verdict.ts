import { identityOf, sameContent } from '../model/entry.ts'
import { goneAt } from '../model/lifecycle.ts'
import type { Terms } from '../model/lifecycle.ts'
import type { AuditRow, Fate } from '../registry/registry.ts'
import type { KeptVersion } from '../storage/storage.ts'

/**
 * What became of a row at its own key, of which `versions` are left: undefined when it is there as it was recorded, or its fate; `missing` when nothing has its bytes any more. What the
 * head's row lacks is for a look to say: its fate stays.
 */
export function verdictOf(row: AuditRow, versions: readonly KeptVersion[], terms: Terms): Fate | undefined | 'missing' {
  const { holding, open } = row
  const pins = [holding.content.pin, holding.latestPin].filter((pin) => pin !== undefined)
  const recorded = { ...holding, identity: identityOf(holding.content, holding.sizeBytes), here: true }
  const holds = versions.flatMap(({ content, sizeBytes }, index) => {
    if (content === undefined) return []
    const named = content.pin !== undefined && pins.includes(content.pin)
    // The current object without a pin is the head's: the next write destroys it.
    const lasts = open || content.pin !== undefined || index > 0
    return named || (lasts && sameContent(recorded, content, sizeBytes)) ? [{ named, goneMs: goneAt(terms, holding.key, versions, index) }] : []
  })
  if (holds.length === 0) return open ? row.fate : 'missing'
  const dates = holds.flatMap(({ goneMs }) => goneMs ?? [])
  if (dates.length === holds.length) {
    const last = Math.max(...dates)
    return Number.isNaN(last) ? { fate: 'risk' } : { fate: 'risk', goneAtMs: last }
  }
  return open || holds.some(({ named }) => named) ? undefined : { fate: 'elsewhere' }
}
