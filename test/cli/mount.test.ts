// needs: slow-fs
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { slowly } from '../storage/file/slow.ts'
import type { Slow } from '../storage/file/slow.ts'
import { varveHere } from './here.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-mount-'))
let slow: Slow
beforeAll(async () => {
  slow = await slowly()
})
afterAll(async () => {
  await slow.stop()
  rmSync(folder, { recursive: true })
})

test('data on a network mount is a mistake of the configuration, for check and run alike, and nothing is made there', async () => {
  mkdirSync(join(folder, 'watched'))
  writeFileSync(join(folder, 'watched/a'), 'a')
  symlinkSync(slow.root, join(folder, 'link'))
  for (const [index, data] of [`${slow.root}deep/data`, join(folder, 'link/data')].entries()) {
    const config = join(folder, `${index}.yaml`)
    writeFileSync(config, `data: ${data}\nlisten: off\nwatch:\n  - { name: one, location: watched/, artifact: a/b, type: dataset }\n`)
    for (const verb of ['check', 'run'])
      expect(await varveHere([verb, '--config', config])).toEqual({
        exit: 78, stdout: '',
        stderr: expect.stringMatching(/^varve: [^\n]+\.yaml:1:7: `data`: [^\n]+\/data lies on a network mount \(fuse[^\n)]*\), where SQLite can lose what it was told; set it to a folder on a local disk\n$/i),
      })
    // Without a configuration there is no place in it to name.
    for (const words of [['put', join(folder, 'watched'), '--name', 'a/b', '--type', 'dataset', '--data', data], ['restore-registry', join(folder, 'watched/a'), '--data', data]])
      expect(await varveHere(words)).toMatchObject({ exit: 1, stderr: expect.stringMatching(/lies on a network mount/) })
  }
  expect(readdirSync(slow.behind)).toEqual([])
})
