// Who a queue's policy lets send. Source: IAM's grammar of policies; the S3 user guide ("Granting permissions to publish event notification messages").
import { degraded, fails, works } from '../../model/probe.ts'
import type { Diagnosis } from '../../model/probe.ts'

type Json = Readonly<Record<string, unknown>>

/** What came of a policy, when it is that of the queue `queueArn` and the bucket `bucketArn` is to send. `enforced` is false where the queue is not AWS's own. */
export function senderOf(policy: string | undefined, queueArn: string, bucketArn: string, enforced: boolean): Diagnosis {
  const statements = statementsOf(policy).filter(allowsSending)
  if (statements.some((statement) => namesService(statement, 's3') && sourceMay(statement, (source) => glob(source, bucketArn)))) return works('sender', 'the policy of the queue lets the bucket send')
  for (const [service, name] of [['sns', 'SNS'], ['events', 'EventBridge']] as const)
    if (statements.some((statement) => namesService(statement, service) && sourceMay(statement, (source) => source.split(':')[2] === service)))
      return works('sender', `the policy of the queue lets ${name} send, not the bucket itself`)
  const grant = { Effect: 'Allow', Principal: { Service: 's3.amazonaws.com' }, Action: 'sqs:SendMessage', Resource: queueArn, Condition: { ArnEquals: { 'aws:SourceArn': bucketArn } } }
  const words = { reason: 'no statement of the queue\'s policy lets the bucket send to it', action: `add to the policy of the queue: ${JSON.stringify(grant)}`, permission: 'sqs:SendMessage' }
  if (enforced) return fails('sender', words)
  return degraded('sender', { ...words, reason: `${words.reason}: what is not AWS may let it, or not` })
}

function statementsOf(policy: string | undefined): readonly Json[] {
  if (policy === undefined || policy === '') return []
  try {
    return listOf((JSON.parse(policy) as Json)['Statement']).filter((one): one is Json => typeof one === 'object' && one !== null)
  } catch {
    return []
  }
}

function allowsSending(statement: Json): boolean {
  return statement['Effect'] === 'Allow' && listOf(statement['Action']).some((action) => glob(String(action).toLowerCase(), 'sqs:sendmessage'))
}

/** By name, or as anybody: then a condition says who. */
function namesService(statement: Json, service: string): boolean {
  const principal = statement['Principal']
  if (principal === '*') return true
  const { AWS, Service } = (principal ?? {}) as Json
  return listOf(AWS).includes('*') || listOf(Service).includes('*') || listOf(Service).includes(`${service}.amazonaws.com`)
}

/** True when the conditions name no source, or one that `may`. Other conditions (the account) are believed to hold. */
function sourceMay(statement: Json, may: (source: string) => boolean): boolean {
  for (const [operator, keys] of Object.entries((statement['Condition'] ?? {}) as Json)) {
    if (!/^(arn|string)(equals|like)/i.test(operator)) continue
    for (const [key, values] of Object.entries((keys ?? {}) as Json))
      if (key.toLowerCase() === 'aws:sourcearn' && !listOf(values).some((value) => may(String(value)))) return false
  }
  return true
}

function listOf(value: unknown): readonly unknown[] {
  if (value === undefined) return []
  return Array.isArray(value) ? value : [value]
}

/** IAM's `*` and `?`. */
function glob(pattern: string, text: string): boolean {
  const source = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.')
  return new RegExp(`^${source}$`, 's').test(text)
}
