#!/usr/bin/env -S node --max-semi-space-size=4
// Argv in, exit code out. The first line keeps the young generation of the heap from growing with each look, to 100 MB for nothing; once it runs, that costs a tenth of a second.
import type { ChildProcess } from 'node:child_process'
// Nothing but types is imported before this line: an older Node must be refused in words, not by a syntax error.
if (Number(process.versions.node.split('.', 1)[0]) < 24) {
  process.stderr.write(`varve: Node 24 or newer is needed, this is ${process.versions.node}; install it from https://nodejs.org\n`)
  process.exit(1)
}

const [{ fork }, { fileURLToPath }, { environment }, { compose, systemClock }, { execute, exitWhenStopped }, { screenOn }] = await Promise.all([
  import('node:child_process'),
  import('node:url'),
  import('./config.ts'),
  import('./compose.ts'),
  import('./cli/program.ts'),
  import('./cli/screen.ts'),
])

// The first word of a command that another Varve started to wait for it (cli/apart.ts): signals come from there, and those to the whole group are meant for that one.
const APART = '--apart'
const isApart = process.argv[2] === APART
const words = process.argv.slice(isApart ? 3 : 2)
// Kubernetes kills after 30 s: what has not stopped by then is left to the next start.
const STOP_MOST_MS = 20_000
// A socket that will not close must not keep alive a command that is done.
const LINGER_MOST_MS = 2_000

const stopping = new AbortController()
const running = { status: 0, verb: '' }
const stop = (reason: 'SIGINT' | 'SIGTERM' | 'EPIPE'): void => {
  setTimeout(() => process.exit(exitWhenStopped(running, reason)), STOP_MOST_MS).unref()
  stopping.abort(reason)
}
// Asked twice: at once.
const hear = (name: 'SIGINT' | 'SIGTERM' | 'EPIPE'): void => (stopping.signal.aborted ? process.exit(exitWhenStopped(running, name)) : stop(name))
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => (isApart ? undefined : hear(name)))
if (isApart) {
  process.on('message', hear)
  process.on('disconnect', () => hear('SIGTERM'))
  process.channel?.unref()
}
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // `varve log … | head`: the reader has seen enough. Anything else is a failure to say what was asked.
    if (error.code !== 'EPIPE') {
      process.stderr.write(`varve: the output cannot be written: ${error.code}\n`)
      process.exit(1)
    }
    if (!stopping.signal.aborted) stop('EPIPE')
  })

/** A terminal is its own, too. What else reads us waits for the last who can write there, and that must not be one who may never end. */
const apart = (): ChildProcess => {
  const [stdout, stderr] = [process.stdout, process.stderr].map(({ isTTY }) => (isTTY ? 'inherit' : 'pipe')) as ['inherit' | 'pipe', 'inherit' | 'pipe']
  const child = fork(fileURLToPath(import.meta.url), [APART, ...words], { stdio: ['ignore', stdout, stderr, 'ipc'] })
  child.stdout?.pipe(process.stdout, { end: false })
  child.stderr?.pipe(process.stderr, { end: false })
  return child
}

const surroundings = environment()
const screen = screenOn(process.stdout, process.stderr, surroundings, systemClock.monotonic, stopping.signal)
process.exitCode = await execute(words, {
  screen,
  surroundings,
  clock: systemClock,
  input: () => process.stdin,
  signal: stopping.signal,
  opener: compose(systemClock, surroundings, screen),
  ...(!isApart && { apart }),
  self: import.meta.url.endsWith('.ts') ? 'npm run -s varve --' : 'varve',
}, running)
setTimeout(() => process.exit(), LINGER_MOST_MS).unref()
