import { parseCollection } from '../config.ts'
import { VarveError } from '../model/errors.ts'
import type { CollectionName } from '../model/watch.ts'

/** Reads `project/name`. Throws USAGE, also when a version is given. */
export function parseArtifact(text: string, defaultEntity: string): CollectionName {
  const colon = text.indexOf(':')
  if (colon >= 0) throw new VarveError('USAGE', `${text} names one version`, { hint: `all of them are meant: write ${text.slice(0, colon)}` })
  return parseCollection(text, defaultEntity)
}

/** Reads `project/name:VERSION`, where VERSION is `v3` or an alias; `latest` when none is given. Throws USAGE. */
export function parseVersion(text: string, defaultEntity: string): { collection: CollectionName; version: string } {
  const colon = text.indexOf(':')
  const version = colon < 0 ? 'latest' : text.slice(colon + 1)
  if (version === '' || version.includes(':'))
    throw new VarveError('USAGE', `${text} names no version`, { hint: 'write project/name:v3 or project/name:ALIAS' })
  return { collection: parseCollection(colon < 0 ? text : text.slice(0, colon), defaultEntity), version }
}
