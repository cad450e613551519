import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { openFileStore } from '../../../src/storage/file/store.ts'
import { storeSuite } from '../../suite/store.ts'
import { fell, tree } from './tree.ts'

const open = (prefix: string): ReturnType<typeof openFileStore> => openFileStore({ scheme: 'file', bucket: '', prefix }, { clockSlackMs: 0 })

storeSuite('files', async () => ({
  fresh: async () => {
    const base = tree()
    const root = `${base}data/mnist/`
    mkdirSync(root, { recursive: true })
    const put = async (path: string, bytes: string): Promise<void> => {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, bytes)
    }
    return {
      open: () => open(root),
      put: (path, bytes) => put(root + path, bytes),
      remove: async (path) => rmSync(root + path),
      putBeside: async () => {
        await put(`${base}data/mnist2/x`, 'x')
        await put(`${base}data/mnist.txt`, 'x')
      },
      openMissing: () => open(`${base}data/gone/`),
    }
  },
  stop: async () => fell(),
}), { many: 3_000, nastier: ['new\nline/x', '\u0001', 'a\u007f', '%', '%zz', '\ufffd', '-rf', '...'] })
