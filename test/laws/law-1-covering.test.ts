// Law 1. A change that was heard is followed by a look that STARTS later, even across a crash of anything.
import { expect, test } from '@jest/globals'
import type { Parts } from '../../src/daemon/daemon.ts'
import { law } from './law.ts'
import { registryWith, storesWith, unfitted, World } from './world.ts'
import type { Refit } from './world.ts'

interface Plant {
  readonly refit?: Refit
  /** Of what is started after the crash. */
  readonly again?: Refit
}

/** The moments of a look at which a change may be heard. */
const MOMENTS = ['list', 'page 1', 'read', 'stage', 'tally', 'record', 'recorded'] as const

/** Calls `at` when a look comes to a moment; on `record` before, on `recorded` after the commit. */
function moments(at: (moment: string) => Promise<void>): Refit {
  return (parts) => {
    const { registry } = parts
    const heard = registryWith(registry, {
      tally: async (looking) => {
        await at('tally')
        return registry.tally(looking)
      },
      stage: async (looking, findings) => {
        await at('stage')
        return registry.stage(looking, findings)
      },
      record: async (looking, outcome, nowMs) => {
        await at('record')
        const recorded = await registry.record(looking, outcome, nowMs)
        await at('recorded')
        return recorded
      },
    })
    return { ...parts, registry: heard }
  }
}

law<Plant>('a change that is heard at any moment of a look is looked at again, without any reconcile', async (plant) => {
  const world = new World({}, { pageSize: 2 })
  for (const path of ['a', 'b', 'c']) world.memory.put(path, 'first')
  const todo: string[] = []
  let changes = 0
  const at = async (moment: string): Promise<undefined> => {
    if (todo[0] !== moment) return
    todo.shift()
    // What was looked at already changes: only a look that starts later can see it.
    world.memory.put('a', `${moment} ${++changes}`)
    expect(await world.hint('a')).toBe(true)
  }
  world.memory.beforePage = (page) => at(page === 0 ? 'list' : 'page 1')
  world.memory.whileRead = () => at('read')
  const fitted = moments(at)
  await world.start((parts) => fitted((plant?.refit ?? unfitted)(parts)))
  await world.clock.pass(70_000)
  for (const moment of MOMENTS) {
    todo.push(moment)
    if (moment === 'list' || moment === 'page 1') await world.registry.request([{ watch: 'mnist', path: '*', cause: 'cli' }], world.clock.now())
    else {
      world.memory.put('b', `for ${moment}`)
      await world.hint('b')
    }
    await world.clock.pass(130_000)
    expect({ moment, left: todo, recorded: await world.recorded() }).toEqual({ moment, left: [], recorded: world.lying() })
  }
  await world.stop()
}, {
  'a commit that covers what was heard while it looked': { refit: (parts) => committingAll(parts) },
  'a commit that deletes every request': { refit: (parts) => committingAll(parts, 1_000_000) },
  'hints that are taken for known while a look runs': { refit: (parts) => deafWhileLooking(parts) },
  'no sweep, and a queue that forgets what is woken while it works': {
    refit: (parts) => ({ ...deafQueue(parts), sweepMs: 1e12 }),
  },
})

/** Generation read after the listing instead of before. */
function committingAll(parts: Parts, more = 0): Parts {
  const { registry } = parts
  return {
    ...parts,
    registry: registryWith(registry, {
      // Blind for what came since, as a look would be that reads the generation only at its end.
      watchRow: async (watch) => {
        const row = await registry.watchRow(watch)
        return row === undefined || row.state !== 'looking' ? row : { ...row, generation: Math.min(row.generation, begun.get(watch) ?? Infinity) }
      },
      begin: async (watch, ...rest) => {
        const looking = await registry.begin(watch, ...rest)
        if (looking !== undefined) begun.set(watch, looking.generation)
        return looking
      },
      record: async (looking, outcome, nowMs) => {
        const generation = ((await registry.watchRow('mnist'))?.generation ?? 0) + more
        return registry.record({ ...looking, generation }, outcome, nowMs)
      },
    }),
  }
}
const begun = new Map<string, number>()

function deafWhileLooking(parts: Parts): Parts {
  const { registry } = parts
  return {
    ...parts,
    registry: registryWith(registry, {
      request: async (requests, nowMs) => {
        const row = await registry.watchRow('mnist')
        return row?.state === 'looking' ? undefined : registry.request(requests, nowMs)
      },
    }),
  }
}

function deafQueue(parts: Parts): Parts {
  let looks = 0
  const { queue } = parts
  return {
    ...parts,
    queue: {
      ...queue,
      wake: (watch, delayMs) => (looks > 0 ? Promise.resolve() : queue.wake(watch, delayMs)),
      work: (look, concurrency, signal) => queue.work(async (watch, stop) => {
        looks++
        try {
          await look(watch, stop)
          return undefined
        } finally {
          looks--
        }
      }, concurrency, signal),
    },
  }
}

law<Plant>('what was acknowledged before a crash is looked at after it; what was not comes again', async (plant) => {
  const world = new World()
  world.memory.put('a', 'first')
  const refit = plant?.refit ?? unfitted
  await world.start(refit)
  await world.clock.pass(70_000)
  const upstream: string[] = []
  for (const step of ['marked', 'unmarked', 'settling'] as const) {
    world.memory.put('a', step)
    upstream.push('a')
    // Unmarked: it dies before the hint reaches it.
    if (step !== 'unmarked' && (await world.hint('a'))) upstream.pop()
    // The startup that follows a crash must not be what saves it: its request is taken away.
    await world.crash((parts) => (plant?.again ?? unfitted)(withoutStartup(refit(parts))))
    while (upstream.length > 0) if (await world.hint(upstream[0] as string)) upstream.shift()
    await world.clock.pass(200_000)
    expect({ step, recorded: await world.recorded() }).toEqual({ step, recorded: world.lying() })
  }
  await world.stop()
}, {
  'an acknowledgement before the mark': {
    // The mark is made later: never, when the daemon dies first.
    refit: (parts) => ({
      ...parts,
      registry: registryWith(parts.registry, {
        request: async (requests, nowMs) => {
          if (requests.some(({ cause }) => cause !== 'hint')) return parts.registry.request(requests, nowMs)
          void parts.clock.sleep(1).then(() => parts.registry.request(requests, nowMs)).catch(() => undefined)
        },
      }),
    }),
  },
  'a queue taken for the truth': {
    // What is dirty is not found by the sweep, as if only wake-ups counted.
    again: (parts) => ({ ...parts, sweepMs: 1e12, registry: registryWith(parts.registry, { watchRows: async () => [] }) }),
  },
})

/** A daemon that requests nothing when it starts, and wakes nobody. */
function withoutStartup(parts: Parts): Parts {
  const { registry, queue } = parts
  let asked = false
  return {
    ...parts,
    sources: parts.sources.map((source) => ({
      name: source.name,
      listen: (emit, signal) => source.listen((hints) => emit(hints.filter(({ whole }) => !whole)), signal),
    })),
    registry: registryWith(registry, {
      request: async (requests, nowMs) => {
        const rest = requests.filter(({ cause }) => cause !== 'startup')
        asked ||= rest.length > 0
        await registry.request(rest, nowMs)
      },
      watchRows: () => {
        asked = true
        return registry.watchRows()
      },
    }),
    queue: { ...queue, wake: async (watch, delayMs) => (asked ? queue.wake(watch, delayMs) : undefined) },
  }
}

law<Plant>('a look that dies or freezes is taken up by another', async (plant) => {
  const world = new World()
  world.memory.put('a', 'first')
  await world.start(plant?.refit)
  await world.clock.pass(70_000)
  let frozen = 0
  world.memory.whileRead = async () => {
    if (frozen++ === 0) await new Promise(() => undefined)
  }
  world.memory.put('a', 'second')
  await world.hint('a')
  await world.clock.pass(10_000)
  expect(frozen).toBe(1)
  // The process is gone with its frozen look, and its lease with it, later.
  await world.crash((parts) => withoutStartup((plant?.again ?? unfitted)(parts)))
  await world.clock.pass(200_000)
  expect(await world.recorded()).toEqual(world.lying())
}, {
  'a lease without end': {
    again: (parts) => {
      const sinceMs = parts.clock.now()
      return { ...parts, registry: registryWith(parts.registry, { begin: (watch, owner, leaseMs) => parts.registry.begin(watch, owner, leaseMs, sinceMs) }) }
    },
  },
})

test('each time that a source begins to hear, the whole is looked at: nobody knows what was missed', async () => {
  const world = new World()
  world.memory.put('a', 'first')
  let ended = 0
  await world.start((parts) => ({
    ...parts,
    sources: [{
      name: 'one that breaks',
      listen: async (emit, signal) => {
        await emit([{ scheme: 's3', bucket: 'bucket', key: 'p/', whole: true }])
        await parts.clock.sleep(100_000, signal)
        ended++
        world.memory.put('a', `unheard ${ended}`)
        throw new Error('deaf')
      },
    }],
  }))
  await world.clock.pass(90_000)
  expect(await world.versions()).toHaveLength(1)
  await world.clock.pass(20_000)
  expect([ended, await world.recorded()]).toEqual([1, world.lying()])
  await world.stop()
})

test('a source that fails does not keep others from being heard', async () => {
  const world = new World()
  world.memory.put('a', 'first')
  await world.start((parts) => ({ ...parts, sources: [{ name: 'broken', listen: () => Promise.reject(new Error('no')) }, ...parts.sources] }))
  await world.clock.pass(70_000)
  world.memory.put('a', 'second')
  await world.hint('a')
  await world.clock.pass(10_000)
  expect(await world.recorded()).toEqual(world.lying())
  await world.stop()
})

test('a look whose every part fails once is made again', async () => {
  for (const part of ['openStore', 'root', 'scan', 'stage', 'tally', 'record'] as const) {
    const world = new World()
    world.memory.put('a', 'first')
    let failures = 1
    const once = <T>(go: () => T): T => {
      if (failures-- > 0) throw new Error(`${part} failed`)
      return go()
    }
    await world.start((parts) => {
      const { registry } = parts
      if (part === 'openStore') return { ...parts, openStore: async (watch, memo) => once(() => parts.openStore(watch, memo)) }
      if (part === 'root') return storesWith((store) => ({ root: async (signal) => once(() => store.root(signal)) }))(parts)
      if (part === 'scan') return storesWith((store) => ({ scan: (startMs, signal) => once(() => store.scan(startMs, signal)) }))(parts)
      const failing = async (...args: never[]): Promise<never> => once(() => (registry[part] as (...args: never[]) => Promise<never>)(...args))
      return { ...parts, registry: registryWith(registry, { [part]: failing }) }
    })
    await world.clock.pass(300_000)
    expect({ part, failed: failures < 1, recorded: await world.recorded() }).toEqual({ part, failed: true, recorded: world.lying() })
    await world.stop()
  }
})
