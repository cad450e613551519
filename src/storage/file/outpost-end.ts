// The far end of an outpost: a process of its own, which may hang for ever in a call to the system. Whatever it is told to do it begins at once.
import type { Root } from '../storage.ts'
import { fileFailure } from './failures.ts'
import type { Stated } from './hands.ts'
import type { FarTask, Order, Report } from './outpost.ts'
import type { Piece, Read, Walked } from './pack.ts'
import { pieceWide, readWide, realWide, rootWide, standWide, statWide, walkWide, withPulse } from './wide.ts'
import type { Pulse } from './wide.ts'

// Often enough that a long file is never taken for a hang.
const SIGN_EVERY_MS = 1_000

// For whoever asks `ps` what hangs.
process.title = 'varve outpost'
const pulses = new Map<number, Pulse & { told: number }>()
process.on('message', ({ id, task }: Order) => {
  const pulse = { answers: 0, told: 0 }
  pulses.set(id, pulse)
  withPulse(pulse, () => perform(task)).then(
    (result) => report({ id, result }),
    (error: unknown) => {
      const { code, message, hint } = fileFailure(error, (error as NodeJS.ErrnoException).path ?? ('prefix' in task ? task.prefix : ''))
      report({ id, failed: { code, message, hint } })
    },
  ).finally(() => pulses.delete(id))
})
// Signals to a whole group are meant for whoever started us, who may want an answer first.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
// Who leaves in the ordinary way waits for the threads, and these may never come back.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))

report({})
setInterval(() => {
  const alive = [...pulses].filter(([, { answers, told }]) => answers > told).map(([id]) => id)
  for (const pulse of pulses.values()) pulse.told = pulse.answers
  if (alive.length > 0) report({ alive })
}, SIGN_EVERY_MS)

function perform(task: FarTask): Promise<Root | Stated | Walked | Read | Piece | string> {
  if (task.kind === 'walk') return walkWide(task)
  if (task.kind === 'read') return readWide(task)
  if (task.kind === 'stand') return standWide(task)
  if (task.kind === 'piece') return pieceWide(task)
  if (task.kind === 'real') return realWide(task)
  return task.kind === 'stat' ? statWide(task) : rootWide(task)
}

function report(report: Report): void {
  // When nobody hears any more, the end is near.
  process.send?.(report, undefined, undefined, () => undefined)
}
