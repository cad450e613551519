// What a bucket's notification configuration lets through. Sources: the S3 user guide ("Amazon S3 Event Notifications", "Configuring event notifications using
// object key name filtering").
import type { NotificationConfiguration } from '@aws-sdk/client-s3'
import { fails, degraded, works } from '../../model/probe.ts'
import type { Diagnosis } from '../../model/probe.ts'
import type { Location } from '../../model/location.ts'
import { isQueue } from './arn.ts'
import { decodeForm } from './notifications.ts'

/** What is to be heard of: a location, by this queue; `include` are the globs of its watch, and `otherwise` says how else changes are found. */
export interface Wanted {
  readonly location: Location
  readonly queueUrl: string
  readonly include: readonly string[]
  readonly otherwise: string
}

interface Rule {
  readonly events: readonly string[]
  readonly prefix: string
  readonly suffix: string
}

// S3 tells of each kind for itself or of all; what lifecycle rules remove is no ObjectRemoved.
const NEEDED: readonly (readonly [kind: string, ...events: string[]])[] = [
  ['s3:ObjectCreated', 'Put', 'Post', 'Copy', 'CompleteMultipartUpload'],
  ['s3:ObjectRemoved', 'Delete', 'DeleteMarkerCreated'],
  ['s3:LifecycleExpiration', 'Delete', 'DeleteMarkerCreated'],
]
const ALL = NEEDED.map(([kind]) => `${kind}:*`).join(', ')
// What S3 wants percent-encoded in a filter. A filter that holds one of them as it is matches no key, silently.
const UNENCODED = /[\x00-\x20\x7f-\uffff$&@=;:,?]/

/** Whether the bucket tells the queue of all that happens in the location. */
export function notified(configuration: NotificationConfiguration, wanted: Wanted): Diagnosis {
  const queues = configuration.QueueConfigurations ?? []
  const direct = queues.filter(({ QueueArn }) => isQueue(QueueArn ?? '', wanted.queueUrl)).map(ruleOf)
  if (direct.length > 0) return judge(direct, wanted)
  if (configuration.EventBridgeConfiguration !== undefined) return works('notifications', `the bucket tells EventBridge; ${UNSEEN}`)
  const topics = configuration.TopicConfigurations ?? []
  const topic = topics.length === 0 ? undefined : judge(topics.map(ruleOf), wanted)
  if (topic !== undefined) return topic.outcome === 'works' ? works('notifications', `the bucket tells SNS; ${UNSEEN}`) : topic
  const others = queues.length === 0 ? '' : `, but others: ${queues.map(({ QueueArn }) => QueueArn).join(', ')}`
  return fails('notifications', { reason: `the bucket does not tell this queue${others}; ${wanted.otherwise}`, action: todo(wanted) })
}

const UNSEEN = 'whether the way from there leads to this queue cannot be seen from here'

function ruleOf(told: { Events?: readonly string[] | undefined; Filter?: { Key?: { FilterRules?: readonly { Name?: string | undefined; Value?: string | undefined }[] | undefined } | undefined } | undefined }): Rule {
  const filter = (name: string): string => told.Filter?.Key?.FilterRules?.find(({ Name }) => Name?.toLowerCase() === name)?.Value ?? ''
  return { events: told.Events ?? [], prefix: filter('prefix'), suffix: filter('suffix') }
}

function judge(rules: readonly Rule[], wanted: Wanted): Diagnosis {
  const lacks: string[] = []
  const narrow = new Set<string>()
  let heard = 0
  for (const [kind, ...names] of NEEDED) {
    const told = (name: string, reach: 'all' | 'some'): readonly Rule[] => rules.filter((rule) => sends(rule, kind, name) && reachOf(rule, wanted) === reach)
    const unheard = names.filter((name) => told(name, 'all').length === 0)
    const never = unheard.filter((name) => told(name, 'some').length === 0)
    for (const rule of unheard.flatMap((name) => told(name, 'some'))) narrow.add(filterWords(rule))
    heard += names.length - never.length
    if (never.length > 0) lacks.push(`${never.length === names.length ? `${kind}:*` : never.map((name) => `${kind}:${name}`).join(' and ')} is not sent`)
  }
  if (narrow.size > 0) lacks.push(`only keys ${[...narrow].join(' or ')} are told of`)
  if (lacks.length === 0) return works('notifications', 'the bucket tells the queue')
  const broken = rules.filter(({ prefix, suffix }) => UNENCODED.test(prefix + suffix)).map(encodingWords)
  const words = { reason: [...new Set([...lacks, ...broken]), wanted.otherwise].join('; '), action: todo(wanted) }
  return heard === 0 ? fails('notifications', words) : degraded('notifications', words)
}

function sends({ events }: Rule, kind: string, name: string): boolean {
  return events.includes(`${kind}:*`) || events.includes(`${kind}:${name}`)
}

/** How much of the location a rule's filter lets through. */
function reachOf({ prefix, suffix }: Rule, { location, include }: Wanted): 'all' | 'some' | 'none' {
  if (UNENCODED.test(prefix + suffix)) return 'none'
  const [begin, end] = [decodeForm(prefix) ?? prefix, decodeForm(suffix) ?? suffix]
  const ends = end === '' || (include.length > 0 && include.every((pattern) => pattern.endsWith(end)))
  if ((location.object ?? location.prefix).startsWith(begin)) return ends ? 'all' : 'some'
  return begin.startsWith(location.prefix) ? 'some' : 'none'
}

function filterWords({ prefix, suffix }: Rule): string {
  return [...(prefix === '' ? [] : [`under ${prefix}`]), ...(suffix === '' ? [] : [`ending in ${suffix}`])].join(' and ')
}

function encodingWords({ prefix, suffix }: Rule): string {
  const wrong = UNENCODED.test(prefix) ? prefix : suffix
  return `the filter ${JSON.stringify(wrong)} matches nothing, since it is not percent-encoded: write ${encoded(wrong)}`
}

function encoded(key: string): string {
  return key.split('/').map(encodeURIComponent).join('/')
}

/** A configuration is set as a whole: whoever adds to it must keep what is there. */
function todo({ location, queueUrl }: Wanted): string {
  const prefix = location.object ?? location.prefix
  const filter = prefix === '' ? '' : ` for keys under ${encoded(prefix)} (or for all)`
  return `let the bucket send ${ALL}${filter} to ${queueUrl}, beside what it sends already`
}
