// The lifecycle rules of a bucket. Source: `docs.cloud.google.com/storage/docs/lifecycle` (conditions) and the bucket resource of the JSON API.
import type { Expiry } from '../../model/lifecycle.ts'

/** A rule as the JSON API writes it. All conditions must hold. */
export interface LifecycleRule {
  readonly action?: { readonly type?: string }
  readonly condition?: {
    readonly age?: number
    readonly createdBefore?: string
    readonly isLive?: boolean
    readonly daysSinceNoncurrentTime?: number
    readonly noncurrentTimeBefore?: string
    readonly numNewerVersions?: number
    readonly matchesPrefix?: readonly string[]
    readonly matchesSuffix?: readonly string[]
    /** `matchesStorageClass`, `daysSinceCustomTime`, `customTimeBefore`, and what may come: no listing of ours tells. */
    readonly [other: string]: unknown
  }
}

const KNOWN = new Set(['age', 'createdBefore', 'isLive', 'daysSinceNoncurrentTime', 'noncurrentTimeBefore', 'numNewerVersions', 'matchesPrefix', 'matchesSuffix'])

/** What the rules delete. Moves to another class take nothing, and unfinished uploads are no objects. */
export function expiriesOf(rules: readonly LifecycleRule[]): Expiry[] {
  return rules.flatMap(({ action, condition = {} }, index) => {
    if (action?.type !== 'Delete') return []
    const { age, createdBefore, isLive, daysSinceNoncurrentTime, noncurrentTimeBefore, numNewerVersions = 0, matchesPrefix = [], matchesSuffix = [] } = condition
    const old = isLive === false || (daysSinceNoncurrentTime ?? noncurrentTimeBefore) !== undefined || numNewerVersions > 0
    return [{
      id: `rule ${index + 1}`,
      takes: isLive === true ? 'current' : old ? 'noncurrent' : 'either',
      prefixes: matchesPrefix.length === 0 ? [''] : matchesPrefix,
      ...(matchesSuffix.length > 0 && { suffixes: matchesSuffix }),
      ...(age !== undefined && { writtenDays: age }),
      ...(daysSinceNoncurrentTime !== undefined && { replacedDays: daysSinceNoncurrentTime }),
      ...(createdBefore !== undefined && { writtenBeforeMs: Date.parse(createdBefore) }),
      ...(noncurrentTimeBefore !== undefined && { replacedBeforeMs: Date.parse(noncurrentTimeBefore) }),
      ...(numNewerVersions > 0 && { newer: numNewerVersions }),
      asksMore: Object.keys(condition).some((key) => !KNOWN.has(key)),
      wholeDays: false,
    } satisfies Expiry]
  })
}
