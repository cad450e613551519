import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseLocation } from '../../src/model/location.ts'
import { openFileStore } from '../../src/storage/file/store.ts'
import type { Store } from '../../src/storage/storage.ts'
import { loneStoreSuite, storeSuite } from '../suite/store.ts'
import type { Ground } from '../suite/store.ts'

async function fileGround(): Promise<Ground> {
  const top = await mkdtemp(join(tmpdir(), 'varve-files-'))
  let places = 0
  const open = (folder: string): Promise<Store> => openFileStore(parseLocation(`${folder}/`, '/'), { clockSlackMs: 0 })
  return {
    fresh: async () => {
      const folder = join(top, `${++places}`, 'mnist')
      await mkdir(folder, { recursive: true })
      const write = async (path: string, bytes: string): Promise<void> => {
        await mkdir(dirname(path), { recursive: true })
        await writeFile(path, bytes)
      }
      return {
        open: () => open(folder),
        put: (path, bytes) => write(join(folder, path), bytes),
        remove: (path) => rm(join(folder, path)),
        putBeside: async () => {
          await write(`${folder}2/x`, 'x')
          await write(`${folder}.txt`, 'x')
        },
        openMissing: () => open(`${folder}-not`),
      }
    },
    stop: () => rm(top, { recursive: true }),
  }
}

storeSuite('a folder', fileGround, { many: 5_000 })

loneStoreSuite('a file', async () => {
  const top = await mkdtemp(join(tmpdir(), 'varve-file-'))
  let places = 0
  return {
    fresh: async () => {
      const folder = join(top, `${++places}`)
      await mkdir(folder)
      return {
        name: 'labels.csv',
        open: () => openFileStore(parseLocation(join(folder, 'labels.csv'), '/'), { clockSlackMs: 0 }),
        put: (bytes) => writeFile(join(folder, 'labels.csv'), bytes),
        putBeside: () => writeFile(join(folder, 'labels.csv2'), 'x'),
      }
    },
    stop: () => rm(top, { recursive: true }),
  }
})
