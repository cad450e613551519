// What lies in the files and folders that a configuration names. They are read where it is asked for: who only wants to know the status may not be allowed to read them.
import type { Config } from './config-terms.ts'
import type { Problem, Tree } from './config-yaml.ts'
import { isFailure } from './model/errors.ts'
import { networkTrouble } from './registry/mount.ts'
import { checkKeyFile } from './storage/gcs/key-file.ts'
import { readToken } from './storage/s3/token.ts'

/** `tokens`: without one a path cannot be opened to anybody. `all`: also what only its own watch does not work without. */
export type FilesAsked = 'tokens' | 'all'

/** What is wrong with the files that the watches name and with the folder for `data`, each where it is named. Makes nothing. */
export async function fileProblems(tree: Tree, { dataFolder, watches }: Config, asked: FilesAsked): Promise<Problem[]> {
  const found = watches.map(async ({ events, gcs: { credentialsFile } }, index) => [
    ...(events?.kind === 'webhook' ? await problem(tree, ['watch', index, 'events', 'webhook', 'token_file'], () => readToken(events.tokenFile)) : []),
    ...(asked === 'all' && credentialsFile !== undefined ? await problem(tree, ['watch', index, 'gcs', 'credentials_file'], () => checkKeyFile(credentialsFile)) : []),
  ])
  return [...await dataProblem(tree, dataFolder), ...(await Promise.all(found)).flat()]
}

async function dataProblem(tree: Tree, folder: string): Promise<Problem[]> {
  const trouble = await networkTrouble(folder)
  return trouble === undefined ? [] : [{ offset: tree.at(['data']), text: `\`data\`: ${trouble}; set it to a folder on a local disk` }]
}

async function problem(tree: Tree, path: readonly PropertyKey[], read: () => Promise<unknown>): Promise<Problem[]> {
  try {
    await read()
    return []
  } catch (error) {
    if (!isFailure(error)) throw error
    return [{ offset: tree.at(path), text: `\`${String(path.at(-1))}\`: ${error.message}; ${error.hint}` }]
  }
}
