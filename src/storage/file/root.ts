import { constants } from 'node:fs'
import { access, open, readFile, readlink, stat } from 'node:fs/promises'
import { VarveError } from '../../model/errors.ts'
import type { Location } from '../../model/location.ts'
import type { Root } from '../storage.ts'
import { fileFailure } from './failures.ts'
import { heldBy, isNetwork, lagMs, Mounts, mountWords } from './mounts.ts'
import type { Mount } from './mounts.ts'

// Of <fcntl.h>, and not among Node's constants: names a path without opening it, so neither a FIFO nor a tape notices.
const O_PATH = 0o10000000
// A marker is an id. What is longer is no marker, and not worth the memory.
const MARKER_BYTES_MOST = 4096

/** What holds a location: file system type, source and the path within the source. */
export interface Mounted {
  readonly identity: string
  /** Tells it from another under the same name, where the system does. */
  readonly finer: string | null
  readonly mount: Mount
  readonly below: Readonly<Record<string, string>>
}

/** What holds the location now. Throws LOCATION_MISSING, LOCATION_DENIED. */
export async function mountOf(location: Location): Promise<Mounted> {
  const path = location.object ?? location.prefix
  try {
    const handle = await open(path, O_PATH)
    try {
      const real = await readlink(`/proc/self/fd/${handle.fd}`)
      const id = /^mnt_id:\s*(\d+)$/m.exec(await readFile(`/proc/self/fdinfo/${handle.fd}`, 'utf8'))?.[1]
      const { all } = new Mounts()
      const mount = all.find((one) => one.id === id)
      // It was taken away between the two questions.
      if (mount === undefined) throw new VarveError('LOCATION_MISSING', `what held ${path} is mounted no more (/proc/self/mountinfo does not list it)`)
      return { identity: identityOf(mount, real), finer: IN_MEMORY.has(mount.type) ? layerOf(mount, all) : await birthOf(mount), mount, below: mountedBelow(real, all) }
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw fileFailure(error, path)
  }
}

function identityOf({ type, source, root, point }: Mount, real: string): string {
  const inside = point === '/' ? real : real.slice(point.length)
  return `${type} ${source} ${`${root === '/' ? '' : root}${inside === '/' ? '' : inside}` || '/'}`
}

/** What is mounted on folders below `real`. */
function mountedBelow(real: string, all: readonly Mount[]): Readonly<Record<string, string>> {
  const inside = `${real === '/' ? '' : real}/`
  return Object.fromEntries(all.filter(({ point }) => point.startsWith(inside) && point !== '/').map(({ type, source, root, point }) => [point.slice(inside.length), `${type} ${source}${root === '/' ? '' : ` ${root}`}`]))
}

// Of these a folder keeps when it was made, on the disk: that of the uppermost folder is when the file system was made. Others forget it, or make it up at each mount.
const BORN = new Set(['ext2', 'ext3', 'ext4', 'xfs', 'btrfs'])
const IN_MEMORY = new Set(['tmpfs', 'ramfs'])

/** When the file system was made: two disks under one name differ in that. It can be had where neither udev nor the right to read the device is. */
async function birthOf({ type, root, point }: Mount): Promise<string | null> {
  if (!BORN.has(type) || root !== '/') return null
  const { birthtimeMs, ctimeMs } = await stat(point).catch(() => ({ birthtimeMs: 0, ctimeMs: 0 }))
  // 0 where it was not kept. Where the kernel may not be asked Node answers the time of the last change.
  return birthtimeMs > 0 && birthtimeMs !== ctimeMs ? `made ${new Date(birthtimeMs).toISOString()}` : null
}

/** What is mounted anew in memory is told by nothing but its place: over one of the same name, it is another. */
function layerOf(mount: Mount, all: readonly Mount[]): string {
  let layer = 1
  const under = ({ parent }: Mount): Mount | undefined =>
    all.find(({ id, point, type, source }) => id === parent && point === mount.point && type === mount.type && source === mount.source)
  for (let below = under(mount); below !== undefined; below = under(below)) layer++
  return `layer ${layer} there`
}

/** The root of a store: what holds it, and the text of its marker. Throws LOCATION_MISSING (the marker, too), LOCATION_DENIED. */
export async function rootOf(location: Location, marker: string | undefined): Promise<Root> {
  const { identity, finer, mount, below } = await mountOf(location)
  const words = mountWords(mount)
  const path = location.object ?? location.prefix
  const { far } = heldBy(path)
  const lag = far === undefined ? 0 : lagMs(far)
  const common = { finer: [finer], below, mount: mount.point, network: isNetwork(mount), ...(lag > 0 ? { lagMs: lag } : {}) }
  try {
    await access(path, constants.R_OK)
    await access(`${path.replace(/\/$/, '')}/`, constants.X_OK)
  } catch (error) {
    // A lone file is no folder to be searched, and whether it may be read shows when it is.
    if ((error as NodeJS.ErrnoException).code !== 'ENOTDIR') throw fileFailure(error, path)
  }
  if (marker === undefined) return { identity, words, ...common }
  const text = await markerText(location.prefix + marker)
  return { identity: `${identity} ${JSON.stringify(text)}`, words: `${words}, marked ${JSON.stringify(text)}`, ...common }
}

async function markerText(path: string): Promise<string> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(MARKER_BYTES_MOST), 0, MARKER_BYTES_MOST, 0)
      return buffer.toString('utf8', 0, bytesRead).trim()
    } finally {
      await handle.close()
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const hint = 'mount what belongs there, or correct guard.root_marker'
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new VarveError('LOCATION_MISSING', `the marker ${path} is not there`, { cause: error, hint })
    throw fileFailure(error, path)
  }
}
