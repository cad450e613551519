import { resolve } from 'node:path'
import { statSync } from 'node:fs'
import { VarveError } from '../model/errors.ts'
import type { Context, Options } from './context.ts'
import { placeOf } from './place.ts'
import { intoFile } from './target.ts'
import { formatSize, visible } from './words.ts'

export interface BackupOptions extends Options {
  readonly force?: boolean
}

/** Writes the registry, as it is at one instant, to `file`: beside a running daemon, whole and checked, or not at all. */
export async function backup(context: Context, file: string, options: BackupOptions): Promise<void> {
  const place = await placeOf(context, options)
  if (file === '-') throw new VarveError('USAGE', 'a backup is written to a file, so that it can be checked', { hint: 'name one: varve backup FILE' })
  await intoFile(file, place.dataFolder, options.force === true, (temporary) => context.opener.backup(place.dataFolder, temporary))
  await context.screen.print(`${visible(resolve(file))}  (${formatSize(statSync(file).size)}, checked)`)
}

/** Puts a backup in the place of the registry. Throws REGISTRY_REFUSED while a daemon runs, CONFLICT for a registry that is there, unless forced: then it is kept beside. */
export async function restoreRegistry(context: Context, file: string, options: BackupOptions): Promise<void> {
  const place = await placeOf(context, options)
  const { kept } = await context.opener.restoreRegistry(place.dataFolder, resolve(file), options.force === true)
  await context.screen.print(`${visible(place.dataFolder)} is as ${visible(resolve(file))} has it`)
  if (kept !== undefined) context.screen.note(`the former registry is ${visible(kept)}`)
}
