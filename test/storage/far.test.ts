// needs: slow-fs
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseLocation } from '../../src/model/location.ts'
import { openFileStore } from '../../src/storage/file/store.ts'
import type { Store } from '../../src/storage/storage.ts'
import { storeSuite } from '../suite/store.ts'
import type { Ground } from '../suite/store.ts'
import { slowly } from './file/slow.ts'

async function farGround(): Promise<Ground> {
  const slow = await slowly()
  let places = 0
  const open = (folder: string): Promise<Store> => openFileStore(parseLocation(`${slow.root}${folder}/`, '/'), { clockSlackMs: 0 })
  return {
    fresh: async () => {
      const folder = join(String(++places), 'mnist')
      await mkdir(slow.behind + folder, { recursive: true })
      const write = async (path: string, bytes: string): Promise<void> => {
        await mkdir(dirname(path), { recursive: true })
        await writeFile(path, bytes)
      }
      return {
        open: () => open(folder),
        put: (path, bytes) => write(join(slow.behind, folder, path), bytes),
        remove: (path) => rm(join(slow.behind, folder, path)),
        putBeside: async () => {
          await write(`${slow.behind}${folder}2/x`, 'x')
          await write(`${slow.behind}${folder}.txt`, 'x')
        },
        openMissing: () => open(`${folder}-not`),
      }
    },
    stop: () => slow.stop(),
  }
}

storeSuite('a folder of a network mount, written by another machine', farGround, { many: 5_000 })
