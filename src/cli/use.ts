import type { Context, Options } from './context.ts'
import { parseRun, parseVersion } from './names.ts'
import { placeOf, reading } from './place.ts'
import { formatExact, formatMark, formatRun } from './words.ts'

export interface UseOptions extends Options {
  readonly run: string
  readonly project?: string
}

/** Writes down that a run uses a version, and prints exactly which one that is. */
export async function use(context: Context, name: string, options: UseOptions): Promise<void> {
  const place = await placeOf(context, options)
  const { collection, version } = parseVersion(name, place.defaultEntity)
  const run = parseRun(options.run, options.project, place.defaultEntity)
  return reading(context, place, async (registry) => {
    const used = await registry.use(collection, version, run, context.clock.now())
    if (options.json === true) await context.screen.json([used])
    else await context.screen.print(`${formatExact(used)}  ${used.digest}`)
  })
}

export interface FinishOptions extends Options {
  readonly project?: string
  readonly failed?: boolean
}

/** A run has ended: prints that, and what changed under it while it ran. */
export async function finish(context: Context, name: string, options: FinishOptions): Promise<void> {
  const place = await placeOf(context, options)
  const run = parseRun(name, options.project, place.defaultEntity)
  return reading(context, place, async (registry) => {
    const ended = await registry.endRun(run, options.failed === true ? 'failed' : 'finished', context.clock.now())
    if (options.json === true) return context.screen.json([ended])
    const marks = ended.marks.map((mark) => `  ${context.screen.paint('yellow', formatMark(mark, place.defaultEntity))}`)
    return context.screen.print(formatRun(ended, place.defaultEntity), ...marks)
  })
}
