// Start-up of every command passes here, so what reads YAML is loaded only when there is a file to read.
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { LOG_LEVELS, plainEndpoint } from './config-terms.ts'
import type { FilesAsked } from './config-files.ts'
import type { Config, Environment } from './config-terms.ts'

export type { FilesAsked } from './config-files.ts'
export type { Config, Environment } from './config-terms.ts'
export { DEFAULTS, aliasTrouble, durationMs, nameTrouble, parseCollection } from './config-terms.ts'

/** The only reading of `process.env`. An empty variable counts as unset. */
export function environment(env: Readonly<Record<string, string | undefined>> = process.env): Environment {
  const set = (name: string): string | undefined => (env[name] === '' ? undefined : env[name])
  const configFile = set('VARVE_CONFIG')
  const level = LOG_LEVELS.find((known) => known === set('LOG_LEVEL')?.toLowerCase())
  const s3Endpoint = plainEndpoint(set('AWS_ENDPOINT_URL_S3') ?? set('AWS_S3_ENDPOINT_URL') ?? set('AWS_ENDPOINT_URL'))
  const sqsEndpoint = plainEndpoint(set('AWS_ENDPOINT_URL_SQS') ?? set('AWS_ENDPOINT_URL'))
  const stsEndpoint = plainEndpoint(set('AWS_ENDPOINT_URL_STS'))
  const gcsEndpoint = emulatorOf(set('STORAGE_EMULATOR_HOST'))
  const colours = coloursWanted(set('NO_COLOR'), set('FORCE_COLOR'))
  return Object.freeze({
    variables: env,
    logLevel: level ?? 'warn',
    ci: !['', '0', 'false'].includes(env['CI'] ?? ''),
    dumb: env['TERM'] === 'dumb',
    awsFiles: [set('AWS_SHARED_CREDENTIALS_FILE') ?? join(homedir(), '.aws/credentials'), set('AWS_CONFIG_FILE') ?? join(homedir(), '.aws/config')],
    ...(configFile !== undefined && { configFile }),
    ...(colours !== undefined && { colours }),
    ...(s3Endpoint !== undefined && { s3Endpoint }),
    ...(sqsEndpoint !== undefined && { sqsEndpoint }),
    ...(stsEndpoint !== undefined && { stsEndpoint }),
    ...(gcsEndpoint !== undefined && { gcsEndpoint }),
  })
}

/** A host alone, as Google's Python client wants it, means HTTP. */
function emulatorOf(host: string | undefined): string | undefined {
  return plainEndpoint(host === undefined || /^https?:\/\//.test(host) ? host : `http://${host}`)
}

/** `NO_COLOR` goes before: who asks for plain text may be unable to read anything else. */
function coloursWanted(no: string | undefined, force: string | undefined): boolean | undefined {
  if (no !== undefined) return false
  return force === undefined ? undefined : !['0', 'false'].includes(force)
}

/**
 * The configuration file to use, absolute: what `--config` gave, else `VARVE_CONFIG`, else the first that exists of `./varve.yaml` and
 * `/etc/varve/config.yaml`; undefined when there is none. One that was named is returned though it may not exist: `readConfig` then says so.
 */
export function findConfig(given: string | undefined, surroundings: Environment, base: string = process.cwd()): string | undefined {
  const named = given ?? surroundings.configFile
  if (named !== undefined) return resolve(base, named)
  return [join(base, 'varve.yaml'), '/etc/varve/config.yaml'].find((file) => existsSync(file))
}

/**
 * Reads and checks a configuration. Throws CONFIG_INVALID, whose message has one line for each error, all at once:
 * `file:line:column: what is wrong; what to do`. The files that it names are only read where they are `asked` for.
 */
export async function readConfig(file: string, surroundings: Environment, asked?: FilesAsked): Promise<Config> {
  const { loadConfig, loadWithFiles, readText } = await import('./config-load.ts')
  const text = await readText(file)
  return asked === undefined ? loadConfig(text, resolve(file), surroundings) : loadWithFiles(text, resolve(file), surroundings, asked)
}
