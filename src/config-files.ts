// What lies in the files that a configuration names. They are read where it is asked for: who only wants to know the status may not be allowed to read them.
import type { Config } from './config-terms.ts'
import type { Problem, Tree } from './config-yaml.ts'
import { isFailure } from './model/errors.ts'
import { checkKeyFile } from './storage/gcs/key-file.ts'
import { readToken } from './storage/s3/token.ts'

/** `tokens`: without one a path cannot be opened to anybody. `all`: also what only its own watch does not work without. */
export type FilesAsked = 'tokens' | 'all'

/** What is wrong with the files that the watches name, each where it is named. */
export async function fileProblems(tree: Tree, { watches }: Config, asked: FilesAsked): Promise<Problem[]> {
  const found = watches.map(async ({ events, gcs: { credentialsFile } }, index) => [
    ...(events?.kind === 'webhook' ? await problem(tree, ['watch', index, 'events', 'webhook', 'token_file'], () => readToken(events.tokenFile)) : []),
    ...(asked === 'all' && credentialsFile !== undefined ? await problem(tree, ['watch', index, 'gcs', 'credentials_file'], () => checkKeyFile(credentialsFile)) : []),
  ])
  return (await Promise.all(found)).flat()
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
