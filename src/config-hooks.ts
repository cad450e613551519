// What the watches that are posted to must agree on: with the listener, and with each other.
import type { Config } from './config-terms.ts'
import type { Problem, Tree } from './config-yaml.ts'

export function hookClashes(tree: Tree, config: Config): Problem[] {
  const tokens = new Map<string, { readonly tokenFile: string; readonly offset: number }>()
  return config.watches.flatMap(({ events }, index) => {
    if (events?.kind !== 'webhook') return []
    const at = ['watch', index, 'events', 'webhook']
    if (config.listen === undefined)
      return [{ offset: tree.atKey(at), text: '`webhook`: nobody can post while `listen` is off; give `listen` an address, or take this out' }]
    const { path, tokenFile } = events
    const offset = tree.at([...at, 'token_file'])
    const first = tokens.get(path)
    if (first === undefined) tokens.set(path, { tokenFile, offset })
    if (first === undefined || first.tokenFile === tokenFile) return []
    const { line } = tree.position(first.offset)
    return [{ offset, text: `\`token_file\`: the token of ${path} lies in another file at line ${line}; one path has one token` }]
  })
}
