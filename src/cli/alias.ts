import { VarveError } from '../model/errors.ts'
import type { Context, Options } from './context.ts'
import { parseVersion } from './names.ts'
import { placeOf, reading } from './place.ts'
import { visible } from './words.ts'

/** Gives `alias` to the named version, from whichever has it now. Throws USAGE for `latest` and `vN`. */
export async function addAlias(context: Context, name: string, alias: string, options: Options): Promise<void> {
  const place = await placeOf(context, options)
  const { collection, version } = versionGiven(name, place.defaultEntity)
  return reading(context, place, async (registry) => {
    await registry.addAlias(collection, version, alias)
    await context.screen.print(`${visible(name)} is now ${visible(alias)}`)
  })
}

/** Takes `alias` from the named version. Throws NOT_FOUND when it does not bear it. */
export async function removeAlias(context: Context, name: string, alias: string, options: Options): Promise<void> {
  const place = await placeOf(context, options)
  const { collection, version } = versionGiven(name, place.defaultEntity)
  return reading(context, place, async (registry) => {
    await registry.removeAlias(collection, version, alias)
    await context.screen.print(`${visible(name)} is no longer ${visible(alias)}`)
  })
}

function versionGiven(name: string, defaultEntity: string): ReturnType<typeof parseVersion> {
  if (!name.includes(':')) throw new VarveError('USAGE', `${name} names no version`, { hint: `say which: ${name}:v3 or ${name}:latest` })
  return parseVersion(name, defaultEntity)
}
