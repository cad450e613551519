// Counts and names in what a restore says.
const NAMED_MOST = 5

export function count(number: number, one: string, many: string): string {
  return `${number.toLocaleString('en-US')} ${number === 1 ? one : many}`
}

/** The first few by name. */
export function named(paths: readonly string[]): string {
  return `${paths.slice(0, NAMED_MOST).join(', ')}${paths.length > NAMED_MOST ? ` and ${(paths.length - NAMED_MOST).toLocaleString('en-US')} more` : ''}`
}
