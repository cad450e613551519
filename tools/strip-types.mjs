// The Jest transform: Node's own type stripping keeps lines and columns, so no source maps are needed.
import { createHash } from 'node:crypto'
import { stripTypeScriptTypes } from 'node:module'

const process_ = (source) => ({ code: stripTypeScriptTypes(source, { mode: 'strip' }) })

export default {
  process: process_,
  processAsync: async (source) => process_(source),
  getCacheKey: (source, path, options) =>
    createHash('sha256').update(JSON.stringify([source, path, options.configString, options.instrument, process.version])).digest('hex'),
}
