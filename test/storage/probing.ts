// What the tests of probes share.
import type { Diagnosis } from '../../src/model/probe.ts'
import type { Means } from '../../src/storage/probe.ts'
import { realClock } from '../laws/world.ts'

/** Long beside any answer of this machine. */
export const MEANS: Means = { clock: realClock(), boundMs: 30_000 }

/** `list works`, `read degraded s3:GetObject`: what each capability came to, with the missing permission. */
export function outcomesOf(diagnoses: readonly Diagnosis[]): string[] {
  return diagnoses.map(({ capability, outcome, permission }) => [capability, outcome, ...(permission === undefined ? [] : [permission])].join(' '))
}

export function diagnosisOf(diagnoses: readonly Diagnosis[], capability: string): Diagnosis | undefined {
  return diagnoses.find((one) => one.capability === capability)
}
