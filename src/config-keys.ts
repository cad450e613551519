// The kinds of values that a configuration holds. Each message says what is wrong and what to write; it never repeats a value that may hold a secret.
import { z } from 'zod'
import { durationMs, nameTrouble } from './config-terms.ts'
import { describe, isFailure } from './model/errors.ts'
import { parseLocation } from './model/location.ts'

const DAY_MS = 86_400_000

// An editor sees the text before `${VAR}` is replaced: what holds one is not judged there.
export const DURATION_PATTERN = '^\\d+(\\.\\d+)?\\s*[a-zA-Z]+$|\\$\\{'
export const SHARE_PATTERN = '^\\d+(\\.\\d+)?%$|\\$\\{'
const COUNT_PATTERN = '^[1-9]\\d{0,14}$|\\$\\{'
const FLAG_PATTERN = '^(true|false)$|\\$\\{'

/** A text that `trouble` finds nothing wrong with. */
export function text(expected: string, trouble: (text: string) => string | undefined): z.ZodString {
  return z.string({ error: `expected ${expected}` }).check(({ value, issues }) => {
    const message = trouble(value)
    if (message !== undefined) issues.push({ code: 'custom', input: value, message })
  })
}

export function name(what: string): z.ZodString {
  return text(`${what}; put quotes around a number`, nameTrouble)
}

const DURATION_HINT = 'write 5s, 2m, 6h or 1d, 365d at the most'

export function duration(shortestMs: number): z.ZodString {
  return text(`a duration with its unit; ${DURATION_HINT}`, (value) => durationTrouble(value, shortestMs)).meta({ pattern: DURATION_PATTERN })
}

export function durationTrouble(value: string, shortestMs: number): string | undefined {
  const length = durationMs(value)
  if (Number.isNaN(length)) return `not a duration with its unit; ${DURATION_HINT}`
  return length >= shortestMs && length <= 365 * DAY_MS ? undefined : `the duration is out of bounds; ${DURATION_HINT}`
}

/** `50%` as 0.5; NaN for anything else. */
export function shareOf(value: string): number {
  const share = /^\d+(\.\d+)?%$/.test(value) ? Number.parseFloat(value) / 100 : Number.NaN
  return share <= 1 ? share : Number.NaN
}

export function shareTrouble(value: string): string | undefined {
  return Number.isNaN(shareOf(value)) ? 'not a percentage; write one from 0% to 100%' : undefined
}

// A `${VAR}` is text when it is replaced, so numbers and switches may be given as text, too.
const COUNT_ERROR = 'expected a whole number above 0, such as 10000'
export const count = z.union(
  [
    z.int({ error: COUNT_ERROR }).positive({ error: COUNT_ERROR }),
    text('a number', (value) => (/^[1-9]\d{0,14}$/.test(value) ? undefined : COUNT_ERROR)).meta({ pattern: COUNT_PATTERN }),
  ],
  { error: COUNT_ERROR },
)
const FLAG_ERROR = 'expected true or false'
export const flag = z.union(
  [z.boolean(), text('a switch', (value) => (/^(true|false)$/.test(value) ? undefined : FLAG_ERROR)).meta({ pattern: FLAG_PATTERN })],
  { error: FLAG_ERROR },
)

export function locationTrouble(value: string): string | undefined {
  if (value.startsWith('~')) return '~ is not expanded; write ${HOME}/… or the whole path'
  const scheme = /^([a-z][a-z0-9+.-]*):(?!\/\/)/i.exec(value)?.[1]
  if (scheme !== undefined) return `a scheme is followed by two slashes; write ${scheme}://… or, for a folder of that name, ./${scheme}:…`
  return usageTrouble(() => parseLocation(value, '/'))
}

export function usageTrouble(read: () => unknown): string | undefined {
  try {
    read()
    return undefined
  } catch (error) {
    if (!isFailure(error, 'USAGE')) throw error
    return error.hint === undefined ? describe(error) : `${describe(error)}; ${error.hint}`
  }
}

export function urlTrouble(...protocols: readonly string[]): (value: string) => string | undefined {
  const wanted = protocols.map((protocol) => `${protocol}//…`).join(' or ')
  return (value) => (protocols.includes(URL.parse(value)?.protocol ?? '') ? undefined : `not a URL that begins with ${wanted}`)
}

export const webUrl = text('a URL', urlTrouble('https:', 'http:'))

export function pathTrouble(value: string): string | undefined {
  if (value === '' || value.includes('\0')) return 'the path is empty or holds a NUL character'
  const plain = !value.startsWith('/') && !value.endsWith('/') && !value.split('/').includes('..')
  return plain ? undefined : 'the path is relative to the location, names one object and has no ..'
}

/** A folder of an artifact. */
export function atTrouble(value: string): string | undefined {
  const plain = value.replace(/\/$/, '').split('/').every((segment) => segment !== '' && segment !== '.' && segment !== '..')
  return plain && !value.includes('\0') ? undefined : 'not a folder within the artifact; write train or train/cats'
}

export function folderTrouble(value: string): string | undefined {
  if (value === '' || value.includes('\0')) return 'the folder is empty or holds a NUL character'
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(value)) return 'not a folder; write a path on a local disk'
  return value.startsWith('~') ? '~ is not expanded; write ${HOME}/… or the whole path' : undefined
}

export const pattern = text('a glob in quotes', (value) =>
  value === '' || value.includes('\0') ? 'the glob is empty or holds a NUL character' : undefined,
)

export function list<T extends z.ZodType>(item: T, example: string): z.ZodArray<T> {
  return z.array(item, { error: `expected a list; write ${example}` })
}

export function mapping<T extends z.ZodRawShape>(shape: T): z.ZodObject<T, z.core.$strict> {
  return z.strictObject(shape, { error: 'expected keys with values below it, each indented' })
}

/** `key` as an optional one with its line in the JSON Schema. */
export function key<T extends z.ZodType>(schema: T, description: string): z.ZodOptional<T> {
  return schema.meta({ description }).optional()
}
