// The child: takes an order, says what it finds, and ends.
import { describe } from '../../model/errors.ts'
import { fails } from '../../model/probe.ts'
import { examine } from './examine.ts'
import type { Order, Word } from './examine.ts'

const say = (word: Word): void => void process.send?.(word)

process.once('message', (order: Order) => {
  examine(order, say)
    .catch((error: unknown) => say({ found: fails('walk', { reason: describe(error) }) }))
    .finally(() => process.send?.({ done: true } satisfies Word, () => process.disconnect()))
})
