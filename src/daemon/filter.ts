import picomatch from 'picomatch'
import type { Watch } from '../model/watch.ts'

/** What `include` and `exclude` let through. */
export interface Filter {
  takes(path: string): boolean
  /** True when nothing below `directory` (no `/` at its end) can be taken, whatever its name: then it need not be readable. */
  dropsAll(directory: string): boolean
}

/** `exclude` wins; an empty `include` takes all; names that begin with a dot are names like others. */
export function filterOf(watch: Pick<Watch, 'include' | 'exclude'>): Filter {
  // A name may hold a line break, and a dot is to take it, too.
  const options = { dot: true, flags: 's' }
  const included = watch.include.length === 0 ? () => true : picomatch([...watch.include], options)
  const excluded = watch.exclude.length === 0 ? () => false : picomatch([...watch.exclude], options)
  return {
    takes: (path) => included(path) && !excluded(path),
    // Two names that no pattern can know, one of them deeper: what drops both drops all.
    dropsAll: (directory) => excluded(`${directory}/\u{10fffd}`) && excluded(`${directory}/\u{10fffd}/\u{10fffd}`),
  }
}
