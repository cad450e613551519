// The least that AWS must allow. Source: the service authorization reference (Amazon S3, Amazon SQS).
import type { Policy } from '../../model/probe.ts'
import type { Watch } from '../../model/watch.ts'
import { arnOfBucket, arnOfQueue } from './arn.ts'

interface Statement {
  readonly Sid: string
  readonly Effect: 'Allow'
  readonly Action: readonly string[]
  readonly Resource: readonly string[]
}

/** A policy for each identity that looks for `watches` at S3 or hears at SQS. */
export function iamPolicies(watches: readonly Watch[]): readonly Policy[] {
  const ours = watches.filter(({ locations, events }) => events?.kind === 'sqs' || locations.some(({ scheme }) => scheme === 's3'))
  return [...Map.groupBy(ours, ({ s3 }) => JSON.stringify([s3.role, s3.profile])).values()].map((served) => {
    const { role, profile } = (served[0] as Watch).s3
    const who = role ?? (profile === undefined ? 'the identity that Varve runs as' : `the identity of the profile ${profile}`)
    const assumed = role === undefined ? '' : ', which that identity must be allowed to assume (sts:AssumeRole)'
    const title = `IAM policy for ${who}${assumed}, needed by ${served.map(({ name }) => name).join(', ')}`
    return { title, text: JSON.stringify({ Version: '2012-10-17', Statement: statementsOf(served) }, undefined, 2) }
  })
}

/**
 * S3 answers for what is not there only who may list the whole bucket: a condition on `s3:prefix` would make a removed object look like a denied one. What reads
 * objects is bound to the prefixes.
 */
function statementsOf(watches: readonly Watch[]): Statement[] {
  const places = watches.flatMap(({ locations, s3 }) => locations.filter(({ scheme }) => scheme === 's3').map((location) => ({ location, bucket: arnOfBucket(location.bucket, s3.region) })))
  const objects = places.flatMap(({ location: { object, prefix }, bucket }) => [...(object === undefined ? [] : [`${bucket}/${literal(object)}`]), `${bucket}/${literal(prefix)}*`])
  const queues = watches.flatMap(({ events, s3 }) => (events?.kind === 'sqs' ? [arnOfQueue(events.url, s3.region)] : []))
  return [
    allow('VarveLists', ['s3:ListBucket', 's3:ListBucketVersions'], places.map(({ bucket }) => bucket)),
    // What the audit foretells; without it that is said not to be known.
    allow('VarveForetells', ['s3:GetBucketVersioning', 's3:GetLifecycleConfiguration'], places.map(({ bucket }) => bucket)),
    allow('VarveReads', ['s3:GetObject', 's3:GetObjectVersion'], objects),
    allow('VarveHears', ['sqs:ReceiveMessage', 'sqs:DeleteMessage'], queues),
  ].filter(({ Resource }) => Resource.length > 0)
}

function allow(Sid: string, Action: readonly string[], resources: readonly string[]): Statement {
  return { Sid, Effect: 'Allow', Action, Resource: [...new Set(resources)].sort() }
}

/** IAM's own way of writing what it would take for a wildcard or a variable. */
function literal(key: string): string {
  return key.replace(/[*?$]/g, (character) => `\${${character}}`)
}
