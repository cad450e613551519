// The folders on the way to a place at a destination: never through a symbolic link. Of a worker, as what it does there.
import { lstatSync, mkdirSync } from 'node:fs'

// Folders below a root that are known to be there, and no links. What others change meanwhile is not ours to guard against; a bound, so that memory stays flat.
const FOLDERS_MOST = 10_000
const known = new Set<string>()

export function wayTo(root: string, folder: string): 'clear' | 'absent' | 'barred' {
  if (folder === '' || known.has(root + folder)) return 'clear'
  for (let end = folder.indexOf('/'); end >= 0; end = folder.indexOf('/', end + 1)) {
    const one = root + folder.slice(0, end)
    if (known.has(`${one}/`)) continue
    const seen = lstatSync(one, { throwIfNoEntry: false })
    if (seen === undefined) return 'absent'
    if (!seen.isDirectory()) return 'barred'
    remember(`${one}/`)
  }
  return 'clear'
}

export function makeWay(root: string, folder: string): 'clear' | 'barred' {
  const way = wayTo(root, folder)
  if (way !== 'absent') return way
  mkdirSync(root + folder, { recursive: true })
  return wayTo(root, folder) === 'clear' ? 'clear' : 'barred'
}

function remember(folder: string): void {
  if (known.size >= FOLDERS_MOST) known.clear()
  known.add(folder)
}
