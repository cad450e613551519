import type { Tell } from '../daemon/daemon.ts'
import type { StateChange } from '../model/version.ts'
import type { Screen } from './screen.ts'
import { formatArtifact, formatCount, formatVersion, plural, visible } from './words.ts'

/** Shows progress alone: for a look whose end the command itself tells. */
export function tellOn(screen: Screen): Tell {
  return { recorded: () => undefined, state: () => undefined, restorability: () => undefined, progress: screen.progress }
}

/** Prints every new version and every state as one line: for the daemon. */
export function tellAll(screen: Screen, defaultEntity: string): Tell {
  return {
    recorded: (_watch, version) => screen.say(screen.paint('green', formatVersion(version, defaultEntity))),
    state: (watch, state, reason, action) => screen.say(screen.paint('yellow', stateLine(watch, state, reason, action))),
    restorability: (of, changes) => screen.say(screen.paint('yellow', restorabilityLine(formatArtifact(of, defaultEntity), changes))),
    progress: screen.progress,
  }
}

// A line names so many versions; the rest is counted.
const NAMED_MOST = 3

/** `vision/mnist: v3 is partly lost (2 entries), v4 is at risk (from 2026-03-01), and 2 more changed`. */
function restorabilityLine(artifact: string, changes: readonly StateChange[]): string {
  const named = changes.slice(0, NAMED_MOST).map(({ version, now: { state, lost, atRiskFrom } }) => {
    const why = lost > 0 ? ` (${plural(lost, 'entry', 'entries')})` : atRiskFrom === undefined ? '' : ` (from ${atRiskFrom.slice(0, 10)})`
    return `${version} is ${state}${why}`
  })
  const more = changes.length - named.length
  return `${artifact}: ${named.join(', ')}${more === 0 ? '' : `, and ${formatCount(more)} more changed`}; see varve log`
}

/** `mnist is held: what is wrong; what to do`. */
export function stateLine(watch: string, state: string, reason: string | undefined, action: string | undefined): string {
  return visible(`${watch} is ${state}${reason === undefined ? '' : `: ${reason}`}${action === undefined ? '' : `; ${action}`}`)
}
