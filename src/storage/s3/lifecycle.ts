// The lifecycle rules of a bucket. Source: the S3 API reference (GetBucketLifecycleConfiguration) and user guide ("Lifecycle configuration elements").
import type { LifecycleRule, LifecycleRuleFilter } from '@aws-sdk/client-s3'
import type { Expiry } from '../../model/lifecycle.ts'

/** What the rules take for good, or hide. Moves to another class take nothing. */
export function expiriesOf(rules: readonly LifecycleRule[]): Expiry[] {
  return rules.filter(({ Status }) => Status === 'Enabled').flatMap((rule, index) => {
    const common = { id: rule.ID ?? `rule ${index + 1}`, wholeDays: true, ...filterOf(rule.Filter, rule.Prefix) }
    const { Expiration: current, NoncurrentVersionExpiration: older } = rule
    const expiries: Expiry[] = []
    if (current?.Days !== undefined) expiries.push({ ...common, takes: 'current', writtenDays: current.Days })
    else if (current?.Date !== undefined) expiries.push({ ...common, takes: 'current', fromMs: new Date(current.Date).getTime() })
    // So many older versions are kept, beside the current one.
    const newer = older?.NewerNoncurrentVersions === undefined ? {} : { newer: older.NewerNoncurrentVersions + 1 }
    // MinIO takes a rule with the number alone.
    if (older !== undefined) expiries.push({ ...common, takes: 'noncurrent', replacedDays: older.NoncurrentDays ?? 0, ...newer })
    return expiries
  })
}

type Filtered = Pick<Expiry, 'prefixes' | 'largerThan' | 'smallerThan' | 'asksMore'>

/** `Prefix` beside the filter is how rules were written before there were filters. */
function filterOf(filter: LifecycleRuleFilter | undefined, prefix: string | undefined): Filtered {
  const all = filter?.And ?? filter
  const [over, under] = [all?.ObjectSizeGreaterThan, all?.ObjectSizeLessThan]
  const tagged = filter?.Tag !== undefined || (filter?.And?.Tags ?? []).length > 0
  return {
    prefixes: [all?.Prefix ?? prefix ?? ''],
    ...(over !== undefined && { largerThan: over }),
    ...(under !== undefined && { smallerThan: under }),
    asksMore: tagged,
  }
}
