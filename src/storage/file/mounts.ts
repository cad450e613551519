// The table of mounts, and where a path leads by it. No file system that could hang is ever asked: the table is the kernel's own, and symbolic links are read on
// local disks alone.
import { lstatSync, readFileSync, readlinkSync } from 'node:fs'
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
  /** The real path, as far as no far mount has to be asked for it; empty for the root. */
  readonly real: string
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
  readonly #farPoints = new Set(this.all.filter(isFar).map(({ point }) => point))
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
    return far === undefined ? { mount, real } : { mount, real, far }
  }

  /** The mount that may hang when the file `path` is looked at, whose folder is `held`: with one question to that folder, where it is local. */
  farOfFile(path: string, { mount, real }: Held): Mount | undefined {
    if (isFar(mount)) return mount
    const place = `${real}/${path.slice(path.lastIndexOf('/') + 1)}`
    return this.#farPoints.has(place) || isLink(place) ? this.held(path).far : undefined
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

// What is mounted meanwhile is known a second later.
const KEPT_MS = 1_000
const FOLDERS_MOST = 10_000

/** Tells of one file after the other where to look at it may hang: folders are followed once in a while, files each time. */
export class Shores {
  #mounts: { readonly table: Mounts; readonly readMs: number; readonly folders: Map<string, Held> } | undefined

  /** The mount that may hang when the file of an absolute path is looked at, also where symbolic links lead there; undefined on local disks. Asks no file system that could hang. */
  farOf(path: string): Mount | undefined {
    if (this.#mounts === undefined || performance.now() - this.#mounts.readMs > KEPT_MS) this.#mounts = { table: new Mounts(), readMs: performance.now(), folders: new Map() }
    const { table, folders } = this.#mounts
    if (!table.anyFar) return undefined
    const folder = path.slice(0, path.lastIndexOf('/') + 1)
    const held = folders.get(folder) ?? table.held(folder)
    if (folders.size >= FOLDERS_MOST) folders.clear()
    folders.set(folder, held)
    return table.farOfFile(path, held)
  }
}

/** What holds the absolute `path` now. */
export function heldBy(path: string): Held {
  return new Mounts().held(path)
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
  } catch {
    // Not to be looked at: whoever opens it will say so.
    return false
  }
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
