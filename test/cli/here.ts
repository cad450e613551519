// One command line in this process, with everything real but the streams.
import { PassThrough } from 'node:stream'
import type { Context } from '../../src/cli/context.ts'
import { execute } from '../../src/cli/program.ts'
import { screenOn } from '../../src/cli/screen.ts'
import { compose, systemClock } from '../../src/compose.ts'
import { environment } from '../../src/config.ts'

export interface Said {
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs these words; `over` puts something else in the place of what is real. */
export async function varveHere(words: readonly string[], over: (real: Context) => Partial<Context> = () => ({})): Promise<Said> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const [told, complained] = [textOf(stdout), textOf(stderr)]
  const signal = new AbortController().signal
  const surroundings = environment({})
  const screen = screenOn(stdout, stderr, surroundings, systemClock.monotonic, signal)
  const real: Context = { screen, surroundings, clock: systemClock, input: () => process.stdin, signal, opener: compose(systemClock, surroundings, screen), self: 'varve' }
  const exit = await execute(words, { ...real, ...over(real) })
  stdout.end()
  stderr.end()
  return { exit, stdout: await told, stderr: await complained }
}

async function textOf(stream: PassThrough): Promise<string> {
  let text = ''
  for await (const chunk of stream.setEncoding('utf8')) text += chunk as string
  return text
}
