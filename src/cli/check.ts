import { formatLocation, formatLocations, isWeb } from '../model/location.ts'
import { formatCollection } from '../model/watch.ts'
import type { Watch } from '../model/watch.ts'
import type { Context, Opener, Options } from './context.ts'
import { configOf } from './place.ts'
import { formatDuration, plural, visible } from './words.ts'

/** Reads the configuration and the files of tokens and keys that it names, and prints what it would watch, a line for each watch; asks no store. Throws CONFIG_INVALID with all that is wrong. */
export async function check(context: Context, options: Options): Promise<void> {
  const config = await configOf(context, options, 'all')
  const lines = await Promise.all(config.watches.map((watch) => watchLine(watch, config.defaultEntity, context.opener)))
  await context.screen.print(`${visible(config.file)}: ${plural(config.watches.length, 'watch', 'watches')}, no errors`, ...lines)
}

/** What a watch keeps equal to what, and where it looks, in words. */
export async function watchLine(watch: Watch, defaultEntity: string, opener: Pick<Opener, 'lagMs'>): Promise<string> {
  const far = (await opener.lagMs(watch)) !== undefined
  const artifact = `${formatCollection(watch.collection, defaultEntity)} (${watch.type})`
  return `  ${visible(`${watch.name}: ${formatLocations(watch.locations)} -> ${artifact}; ${scopeOf(watch)}${filtersOf(watch)}; ${hearingOf(watch, far)}`)}`
}

function scopeOf({ locations: [location, ...others] }: Watch): string {
  if (others.length > 0) return 'each at its own place in the artifact'
  if (location.object === undefined) return 'all that lies below it'
  if (isWeb(location)) return 'that object'
  // The slash is the boundary: without it, one object may be meant.
  return `the object of that name, or, if there is none, all that lies below ${formatLocation(location)}/ (write the / to mean only that)`
}

function filtersOf({ include, exclude }: Watch): string {
  const only = include.length === 0 ? '' : `, only ${include.join(' ')}`
  return exclude.length === 0 ? only : `${only}, ${include.length === 0 ? 'but ' : ''}not ${exclude.join(' ')}`
}

const HEARD_BY = { sqs: 'SQS', pubsub: 'Pub/Sub', webhook: 'a webhook' }

/** `far`: files of it lie on a network mount. */
function hearingOf(watch: Watch, far: boolean): string {
  const reconcile = `scanned every ${formatDuration(watch.reconcileMs)}`
  if (watch.events !== undefined) return `hears by ${HEARD_BY[watch.events.kind]}, ${reconcile}`
  if (watch.locations.every(({ scheme }) => scheme === 'file')) return `hears ${far ? 'nothing on a network mount' : 'the local file system'}, walked every ${formatDuration(watch.pollMs)}`
  const files = !far && watch.locations.some(({ scheme }) => scheme === 'file')
  return `hears nothing${files ? ' but the local file system' : ''}, ${watch.locations.every(isWeb) ? 'asked' : 'listed'} every ${formatDuration(Math.min(watch.pollMs, watch.reconcileMs))}`
}
