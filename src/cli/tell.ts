import type { Tell } from '../daemon/daemon.ts'
import type { Marked, RestorabilityState, StateChange } from '../model/version.ts'
import type { Screen } from './screen.ts'
import { formatArtifact, formatCount, formatMark, formatVersion, plural, visible } from './words.ts'

// A line stays a line: `lineage` has them all.
const NAMES_MOST = 3

/** Shows progress, and on stderr what older versions came to: for a look whose end the command itself tells. */
export function tellOn(screen: Screen, defaultEntity: string): Tell {
  return {
    recorded: () => undefined,
    state: () => undefined,
    restorability: (of, changes) => turnedLines(formatArtifact(of, defaultEntity), changes).forEach(({ line }) => screen.note(line)),
    progress: screen.progress,
  }
}

/** Prints every new version and every state as one line: for the daemon. */
export function tellAll(screen: Screen, defaultEntity: string): Tell {
  return {
    recorded(_watch, version, marked) {
      screen.say(screen.paint('green', formatVersion(version, defaultEntity)))
      for (const one of marked) screen.say(screen.paint('yellow', markedLine(one, defaultEntity)))
    },
    state: (watch, state, reason, action) => screen.say(screen.paint('yellow', stateLine(watch, state, reason, action))),
    restorability: (of, changes) => turnedLines(formatArtifact(of, defaultEntity), changes).forEach(({ colour, line }) => screen.say(screen.paint(colour, line))),
    progress: screen.progress,
  }
}

// From well to worse.
const STATES: readonly RestorabilityState[] = ['pinned', 'unpinned', 'at risk', 'partly lost', 'lost']

interface TurnedLine {
  readonly colour: 'green' | 'yellow'
  readonly line: string
}

/** What got worse in one line, what got better in another: `vision/mnist: v3 is partly lost (2 entries), v4 is at risk (from 2026-03-01), and 2 more got worse`, `… v1 can be restored again`. */
function turnedLines(artifact: string, changes: readonly StateChange[]): readonly TurnedLine[] {
  const isBetter = ({ before, now }: StateChange): boolean => before !== undefined && STATES.indexOf(now.state) < STATES.indexOf(before)
  const line = (some: readonly StateChange[], words: (change: StateChange) => string, went: string): string => {
    const more = some.length - NAMES_MOST
    return `${artifact}: ${some.slice(0, NAMES_MOST).map(words).join(', ')}${more > 0 ? `, and ${formatCount(more)} more ${went}` : ''}; see varve log`
  }
  const [worse, better] = [changes.filter((change) => !isBetter(change)), changes.filter(isBetter)]
  return [
    ...(worse.length > 0 ? [{ colour: 'yellow', line: line(worse, worseWords, 'got worse') } as const] : []),
    ...(better.length > 0 ? [{ colour: 'green', line: line(better, betterWords, 'got better') } as const] : []),
  ]
}

function worseWords({ version, now: { state, lost, atRiskFrom } }: StateChange): string {
  const why = lost > 0 ? ` (${plural(lost, 'entry', 'entries')})` : atRiskFrom === undefined ? '' : ` (from ${atRiskFrom.slice(0, 10)})`
  return `${version} is ${state}${why}`
}

function betterWords({ version, before, now: { state, lost, atRiskFrom } }: StateChange): string {
  if (state === 'partly lost') return `${version} is only partly lost now (${plural(lost, 'entry', 'entries')})`
  if (before === 'at risk') return `${version} is no longer at risk`
  if (before !== 'lost' && before !== 'partly lost') return `${version} is ${state} now`
  return `${version} can be restored again${state === 'at risk' ? ` (at risk${atRiskFrom === undefined ? '' : ` from ${atRiskFrom.slice(0, 10)}`})` : ''}`
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
