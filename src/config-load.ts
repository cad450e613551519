import type { Config, Environment } from './config.ts'
import { VarveError } from './model/errors.ts'

export async function readText(file: string): Promise<string> {
  throw new VarveError('CONFIG_INVALID', `${file} cannot be read`)
}

export function loadConfig(_text: string, file: string, _surroundings: Environment): Config {
  throw new VarveError('CONFIG_INVALID', `${file} cannot be read`)
}
