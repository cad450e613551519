import type { Tell } from '../daemon/daemon.ts'
import type { Marked, StateChange } from '../model/version.ts'
import type { Screen } from './screen.ts'
import { formatArtifact, formatCount, formatMark, formatVersion, plural, visible } from './words.ts'

// A line stays a line: `lineage` has them all.
const NAMES_MOST = 3

/** Shows progress alone: for a look whose end the command itself tells. */
export function tellOn(screen: Screen): Tell {
  return { recorded: () => undefined, state: () => undefined, restorability: () => undefined, progress: screen.progress }
}

/** Prints every new version and every state as one line: for the daemon. */
export function tellAll(screen: Screen, defaultEntity: string): Tell {
  return {
    recorded(_watch, version, marked) {
      screen.say(screen.paint('green', formatVersion(version, defaultEntity)))
      for (const one of marked) screen.say(screen.paint('yellow', markedLine(one, defaultEntity)))
    },
    state: (watch, state, reason, action) => screen.say(screen.paint('yellow', stateLine(watch, state, reason, action))),
    restorability: (of, changes) => screen.say(screen.paint('yellow', restorabilityLine(formatArtifact(of, defaultEntity), changes))),
    progress: screen.progress,
  }
}

/** `vision/mnist: v3 is partly lost (2 entries), v4 is at risk (from 2026-03-01), and 2 more changed`. */
function restorabilityLine(artifact: string, changes: readonly StateChange[]): string {
  const named = changes.slice(0, NAMES_MOST).map(({ version, now: { state, lost, atRiskFrom } }) => {
    const why = lost > 0 ? ` (${plural(lost, 'entry', 'entries')})` : atRiskFrom === undefined ? '' : ` (from ${atRiskFrom.slice(0, 10)})`
    return `${version} is ${state}${why}`
  })
  const more = changes.length - named.length
  return `${artifact}: ${named.join(', ')}${more === 0 ? '' : `, and ${formatCount(more)} more changed`}; see varve log`
}

/** `runs train-1, train-2 and 3 more are marked: 2 entries of vision/mnist:v3 changed with v4: a, b`. */
export function markedLine(marked: Marked, defaultEntity: string): string {
  const names = marked.names.slice(0, NAMES_MOST).map(visible).join(', ')
  const more = marked.runs - Math.min(marked.names.length, NAMES_MOST)
  return `${marked.runs === 1 ? 'run' : 'runs'} ${names}${more > 0 ? ` and ${formatCount(more)} more` : ''} ${marked.runs === 1 ? 'is' : 'are'} marked: ${formatMark(marked, defaultEntity)}`
}

/** `mnist is held: what is wrong; what to do`. */
export function stateLine(watch: string, state: string, reason: string | undefined, action: string | undefined): string {
  return visible(`${watch} is ${state}${reason === undefined ? '' : `: ${reason}`}${action === undefined ? '' : `; ${action}`}`)
}
