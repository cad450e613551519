/** How a capability is there: wholly, less than wholly, or not. */
export type Outcome = 'works' | 'degraded' | 'fails'

/** What came of one question. No secret is in it. */
export interface Diagnosis {
  /** What was asked for: `list`, `receive`, `walk`. */
  readonly capability: string
  readonly outcome: Outcome
  /** Of what works: what was seen. Else why it does not, and to what it is degraded. */
  readonly reason?: string
  /** What to do. */
  readonly action?: string
  /** The permission that is missing, as its provider writes it: `s3:ListBucket`. */
  readonly permission?: string
}

/** A diagnosis with where it was found: what `varve doctor --json` prints. */
export interface Probe extends Diagnosis {
  /** Absent for what all watches share. */
  readonly watch?: string
  readonly location: string
}

/** Questions about one place that are not asked yet. */
export interface Examination {
  readonly watch?: string
  readonly location: string
  /** Asks them, and changes nothing. Each ends within a bound of its own. */
  ask(signal: AbortSignal): Promise<readonly Diagnosis[]>
}

/** The least that some watches need, to be pasted at a provider. */
export interface Policy {
  /** For whom, in words. */
  readonly title: string
  readonly text: string
}

type Words = { readonly [K in 'reason' | 'action' | 'permission']?: string | undefined }

export function works(capability: string, reason?: string): Diagnosis {
  return diagnosis(capability, 'works', { reason })
}

export function degraded(capability: string, words: Words): Diagnosis {
  return diagnosis(capability, 'degraded', words)
}

export function fails(capability: string, words: Words): Diagnosis {
  return diagnosis(capability, 'fails', words)
}

function diagnosis(capability: string, outcome: Outcome, { reason, action, permission }: Words): Diagnosis {
  return {
    capability, outcome,
    ...(reason !== undefined && { reason }), ...(action !== undefined && { action }), ...(permission !== undefined && { permission }),
  }
}
