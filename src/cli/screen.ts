import { once } from 'node:events'
import { styleText } from 'node:util'
import type { Environment } from '../config.ts'
import { formatCount, formatDuration, formatSize, visible } from './words.ts'

// A terminal shows nothing faster; more would only cost time.
const PROGRESS_EVERY_MS = 100

export type Colour = 'green' | 'yellow' | 'red' | 'cyan' | 'dim' | 'bold'

/** How much. */
export interface Amount {
  readonly objects: number
  readonly bytes: number
}

/** Where a command writes: results on stdout, all else on stderr. */
export interface Screen {
  /** Writes each line to stdout; resolves when the reader can take more. Throws when the signal has aborted. */
  print(...lines: string[]): Promise<void>
  /** Writes each value to stdout as one line of JSON, in order. */
  json(values: readonly unknown[]): Promise<void>
  /** Writes these bytes to stdout; they are the caller's again when it resolves. */
  bytes(some: Uint8Array): Promise<void>
  /** Writes a line to stdout without waiting: for lines that are few. */
  say(line: string): void
  /** Writes a line to stderr. */
  note(line: string): void
  /** Shows on stderr how far `name` has come, when stderr is a terminal that somebody watches; a line written later takes its place. */
  progress(name: string, objects: number, bytes: number): void
  /** The same of what has an end: `done` of `of` objects and bytes, with the rate and the time that is left. */
  advance(name: string, done: Amount, of: Amount): void
  /** Takes the progress line away. */
  settle(): void
  /** `text` in a colour where stdout shows colours, else as it is. */
  paint(colour: Colour, text: string): string
  /** True when stdout is a terminal. */
  readonly terminal: boolean
}

/** A screen over two streams. `monotonic` is for the rate of progress; `signal` ends long output. */
export function screenOn(
  stdout: NodeJS.WritableStream & { isTTY?: boolean },
  stderr: NodeJS.WritableStream & { isTTY?: boolean; columns?: number },
  surroundings: Pick<Environment, 'colours' | 'ci' | 'dumb'>,
  monotonic: () => number,
  signal: AbortSignal,
): Screen {
  const terminal = stdout.isTTY === true
  const colours = surroundings.colours ?? terminal
  const watched = stderr.isTTY === true && !surroundings.ci && !surroundings.dumb
  let shownMs: number | undefined
  const passes = new Map<string, { readonly startedMs: number; objects: number }>()
  const advances = new Map<string, Amount & { readonly ms: number }>()

  const show = (line: string): void => {
    // A line that wraps could not be taken away.
    stderr.write(`\r\x1b[K${line.slice(0, (stderr.columns ?? 80) - 1)}`)
  }
  const settle = (): void => {
    if (shownMs !== undefined) stderr.write('\r\x1b[K')
    shownMs = undefined
  }
  const write = async (some: string | Uint8Array): Promise<void> => {
    signal.throwIfAborted()
    settle()
    // A million lines must not pile up in memory before a slow pipe.
    if (some.length > 0 && !stdout.write(some)) await once(stdout, 'drain', { signal })
  }
  return {
    terminal,
    print: (...lines) => write(lines.map((line) => `${line}\n`).join('')),
    json: (values) => write(values.map((value) => `${JSON.stringify(value)}\n`).join('')),
    bytes: (some) => write(Uint8Array.from(some)),
    say(line) {
      settle()
      stdout.write(`${line}\n`)
    },
    note(line) {
      settle()
      stderr.write(`${line}\n`)
    },
    progress(name, objects, bytes) {
      if (!watched) return
      const now = monotonic()
      const before = passes.get(name)
      // Fewer than before: another pass over the same place has begun, with a rate of its own.
      const pass = before === undefined || objects < before.objects ? { startedMs: now, objects } : before
      passes.set(name, pass)
      pass.objects = objects
      if (now - (shownMs ?? pass.startedMs) < PROGRESS_EVERY_MS) return
      shownMs = now
      const rate = Math.round((objects * 1_000) / Math.max(1, now - pass.startedMs))
      const facts = [`${formatCount(objects)} objects`, `${formatSize(bytes)} read`, `${formatCount(rate)} objects/s`]
      const line = `${visible(name)}: ${facts.join(', ')}, ${formatDuration(now - pass.startedMs)}`
      show(line)
    },
    advance(name, done, of) {
      if (!watched) return
      const now = monotonic()
      const started = advances.get(name) ?? { ms: now, bytes: done.bytes, objects: done.objects }
      advances.set(name, started)
      if (now - (shownMs ?? started.ms) < PROGRESS_EVERY_MS) return
      shownMs = now
      show(advanceLine(name, started, done, of, Math.max(1, now - started.ms)))
    },
    settle,
    paint: (colour, text) => (colours ? styleText(colour, text, { validateStream: false }) : text),
  }
}

/** `name: 3 of 10 objects, 1.0 MB of 3.0 MB, 500.0 kB/s, 4 s left`: the rate since it began. */
function advanceLine(name: string, started: Amount, done: Amount, of: Amount, ms: number): string {
  const bytes = done.bytes - started.bytes
  // Where there are no bytes to count, objects tell.
  const share = of.bytes > 0 ? bytes / Math.max(1, of.bytes - started.bytes) : (done.objects - started.objects) / Math.max(1, of.objects - started.objects)
  const left = share > 0 && share < 1 ? `, ${formatDuration(Math.ceil((ms * (1 - share)) / share / 1_000) * 1_000)} left` : ''
  const counts = `${formatCount(done.objects)} of ${formatCount(of.objects)} objects, ${formatSize(done.bytes)} of ${formatSize(of.bytes)}`
  return `${visible(name)}: ${counts}, ${formatSize(Math.round((bytes * 1_000) / ms))}/s${left}`
}
