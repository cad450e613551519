// Opens every part in order and closes them in reverse. The only file that knows all rooms.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import type { Listener } from './api/api.ts'
import type { Daemon, Opener } from './cli/context.ts'
import type { Screen } from './cli/screen.ts'
import type { Config, Environment } from './config.ts'
import type { Health, Log, LookParts, Tell } from './daemon/daemon.ts'
import { ownerName } from './daemon/owner.ts'
import type { Clock } from './model/clock.ts'
import { describe, scrub } from './model/errors.ts'
import type { Location } from './model/location.ts'
import type { Diagnosis, Examination } from './model/probe.ts'
import type { Watch } from './model/watch.ts'
import type { Queue } from './queue/queue.ts'
import type { Registry } from './registry/registry.ts'
import type { Parts as RestoreParts, Progress } from './restore/restore.ts'
import type { Access, ChangeSource } from './storage/storage.ts'

// The longest that a Node timer can wait; a longer sleep ends early, and its loop sees that it is not due.
const TIMER_MOST_MS = 2 ** 31 - 1

/** The clock of this machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    sleep(Math.min(ms, TIMER_MOST_MS), undefined, signal === undefined ? {} : { signal }).catch(() => undefined),
  random: () => Math.random(),
}

/** What the commands drive, opened as they ask for it. */
export function compose(clock: Clock, surroundings: Environment, screen: Screen): Opener {
  const owner = ownerName()
  const lookParts = (registry: Registry, tell: Tell, log: Log): LookParts => ({
    registry,
    clock,
    owner,
    log,
    tell,
    openStore: async (watch, memo) => (await import('./storage/open.ts')).openStore(watch, memo),
  })
  return {
    registry: async (folder, create) => (create ? openRegistry(folder, false) : (await import('./registry/open.ts')).openForReading(folder)),
    registryAside: async (folder) => (await import('./registry/aside.ts')).makeAside(folder),
    lagMs: async (watch) => (await import('./storage/open.ts')).lagOf(watch),
    backup: async (folder, file) => (await import('./registry/backup.ts')).backup(folder, file),
    restoreRegistry: async (folder, file, force) => (await import('./registry/backup.ts')).replaceRegistry(folder, file, force, clock.now()),
    async *fsck(folder) {
      yield* (await import('./registry/fsck.ts')).fsck(folder)
    },
    daemonRuns: async (folder) => (await import('./registry/lock.ts')).daemonRuns(folder),
    warm: async (watch) => (await import('./storage/open.ts')).warm(watch),
    lookParts: (registry, tell, verbose) => lookParts(registry, tell, verbose ? spoken(screen) : SILENT),
    restoreParts: (registry, folder, accessOf, progress) => restoreParts(registry, folder, accessOf, progress, clock),
    shore: async (folder) => (await shores()).openShore(folder),
    openInventory: async (location, access) => (await import('./storage/open.ts')).openInventory(location, access),
    filter: async (include, exclude) => (await import('./daemon/filter.ts')).filterOf({ include, exclude }).takes,
    async wake(config, registry, watch) {
      if (config.queue === 'inline') return true
      try {
        const queue = await openQueue(config, registry, clock, SILENT, false)
        await queue.wake(watch, 0).finally(() => queue.close())
        return true
      } catch (error) {
        screen.note(`the daemon could not be woken, and looks at its next sweep: ${describe(error)}`)
        return false
      }
    },
    daemon: (config, tell) => openDaemon(config, clock, surroundings, (registry, log) => lookParts(registry, tell, log)),
    examinations: (config, watches) => examinationsOf(config, watches, clock, surroundings),
    policies: async (watches) => (await import('./storage/open.ts')).policies(watches),
  }
}

const shores = async (): Promise<Awaited<ReturnType<typeof import('./storage/open.ts').shores>>> => (await import('./storage/open.ts')).shores()

function restoreParts(registry: Registry, folder: string, accessOf: (location: Location) => Access, progress: (done: Progress) => void, clock: Clock): RestoreParts {
  // Pages of entries live just long enough for V8 to think that its nursery is too small: it would grow to 128 MB, and gain nothing.
  setFlagsFromString('--semi-space-growth-factor=1')
  let far: ((path: string) => string | undefined) | undefined
  return {
    registry, clock, progress,
    memory: join(folder, 'restored'),
    data: folder,
    openReader: async (location) => (await import('./storage/open.ts')).openReader(location, accessOf(location)),
    farOf: async (path) => (far ??= (await shores()).farFinder())(path),
    realFar: async (path) => (await shores()).realFar(path),
    async *walk(root, startMs, signal) {
      const { openFileStore } = await import('./storage/file/store.ts')
      const store = await openFileStore({ scheme: 'file', bucket: '', prefix: root.replace(/\/*$/, '/') }, { clockSlackMs: 0 })
      try {
        yield* store.scan(startMs, signal)
      } finally {
        await store.close()
      }
    },
  }
}

async function examinationsOf(config: Config, watches: readonly Watch[], clock: Clock, { sqsEndpoint }: Environment): Promise<readonly Examination[]> {
  const [{ examinations }, { BOUND_MS }, { filterOf }] = await Promise.all([import('./storage/open.ts'), import('./storage/probe.ts'), import('./daemon/filter.ts')])
  const means = { clock, boundMs: BOUND_MS, ...(sqsEndpoint !== undefined && { sqsEndpoint }) }
  const leavesOut = (watch: Watch): ((path: string, folder: boolean) => boolean) => {
    const filter = filterOf(watch)
    return (path, folder) => (folder ? filter.dropsAll(path) : !filter.takes(path))
  }
  return [...examinations(watches, means, leavesOut), ...sharedExaminations(config, watches)]
}

/** Of what all watches share. */
function sharedExaminations({ dataFolder, listen, queue }: Config, watches: readonly Watch[]): Examination[] {
  const redis = async (url: string, signal: AbortSignal): Promise<readonly Diagnosis[]> => (await import('./queue/probe.ts')).probeRedis(url, signal)
  const hooks = [...new Set(watches.flatMap(({ events }) => (events?.kind === 'webhook' ? [events.path] : [])))]
  const listener = async ({ host, port, said }: NonNullable<Config['listen']>, signal: AbortSignal): Promise<readonly Diagnosis[]> => {
    const [{ probeListener }, { daemonRuns }, { networkMountOf }] = await Promise.all([import('./api/probe.ts'), import('./registry/lock.ts'), import('./registry/mount.ts')])
    // On a network mount no daemon works, and the question may hang this process.
    const runs = (await networkMountOf(dataFolder)) === undefined && daemonRuns(dataFolder)
    return probeListener({ host, port, said, hooks, runs }, signal)
  }
  return [
    ...(queue === 'inline' ? [] : [{ location: scrub(queue.url), ask: (signal: AbortSignal) => redis(queue.url, signal) }]),
    ...(listen === undefined ? [] : [{ location: `${listen.host}:${listen.port}`, ask: (signal: AbortSignal) => listener(listen, signal) }]),
    { location: dataFolder, ask: async () => (await import('./registry/probe.ts')).probeData(dataFolder) },
  ]
}

async function openRegistry(folder: string, thread: boolean): Promise<Registry> {
  return (await import('./registry/open.ts')).openRegistry(folder, { thread })
}

async function openQueue(config: Config, registry: Registry, clock: Clock, log: Log, alone: boolean): Promise<Queue> {
  if (config.queue === 'inline') return (await import('./queue/inline.ts')).inlineQueue(clock)
  return (await import('./queue/bullmq.ts')).bullmqQueue({ url: config.queue.url, registryId: registry.id, log, alone, clock })
}

// Looks that work at once: listing waits for the network and hashing for the disk, so a few more than the workers that hash.
const LOOKS_AT_ONCE = 4
const SWEEP_INLINE_MS = 1_000
const SWEEP_QUEUE_MS = 15_000

type PartsOf = (registry: Registry, log: Log) => LookParts

async function openDaemon(config: Config, clock: Clock, surroundings: Environment, partsOf: PartsOf): Promise<Daemon> {
  // What a look leaves in the old generation is mostly dead: V8 would let it grow to four times what lives, 150 MB, before it sweeps.
  setFlagsFromString('--heap-growing-percent=50')
  // For the four threads and more that start from here on, 7 MB each: nearly all that they make dies at once.
  setFlagsFromString('--max-semi-space-size=1')
  const closing: (() => Promise<void> | void)[] = []
  const close = async (): Promise<void> => {
    for (const one of closing.splice(0).reverse()) await one()
  }
  try {
    const log = await openLog(surroundings)
    closing.push((await import('./registry/lock.ts')).lockDaemon(config.dataFolder))
    const registry = await openRegistry(config.dataFolder, true)
    closing.push(() => registry.close())
    const queue = await openQueue(config, registry, clock, log, true)
    closing.push(() => queue.close())
    const { lagOf, openInventory, openSources } = await import('./storage/open.ts')
    // A look at a mount that hangs takes its place for as long as its watchdog waits: it must be nobody else's.
    const mayHang = (await Promise.all(config.watches.map(lagOf))).filter((lag) => lag !== undefined).length
    const { healthOf, ONLY_DAEMON, runDaemon } = await import('./daemon/daemon.ts')
    const sources = await openSources(config.watches, clock, log, surroundings.sqsEndpoint)
    const health = healthOf({ registry, queue, sources, clock, log })
    const { metricsOf } = await import('./api/metrics.ts')
    const listener = await openListener(config, sources, health, metricsOf(registry, clock), log)
    if (listener !== undefined) closing.push(() => listener.close())
    const parts = {
      ...partsOf(registry, log),
      owner: ONLY_DAEMON,
      queue,
      watches: config.watches,
      sources: health.sources,
      sweepMs: config.queue === 'inline' ? SWEEP_INLINE_MS : SWEEP_QUEUE_MS,
      concurrency: LOOKS_AT_ONCE + mayHang,
      ...(config.audit !== undefined && { audit: { ...config.audit, openInventory } }),
    }
    return { registry, ...(listener !== undefined && { url: listener.url }), run: (signal) => runDaemon(parts, signal), close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The default address is a wish: where another process has it, and nobody is to post there, the daemon goes without. */
async function openListener({ listen }: Config, sources: readonly ChangeSource[], health: Health, metrics: () => Promise<string>, log: Log): Promise<Listener | undefined> {
  if (listen === undefined) return undefined
  const { isTold } = await import('./storage/storage.ts')
  const hooks = sources.filter(isTold)
  try {
    return await (await import('./api/listen.ts')).openListener({ ...listen, hooks, health, metrics, log })
  } catch (error) {
    if (listen.said || hooks.length > 0) throw error
    log.warn({ error: describe(error) }, 'nobody answers /livez and /readyz: set listen to a free address, or to off')
    return undefined
  }
}

/** JSON lines on stderr, so that stdout stays readable. */
async function openLog(surroundings: Environment): Promise<Log> {
  const { pino } = await import('pino')
  const formatters = { level: (level: string) => ({ level }) }
  const options = { level: surroundings.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters }
  const logger = pino(options, pino.destination({ fd: 2, sync: true }))
  return {
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
  }
}

const SILENT: Log = { info: () => undefined, warn: () => undefined, error: () => undefined }

function spoken(screen: Screen): Log {
  const line = (fields: Readonly<Record<string, unknown>>, message: string): void => screen.note(`${message} ${JSON.stringify(fields)}`)
  return { info: line, warn: line, error: line }
}
