// Whether a folder is this machine's own: on a network mount SQLite can lose what it was told, since another machine answers for its locks and syncs.
import { existsSync, statfsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isFailure, VarveError } from '../model/errors.ts'

// `f_type` of statfs(2) and linux/magic.h: file systems whose locks and syncs another machine answers for, or nobody.
const NETWORK_MOUNTS = new Map([
  [0x6969, 'NFS'], [0x517b, 'SMB'], [0xff534d42, 'CIFS'], [0xfe534d42, 'SMB2'], [0x65735546, 'FUSE'], [0x01021997, '9p'], [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'], [0x5346414f, 'AFS'],
])

/** Throws REGISTRY_REFUSED when `folder`, made or not yet, lies on a network mount. */
export function refuseNetwork(folder: string): void {
  refuseMount(folder, statfsSync(nearest(folder)).type)
}

/** Throws REGISTRY_REFUSED when `type`, the `f_type` of `folder`, is that of a network mount. */
export function refuseMount(folder: string, type: number): void {
  const mount = NETWORK_MOUNTS.get(type >>> 0)
  if (mount !== undefined) throw new VarveError('REGISTRY_REFUSED', onNetwork(folder, mount), { hint: 'set data to a folder on a local disk; what is watched may lie anywhere' })
}

/** What is wrong with a registry in `folder`. */
export function onNetwork(folder: string, mount: string): string {
  return `${folder} lies on a network mount (${mount}), where SQLite can lose what it was told`
}

/** What is wrong with `folder`, made or not yet, as the place of a registry; undefined for one on a local disk. */
export async function networkTrouble(folder: string): Promise<string | undefined> {
  const mount = await networkMountOf(folder)
  if (mount !== undefined) return onNetwork(folder, mount)
  try {
    refuseNetwork(folder)
    return undefined
  } catch (error) {
    if (isFailure(error)) return error.message
    throw error
  }
}

function nearest(folder: string): string {
  return existsSync(folder) || folder === dirname(folder) ? folder : nearest(dirname(folder))
}

const NETWORK = /^(nfs4?|cifs|smb3|smbfs|9p|ceph|lustre|afs|fuse|fuse\..*)$/

/** The type of the network file system that is mounted at or above `folder`, as the kernel's own table says, which asks no server; undefined for a local one. */
export async function networkMountOf(folder: string): Promise<string | undefined> {
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').filter((line) => line !== '').map((line) => {
    const fields = line.split(' ')
    const point = (fields[4] ?? '').replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
    return { point, type: fields[fields.indexOf('-', 6) + 1] ?? '' }
  })
  // Of two at one place the later lies above.
  const holding = mounts.filter(({ point }) => point === '/' || folder === point || folder.startsWith(`${point}/`)).toSorted((a, b) => a.point.length - b.point.length).at(-1)
  return holding !== undefined && NETWORK.test(holding.type) ? holding.type : undefined
}
