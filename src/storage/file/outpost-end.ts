// The far end of an outpost: a process of its own, which may hang for ever in a call to the system. Whatever it is told to do it begins at once.
import { fileFailure } from './failures.ts'
import type { Order, Report } from './outpost.ts'
import { progress, readWide, rootWide, statWide, walkWide } from './wide.ts'

// Often enough that a long file is never taken for a hang.
const SIGN_EVERY_MS = 1_000

// For whoever asks `ps` what hangs.
process.title = 'varve outpost'
process.on('message', ({ id, task }: Order) => {
  const work = task.kind === 'walk' ? walkWide(task) : task.kind === 'read' ? readWide(task) : task.kind === 'stat' ? statWide(task) : rootWide(task)
  work.then(
    (result) => report({ id, result }),
    (error: unknown) => {
      const { code, message, hint } = fileFailure(error, (error as NodeJS.ErrnoException).path ?? ('prefix' in task ? task.prefix : ''))
      report({ id, failed: { code, message, hint } })
    },
  )
})
// Who leaves in the ordinary way waits for the threads, and these may never come back.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))

let seen = progress()
setInterval(() => {
  if (progress() !== seen) report({})
  seen = progress()
}, SIGN_EVERY_MS)

function report(report: Report): void {
  // When nobody hears any more, the end is near.
  process.send?.(report, undefined, undefined, () => undefined)
}
