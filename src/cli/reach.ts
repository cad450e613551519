import type { Config } from '../config.ts'
import { isWeb } from '../model/location.ts'
import type { Location } from '../model/location.ts'
import type { Watch } from '../model/watch.ts'
import type { Access } from '../storage/storage.ts'

/** The configuration knows how to reach a bucket that it watches, whatever the artifact: the first watch with a location in the bucket of `asked`, at its endpoint if it names one. */
export function watchReaching(config: Config | undefined, asked: Location): Watch | undefined {
  return config?.watches.find(({ locations }) => locations.some((location) => isSameBucket(location, asked)))
}

export function isSameBucket(location: Location, asked: Location): boolean {
  return asked.scheme !== 'file' && location.scheme === asked.scheme && location.bucket === asked.bucket && (asked.endpoint === undefined || location.endpoint === asked.endpoint)
}

/** How recorded bytes are reached: as the watch of their bucket does, else by the endpoint that was recorded and the credentials of the surroundings. */
export function accessTo(config: Config | undefined, location: Location): Access {
  const { endpoint } = location
  // Without an endpoint it was recorded at the provider's own.
  const watch = config?.watches.find(({ locations }) => locations.some((one) => isSameBucket(one, location) && (isWeb(location) || one.endpoint === endpoint)))
  const plain = endpoint === undefined ? {} : { endpoint }
  return { s3: watch?.s3 ?? plain, gcs: watch?.gcs ?? plain, http: watch?.http ?? {} }
}
