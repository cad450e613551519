// long
import { describe, expect, test } from '@jest/globals'
import { DEFECTS } from './defects.ts'
import { simulate } from './simulate.ts'

// Thousands of schedules in a minute; each seed is one, for ever.
const SCHEDULES = 2_000
// A planted defect shows in one schedule of some thousand at the worst: a torn mark is mostly healed by what is asked for after it.
const SEEDS_MOST = 5_000
const SOUND = { name: 'sound' }

test('laws 1 to 7 hold after every schedule', async () => {
  for (let seed = 1; seed <= SCHEDULES; seed++)
    await simulate(seed, SOUND).catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
    })
}, 600_000)

test('the same seed is the same schedule', async () => {
  const told = async (): Promise<unknown> => {
    const world = await simulate(7, SOUND)
    return [world.scheduler.nowMs, world.moments.map(({ at, lying }) => [at, [...lying]])]
  }
  expect(await told()).toEqual(await told())
})

describe('is found, when planted:', () => {
  test.each(DEFECTS.map((defect) => [defect.name, defect] as const))('%s', async (_, defect) => {
    for (let seed = 1; seed <= SEEDS_MOST; seed++) {
      const found = await simulate(seed, defect).then((world) => (world.planted ? undefined : 'not planted'), (error: unknown) => (error as Error).message)
      if (found === 'not planted') continue
      if (found !== undefined) return expect(found).toMatch(/^law \d/)
    }
    throw new Error(`not found in ${SEEDS_MOST} schedules`)
  }, 600_000)
})
