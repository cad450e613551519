// What the kernel grants of inotify, and what is taken. Sources: inotify(7), proc_pid_fdinfo(5), user_namespaces(7).
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'

/** What this user may have, and has. */
export interface Grant {
  readonly watches: number
  readonly watchesTaken: number
  readonly instances: number
  readonly instancesTaken: number
  /** Somebody hears there already: a daemon, most likely. */
  readonly heard: boolean
}

/** What is granted and taken now; `folder` is where is to be heard. */
export function grantOf(folder: string): Grant {
  const { ino, dev } = statSync(folder, { bigint: true })
  const there = `ino:${ino.toString(16)} sdev:${kernelDevice(dev).toString(16)} `
  const taken = { watches: 0, instances: 0, heard: false }
  for (const info of ownInstances()) {
    const watches = info.split('\n').filter((line) => line.startsWith('inotify '))
    taken.instances++
    taken.watches += watches.length
    taken.heard ||= watches.some((line) => line.includes(there))
  }
  return {
    watches: limitOf('watches'), watchesTaken: taken.watches, instances: limitOf('instances'), instancesTaken: taken.instances, heard: taken.heard,
  }
}

/** The kernel counts for each user, and for each user namespace besides. */
function limitOf(what: 'watches' | 'instances'): number {
  return Math.min(...[`/proc/sys/fs/inotify/max_user_${what}`, `/proc/sys/user/max_inotify_${what}`].map((file) => Number(textOf(file) || Infinity)))
}

/** The fdinfo of each inotify instance of this user, as far as it may be read. */
function* ownInstances(): Generator<string> {
  const own = process.geteuid?.()
  const space = linkOf('/proc/self/ns/user')
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const at = `/proc/${pid}`
    const owner = statSync(at, { throwIfNoEntry: false })?.uid
    if (owner !== own || linkOf(`${at}/ns/user`) !== space) continue
    for (const fd of namesIn(`${at}/fd`)) if (linkOf(`${at}/fd/${fd}`) === 'anon_inode:inotify') yield textOf(`${at}/fdinfo/${fd}`)
  }
}

// Processes end while they are looked at, and some may not be looked into.

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** fdinfo writes a device as the kernel has it: 12 bits of major above 20 of minor. A stat has it in glibc's four pieces. */
function kernelDevice(device: bigint): bigint {
  const major = ((device >> 32n) & 0xfffff000n) | ((device >> 8n) & 0xfffn)
  const minor = ((device >> 12n) & 0xffffff00n) | (device & 0xffn)
  return (major << 20n) | minor
}

/** Why so many `folders` cannot be watched, and what to do; undefined where they can, or are. `whole` is false when there are more. */
export function watchesNeeded(grant: Grant, folders: number, whole: boolean): { readonly reason: string; readonly action: string } | undefined {
  const { watches, watchesTaken, instances, instancesTaken, heard } = grant
  if (heard) return undefined
  if (instancesTaken >= instances)
    return { reason: `all ${instances} inotify instances of this user are taken`, action: `set fs.inotify.max_user_instances to ${instancesTaken * 2} or more` }
  if (folders <= watches - watchesTaken) return undefined
  const need = `${whole ? '' : 'at least '}${folders}`
  return {
    reason: `${need} folders need an inotify watch each, and ${Math.max(0, watches - watchesTaken)} of ${watches} are free`,
    action: `set fs.inotify.max_user_watches to ${(watchesTaken + folders) * 2} or more`,
  }
}
