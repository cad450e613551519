import { resolve } from 'node:path'
import { DEFAULTS, findConfig, readConfig } from '../config.ts'
import type { Config, FilesAsked } from '../config.ts'
import { VarveError } from '../model/errors.ts'
import type { Watch } from '../model/watch.ts'
import type { Registry } from '../registry/registry.ts'
import type { Context, Options } from './context.ts'

/** Where a command works. */
export interface Place {
  readonly dataFolder: string
  readonly defaultEntity: string
  readonly config?: Config
}

/** `--data` goes before, and then only a configuration that is named counts; without any the data lies in `./.varve`. */
export async function placeOf(context: Context, options: Options): Promise<Place> {
  const file = options.data !== undefined && options.config === undefined ? undefined : findConfig(options.config, context.surroundings)
  const config = file === undefined ? undefined : await readConfig(file, context.surroundings)
  return {
    dataFolder: options.data === undefined ? (config?.dataFolder ?? resolve(DEFAULTS.dataFolder)) : resolve(options.data),
    defaultEntity: config?.defaultEntity ?? DEFAULTS.entity,
    ...(config !== undefined && { config }),
  }
}

/** The configuration, for commands that cannot do without. Throws CONFIG_INVALID when there is none, or one of the files that it names, as far as they are `asked` for, is not as it must be. */
export async function configOf(context: Context, options: Options, asked?: FilesAsked): Promise<Config> {
  const file = findConfig(options.config, context.surroundings)
  if (file === undefined)
    throw new VarveError('CONFIG_INVALID', 'there is no configuration: neither ./varve.yaml nor /etc/varve/config.yaml is there', {
      hint: 'write one, or name it with --config FILE or VARVE_CONFIG',
    })
  return readConfig(file, context.surroundings, asked)
}

/** The watch of that name. Throws NOT_FOUND. */
export function watchOf(config: Config, name: string): Watch {
  const watch = config.watches.find((one) => one.name === name)
  if (watch === undefined)
    throw new VarveError('NOT_FOUND', `no watch ${name} in ${config.file}`, { hint: `there is: ${config.watches.map((one) => one.name).join(', ')}` })
  return watch
}

/** Calls `read` with the registry of a place, and closes it. Makes nothing where there is none: throws NOT_FOUND. */
export async function reading<T>(context: Context, place: Place, read: (registry: Registry) => Promise<T>): Promise<T> {
  const registry = await context.opener.registry(place.dataFolder, false)
  try {
    return await read(registry)
  } finally {
    await registry.close()
  }
}
