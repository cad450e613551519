// What the rules of a bucket will take, and when: pure arithmetic over what the store tells.
import type { Location } from './location.ts'

/** An object version as a listing of all versions shows it, or a delete marker. */
export interface Kept {
  readonly marker: boolean
  readonly sizeBytes: number
  /** Wall ms. */
  readonly writtenMs: number
}

/** A rule that takes object versions. All that it says must hold. */
export interface Expiry {
  /** As its owner calls it. */
  readonly id: string
  /** Which object versions it takes: the one that is answered when none is asked for, older ones, or either. */
  readonly takes: 'current' | 'noncurrent' | 'either'
  readonly prefixes: readonly string[]
  readonly suffixes?: readonly string[]
  readonly largerThan?: number
  readonly smallerThan?: number
  /** Days since it was written, and since it is no longer the current one. */
  readonly writtenDays?: number
  readonly replacedDays?: number
  /** Not before this moment (wall ms). */
  readonly fromMs?: number
  /** Only what was written, or replaced, before this moment. */
  readonly writtenBeforeMs?: number
  readonly replacedBeforeMs?: number
  /** Only what has so many newer versions, the current one among them. */
  readonly newer?: number
  /** It also asks for what no listing tells (a tag, a class): whom it takes cannot be known. */
  readonly asksMore: boolean
  /** Days end at midnight UTC (S3). */
  readonly wholeDays: boolean
}

/** The rules of a bucket, as far as they could be read. */
export interface Terms {
  readonly expiries: readonly Expiry[]
  /** What is overwritten or removed stays as an older version; undefined: that is not known. */
  readonly keepsVersions?: boolean
  /** What could not be read, in words. */
  readonly notes: readonly string[]
}

/** What is known of the bucket of a location whose pins hold only where older versions are kept (GCS). */
export interface Keeping {
  readonly location: Location
  readonly keepsVersions: boolean
}

const DAY_MS = 86_400_000

/** When `versions[index]` of `key` (newest first, markers among them) will be taken for good: wall ms; NaN when it may be at a time that cannot be known; undefined when nothing takes it. */
export function goneAt(terms: Terms, key: string, versions: readonly Kept[], index: number): number | undefined {
  const version = versions[index]
  if (version === undefined) return undefined
  const rules = terms.expiries.filter((rule) => covers(rule, key, version))
  const earliest = (takes: 'current' | 'noncurrent', newer: number, replacedMs: number | undefined): number | undefined => {
    const dates = rules.flatMap((rule) => (rule.takes === takes || rule.takes === 'either' ? (dateOf(rule, version, newer, replacedMs) ?? []) : []))
    const known = dates.filter((date) => !Number.isNaN(date))
    return known.length > 0 ? Math.min(...known) : dates[0]
  }
  if (index > 0) return earliest('noncurrent', index, versions[index - 1]?.writtenMs)
  const replaced = earliest('current', 0, undefined)
  // Where versions are kept, what expires is first only hidden: the rules for older versions take it later, if any do.
  return replaced === undefined || terms.keepsVersions === false ? replaced : earliest('noncurrent', 1, replaced)
}

/** True when a rule may take what is current for good. */
export function takesCurrent({ expiries, keepsVersions }: Terms): boolean {
  const takes = (what: 'current' | 'noncurrent'): boolean => expiries.some((rule) => rule.takes === what || rule.takes === 'either')
  return takes('current') && (keepsVersions === false || takes('noncurrent'))
}

function covers({ prefixes, suffixes, largerThan = -1, smallerThan = Infinity }: Expiry, key: string, { sizeBytes }: Kept): boolean {
  if (sizeBytes <= largerThan || sizeBytes >= smallerThan) return false
  return prefixes.some((prefix) => key.startsWith(prefix)) && (suffixes === undefined || suffixes.some((suffix) => key.endsWith(suffix)))
}

function dateOf(rule: Expiry, { writtenMs }: Kept, newer: number, replacedMs: number | undefined): number | undefined {
  if (newer < (rule.newer ?? 0)) return undefined
  if (writtenMs >= (rule.writtenBeforeMs ?? Infinity) || (rule.replacedBeforeMs !== undefined && !((replacedMs ?? Infinity) < rule.replacedBeforeMs))) return undefined
  if (rule.replacedDays !== undefined && replacedMs === undefined) return undefined
  if (rule.asksMore || Number.isNaN(replacedMs)) return Number.NaN
  const dates = [
    replacedMs ?? writtenMs,
    ...(rule.fromMs === undefined ? [] : [rule.fromMs]),
    ...(rule.writtenDays === undefined ? [] : [day(rule, writtenMs + rule.writtenDays * DAY_MS)]),
    ...(rule.replacedDays === undefined ? [] : [day(rule, (replacedMs ?? 0) + rule.replacedDays * DAY_MS)]),
  ]
  return Math.max(...dates)
}

function day({ wholeDays }: Expiry, ms: number): number {
  return wholeDays ? Math.ceil(ms / DAY_MS) * DAY_MS : ms
}
