// long
import { afterAll, afterEach, describe } from '@jest/globals'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { openRegistry, openRegistryIn } from '../../src/registry/open.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { catalogSuite } from '../suite/registry-catalog.ts'
import { entriesSuite } from '../suite/registry-entries.ts'
import { lineageSuite } from '../suite/registry-lineage.ts'
import { modelSuite } from '../suite/registry-model.ts'
import { ledgerSuite } from '../suite/registry.ts'
import { retainSuite } from '../suite/registry-retain.ts'
import type { OpenRegistry } from '../suite/registry.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-registry-'))
afterAll(() => rmSync(folder, { recursive: true }))

const WAYS: readonly (readonly [string, (folder: string) => Promise<Registry>])[] = [
  ['in this thread', (where) => openRegistry(where, { thread: false })],
  ['in threads of its own', (where) => openRegistry(where, { thread: true })],
  ['in a database that is open already', () => openRegistryIn(new DatabaseSync(':memory:'))],
]

describe.each(WAYS)('a registry %s', (name, way) => {
  const opened: Registry[] = []
  let count = 0
  const temporary = join(folder, name)
  const open: OpenRegistry = async () => {
    const registry = await way(join(temporary, String(++count)))
    opened.push(registry)
    return registry
  }
  afterEach(async () => {
    for (const registry of opened.splice(0)) await registry.close()
  })
  ledgerSuite(open)
  entriesSuite(open)
  catalogSuite(open)
  modelSuite(open)
  retainSuite(open)
  lineageSuite(open)
})
