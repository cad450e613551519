// How each kind of location is reached and heard: what may stand in a watch for it, and what that means.
import { z } from 'zod'
import { count, flag, key, mapping, text, urlTrouble } from './config-keys.ts'
import { given, isOn, nameTrouble, plainEndpoint } from './config-terms.ts'
import type { Environment } from './config-terms.ts'
import { BYTES_MAX } from './storage/http/config.ts'
import type { Events, GcsAccess, HttpAccess, S3Access } from './model/watch.ts'

// What is recorded names them: nothing in them may be a secret.
const plainUrl = (value: string): string | undefined => urlTrouble('https:', 'http:')(value) ?? (/^[^/]+\/\/[^/]*@/.test(value) ? 'the URL holds a user or password; take it out' : undefined)
const endpoint = text('a URL', (value) => plainUrl(value) ?? (/[?#]/.test(value) ? 'the URL holds a query; take it out' : undefined))
const queueUrl = text('a URL', (value) => plainUrl(value) ?? (/[^/]\/+$|\/\/[^/]*$/.test(value.replace(/[?#].*$/s, '')) ? 'the URL names no queue; write all of it, https://sqs.eu-west-1.amazonaws.com/123456789012/name' : undefined))

const s3 = mapping({
  region: key(text('a region', nameTrouble), 'The region of the bucket; else the SDK finds it.'),
  endpoint: key(endpoint, 'Where S3 is when not at AWS; goes before AWS_ENDPOINT_URL_S3, AWS_S3_ENDPOINT_URL and AWS_ENDPOINT_URL.'),
  path_style: key(flag, 'Address buckets as endpoint/bucket instead of bucket.endpoint. Default true where an endpoint is given.'),
  profile: key(text('the name of a profile', nameTrouble), 'The profile of the shared AWS files to take credentials from.'),
  role: key(text('a role', roleTrouble), 'The ARN of a role to assume with those credentials.'),
})

const gcs = mapping({
  project: key(text('the name of a project', nameTrouble), 'The project that pays for requests; else that of the credentials.'),
  endpoint: key(endpoint, 'Where GCS is when not at Google; goes before STORAGE_EMULATOR_HOST.'),
  credentials_file: key(text('a file', fileTrouble), 'A key file, relative to this file; else the application-default credentials.'),
  impersonate: key(text('a service account', accountTrouble), 'The e-mail address of a service account to impersonate with those credentials.'),
})

const http = mapping({
  checksum: key(z.enum(['content'], { error: 'expected content' }), 'content: read and compare the bytes whenever ETag or Last-Modified moved, or there is neither.'),
  max_bytes: key(count, `More bytes than this are not read. Default ${BYTES_MAX}.`),
  html: key(flag, 'The object is HTML, though its name does not end so; else an HTML answer counts as an error page. Default false.'),
  allow_private: key(flag, 'Follow redirects to private and link-local addresses, too. Default false.'),
})

const events = mapping({
  sqs: key(queueUrl, 'S3: URL of the queue that the bucket notifies; watches may share it.'),
  pubsub: key(text('a subscription', subscriptionTrouble), 'GCS: projects/P/subscriptions/S; watches may share it.'),
  webhook: key(
    mapping({
      path: text('a path', hookTrouble).meta({ description: 'Path of the listener that the store posts to; watches may share it.' }),
      token_file: text('a file', fileTrouble).meta({ description: 'File that holds the bearer token which the store must show.' }),
    }),
    'S3-compatible stores: they post their notifications to Varve.',
  ),
}).check(({ value, issues }) => {
  if (Object.values(value).filter((one) => one !== undefined).length !== 1)
    issues.push({ code: 'custom', input: value, message: 'expected one of sqs, pubsub and webhook' })
})

/** The keys of a watch. */
export const sources = {
  events: key(events, 'What tells of changes: one of these. Files are heard without.'),
  s3: key(s3, 'How to reach S3; credentials are the SDK\'s own.'),
  gcs: key(gcs, 'How to reach Google Cloud Storage and Pub/Sub.'),
  http: key(http, 'How to look at web servers.'),
}

const shape = z.object(sources)
export type SourcesText = z.infer<typeof shape>

export function eventsOf({ events: told }: SourcesText, resolveFile: (path: string) => string): Events | undefined {
  if (told?.sqs !== undefined) return { kind: 'sqs', url: told.sqs }
  if (told?.pubsub !== undefined) return { kind: 'pubsub', subscription: told.pubsub }
  if (told?.webhook !== undefined) return { kind: 'webhook', path: told.webhook.path, tokenFile: resolveFile(told.webhook.token_file) }
  return undefined
}

/** The endpoint is the location's: it is a part of what the place is. Stores of other makers assume roles where they answer S3; `sts` goes before. */
export function s3AccessOf({ s3: told }: SourcesText, endpoint: string | undefined, { stsEndpoint: sts, awsFiles }: Environment): S3Access {
  const elsewhere = endpoint === undefined || /\.(amazonaws\.com(\.cn)?|api\.aws)$/.test(URL.parse(endpoint)?.hostname ?? '') ? undefined : endpoint
  const stsEndpoint = told?.role === undefined ? undefined : (sts ?? elsewhere)
  return given({ region: told?.region, endpoint, pathStyle: isOn(told?.path_style), profile: told?.profile, sharedFiles: told?.profile === undefined ? undefined : awsFiles, role: told?.role, stsEndpoint })
}

export function gcsAccessOf({ gcs: told }: SourcesText, endpoint: string | undefined, resolveFile: (path: string) => string): GcsAccess {
  const credentialsFile = told?.credentials_file
  return given({ project: told?.project, endpoint, impersonate: told?.impersonate, credentialsFile: credentialsFile === undefined ? undefined : resolveFile(credentialsFile) })
}

export function httpAccessOf({ http: told }: SourcesText): HttpAccess {
  const bytesMax = told?.max_bytes === undefined ? undefined : Number(told.max_bytes)
  return given({ checksum: told?.checksum, allowPrivate: isOn(told?.allow_private), html: isOn(told?.html), bytesMax })
}

/** Where a bucket is when not at its provider: what the watch says goes before the environment. */
export function endpointOf(told: string | undefined, surrounding: string | undefined): string | undefined {
  return plainEndpoint(told ?? surrounding)
}

function roleTrouble(value: string): string | undefined {
  return /^arn:[a-z-]+:iam::\d{12}:role\/[^\s]+$/.test(value) ? undefined : 'not the ARN of a role; write arn:aws:iam::123456789012:role/name'
}

function accountTrouble(value: string): string | undefined {
  return /^[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com$/.test(value) ? undefined : 'not a service account; write name@project.iam.gserviceaccount.com'
}

function subscriptionTrouble(value: string): string | undefined {
  return /^projects\/[^/\s]+\/subscriptions\/[^/\s]+$/.test(value) ? undefined : 'not a subscription; write projects/P/subscriptions/S'
}

function hookTrouble(value: string): string | undefined {
  const taken = ['/livez', '/readyz', '/metrics'].includes(value)
  // Who posts leaves segments of dots out.
  return !taken && /^(\/(?!\.\.?(\/|$))[A-Za-z0-9._~-]+)+$/.test(value) ? undefined : 'not a path of its own; write /hooks/name, of letters, digits, . _ ~ and -'
}

function fileTrouble(value: string): string | undefined {
  if (value === '' || value.includes('\0')) return 'the path is empty or holds a NUL character'
  return value.startsWith('~') ? '~ is not expanded; write ${HOME}/… or the whole path' : undefined
}
