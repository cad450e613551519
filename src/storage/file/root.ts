import { constants } from 'node:fs'
import { access, open, readFile, readlink } from 'node:fs/promises'
import { VarveError } from '../../model/errors.ts'
import type { Location } from '../../model/location.ts'
import type { Root } from '../storage.ts'
import { fileFailure } from './failures.ts'

// Where the kernel itself tells of every change. All else is a server's or a daemon's business, and other machines may write there unheard.
const LOCAL = new Set([
  'ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'zfs', 'f2fs', 'bcachefs', 'jfs', 'reiserfs', 'tmpfs', 'ramfs', 'rootfs', 'overlay', 'aufs',
  'vfat', 'exfat', 'ntfs3', 'iso9660', 'squashfs', 'erofs',
])
// Of <fcntl.h>, and not among Node's constants: names a path without opening it, so neither a FIFO nor a tape notices.
const O_PATH = 0o10000000
// A marker is an id. What is longer is no marker, and not worth the memory.
const MARKER_BYTES_MOST = 4096

/** What holds a path: file system type, source and the path within the source. */
export interface Mount {
  readonly identity: string
  readonly words: string
  /** The mount point. */
  readonly point: string
  readonly network: boolean
}

/** What holds the location now. Throws LOCATION_MISSING, LOCATION_DENIED. */
export async function mountOf(location: Location): Promise<Mount> {
  const path = location.object ?? location.prefix
  try {
    const handle = await open(path, O_PATH)
    try {
      const real = await readlink(`/proc/self/fd/${handle.fd}`)
      const id = /^mnt_id:\s*(\d+)$/m.exec(await readFile(`/proc/self/fdinfo/${handle.fd}`, 'utf8'))?.[1]
      const line = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').find((one) => one.startsWith(`${id} `))
      // It was taken away between the two questions.
      if (line === undefined) throw new VarveError('LOCATION_MISSING', `what held ${path} is mounted no more (/proc/self/mountinfo does not list it)`)
      return readMount(line, real)
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw fileFailure(error, path)
  }
}

/** Reads one line of mountinfo (proc_pid_mountinfo(5)): id, parent, device, root, mount point, options, …, `-`, type, source, super options. */
function readMount(line: string, real: string): Mount {
  const fields = line.split(' ')
  const dash = fields.indexOf('-', 6)
  const [root, point] = [unescape(fields[3]), unescape(fields[4])]
  const [type, source] = [unescape(fields[dash + 1]), unescape(fields[dash + 2])]
  const inside = point === '/' ? real : real.slice(point.length)
  const subpath = `${root === '/' ? '' : root}${inside === '/' ? '' : inside}` || '/'
  return { identity: `${type} ${source} ${subpath}`, words: `${type} ${source} at ${point}`, point, network: !LOCAL.has(type) }
}

/** Spaces, tabs, line ends and backslashes stand there in octal. */
function unescape(field: string | undefined): string {
  if (field === undefined) throw new VarveError('STORAGE_UNAVAILABLE', 'a line of /proc/self/mountinfo cannot be read')
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}

/** The root of a store: what holds it, and the text of its marker. Throws LOCATION_MISSING (the marker, too), LOCATION_DENIED. */
export async function rootOf(location: Location, marker: string | undefined): Promise<Root> {
  const { identity, words, point, network } = await mountOf(location)
  const path = location.object ?? location.prefix
  try {
    await access(path, constants.R_OK)
    await access(`${path.replace(/\/$/, '')}/`, constants.X_OK)
  } catch (error) {
    // A lone file is no folder to be searched, and whether it may be read shows when it is.
    if ((error as NodeJS.ErrnoException).code !== 'ENOTDIR') throw fileFailure(error, path)
  }
  if (marker === undefined) return { identity, words, mount: point, network }
  const text = await markerText(location.prefix + marker)
  return { identity: `${identity} ${JSON.stringify(text)}`, words: `${words}, marked ${JSON.stringify(text)}`, mount: point, network }
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
