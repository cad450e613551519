import { describe, expect, test } from '@jest/globals'

// A law looks many times; on a machine that is busy with other tests each look takes its time.
const LONG_MS = 60_000

/**
 * A law: `check` holds for the parts as they are, and throws for each planted defect, by an assertion of its own and not by accident.
 */
export function law<Plant>(sentence: string, check: (plant?: Plant) => Promise<void>, plants: Readonly<Record<string, Plant>>): void {
  describe(sentence, () => {
    test('holds', () => check(), LONG_MS)
    test.each(Object.keys(plants))('is seen to be broken by: %s', async (name) => {
      const broken = await check(plants[name]).then(() => undefined, (error: unknown) => error as { matcherResult?: unknown; message?: string })
      if (broken !== undefined && broken.matcherResult === undefined) throw broken
      expect(broken?.matcherResult).toMatchObject({ pass: false })
    }, LONG_MS)
  })
}
