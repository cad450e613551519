import { verify as check } from '../restore/restore.ts'
import type { Step } from '../restore/restore.ts'
import type { Context } from './context.ts'
import { line, wishOf } from './get.ts'
import type { WishOptions } from './get.ts'
import { parseVersion } from './names.ts'
import { placeOf, reading } from './place.ts'
import { accessTo } from './reach.ts'
import { plural, visible } from './words.ts'

/** Tells whether a version can still be restored: 0 when all of it can, 1 when something is lost, each by path and reason. */
export async function verify(context: Context, name: string, options: WishOptions): Promise<number> {
  const place = await placeOf(context, options)
  const { collection, version } = parseVersion(name, place.defaultEntity)
  return reading(context, place, async (registry) => {
    const parts = context.opener.restoreParts(registry, place.dataFolder, (location) => accessTo(place.config, location), ({ entries, bytes }) => context.screen.progress(name, entries, bytes))
    const lost = (steps: readonly Step[]): readonly string[] => steps.filter(({ action }) => action === 'lost').map(line)
    const tell = (steps: readonly Step[]): Promise<void> => (options.json === true ? context.screen.json(steps) : context.screen.print(...lost(steps)))
    const { name: whole, entries, elsewhere, losses } = await check(parts, await wishOf(context, { collection, version }, options), tell, context.signal)
    context.screen.settle()
    const found = losses.length === 0 ? `${plural(entries, 'entry', 'entries')} can be restored` : `${plural(losses.length, 'entry', 'entries')} of ${entries.toLocaleString('en-US')} cannot be restored`
    if (options.json !== true) await context.screen.print(`${visible(whole)}: ${found}${elsewhere === 0 ? '' : `, ${elsewhere.toLocaleString('en-US')} from another place than was recorded`}${options.deep === true ? ' (every byte was read)' : ''}`)
    return losses.length === 0 ? 0 : 1
  })
}
