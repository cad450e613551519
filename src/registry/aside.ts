// A registry for a first `put`, which may be refused: it is made aside, and takes its place with what was recorded in it, or leaves nothing.
import { randomUUID } from 'node:crypto'
import { existsSync, linkSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { inThread, SyncConnection } from './connection.ts'
import { translate } from './failures.ts'
import { layDown, makeFolder } from './folder.ts'
import { refuseNetwork } from './mount.ts'
import { openOn } from './open.ts'
import type { Aside } from './registry.ts'
import { checkRights } from './rights.ts'

// As long as a put may take: what is older was left by one that was killed.
const OLD_MS = 24 * 3_600_000
// The place is taken, the file was taken for an old one, or the file system has no hard links.
const NO_PLACE = new Set(['EEXIST', 'ENOENT', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

/** Makes a registry for `folder`; undefined where there is one. Throws REGISTRY_REFUSED as `openRegistry` does. */
export async function makeAside(folder: string): Promise<Aside | undefined> {
  const place = join(folder, 'varve.db')
  const file = `${place}.${randomUUID()}`
  try {
    checkRights(folder, 'write')
    removeOld(folder)
    if (existsSync(place)) return undefined
    const made = makeFolder(folder)
    const leave = (): void => {
      for (const end of ['', '-wal', '-shm', '-journal']) rmSync(file + end, { force: true })
      if (made !== undefined) removeEmpty(folder, made)
    }
    try {
      refuseNetwork(folder)
      const registry = await openOn(inThread(new SyncConnection(file, false)))
      const drop = (): Promise<void> => registry.close().finally(leave)
      return { registry, drop, keep: () => registry.close().then(() => takesPlace(file, place)).finally(leave) }
    } catch (error) {
      leave()
      throw error
    }
  } catch (error) {
    throw translate(error)
  }
}

function takesPlace(file: string, place: string): boolean {
  // What could not be moved from the log into the file would be lost.
  if (existsSync(`${file}-wal`)) return false
  // While it was aside nothing of it had to be on the disk.
  layDown(file)
  try {
    linkSync(file, place)
  } catch (error) {
    if (NO_PLACE.has((error as NodeJS.ErrnoException).code ?? '')) return false
    throw translate(error)
  }
  layDown(dirname(place))
  return true
}

/** Removes `folder` and those above it, up to `top`, as far as they are empty. */
function removeEmpty(folder: string, top: string): void {
  try {
    for (let one = folder; one.length >= top.length; one = dirname(one)) rmdirSync(one)
  } catch (error) {
    // Somebody else has put something there.
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw translate(error)
  }
}

/** What a put left that was killed. */
function removeOld(folder: string): void {
  if (!existsSync(folder)) return
  for (const name of readdirSync(folder)) {
    const file = join(folder, name)
    if (/^varve\.db\.[0-9a-f-]{36}(-wal|-shm)?$/.test(name) && Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Infinity) > OLD_MS) rmSync(file, { force: true })
  }
}
