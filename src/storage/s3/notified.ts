// What a bucket's notification configuration lets through. Sources: the S3 user guide ("Amazon S3 Event Notifications", "Configuring event notifications using
// object key name filtering").
import type { NotificationConfiguration } from '@aws-sdk/client-s3'
import { fails, degraded, works } from '../../model/probe.ts'
import type { Diagnosis } from '../../model/probe.ts'
import { baseName } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import { isQueue } from './arn.ts'
import { decodeForm } from './notifications.ts'

/** What is to be heard of; `include` are the globs of its watch, and `otherwise` says how else changes are found. */
export interface Wanted {
  readonly location: Location
  readonly include: readonly string[]
  readonly otherwise: string
}

/** How a store tells. */
interface Dialect {
  /** What is told, in words: `the queue mnist`. */
  readonly ear: string
  /** Kinds of events with their names. */
  readonly needed: readonly (readonly [kind: string, ...events: string[]])[]
  /** True where filters are percent-encoded. */
  readonly encoded: boolean
}

interface Rule {
  readonly events: readonly string[]
  readonly prefix: string
  readonly suffix: string
}

const CREATED = ['s3:ObjectCreated', 'Put', 'Post', 'Copy', 'CompleteMultipartUpload'] as const
const REMOVED = ['s3:ObjectRemoved', 'Delete', 'DeleteMarkerCreated'] as const
// S3 tells of each kind for itself or of all; what lifecycle rules remove is no ObjectRemoved.
const AWS = { needed: [CREATED, REMOVED, ['s3:LifecycleExpiration', 'Delete', 'DeleteMarkerCreated']], encoded: true } as const
// MinIO compares filters with keys as they are.
const MINIO: Dialect = { ear: 'a webhook', needed: [CREATED, REMOVED], encoded: false }
// What S3 wants percent-encoded in a filter. A filter that holds one of them as it is matches no key, silently.
const UNENCODED = /[\x00-\x20\x7f-\uffff$&@=;:,?]/

/** Whether the bucket tells the queue at `queueUrl` of all that happens in the location. */
export function notified(configuration: NotificationConfiguration, queueUrl: string, wanted: Wanted): Diagnosis {
  const dialect: Dialect = { ...AWS, ear: `the queue ${baseName(new URL(queueUrl).pathname)}` }
  const queues = configuration.QueueConfigurations ?? []
  const direct = queues.filter(({ QueueArn }) => isQueue(QueueArn ?? '', queueUrl)).map(ruleOf)
  if (direct.length > 0) return judge(direct, wanted, dialect)
  if (configuration.EventBridgeConfiguration !== undefined) return works('notifications', `the bucket tells EventBridge; ${UNSEEN}`)
  const topics = configuration.TopicConfigurations ?? []
  const topic = topics.length === 0 ? undefined : judge(topics.map(ruleOf), wanted, dialect)
  if (topic !== undefined) return topic.outcome === 'works' ? works('notifications', `the bucket tells SNS; ${UNSEEN}`) : topic
  if (new URL(queueUrl).pathname.endsWith('.fifo'))
    return fails('notifications', { reason: `S3 does not notify FIFO queues, and ${dialect.ear} is one; ${wanted.otherwise}`, action: 'name a standard queue, or let the bucket tell EventBridge, and a rule there the queue' })
  return untold(queues.map(({ QueueArn }) => QueueArn ?? ''), wanted, dialect)
}

/** Whether a bucket of MinIO tells a webhook of all that happens in the location. Where that webhook leads, only MinIO knows. */
export function posted(configuration: NotificationConfiguration, wanted: Wanted): Diagnosis {
  const all = configuration.QueueConfigurations ?? []
  const hooks = all.filter(({ QueueArn }) => QueueArn?.endsWith(':webhook') === true).map(ruleOf)
  return hooks.length > 0 ? judge(hooks, wanted, MINIO) : untold(all.map(({ QueueArn }) => QueueArn ?? ''), wanted, MINIO)
}

function untold(others: readonly string[], wanted: Wanted, dialect: Dialect): Diagnosis {
  const words = others.length === 0 ? '' : `, but others: ${others.join(', ')}`
  return fails('notifications', { reason: `the bucket does not tell ${dialect.ear}${words}; ${wanted.otherwise}`, action: todo(wanted, dialect) })
}

const UNSEEN = 'whether the way from there leads to the queue cannot be seen from here'

function ruleOf(told: { Events?: readonly string[] | undefined; Filter?: { Key?: { FilterRules?: readonly { Name?: string | undefined; Value?: string | undefined }[] | undefined } | undefined } | undefined }): Rule {
  const filter = (name: string): string => told.Filter?.Key?.FilterRules?.find(({ Name }) => Name?.toLowerCase() === name)?.Value ?? ''
  return { events: told.Events ?? [], prefix: filter('prefix'), suffix: filter('suffix') }
}

function judge(rules: readonly Rule[], wanted: Wanted, dialect: Dialect): Diagnosis {
  const lacks: string[] = []
  const narrow = new Set<string>()
  let heard = 0
  for (const [kind, ...names] of dialect.needed) {
    const told = (name: string, reach: 'all' | 'some'): readonly Rule[] => rules.filter((rule) => sends(rule, kind, name) && reachOf(rule, wanted, dialect) === reach)
    const unheard = names.filter((name) => told(name, 'all').length === 0)
    const never = unheard.filter((name) => told(name, 'some').length === 0)
    for (const rule of unheard.flatMap((name) => told(name, 'some'))) narrow.add(filterWords(rule))
    heard += names.length - never.length
    if (never.length > 0) lacks.push(`${never.length === names.length ? `${kind}:*` : never.map((name) => `${kind}:${name}`).join(' and ')} is not sent`)
  }
  if (narrow.size > 0) lacks.push(`only keys ${[...narrow].join(' or ')} are told of`)
  if (lacks.length === 0) return works('notifications', `the bucket tells ${dialect.ear}`)
  const broken = rules.filter((rule) => isBroken(rule, dialect)).map(encodingWords)
  const words = { reason: [...new Set([...lacks, ...broken]), wanted.otherwise].join('; '), action: todo(wanted, dialect) }
  return heard === 0 ? fails('notifications', words) : degraded('notifications', words)
}

function sends({ events }: Rule, kind: string, name: string): boolean {
  return events.includes(`${kind}:*`) || events.includes(`${kind}:${name}`)
}

function isBroken({ prefix, suffix }: Rule, { encoded }: Dialect): boolean {
  return encoded && UNENCODED.test(prefix + suffix)
}

/** How much of the location a rule's filter lets through. */
function reachOf(rule: Rule, { location, include }: Wanted, dialect: Dialect): 'all' | 'some' | 'none' {
  if (isBroken(rule, dialect)) return 'none'
  const [begin, end] = [rule.prefix, rule.suffix].map((text) => (dialect.encoded ? (decodeForm(text) ?? text) : text)) as [string, string]
  const ends = end === '' || (include.length > 0 && include.every((pattern) => pattern.endsWith(end)))
  if ((location.object ?? location.prefix).startsWith(begin)) return ends ? 'all' : 'some'
  return begin.startsWith(location.prefix) ? 'some' : 'none'
}

function filterWords({ prefix, suffix }: Rule): string {
  return [...(prefix === '' ? [] : [`under ${prefix}`]), ...(suffix === '' ? [] : [`ending in ${suffix}`])].join(' and ')
}

function encodingWords({ prefix, suffix }: Rule): string {
  const wrong = UNENCODED.test(prefix) ? prefix : suffix
  return `the filter ${JSON.stringify(wrong)} matches nothing, since it is not percent-encoded: write ${percented(wrong)}`
}

function percented(key: string): string {
  return key.split('/').map(encodeURIComponent).join('/')
}

/** A configuration is set as a whole: whoever adds to it must keep what is there. */
function todo({ location }: Wanted, { ear, needed, encoded }: Dialect): string {
  const prefix = location.object ?? location.prefix
  const filter = prefix === '' ? '' : ` for keys under ${encoded ? percented(prefix) : prefix} (or for all)`
  return `let the bucket send ${needed.map(([kind]) => `${kind}:*`).join(', ')}${filter} to ${ear}, beside what it sends already`
}
