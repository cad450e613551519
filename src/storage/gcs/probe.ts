// What `varve doctor` asks of a bucket of GCS: of its objects no byte is read.
import { formatLocation } from '../../model/location.ts'
import type { Location } from '../../model/location.ts'
import { degraded, fails, works } from '../../model/probe.ts'
import type { Diagnosis } from '../../model/probe.ts'
import type { Watch } from '../../model/watch.ts'
import { actionOf, within } from '../probe.ts'
import type { Means } from '../probe.ts'
import { aboutBucket } from './about.ts'
import { Bucket } from './bucket.ts'
import { connectGcs } from './config.ts'
import type { Gate } from './config.ts'
import { gcsFailure, Refusal } from './failures.ts'
import type { Page } from './page.ts'

const LIST = 'storage.objects.list'
const GET = 'storage.objects.get'
const ABOUT = 'storage.buckets.get'
const PAY = 'serviceusage.services.use'
// With nothing there, what is not there tells: it is missing, or denied.
const NOT_THERE = 'varve-doctor/not-there'

/** Asks for all that looking at `location` needs. Never throws but for `signal`. */
export async function probeGcs(watch: Watch, location: Location, means: Means, signal: AbortSignal): Promise<readonly Diagnosis[]> {
  const { gcs } = watch
  const place = formatLocation(location)
  const ask = <T>(question: (signal: AbortSignal) => Promise<T>): Promise<T> => within(means, signal, question)
  let gate: Gate
  try {
    gate = await ask(() => connectGcs(place, gcs))
    await ask((late) => gate.headers(gate.endpoint, late))
  } catch (error) {
    signal.throwIfAborted()
    return [refused('credentials', error, place, LIST)]
  }
  const bucket = new Bucket(gate, location.bucket, gcs.project)
  try {
    const credentials = works('credentials', gate.endpoint.startsWith('http:') ? 'none are sent over http' : undefined)
    let page: Page | undefined
    let list = works('list')
    try {
      page = await ask((late) => bucket.list(location.prefix, undefined, 100, { requests: 0 }, late))
    } catch (error) {
      signal.throwIfAborted()
      list = refused('list', error, place, LIST)
      const { code } = gcsFailure(error, place, LIST)
      if (code === 'CREDENTIALS') return [{ ...list, capability: 'credentials' }]
      if (code !== 'LOCATION_DENIED' && code !== 'STORAGE_INVALID') return [credentials, { ...list, capability: 'reach' }]
    }
    const key = page?.rows[0]?.key ?? location.object ?? `${location.prefix}${NOT_THERE}`
    const got = page === undefined ? [] : [await ask((late) => bucket.get(key, { requests: 0 }, late)).then(() => works('get'), (error: unknown) => missing(error, place))]
    const kept = await ask((late) => aboutBucket(bucket, { requests: 0 }, late)).then(({ versioning }) => keeping(versioning?.enabled === true), (error: unknown) => unseen(error, place))
    signal.throwIfAborted()
    return [works('reach', gate.endpoint), credentials, list, ...got, kept]
  } finally {
    bucket.close()
  }
}

function refused(capability: string, error: unknown, place: string, permission: string): Diagnosis {
  const failure = gcsFailure(error, place, permission)
  const denied = failure.code === 'LOCATION_DENIED'
  // What GCS says names who is denied.
  const said = denied && error instanceof Refusal && error.message !== '' ? ` (${error.message})` : ''
  const missingOne = failure.hint?.includes(PAY) === true ? PAY : permission
  return fails(capability, { reason: `${failure.message}${said}`, action: actionOf(failure), permission: denied ? missingOne : undefined })
}

function missing(error: unknown, place: string): Diagnosis {
  return error instanceof Refusal && error.status === 404 ? works('get', 'no object is there yet') : refused('get', error, place, GET)
}

function keeping(versioned: boolean): Diagnosis {
  if (versioned) return works('versioning')
  return degraded('versioning', { reason: 'it is off: what is overwritten or removed cannot be brought back', action: 'switch object versioning on for the bucket, if that is wanted' })
}

function unseen(error: unknown, place: string): Diagnosis {
  const denied = error instanceof Refusal && error.status === 403
  const why = denied ? `${ABOUT} is not allowed` : gcsFailure(error, place, ABOUT).message
  const reason = `it is not known to be on (${why}); without it what is overwritten or removed cannot be brought back`
  return degraded('versioning', { reason, ...(denied && { action: `allow ${ABOUT}: without it what is overwritten counts as restorable until an audit finds it gone`, permission: ABOUT }) })
}
