import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { environment, readConfig } from '../../src/config.ts'
import { jsonSchema } from '../../src/config-schema.ts'

const inConfig = (name: string): string => fileURLToPath(new URL(`../../config/${name}`, import.meta.url))

test('the JSON Schema beside the examples is the one that the daemon reads by (else: npm run schema)', () => {
  expect(JSON.parse(readFileSync(inConfig('varve.schema.json'), 'utf8'))).toEqual(jsonSchema())
})

test.each(['quickstart.yaml', 'example.yaml'])('%s is valid with nothing set', async (name) => {
  expect((await readConfig(inConfig(name), environment({}))).watches.length).toBeGreaterThan(0)
})

interface Schema { readonly properties?: Record<string, Schema>; readonly items?: Schema; readonly description?: string }

/** Every key that the schema knows, by its whole name. */
function keysOf(schema: Schema, prefix = ''): string[] {
  const below = Object.entries(schema.properties ?? {}).flatMap(([key, held]) => [`${prefix}${key}`, ...keysOf(held, `${prefix}${key}.`)])
  return schema.items === undefined ? below : [...below, ...keysOf(schema.items, prefix)]
}

function keysIn(value: unknown, prefix = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => keysIn(item, prefix))
  if (value === null || typeof value !== 'object') return []
  return Object.entries(value).flatMap(([key, held]) => [`${prefix}${key}`, ...keysIn(held, `${prefix}${key}.`)])
}

test('example.yaml has every key', () => {
  const example = keysIn(parse(readFileSync(inConfig('example.yaml'), 'utf8')))
  expect([...new Set(example)].toSorted()).toEqual(keysOf(jsonSchema() as Schema).toSorted())
})

test('example.yaml explains each key in its line', () => {
  for (const line of readFileSync(inConfig('example.yaml'), 'utf8').split('\n')) {
    const [, text, key] = /^([ -]*(\w+):.*)$/.exec(line) ?? []
    // The keys of `defaults` are explained where they first stand.
    if (text === undefined || ['watch'].includes(key!) || /^ {4}(max_wait|reconcile|poll|max_objects):/.test(text)) continue
    if (/^ {2,4}(- )?(name|location|artifact|type): \S+$/.test(text)) continue
    expect(text).toContain(' # ')
  }
})

test('each key has its words in the schema', () => {
  const wordless = (schema: Schema, name = ''): string[] => [
    ...Object.entries(schema.properties ?? {}).flatMap(([key, held]) => [...(held.description === undefined ? [key] : []), ...wordless(held, key)]),
    ...(schema.items === undefined ? [] : wordless(schema.items, name)),
  ]
  expect(wordless(jsonSchema() as Schema)).toEqual([])
})
