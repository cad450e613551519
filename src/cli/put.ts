import { statSync } from 'node:fs'
import { aliasTrouble, DEFAULTS, nameTrouble } from '../config.ts'
import type { Config } from '../config.ts'
import { putOnce } from '../daemon/daemon.ts'
import { isFailure, VarveError } from '../model/errors.ts'
import { formatLocations, parseLocation } from '../model/location.ts'
import type { Location } from '../model/location.ts'
import { formatCollection } from '../model/watch.ts'
import type { CollectionName, Watch } from '../model/watch.ts'
import type { Registry } from '../registry/registry.ts'
import type { Context, Options } from './context.ts'
import { parseArtifact, parseRun } from './names.ts'
import { placeOf } from './place.ts'
import { isSameBucket, watchReaching } from './reach.ts'
import { markedLine, tellOn } from './tell.ts'
import { formatArtifact, formatVersion } from './words.ts'

// How long what moves under the look is left to come to rest before it is looked at again.
const SETTLE_MS = 1_000

export interface PutOptions extends Options {
  readonly name: string
  readonly type: string
  readonly alias?: readonly string[]
  readonly maxObjects?: number
  readonly description?: string
  readonly run?: string
  readonly project?: string
}

// What is advised to who writes a configuration, and is no option of put: it looks as the watch does, where there is one.
const OF_WATCH = /\b(http|s3|gcs|guard)\.[a-z_]+|\bon_unreadable\b/

/** Looks at a location once and records it; prints the version made, or the one found when nothing differs. */
export async function put(context: Context, uri: string, options: PutOptions): Promise<void> {
  const place = await placeOf(context, options)
  const collection = parseArtifact(options.name, place.defaultEntity)
  const aliases = options.alias ?? []
  const typeTrouble = nameTrouble(options.type)
  if (typeTrouble !== undefined) throw new VarveError('USAGE', typeTrouble, { hint: 'give another type' })
  const trouble = aliases.map((alias) => aliasTrouble(alias)).find((one) => one !== undefined)
  if (trouble !== undefined) throw new VarveError('USAGE', trouble, trouble.includes('; ') ? {} : { hint: 'give another alias' })
  if (options.run === undefined && options.project !== undefined)
    throw new VarveError('USAGE', '--project is where a run belongs, and no run is named', { hint: 'name it with --run, or leave --project out' })
  const run = options.run === undefined ? undefined : parseRun(options.run, options.project, place.defaultEntity)
  const watch = watchFor(uri, collection, options, context, place.config)
  const [location] = watch.locations
  if (location.scheme === 'file' && `${place.dataFolder}/`.startsWith(location.prefix))
    throw new VarveError('USAGE', `the folder of Varve's own data, ${place.dataFolder}, lies in ${uri}`, { hint: 'name one outside with --data' })
  const order = {
    location,
    collection,
    type: options.type,
    aliases,
    ...(options.description !== undefined && { description: options.description }),
    ...(run !== undefined && { run }),
  }
  const look = (registry: Registry): ReturnType<typeof putOnce> => {
    const parts = context.opener.lookParts(registry, tellOn(context.screen, place.defaultEntity), options.verbose === true)
    return putOnce(parts, order, watch, context.signal).catch((error: unknown) => {
      // A put has no watch that could accept: the person who held it back is the one who asks.
      if (isFailure(error, 'HELD')) throw new VarveError('HELD', error.message, { hint: 'nothing was recorded', cause: error })
      const isOfWatch = isFailure(error) && OF_WATCH.test(error.hint ?? '')
      throw isOfWatch ? new VarveError(error.code, error.message, { hint: `${error.hint} (of put: in a watch of this location and artifact, in the configuration)`, cause: error }) : error
    })
  }
  try {
    // Threads start while the registry is opened.
    await context.opener.warm(watch)
    const { version, created, marked } = await inRegistry(context, place.dataFolder, look)
    if (options.json === true) await context.screen.json([version])
    else if (created) await context.screen.print(formatVersion(version, place.defaultEntity))
    else await context.screen.print(`unchanged: ${formatArtifact(version, place.defaultEntity)}:${version.version}`)
    for (const one of marked) context.screen.note(markedLine(one, place.defaultEntity))
  } finally {
    context.screen.settle()
  }
}

/** Has `look` record into the registry of `folder`. One that has to be made is there only once something is recorded: what is refused leaves nothing. */
async function inRegistry<T>({ opener }: Context, folder: string, look: (registry: Registry) => Promise<T>): Promise<T> {
  const aside = await opener.registryAside(folder)
  if (aside !== undefined) {
    const recorded = await look(aside.registry).catch(async (error: unknown) => {
      await aside.drop()
      throw error
    })
    if (await aside.keep()) return recorded
  }
  const registry = await opener.registry(folder, true)
  try {
    return await look(registry)
  } finally {
    await registry.close()
  }
}

/** A folder is itself with and without the slash: so it is known as the one that a watch keeps. */
function folderOf(location: Location): Location {
  const { object, ...folder } = location
  const isFolder = location.scheme === 'file' && object !== undefined && statSync(object, { throwIfNoEntry: false })?.isDirectory() === true
  return isFolder ? folder : location
}

/** How to look: as the watch of this collection and location does, so that the two record the same; else by the defaults. */
function watchFor(uri: string, collection: CollectionName, options: PutOptions, context: Context, config: Config | undefined): Watch {
  const asked = folderOf(parseLocation(uri, process.cwd()))
  const place = (name: CollectionName, locations: readonly Location[]): string => `${formatCollection(name, '')} ${formatLocations(locations)}`
  const watched = config?.watches.find((watch) => place(watch.collection, watch.locations) === place(collection, [asked]))
  const reached = watchReaching(config, asked)
  const { s3Endpoint, gcsEndpoint } = context.surroundings
  const surrounding = { s3: s3Endpoint, gs: gcsEndpoint, http: undefined, https: undefined, file: undefined }[asked.scheme]
  const endpoint = reached === undefined ? surrounding : reached.locations.find((location) => isSameBucket(location, asked))?.endpoint
  const access = endpoint === undefined ? {} : { endpoint }
  return {
    maxWaitMs: DEFAULTS.maxWaitMs,
    reconcileMs: DEFAULTS.reconcileMs,
    pollMs: DEFAULTS.pollMs,
    include: [],
    exclude: [],
    onUnreadable: 'fail',
    confirm: false,
    clockSlackMs: DEFAULTS.clockSlackMs,
    locations: [endpoint === undefined ? asked : { ...asked, endpoint }],
    s3: reached?.s3 ?? access,
    gcs: reached?.gcs ?? access,
    http: reached?.http ?? {},
    ...watched,
    name: options.name,
    settleMs: SETTLE_MS,
    // A person asks for this very state: only that all of it is gone is doubted.
    guard: { ...watched?.guard, removedShareMax: 1 },
    collection,
    type: options.type,
    aliases: [],
    entriesMax: options.maxObjects ?? watched?.entriesMax ?? DEFAULTS.entriesMax,
  }
}
