import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const NOBODY = 65_534

const SCRIPT = `
import { openFileStore } from ${JSON.stringify(new URL('../../../src/storage/file/store.ts', import.meta.url).href)}
const [prefix, what, ...paths] = process.argv.slice(2)
const store = await openFileStore({ scheme: 'file', bucket: '', prefix }, { clockSlackMs: 0 })
const { signal } = new AbortController()
const seen = {}
try {
  if (what === 'root') await store.root(signal)
  if (what === 'scan') {
    Object.assign(seen, { entries: [], skipped: [], unstamped: [] })
    for await (const span of store.scan(Date.now() + 60_000, signal)) {
      seen.entries.push(...[...span.entries()].map(({ path }) => path))
      seen.skipped.push(...span.skipped.map(({ path, reason }) => path + ' ' + reason))
      if (span.stamp === undefined) seen.unstamped.push(span.cover.directory)
    }
    for (const list of Object.values(seen)) list.sort()
  }
  if (what === 'inspect' || what === 'find') {
    const listed = paths.map((path) => ({ path, sizeBytes: 1, fingerprint: 'seen otherwise' }))
    const found = what === 'find' ? store.find(paths, Date.now(), signal) : store.inspect(listed, Date.now(), signal)
    for await (const one of found) seen[one.path ?? one.skip?.path ?? one.listed.path] = one.skip?.reason ?? one.kind
  }
} catch (error) {
  seen.failed = error.code
}
await store.close()
process.stdout.write(JSON.stringify(seen))
`

/** What a user without any rights sees of `prefix` by `what`: for the superuser nothing is unreadable. */
export function asNobody(prefix: string, what: 'root' | 'scan' | 'inspect' | 'find', ...paths: readonly string[]): unknown {
  const folder = mkdtempSync(join(tmpdir(), 'varve-nobody-'))
  try {
    const script = join(folder, 'see.mjs')
    writeFileSync(script, SCRIPT)
    execFileSync('chmod', ['-R', 'a+rX', folder])
    const text = execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', script, prefix, what, ...paths], {
      uid: NOBODY, gid: NOBODY, cwd: '/', encoding: 'utf8', timeout: 20_000,
    })
    return JSON.parse(text)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
