import type { ChangeView } from '../model/version.ts'
import type { Colour, Screen } from './screen.ts'
import { formatSize, visible } from './words.ts'

const SIGNS: Readonly<Record<ChangeView['change'], readonly [sign: string, colour: Colour]>> = {
  added: ['+', 'green'],
  modified: ['~', 'yellow'],
  removed: ['-', 'red'],
  moved: ['>', 'cyan'],
}

/** One change as people read it: `+ a.txt  (12 B)`, `~ b.txt  (1.2 kB to 1.3 kB)`, `- c.txt`, `> old.txt to new.txt`. */
export function changeLine(change: ChangeView, screen: Pick<Screen, 'paint'>): string {
  const [sign, colour] = SIGNS[change.change]
  const { before, after } = change
  const from = change.from === undefined ? '' : `${visible(change.from)} to `
  const sizes = [...new Set([before, after].filter((entry) => entry !== undefined).map(({ sizeBytes }) => formatSize(sizeBytes)))]
  return `${screen.paint(colour, `${sign} ${from}${visible(change.path)}`)}${sizes.length === 0 ? '' : `  (${sizes.join(' to ')})`}`
}
