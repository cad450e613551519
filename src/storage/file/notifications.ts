import { readdir, stat } from 'node:fs/promises'
import type { FSWatcher } from 'chokidar'
import type { Clock } from '../../model/clock.ts'
import { VarveError } from '../../model/errors.ts'
import type { Location } from '../../model/location.ts'
import type { ChangeSource, Hint } from '../storage.ts'
import { heldBy, isNetwork, mountWords } from './mounts.ts'
import { isLeftOut } from './pack.ts'
import { mountOf } from './root.ts'

// A burst of changes becomes one batch: short beside any `settle`, long beside the way into the registry.
const GATHER_MS = 50
// Above so many the whole is looked at anyway.
const PENDING_MOST = 1_000
// A watcher is deaf to what is mounted anew: nobody else tells.
const MOUNT_CHECK_MS = 5_000
// The watcher keeps 5 to 7 KB for each file: some 300 MB at the most. What lies deeper is found by the periodic walk.
const DIRECTORIES_MOST = 2_000
const ENTRIES_MOST = 50_000

/**
 * Hears by the kernel what moves on a local file system. On others nothing can be heard: there it only asks for the whole once.
 * Rejects when something else is mounted there, or when the kernel grants no more watches.
 */
export function fileSource(location: Location, clock: Clock): ChangeSource {
  const path = location.object ?? location.prefix
  return {
    name: `files ${path}`,
    async listen(emit, signal, tell) {
      const mount = await holderOf(location)
      const batch = new Batch(location.prefix, emit)
      const watcher = await openWatcher(location, mount.network, batch)
      if (watcher.limits !== undefined) tell?.({ limits: watcher.limits })
      try {
        await Promise.race([batch.failed, untilRemounted(location, mount.identity, clock, signal)])
      } finally {
        await watcher.close()
        batch.close()
      }
    },
  }
}

interface Holder {
  readonly identity: string
  readonly words: string
  readonly network: boolean
}

/** What holds the location. Where calls may hang only the table of mounts is asked: what is missing there the look will name. */
async function holderOf(location: Location): Promise<Holder> {
  const { far } = heldBy(location.object ?? location.prefix)
  if (far !== undefined) return { identity: `${far.id} ${mountWords(far)}`, words: mountWords(far), network: true }
  const { identity, mount } = await mountOf(location)
  // A watcher of what is mounted anew under the same name is as deaf.
  return { identity: `${mount.id} ${identity}`, words: mountWords(mount), network: isNetwork(mount) }
}

/** Resolves when `signal` aborts; rejects when another file system holds the location, or none. */
async function untilRemounted(location: Location, identity: string, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(MOUNT_CHECK_MS, signal)
    if (signal.aborted) return
    const now = await holderOf(location)
    if (now.identity !== identity) throw new VarveError('LOCATION_MISSING', `another file system holds ${location.prefix} now: ${now.words}`)
  }
}

interface OpenWatcher {
  /** What it does not hear, in words. */
  readonly limits?: string
  close(): Promise<void>
}

async function openWatcher(location: Location, network: boolean, batch: Batch): Promise<OpenWatcher> {
  const deaf = (limits: string): OpenWatcher => {
    batch.addWhole()
    return { limits, close: () => Promise.resolve() }
  }
  if (network) return deaf('nothing is heard on a network mount: it is walked')
  const { object, prefix } = location
  const lone = object !== undefined && !(await stat(object)).isDirectory()
  const root = lone ? object.slice(0, object.lastIndexOf('/')) || '/' : prefix.replace(/(.)\/$/, '$1')
  const levels = lone ? 1 : await levelsOf(root)
  if (levels === 0) return deaf('too many entries to watch: it is walked')
  const isOther = (path: string): boolean => path !== root && (lone ? path !== object : isLeftOut(path.slice(path.lastIndexOf('/') + 1)))
  const { watch } = await import('chokidar')
  const watcher = watch(root, {
    backend: 'native', ignored: isOther, depth: levels - 1,
    ignoreInitial: true, followSymlinks: false, atomic: false, awaitWriteFinish: false, alwaysStat: false, ignorePermissionErrors: false,
  })
  hear(watcher, batch)
  const close = (): Promise<void> => watcher.close()
  return lone || levels === Infinity ? { close } : { limits: `too many entries to watch: of folders ${levels} ${levels === 1 ? 'level is' : 'levels are'} heard, what lies deeper is walked`, close }
}

function hear(watcher: FSWatcher, batch: Batch): void {
  watcher.on('all', (event, path) => {
    if (event === 'addDir' || event === 'unlinkDir') batch.addFolder(path)
    else batch.addFile(path)
  })
  watcher.on('ready', () => batch.addWhole())
  watcher.on('error', (error) => {
    const { code } = error as NodeJS.ErrnoException
    // What may not be read is the walk's to name; what is gone was heard or will be.
    if (code === 'EACCES' || code === 'EPERM' || code === 'ENOENT' || code === 'ENOTDIR') return
    const hint = 'raise fs.inotify.max_user_watches and max_user_instances; until then changes are found by walking'
    batch.fail(new VarveError('STORAGE_UNAVAILABLE', `the kernel's watches failed: ${(error as Error).message}`, { cause: error, hint }))
  })
}

/** How many levels of folders may be watched within the bounds. */
export async function levelsOf(root: string): Promise<number> {
  let level = [root]
  let directories = 1
  let entries = 0
  for (let levels = 0; level.length > 0; levels++) {
    if (directories > DIRECTORIES_MOST) return levels
    const below: string[] = []
    for (const folder of level) {
      // A folder that may not be read, or is gone, costs the watcher nothing.
      const children = await readdir(folder, { withFileTypes: true }).catch(() => [])
      entries += children.length
      if (entries > ENTRIES_MOST) return levels
      for (const child of children) if (child.isDirectory() && !isLeftOut(child.name)) below.push(`${folder === '/' ? '' : folder}/${child.name}`)
    }
    directories += below.length
    level = below
  }
  return Infinity
}

/** Gathers hints for a moment, and emits them one batch after the other. */
class Batch {
  /** Rejects when a batch could not be emitted, or with what `fail` was told. */
  readonly failed: Promise<never>
  fail!: (error: unknown) => void
  readonly #whole: Hint
  readonly #emit: (hints: readonly Hint[]) => Promise<void>
  readonly #pending = new Map<string, Hint>()
  #timer: NodeJS.Timeout | undefined
  #emitting = false
  #closed = false

  constructor(prefix: string, emit: (hints: readonly Hint[]) => Promise<void>) {
    this.#whole = { scheme: 'file', bucket: '', key: prefix, whole: true }
    this.#emit = emit
    this.failed = new Promise((_, reject) => (this.fail = reject))
    // Whoever listens may have left already.
    this.failed.catch(() => undefined)
  }

  addFile(path: string): void {
    this.#add({ scheme: 'file', bucket: '', key: path, whole: false })
  }

  addFolder(path: string): void {
    this.#add({ scheme: 'file', bucket: '', key: path.endsWith('/') ? path : `${path}/`, whole: true })
  }

  addWhole(): void {
    this.#add(this.#whole)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #add(hint: Hint): void {
    if (this.#closed) return
    if (this.#pending.size >= PENDING_MOST) {
      this.#pending.clear()
      hint = this.#whole
    }
    this.#pending.set(hint.key, hint)
    if (this.#timer === undefined && !this.#emitting) this.#timer = setTimeout(() => void this.#flush(), GATHER_MS)
  }

  async #flush(): Promise<void> {
    this.#timer = undefined
    this.#emitting = true
    const hints = [...this.#pending.values()]
    this.#pending.clear()
    try {
      await this.#emit(hints)
    } catch (error) {
      // What was not taken is lost here; listening begins anew, and that asks for the whole.
      this.fail(error)
    }
    this.#emitting = false
    if (this.#pending.size > 0 && !this.#closed) this.#timer = setTimeout(() => void this.#flush(), GATHER_MS)
  }
}
