import { nameTrouble, parseCollection } from '../config.ts'
import { VarveError } from '../model/errors.ts'
import type { CollectionName } from '../model/watch.ts'
import type { RunName } from '../registry/registry.ts'

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

// As long as any name that somebody typed, and not a document.
const RUN_CHARACTERS_MOST = 256

/** Reads the name of a run (any text that is not empty, 256 characters at the most) and `project` or `entity/project`, where it is given. Throws USAGE. */
export function parseRun(name: string, project: string | undefined, defaultEntity: string): RunName {
  if (name === '' || name.length > RUN_CHARACTERS_MOST)
    throw new VarveError('USAGE', `the name of a run has ${name.length} characters`, { hint: `give it 1 to ${RUN_CHARACTERS_MOST}` })
  if (project === undefined) return { name }
  const parts = project.split('/')
  const [entity, shelf] = parts.length === 1 ? [defaultEntity, ...parts] : parts
  const trouble = parts.length > 2 ? 'too many parts' : [entity, shelf].map((part) => nameTrouble(part ?? '')).find((one) => one !== undefined)
  if (trouble !== undefined) throw new VarveError('USAGE', `${JSON.stringify(project)} names no project: ${trouble}`, { hint: 'write project or entity/project' })
  return { name, project: { entity: entity ?? '', project: shelf ?? '' } }
}
