// Law 2. Two looks, or a look and a `put`, never commit against the same head; a look overtaken by a newer one commits nothing, not even "no change".
import { expect, test } from '@jest/globals'
import { DatabaseSync } from 'node:sqlite'
import { putOnce } from '../../src/daemon/daemon.ts'
import { turn } from '../../src/daemon/turn.ts'
import { parseLocation } from '../../src/model/location.ts'
import { openRegistryIn } from '../../src/registry/open.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { Memory } from '../../src/storage/memory.ts'
import { orderOf, watchOf } from '../suite/registry-world.ts'
import { HandClock } from './clock.ts'
import { law } from './law.ts'
import { lookPartsOf, realClock, recordedOf, registryWith, versionsOf } from './world.ts'

const going = new AbortController().signal
const location = parseLocation('s3://bucket/p/', '/')
const watch = watchOf({ locations: [location], events: { kind: 'sqs', url: 'memory' }, settleMs: 0 })

/** A gate that holds whoever comes to it, until it is opened. */
class Gate {
  readonly opened: Promise<void>
  open!: () => void

  constructor() {
    this.opened = new Promise((resolve) => (this.open = resolve))
  }
}

interface Field {
  readonly registry: Registry
  readonly memory: Memory
  readonly clock: HandClock
}

/** A database that understands a statement otherwise: the only way to take the fence away. */
class Bent extends DatabaseSync {
  readonly #bend: (text: string) => string

  constructor(bend: (text: string) => string) {
    super(':memory:')
    this.#bend = bend
  }

  override prepare(text: string): ReturnType<DatabaseSync['prepare']> {
    return super.prepare(this.#bend(text))
  }
}

interface Plant {
  readonly bend?: (text: string) => string
  readonly registry?: (registry: Registry) => Registry
}

async function fieldOf(plant: Plant | undefined): Promise<Field> {
  const registry = await openRegistryIn(new Bent(plant?.bend ?? ((text) => text)))
  const clock = new HandClock()
  await registry.enroll([watch], clock.now())
  return { registry: plant?.registry?.(registry) ?? registry, memory: new Memory(), clock }
}

const partsOf = ({ registry, memory, clock }: Field, owner: string) => lookPartsOf(registry, clock, async () => memory.open(), owner)

const NO_EPOCH: Plant = {
  // A look neither loses its scratch to the next one, nor is asked whether it is still the newest.
  bend: (text) => text.replace('watch = :id AND id NOT IN', 'watch < :id - :id AND id NOT IN')
    .replace('l.epoch = :epoch', ':epoch >= 0').replace('w.epoch = l.epoch AND w.owner IS l.owner', '1'),
}
const NO_BASE: Plant = { bend: (text) => text.replace('c.head IS l.base', '1') }

law<Plant>('a look that froze past its lease commits nothing, also when it found no change', async (plant) => {
  for (const found of ['B', 'A'] as const) {
    const field = await fieldOf(plant)
    const { registry, memory, clock } = field
    memory.put('a', 'A')
    await turn(partsOf(field, 'first'), watch, going)
    memory.put('a', found)
    await registry.request([{ watch: 'mnist', path: 'a', cause: 'cli' }], clock.now())
    const gate = new Gate()
    const frozen = turn({
      ...partsOf(field, 'frozen'),
      registry: registryWith(registry, {
        record: async (looking, outcome, nowMs) => {
          await gate.opened
          return registry.record(looking, outcome, nowMs)
        },
      }),
    }, watch, going)
    await clock.pass(0)
    clock.jump(61_000)
    // A, B, A: the head is still the one that the frozen look began with, so only the fence tells.
    if (found === 'B') memory.put('a', 'A')
    else memory.root = undefined
    await turn(partsOf(field, 'second'), watch, going)
    const before = await registry.watchRow('mnist')
    expect(before?.state).toBe(found === 'B' ? 'clean' : 'unavailable')
    gate.open()
    await frozen
    expect({ found, row: await registry.watchRow('mnist'), head: await recordedOf(registry) }).toEqual({ found, row: before, head: [`a ${digestAt(memory, 'a')}`] })
    await registry.close()
  }
}, { 'no fence': NO_EPOCH })

function digestAt(memory: Memory, path: string): string | undefined {
  const found = memory.at(path)
  return found.kind === 'entry' ? found.listed.content?.digest : undefined
}

law<Plant>('a look and a put, or two puts, never commit against the same head', async (plant) => {
  for (const other of ['look', 'put'] as const) {
    const field = await fieldOf(plant)
    const { registry, memory, clock } = field
    memory.put('a', '1')
    await turn(partsOf(field, 'first'), watch, going)
    const gate = new Gate()
    let passes = 0
    memory.beforePage = async () => {
      if (passes++ === 0) {
        // The slow one has read its page, and what it read is soon old.
        memory.put('slow', 'x')
        queueMicrotask(() => memory.put('quick', 'x'))
      }
      if (passes === 2) gate.open()
    }
    const slow = putOnce(lookPartsOf(registryWith(registry, {
      record: async (looking, outcome, nowMs) => {
        if (passes < 2) await gate.opened.then(() => clock.pass(0))
        return registry.record(looking, outcome, nowMs)
      },
    }), clock, async () => memory.open()), orderOf({ location }), watch, going)
    await clock.pass(0)
    await registry.request([{ watch: 'mnist', path: '*', cause: 'cli' }], clock.now())
    if (other === 'look') await turn(partsOf(field, 'second'), watch, going)
    else await putOnce(partsOf(field, 'second'), orderOf({ location }), watch, going)
    const { version } = await slow
    const counts = (await versionsOf(registry)).map(({ index, entries }) => [index, entries])
    // The slow one looked again, and found what the quick one had recorded: nothing was made of what it saw before.
    expect({ other, counts, version: version.version }).toEqual({ other, counts: [[0, 1], [1, 3]], version: 'v1' })
    expect(await recordedOf(registry)).toEqual(['a', 'quick', 'slow'].map((path) => `${path} ${digestAt(memory, path)}`))
  }
}, { 'no base check': NO_BASE })

law<Plant>('two daemons at one watch look one after the other', async (plant) => {
  const field = await fieldOf(plant)
  const { memory, clock } = field
  memory.put('a', '1')
  let looking = 0
  let most = 0
  const partsNamed = (owner: string) => lookPartsOf(field.registry, clock, async () => {
    most = Math.max(most, ++looking)
    return { ...memory.open(), close: async () => void looking-- }
  }, owner)
  memory.beforePage = async () => {
    await clock.sleep(1_000)
    return undefined
  }
  const turns = [turn(partsNamed('one'), watch, going), turn(partsNamed('two'), watch, going)]
  await clock.pass(10_000)
  await Promise.all(turns)
  expect(most).toBe(1)
}, {
  'owners that cannot be told apart': { registry: (registry) => registryWith(registry, { begin: (name, _owner, leaseMs, nowMs) => registry.begin(name, 'varve', leaseMs, nowMs) }) },
})

test('a lease that is renewed keeps its look, however long it takes', async () => {
  const field = await fieldOf(undefined)
  const { registry, memory, clock } = field
  memory.put('a', '1')
  memory.beforePage = async () => {
    await clock.sleep(600_000)
    return undefined
  }
  const long = turn(partsOf(field, 'long'), watch, going)
  for (let minutes = 0; minutes < 9; minutes++) {
    await clock.pass(60_000)
    expect(await registry.begin('mnist', 'other', 60_000, clock.now())).toBeUndefined()
  }
  await clock.pass(120_000)
  await long
  expect(await versionsOf(registry)).toHaveLength(1)
})

test('a look that was overtaken stops reading', async () => {
  const field = await fieldOf(undefined)
  const { registry, memory, clock } = field
  memory.put('a', '1')
  let aborted = false
  const parts = partsOf(field, 'old')
  const old = turn({
    ...parts,
    openStore: async () => ({
      ...memory.open(),
      async *scan(_startMs, signal) {
        await clock.sleep(1e9, signal)
        aborted = signal.aborted
        signal.throwIfAborted()
      },
    }),
  }, watch, going)
  await clock.pass(0)
  // Its lease ends while its process is frozen, and another takes over; when it goes on, it learns so at its next beat.
  clock.jump(61_000)
  expect(await registry.begin('mnist', 'new', 60_000, clock.now())).toBeDefined()
  await clock.pass(15_000)
  await old
  expect(aborted).toBe(true)
})

test('of puts that race for the first version one makes it, and the others find it', async () => {
  const database = new DatabaseSync(':memory:')
  const registry = await openRegistryIn(database)
  const clock = realClock()
  const memory = new Memory()
  memory.put('a', 'one')
  // All have begun before the first of them records.
  let begun = 0
  const together = registryWith(registry, {
    beginPut: async (order, nowMs) => {
      const looking = await registry.beginPut(order, nowMs)
      for (begun++; begun < 3; ) await clock.sleep(1)
      return looking
    },
  })
  const putting = (): Promise<{ created: boolean; version: { version: string } }> => putOnce(lookPartsOf(together, clock, async () => memory.open()), orderOf({ location }), watch, going)
  const results = await Promise.all([putting(), putting(), putting()])
  expect(results.map(({ created, version }) => `${version.version} ${created}`).sort()).toEqual(['v0 false', 'v0 false', 'v0 true'])
})
