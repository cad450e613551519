import { describe, scrub } from '../model/errors.ts'
import { fails } from '../model/probe.ts'
import type { Examination, Diagnosis, Outcome, Policy, Probe } from '../model/probe.ts'
import type { Context, Options } from './context.ts'
import { configOf, watchOf } from './place.ts'
import type { Colour } from './screen.ts'
import { visible } from './words.ts'

// Places asked at once. Each mostly waits.
const AT_ONCE = 4
// Every question has a bound of its own. This is for what no bound holds.
const HANGS_MS = 120_000

const COLOURS: Readonly<Record<Outcome, Colour>> = { works: 'green', degraded: 'yellow', fails: 'red' }

/**
 * Probes what the watch `name`, or every one, needs, changes nothing, and prints what came of it, then the least policies. Answers 0 when all works or is degraded, 1 when
 * something fails.
 */
export async function doctor(context: Context, name: string | undefined, options: Options): Promise<number> {
  const { opener, screen, signal } = context
  const config = await configOf(context, options)
  const watches = name === undefined ? config.watches : [watchOf(config, name)]
  let answer = 0
  for await (const { examination, diagnoses } of inTurn(context, await opener.examinations(config, watches))) {
    signal.throwIfAborted()
    const probes = diagnoses.map((diagnosis) => probeOf(examination, diagnosis))
    if (probes.some(({ outcome }) => outcome === 'fails')) answer = 1
    if (options.json === true) await screen.json(probes)
    else await screen.print(headOf(examination), ...linesOf(probes, context), '')
  }
  if (options.json !== true) for (const policy of await opener.policies(watches)) await screen.print(...policyLines(policy), '')
  return answer
}

interface Examined {
  readonly examination: Examination
  readonly diagnoses: readonly Diagnosis[]
}

/** Examines some at once, and yields in order. What throws or hangs is a diagnosis of its own: it never stops another. */
async function* inTurn(context: Context, examinations: readonly Examination[]): AsyncGenerator<Examined> {
  const asked: Promise<Examined>[] = []
  for (const examination of examinations) {
    asked.push(examined(context, examination))
    if (asked.length >= AT_ONCE) yield (await asked.shift()) as Examined
  }
  for (const one of asked) yield await one
}

async function examined({ clock, signal }: Context, examination: Examination): Promise<Examined> {
  const done = new AbortController()
  const late = clock.sleep(HANGS_MS, AbortSignal.any([signal, done.signal])).then(() => [fails('probe', { reason: `it did not end within ${HANGS_MS / 1_000} s`, action: 'see to what it asks' })])
  try {
    return { examination, diagnoses: await Promise.race([examination.ask(signal), late]) }
  } catch (error) {
    return { examination, diagnoses: [fails('probe', { reason: `${describe(error)}; this may be a defect of Varve` })] }
  } finally {
    done.abort()
  }
}

/** What is shown holds no credentials, whoever wrote it. */
function probeOf({ watch, location }: Examination, diagnosis: Diagnosis): Probe {
  const { capability, outcome, reason, action, permission } = diagnosis
  return {
    ...(watch !== undefined && { watch }), location: scrub(location), capability, outcome,
    ...(reason !== undefined && { reason: scrub(reason) }), ...(action !== undefined && { action: scrub(action) }), ...(permission !== undefined && { permission }),
  }
}

function headOf({ watch, location }: Examination): string {
  return visible(`${watch === undefined ? '' : `${watch}: `}${scrub(location)}`)
}

const OUTCOME_WIDTH = 8
const CAPABILITY_WIDTH = 13

function linesOf(probes: readonly Probe[], { screen }: Context): string[] {
  return probes.flatMap(({ capability, outcome, reason, action }) => [
    `  ${screen.paint(COLOURS[outcome], outcome.padEnd(OUTCOME_WIDTH))}  ${visible(`${capability.padEnd(CAPABILITY_WIDTH)}  ${reason ?? ''}`).trimEnd()}`,
    ...(action === undefined ? [] : [`${' '.repeat(OUTCOME_WIDTH + CAPABILITY_WIDTH + 6)}to do: ${visible(action)}`]),
  ])
}

function policyLines({ title, text }: Policy): string[] {
  return [visible(`The least ${title}:`), ...text.split('\n').map(visible)]
}
