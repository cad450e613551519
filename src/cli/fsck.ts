import type { Context, Options } from './context.ts'
import { placeOf } from './place.ts'
import { visible } from './words.ts'

/** Recomputes what the registry says of itself, and prints each fault. Answers 0 when it is sound, else 1. Changes nothing. */
export async function fsck(context: Context, options: Options): Promise<number> {
  const place = await placeOf(context, options)
  let sound = true
  for await (const fault of context.opener.fsck(place.dataFolder)) {
    sound = false
    const { artifact, words } = fault
    if (options.json === true) await context.screen.json([fault])
    else await context.screen.print(visible(artifact === undefined ? words : `${artifact}: ${words}`))
  }
  if (sound && options.json !== true) await context.screen.print('sound')
  return sound ? 0 : 1
}
