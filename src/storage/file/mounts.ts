// The table of mounts, and where a path leads by it. No file system that could hang is ever asked: the table is the kernel's own, and symbolic links are read on
// local disks alone.
import { readFileSync, readlinkSync } from 'node:fs'
import { VarveError } from '../../model/errors.ts'

// Where the kernel itself tells of every change. All else is a server's or a daemon's business, and other machines may write there unheard.
const LOCAL = new Set([
  'ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'zfs', 'f2fs', 'bcachefs', 'jfs', 'reiserfs', 'tmpfs', 'ramfs', 'rootfs', 'overlay', 'aufs',
  'vfat', 'exfat', 'ntfs3', 'iso9660', 'squashfs', 'erofs',
])
// What the kernel makes up by itself waits for nobody.
const KERNEL = new Set([
  'proc', 'sysfs', 'devtmpfs', 'devpts', 'cgroup', 'cgroup2', 'mqueue', 'hugetlbfs', 'debugfs', 'tracefs', 'securityfs', 'configfs', 'pstore', 'bpf', 'efivarfs',
  'binfmt_misc', 'fusectl', 'nsfs', 'selinuxfs',
])
// The kernel follows no more either.
const LINKS_MOST = 40

/** One line of the table. */
export interface Mount {
  readonly id: string
  /** The id of what it is mounted on. */
  readonly parent: string
  /** The path within the source that it shows. */
  readonly root: string
  readonly point: string
  readonly type: string
  readonly source: string
  /** Those of the file system (`acregmax=3`), not of the mount (`ro`). */
  readonly options: string
}

/** Where a path leads. */
export interface Held {
  readonly mount: Mount
  /** The mount that a server may hang: the one that holds the path, or one below it; absent on local disks. */
  readonly far?: Mount
}

/** True where nothing is promised to be heard: on what is not known to be local. */
export function isNetwork({ type }: Mount): boolean {
  return !LOCAL.has(type)
}

/** True where a call may hang, since a server or a daemon answers it. */
function isFar({ type }: Mount): boolean {
  return !LOCAL.has(type) && !KERNEL.has(type)
}

/** A mount in words: `ext4 /dev/sda1 at /mnt`. */
export function mountWords({ type, source, point }: Mount): string {
  return `${type} ${source} at ${point}`
}

/** Reads one line (proc_pid_mountinfo(5)): id, parent, device, root, mount point, options, …, `-`, type, source, super options. */
function readMount(line: string): Mount {
  const fields = line.split(' ')
  const dash = fields.indexOf('-', 6)
  const field = (index: number): string => unescape(fields[index])
  return { id: field(0), parent: field(1), root: field(3), point: field(4), type: field(dash + 1), source: field(dash + 2), options: field(dash + 3) }
}

/** Spaces, tabs, line ends and backslashes stand there in octal. */
function unescape(field: string | undefined): string {
  if (field === undefined) throw new VarveError('STORAGE_UNAVAILABLE', 'a line of /proc/self/mountinfo cannot be read')
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}

/** All mounts that this process sees, as they are at this moment. */
export class Mounts {
  readonly all: readonly Mount[] = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter((line) => line !== '').map(readMount)
  /** True when any of them may hang. */
  readonly anyFar = this.all.some(isFar)
  readonly #base: Mount
  /** By what each is mounted on, and where. */
  readonly #over = new Map(this.all.map((mount) => [`${mount.parent} ${mount.point}`, mount]))

  constructor() {
    const ids = new Set(this.all.map(({ id }) => id))
    const base = this.all.find(({ point, parent, id }) => point === '/' && (parent === id || !ids.has(parent)))
    if (base === undefined) throw new VarveError('STORAGE_UNAVAILABLE', '/proc/self/mountinfo names no root')
    this.#base = base
  }

  /** What holds the absolute `path`, as far as it leads. Asks no file system that could hang. */
  held(path: string): Held {
    let real = ''
    let mount = this.#uppermost(real)
    const left = path.split('/').reverse()
    // Where the root itself hangs nothing works any more, not even this program.
    const hangs = (): boolean => isFar(mount) && mount !== this.#base
    for (let links = 0; left.length > 0 && !hangs(); ) {
      const name = left.pop() as string
      if (name === '' || name === '.') continue
      const next = name === '..' ? real.slice(0, Math.max(0, real.lastIndexOf('/'))) : `${real}/${name}`
      mount = this.#uppermost(next)
      // Even to look at a mount point asks what is mounted there.
      const link = hangs() || name === '..' || links >= LINKS_MOST ? undefined : linkAt(next)
      if (link === undefined) real = next
      else {
        links++
        left.push(...link.split('/').reverse())
        if (link.startsWith('/')) real = ''
        mount = this.#uppermost(real)
      }
    }
    const far = isFar(mount) ? mount : this.all.find((one) => isFar(one) && one.point.startsWith(`${real}/`))
    return far === undefined ? { mount } : { mount, far }
  }

  /** What lies uppermost at `real`, which has no symbolic links and no `/` at its end: from the root down, for what is mounted on a folder hides all mounts below it. */
  #uppermost(real: string): Mount {
    let mount = this.#base
    for (let end = 0; end >= 0; end = real.indexOf('/', end + 1)) mount = this.#above(mount, real.slice(0, end) || '/')
    return real === '' ? mount : this.#above(mount, real)
  }

  #above(mount: Mount, point: string): Mount {
    const over = this.#over.get(`${mount.id} ${point}`)
    return over === undefined || over === mount ? mount : this.#above(over, point)
  }
}

/** What holds the absolute `path` now. */
export function heldBy(path: string): Held {
  return new Mounts().held(path)
}

/** What a symbolic link says; undefined when there is none. */
function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    // No link, or nothing at all: whoever opens it will say so.
    return undefined
  }
}

// nfs(5): attributes of a file or folder are asked for anew after so long at the latest, unless the mount says otherwise.
const NFS_MOST_S = 60
// mount.cifs(8).
const CIFS_MOST_S = 1

/**
 * How long this machine may answer from what it remembers of a far file system, in ms: 0 where it always asks, Infinity where the mount does not tell.
 */
export function lagMs({ type, options }: Mount): number {
  const said = (name: string): number | undefined => {
    const text = new RegExp(`(?:^|,)${name}=(\\d+)(?:,|$)`).exec(options)?.[1]
    return text === undefined ? undefined : Number(text)
  }
  const most = (otherwise: number): number => Math.max(said('acregmax') ?? said('actimeo') ?? otherwise, said('acdirmax') ?? said('actimeo') ?? otherwise) * 1_000
  if (type === 'nfs' || type === 'nfs4') return most(NFS_MOST_S)
  return type === 'cifs' || type === 'smb3' ? most(CIFS_MOST_S) : Infinity
}
