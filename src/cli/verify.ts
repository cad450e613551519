import { verify as check } from '../restore/restore.ts'
import type { Step } from '../restore/restore.ts'
import type { Context } from './context.ts'
import { line, wishOf } from './get.ts'
import type { WishOptions } from './get.ts'
import { parseVersion } from './names.ts'
import { placeOf, reading } from './place.ts'
import { accessTo } from './reach.ts'
import { formatCount, plural, visible } from './words.ts'

/** Tells whether a version can still be restored: 0 when all of it can, 1 when something is lost, each by path and reason, 3 when nothing is known to be but a store could not be asked. */
export async function verify(context: Context, name: string, options: WishOptions): Promise<number> {
  const place = await placeOf(context, options)
  const { collection, version } = parseVersion(name, place.defaultEntity)
  return reading(context, place, async (registry) => {
    const parts = context.opener.restoreParts(registry, place.dataFolder, (location) => accessTo(place.config, location), ({ entries, bytes }) => context.screen.progress(name, entries, bytes))
    const lost = (steps: readonly Step[]): readonly string[] => steps.filter(({ action }) => action === 'lost').map(line)
    const tell = (steps: readonly Step[]): Promise<void> => (options.json === true ? context.screen.json(steps) : context.screen.print(...lost(steps)))
    const { name: whole, entries, elsewhere, byWord, losses } = await check(parts, await wishOf(context, { collection, version }, options), tell, context.signal)
    context.screen.settle()
    const unasked = losses.filter(({ reason }) => reason === 'unreachable').length
    const lacking = [...(losses.length > unasked ? [`${ofAll(losses.length - unasked, entries)} cannot be restored`] : []), ...(unasked > 0 ? [`${ofAll(unasked, entries)} could not be asked for`] : [])]
    const found = lacking.length === 0 ? `${plural(entries, 'entry', 'entries')} can be restored` : lacking.join(', ')
    if (options.json !== true) await context.screen.print(`${visible(whole)}: ${found}${elsewhere === 0 ? '' : `, ${elsewhere.toLocaleString('en-US')} from another place than was recorded`}${options.deep === true ? ` (every byte was read${byWord === 0 ? '' : `; ${plural(byWord, 'entry stands', 'entries stand')} by the store's word alone`})` : ''}`)
    return losses.length === 0 ? 0 : losses.length > unasked ? 1 : 3
  })
}

function ofAll(some: number, all: number): string {
  return `${plural(some, 'entry', 'entries')} of ${formatCount(all)}`
}
