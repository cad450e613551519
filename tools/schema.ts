// Writes config/varve.schema.json, which editors read, from the schema that the daemon reads. Run after each change of a key: npm run schema
import { writeFileSync } from 'node:fs'
import { jsonSchema } from '../src/config-schema.ts'

writeFileSync(new URL('../config/varve.schema.json', import.meta.url), `${JSON.stringify(jsonSchema(), null, 2)}\n`)
