// What `varve doctor` asks of a bucket. It reads one byte of one object, and changes nothing.
import { GetBucketNotificationConfigurationCommand, GetBucketVersioningCommand, GetObjectCommand } from '@aws-sdk/client-s3'
import type { GetObjectCommandOutput, S3Client } from '@aws-sdk/client-s3'
import type { Readable } from 'node:stream'
import { isFailure } from '../../model/errors.ts'
import type { VarveError } from '../../model/errors.ts'
import { formatLocation } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import { degraded, fails, works } from '../../model/probe.ts'
import type { Diagnosis } from '../../model/probe.ts'
import type { Watch } from '../../model/watch.ts'
import { actionOf, isSkewed, skewWords, within } from '../probe.ts'
import type { Means } from '../probe.ts'
import { Bucket } from './bucket.ts'
import { connectS3 } from './config.ts'
import { awsFailure, isRefused, statusOf, whoIsDenied } from './failures.ts'
import { isFolderMarker, pinOf } from './list.ts'
import { notified, posted } from './notified.ts'
import type { PageRow } from './page.ts'
import { listenIn } from './wire.ts'
import type { Wire } from './wire.ts'

/** An opened bucket, and how to ask it. */
interface Asking {
  readonly watch: Watch
  readonly location: Location
  /** The location in words. */
  readonly place: string
  readonly client: S3Client
  readonly bucket: Bucket
  readonly wire: Wire
  /** Asks within the bound. */
  readonly ask: <T>(question: (signal: AbortSignal) => Promise<T>) => Promise<T>
}

/** Asks for all that looking at `location` needs, and for what its versions can be restored with. Never throws but for `signal`. */
export async function probeS3(watch: Watch, location: Location, means: Means, signal: AbortSignal): Promise<readonly Diagnosis[]> {
  const place = formatLocation(location)
  let client: S3Client
  try {
    client = await within(means, signal, () => connectS3(place, watch.s3))
  } catch (error) {
    signal.throwIfAborted()
    return [failed('reach', awsFailure(error, place, 's3:ListBucket'))]
  }
  try {
    const wire = listenIn(client, means.clock)
    const asking: Asking = {
      watch, location, place, client, wire, bucket: new Bucket(client, location.bucket),
      ask: async (question) => {
        try {
          return await within(means, signal, question)
        } catch (error) {
          signal.throwIfAborted()
          throw error
        }
      },
    }
    const diagnoses = await diagnosesOf(asking)
    const clock = clockOf(wire)
    return clock === undefined ? diagnoses : [...diagnoses, clock]
  } finally {
    client.destroy()
  }
}

async function diagnosesOf(asking: Asking): Promise<Diagnosis[]> {
  const { ask, bucket, client, location, place, wire } = asking
  const known = await ask(() => client.config.credentials()).catch((error: unknown) => awsFailure(error, place, 's3:ListBucket'))
  if (isFailure(known)) return [{ ...failed('credentials', known), ...(known.hint?.includes(ASSUME) === true && { permission: ASSUME }) }]
  const credentials = works('credentials', identityWords(known))
  // A page of the least size may hold nothing but the marker of a folder.
  const first = await ask((signal) => bucket.objects(location.prefix, {}, { requests: 0 }, signal, 100)).catch(said)
  if (first instanceof Said) {
    const failure = awsFailure(first.error, place, 's3:ListBucket')
    if (failure.code === 'CREDENTIALS') return [...(wire.answered() ? [reached(asking, await regionOf(client))] : []), failed('credentials', failure)]
    if (failure.code !== 'LOCATION_DENIED' && failure.code !== 'STORAGE_INVALID') return [unreached(failure, wire, await regionOf(client)), credentials]
  }
  const list = first instanceof Said ? deniedOr('list', first.error, place, 's3:ListBucket') : works('list')
  const rows = first instanceof Said ? undefined : first.rows
  const [versions, more] = await Promise.all([
    versionsOf(asking, rows),
    notificationsOf(asking),
  ])
  return [reached(asking, await regionOf(client)), credentials, list, ...versions, ...more]
}

const ASSUME = 'sts:AssumeRole'

/** What was thrown, as a value. */
class Said {
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}

function said(error: unknown): Said {
  return new Said(error)
}

function failed(capability: string, failure: VarveError): Diagnosis {
  return fails(capability, { reason: failure.message, action: actionOf(failure) })
}

/** What is denied names the permission, and who is denied where the store says it. */
function deniedOr(capability: string, error: unknown, place: string, permission: string): Diagnosis {
  const failure = awsFailure(error, place, permission)
  if (failure.code !== 'LOCATION_DENIED') return failed(capability, failure)
  const who = whoIsDenied(error)
  return fails(capability, { reason: who === undefined ? failure.message : `${failure.message} (${who})`, action: failure.hint, permission })
}

function regionOf(client: S3Client): Promise<string | undefined> {
  return client.config.region().catch(() => undefined)
}

function reached({ location }: Asking, region: string | undefined): Diagnosis {
  return works('reach', `${location.endpoint ?? 'AWS'}, region ${region ?? 'unknown'}`)
}

function unreached(failure: VarveError, wire: Wire, asked: string | undefined): Diagnosis {
  const lies = wire.region()
  if (failure.code !== 'LOCATION_MISSING' || lies === undefined || lies === asked) return failed('reach', failure)
  return fails('reach', { reason: `the bucket lies in ${lies}, and was asked for in ${asked}`, action: `set s3.region to ${lies}` })
}

/** `env vars, until 2026-01-01T00:00:00Z`. Never the keys. */
function identityWords(credentials: { readonly expiration?: Date | undefined; readonly $source?: object }): string | undefined {
  const source = Object.keys(credentials.$source ?? {}).at(-1)?.replace(/^CREDENTIALS_/, '').toLowerCase().replaceAll('_', ' ')
  const until = credentials.expiration === undefined ? [] : [`until ${credentials.expiration.toISOString()}`]
  return [...(source === undefined ? [] : [`from ${source}`]), ...until].join(', ') || undefined
}

// S3 refuses what was signed by a clock that is further away.
const REFUSED_FROM_MS = 900_000

function clockOf(wire: Wire): Diagnosis | undefined {
  const skew = wire.skew()
  if (skew === undefined) return undefined
  if (!isSkewed(skew)) return works('clock')
  const words = { reason: `the store's clock is ${skewWords(skew)} this one`, action: 'have the clock of this machine synchronised' }
  if (isSkewed(skew, REFUSED_FROM_MS)) return fails('clock', { ...words, reason: `${words.reason}; S3 refuses more than 15 min` })
  return degraded('clock', { ...words, reason: `${words.reason}; above 15 min S3 refuses all` })
}

const UNPINNED = 'entries are without pins, and overwritten objects cannot be restored'

/** What pins and restores: the versions, whether the bucket keeps them, and the reading of one object. `rows` is undefined where nothing may be listed. */
async function versionsOf(asking: Asking, rows: readonly PageRow[] | undefined): Promise<Diagnosis[]> {
  const { ask, bucket, client, location, place } = asking
  const [page, state] = await Promise.all([
    ask((signal) => bucket.versions(location.prefix, {}, { requests: 0 }, signal)).catch(said),
    ask((abortSignal) => client.send(new GetBucketVersioningCommand({ Bucket: location.bucket }), { abortSignal })).catch(said),
  ])
  const listed = page instanceof Said ? rows : page.rows
  const sample = sampleOf(listed ?? [], location)
  const pinned = sample !== undefined && pinOf(sample.versionId).pin !== undefined
  return [
    page instanceof Said ? versionsDenied(page.error, place) : works('list versions'),
    versioningOf(state instanceof Said ? state : state.Status, pinned),
    ...(await readingOf(asking, sample, rows !== undefined)),
  ]
}

function versionsDenied(error: unknown, place: string): Diagnosis {
  if (!isRefused(error)) return failed('list versions', awsFailure(error, place, 's3:ListBucketVersions'))
  if (statusOf(error) !== 403) return degraded('list versions', { reason: `this store does not offer it: ${UNPINNED}` })
  const { action, permission } = deniedOr('list versions', error, place, 's3:ListBucketVersions')
  return degraded('list versions', { reason: `s3:ListBucketVersions is not allowed: ${UNPINNED}`, action, permission })
}

/** The first object that has bytes, as it is now; else any. */
function sampleOf(rows: readonly PageRow[], location: Location): PageRow | undefined {
  const usable = rows.filter(({ key, latest, marker, garbled }) => latest && !marker && !garbled && (location.object === undefined || key.startsWith(location.object)))
  return usable.find(({ key, sizeBytes }) => sizeBytes > 0 && !isFolderMarker(key, sizeBytes)) ?? usable[0]
}

function versioningOf(state: string | undefined | Said, pinned: boolean): Diagnosis {
  if (state === 'Enabled') return works('versioning')
  const lost = 'what is overwritten or removed cannot be brought back'
  const action = 'switch versioning on for the bucket, if that is wanted'
  if (!(state instanceof Said)) return degraded('versioning', { reason: `it is ${state === 'Suspended' ? 'suspended' : 'off'}: ${lost}`, action })
  if (pinned) return works('versioning', 'objects have versions')
  const denied = statusOf(state.error) === 403
  const why = denied ? 's3:GetBucketVersioning is not allowed, so it is not known to be on' : 'the store does not say that it is on'
  return degraded('versioning', { reason: `${why}; without it ${lost}`, permission: denied ? 's3:GetBucketVersioning' : undefined, action: denied ? 'allow s3:GetBucketVersioning, for this probe alone' : action })
}

// With nothing there, what is not there tells: it is denied or missing.
const NOT_THERE = 'varve-doctor/not-there'

/** HEAD and one byte of `sample`, or of what is not there: which only tells where listing is `allowed`, since S3 denies the missing to others. */
async function readingOf(asking: Asking, sample: PageRow | undefined, allowed: boolean): Promise<Diagnosis[]> {
  if (sample === undefined && !allowed) return []
  const { ask, bucket, client, location } = asking
  const key = sample?.key ?? location.object ?? `${location.prefix}${NOT_THERE}`
  const place = formatLocation({ ...location, object: key })
  const VersionId = pinOf(sample?.versionId).pin?.slice('versionId:'.length)
  const command = new GetObjectCommand({ Bucket: location.bucket, Key: key, Range: 'bytes=0-0', ...(VersionId !== undefined && { VersionId }) })
  const [shown, read] = await Promise.all([
    ask((signal) => headed(bucket, key, signal)).catch(said),
    ask(async (abortSignal) => leave(await client.send(command, { abortSignal }))).catch(said),
  ])
  return [headOf(shown, place), readOf(read, place, VersionId !== undefined)]
}

/** True when checksums are shown, too. */
async function headed(bucket: Bucket, key: string, signal: AbortSignal): Promise<boolean> {
  try {
    await bucket.head(key, true, signal)
    return true
  } catch (error) {
    if (statusOf(error) !== 403) throw error
    await bucket.head(key, false, signal)
    return false
  }
}

/** A store that knows no ranges would send the whole. */
function leave(answer: GetObjectCommandOutput): void {
  (answer.Body as Readable | undefined)?.destroy()
}

function headOf(shown: boolean | Said, place: string): Diagnosis {
  if (shown === true) return works('head')
  const reason = 'checksums are not shown (kms:Decrypt is not allowed): bytes uploaded again may count as changed'
  if (shown === false) return degraded('head', { reason, action: 'allow kms:Decrypt on the key of the bucket', permission: 'kms:Decrypt' })
  const status = statusOf(shown.error)
  if (status === 404 || status === 405) return works('head', 'no object is there yet')
  if (status === 400) return degraded('head', { reason: `${place} is encrypted with a key of its owner's own (SSE-C): it is skipped as unreadable` })
  return deniedOr('head', shown.error, place, 's3:GetObject')
}

function readOf(read: void | Said, place: string, pinned: boolean): Diagnosis {
  if (!(read instanceof Said)) return works('read', pinned ? 'by its version' : undefined)
  const { name, message } = read.error as Error
  const status = statusOf(read.error)
  // 416: nothing is in it.
  if (status === 404 || status === 405 || status === 416) return works('read')
  if (name === 'InvalidObjectState') return degraded('read', { reason: `${place} is archived: its bytes must be brought back from there first` })
  const permission = /kms:Decrypt/i.test(message) ? 'kms:Decrypt' : pinned ? 's3:GetObjectVersion' : 's3:GetObject'
  const { reason, action, permission: missing } = deniedOr('read', read.error, place, permission)
  return degraded('read', { reason: `${reason}; versions are recorded all the same, but cannot be restored`, action, permission: missing })
}

/** What the bucket tells the queue of the watch; of stores that post only MinIO says it. */
async function notificationsOf({ ask, client, location, watch, wire }: Asking): Promise<Diagnosis[]> {
  const { events } = watch
  const tells = events?.kind === 'sqs' || (events?.kind === 'webhook' && /^minio/i.test(wire.server()))
  if (!tells) return []
  const told = await ask((abortSignal) => client.send(new GetBucketNotificationConfigurationCommand({ Bucket: location.bucket }), { abortSignal })).catch(said)
  const wanted = { location, include: watch.include, otherwise: `what is not told is found only by the scan every ${watch.reconcileMs / 60_000} min` }
  if (!(told instanceof Said)) return [events.kind === 'sqs' ? notified(told, events.url, wanted) : posted(told, wanted)]
  const denied = statusOf(told.error) === 403
  return [degraded('notifications', {
    reason: `whether the bucket tells of changes was not seen: ${denied ? 's3:GetBucketNotification is not allowed' : 'the store does not say'}`,
    ...(denied && { action: 'allow s3:GetBucketNotification, for this probe alone', permission: 's3:GetBucketNotification' }),
  })]
}
