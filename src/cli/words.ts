// What people read: sizes, times and names as words. Programs get `--json`.
import type { Certificate, Changes, MarkView, RunView, VersionView } from '../model/version.ts'

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB']

/** `0 B`, `999 B`, `1.2 kB`, `3.0 GB`: powers of 1,000, as disks and clouds count. */
export function formatSize(sizeBytes: number): string {
  let value = sizeBytes
  let unit = 0
  // 999.95 would round to 1000.0: it is the next unit's.
  while (value >= (unit === 0 ? 1_000 : 999.95) && unit < UNITS.length - 1) {
    value /= 1_000
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`
}

/** `12,345`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}

/** `1 entry`, `2 entries`. */
export function plural(count: number, one: string, many: string): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`
}

const SPANS: readonly (readonly [ms: number, name: string])[] = [[86_400_000, 'd'], [3_600_000, 'h'], [60_000, 'min'], [1_000, 's']]

/** `300 ms`, `5 s`, `2 min`, `1.5 h`, `30 d`: the largest unit that holds it, one decimal at most. */
export function formatDuration(ms: number): string {
  for (const [size, name] of SPANS) if (ms >= size) return `${Number((ms / size).toFixed(1))} ${name}`
  return `${Math.round(ms)} ms`
}

/** `just now`, `5 min ago`, `in 2 h`, `in 1 s` for what comes sooner; a date from 30 days on. */
export function formatWhen(iso: string, nowMs: number): string {
  const away = nowMs - Date.parse(iso)
  const far = Math.abs(away)
  if (far >= 30 * 86_400_000) return iso.slice(0, 10)
  if (far < 1_000) return away < 0 ? 'in 1 s' : 'just now'
  const [size, name] = SPANS.find(([ms]) => far >= ms) as readonly [number, string]
  const text = `${Math.floor(far / size)} ${name}`
  return away > 0 ? `${text} ago` : `in ${text}`
}

/** When something is due: `due now`, or `in 3 s` and so on. */
export function formatDue(iso: string, nowMs: number): string {
  return Date.parse(iso) <= nowMs ? 'due now' : formatWhen(iso, nowMs)
}

// C0, DEL, C1, and what turns the direction of a line or breaks it: a file's name must not drive the terminal.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/** A name fit for a terminal: control characters and direction marks stand as `\xNN` or `\u{NNNN}`. */
export function visible(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const code = character.charCodeAt(0)
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
  })
}

/** `+1 ~0 -2`, and ` >3` when entries moved. */
export function formatChanges({ added, modified, removed, moved }: Changes): string {
  return `+${added} ~${modified} -${removed}${moved === 0 ? '' : ` >${moved}`}`
}

/** `pinned`, `at risk from 2026-03-01`, `partly lost: 3 of 100`, `partly lost: 3 of 100, others at risk from 2026-03-01`. */
export function formatRestorability({ entries, restorability: { state, lost, atRiskFrom } }: Pick<VersionView, 'entries' | 'restorability'>): string {
  const from = atRiskFrom === undefined ? '' : ` from ${atRiskFrom.slice(0, 10)}`
  if (state === 'partly lost') return `${state}: ${formatCount(lost)} of ${formatCount(entries)}${from === '' ? '' : `, others at risk${from}`}`
  return state === 'at risk' ? `${state}${from}` : state
}

/** `entity/project/name:v3`: means the same whatever the configuration says, and every command takes it. */
export function formatExact({ entity, artifact, version }: { readonly entity: string; readonly artifact: string; readonly version: string }): string {
  return visible(`${entity}/${artifact}:${version}`)
}

/** `run train-7 (vision, running)`, `watch mnist`, or `put-3` for a put that named no run. */
export function formatRun({ name, kind, entity, project, state }: RunView, defaultEntity: string): string {
  if (kind !== 'run') return kind === 'watch' ? `watch ${visible(name)}` : visible(name)
  return `run ${visible(name)} (${visible(entity === defaultEntity ? project : `${entity}/${project}`)}, ${state})`
}

// A line stays a line: `--json` names a thousand.
const PATHS_MOST = 3

/** `2 entries of demo/files:v3 changed with v4: a.txt, b.txt`; changed or gone, the first few by name. */
export function formatMark(mark: MarkView, defaultEntity: string): string {
  const paths = mark.paths.slice(0, PATHS_MOST).map(visible).join(', ')
  const more = mark.entries - Math.min(mark.paths.length, PATHS_MOST)
  const version = `${formatArtifact(mark, defaultEntity)}:${mark.version}`
  return `${plural(mark.entries, 'entry', 'entries')} of ${version} changed with ${mark.by}: ${paths}${more > 0 ? ` and ${formatCount(more)} more` : ''}`
}

/** `project/name`, with the entity in front when it is not the default one. */
export function formatArtifact(view: { readonly artifact: string; readonly entity: string }, defaultEntity: string): string {
  return visible(view.entity === defaultEntity ? view.artifact : `${view.entity}/${view.artifact}`)
}

/** How many files and folders could not be read, and are left out: such a version is not complete. */
export function unreadIn({ skippedByReason }: Certificate): number {
  return (skippedByReason['unreadable'] ?? 0) + (skippedByReason['unreadable-directory'] ?? 0)
}

/** One line for a new version: `demo/files:v3  +1 ~0 -2  (1.2 kB added, hint)`. What was skipped is never left unsaid. */
export function formatVersion(view: VersionView, defaultEntity: string): string {
  const { changes, certificate } = view
  const skipped = Object.values(certificate.skippedByReason).reduce((sum, count) => sum + count, 0)
  const unread = unreadIn(certificate)
  const facts = [
    ...(changes.bytesAdded > 0 || changes.bytesRemoved === 0 ? [`${formatSize(changes.bytesAdded)} added`] : []),
    ...(changes.bytesRemoved > 0 ? [`${formatSize(changes.bytesRemoved)} removed`] : []),
    ...(skipped > 0 ? [`${formatCount(skipped)} skipped${unread > 0 ? `, of which ${formatCount(unread)} could not be read` : ''}`] : []),
    ...(certificate.changedUnderLook.length > 0 ? [`${formatCount(certificate.changedUnderLook.length)} changed under the look`] : []),
    view.cause,
  ]
  return `${formatArtifact(view, defaultEntity)}:${view.version}  ${formatChanges(changes)}  (${facts.join(', ')})`
}
