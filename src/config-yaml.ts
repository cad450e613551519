// YAML with positions: what a person wrote, with `${VAR}` replaced, and where each thing stands.
import { Document, isAlias, isCollection, isMap, isScalar, isSeq, parseDocument, visit } from 'yaml'
import type { Node } from 'yaml'

/** One mistake, and where in the text it stands. */
export interface Problem {
  readonly offset: number
  /** What is wrong, and what to do: one line. */
  readonly text: string
}

export interface Tree {
  /** Undefined when the text is no YAML: then `problems` says why. */
  readonly value: unknown
  readonly problems: readonly Problem[]
  /** Where the value at `path` stands, or the nearest thing around it. */
  at(path: readonly PropertyKey[]): number
  /** Where its key stands: a key that is written twice is found at its first place. */
  atKey(path: readonly PropertyKey[]): number
  position(offset: number): { readonly line: number; readonly column: number }
  /** `words` about the text at `offset`, with the names of its variables for what they held: that may be a secret. */
  withoutValues(offset: number, words: string): string
}

/** What stood in a variable, by the place in the text that named it. */
type Replaced = Map<number, { readonly name: string; readonly value: string }[]>

/** Shorter values are no secrets, and too likely to be part of other words. */
const SECRET_LENGTH_MIN = 6

/** Aliases are for repeating a list of globs, not for bombs. */
const ALIASES_MAX = 1_000

/** Reads `text` as one YAML 1.2 document. Never throws for what is in it. */
export function parseTree(text: string, variables: Readonly<Record<string, string | undefined>>): Tree {
  // The library's own counter misses the lines within some tokens.
  const position = (offset: number): { line: number; column: number } => {
    const before = text.slice(0, offset)
    return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') }
  }
  const replaced: Replaced = new Map()
  const withoutValues = (offset: number, words: string): string =>
    (replaced.get(offset) ?? []).reduce((told, { name, value }) => piecesOf(value).reduce((rest, piece) => hide(rest, piece, `\${${name}}`), told), words)
  const broken = (problems: readonly Problem[]): Tree => ({ value: undefined, problems, at: () => 0, atKey: () => 0, position, withoutValues })
  try {
    const document = parseDocument(text, { prettyErrors: false, logLevel: 'error' })
    const mistakes = [...document.errors, ...document.warnings].toSorted((a, b) => a.pos[0] - b.pos[0])
    const problems = mistakes.map((mistake) => ({ offset: mistake.pos[0], text: wordsOf(mistake.code, mistake.message) }))
    // After a mistake in the syntax the reader guesses: what it says of the rest would mislead.
    const first = mistakes.findIndex((mistake) => mistake.code !== 'DUPLICATE_KEY')
    if (first >= 0) return broken(problems.slice(0, first + 1))
    const loose = unresolvedAliases(document)
    if (loose.length > 0) return broken([...problems, ...loose])
    problems.push(...replaceVariables(document, variables, replaced))
    return {
      value: document.toJS({ maxAliasCount: ALIASES_MAX }),
      problems,
      at: (path) => find(document, path).value,
      atKey: (path) => find(document, path).key,
      position,
      withoutValues,
    }
  } catch (error) {
    return broken([{ offset: 0, text: wordsOf('', (error as Error).message) }])
  }
}

/** A message may repeat one part of a path or a name. */
function piecesOf(value: string): readonly string[] {
  return [value, ...value.split('/').filter((piece) => piece.length >= SECRET_LENGTH_MIN)]
}

/** Also where `value` stands as JSON, as names in messages do. */
function hide(words: string, value: string, name: string): string {
  return words.replaceAll(value, () => name).replaceAll(JSON.stringify(value).slice(1, -1), () => name)
}

function wordsOf(code: string, message: string): string {
  if (code === 'DUPLICATE_KEY') return 'this key stands here twice; take one out'
  if (code === 'MULTIPLE_DOCS') return 'a second document begins; one file holds one configuration: take out the ---'
  if (code === 'TAB_AS_INDENT') return 'a tab indents this line; use spaces'
  // What is nested too deeply exhausts the reader's stack, which it reports as a mistake or throws.
  if (/call stack|stack overflow/i.test(message)) return 'the YAML is nested too deeply'
  // Without the text that the message may repeat after a colon: it may be a secret.
  return `not valid YAML: ${message.replace(/: ".*$/s, '').replace(/\s+/g, ' ')}`
}

function unresolvedAliases(document: Document): Problem[] {
  const problems: Problem[] = []
  visit(document, {
    Alias(_, node) {
      const text = `no anchor &${node.source} stands before this; put quotes around a text that begins with *`
      if (node.resolve(document) === undefined) problems.push({ offset: node.range?.[0] ?? 0, text })
    },
  })
  return problems
}

/** Works on scalars of the parsed document, so that a value can never become structure. Keys stay as they are. */
function replaceVariables(document: Document, variables: Readonly<Record<string, string | undefined>>, replaced: Replaced): Problem[] {
  const problems: Problem[] = []
  visit(document, {
    Scalar(key, node) {
      if (key === 'key' || typeof node.value !== 'string' || !node.value.includes('$')) return
      const offset = node.range?.[0] ?? 0
      const used: { name: string; value: string }[] = []
      const lookUp = (name: string): string | undefined => {
        const value = Object.hasOwn(variables, name) ? variables[name] : undefined
        if (value !== undefined && value.length >= SECRET_LENGTH_MIN) used.push({ name, value })
        return value
      }
      node.value = interpolate(node.value, lookUp, (text) => problems.push({ offset, text }))
      replaced.set(offset, used)
    },
  })
  return problems
}

/** `$$` is a dollar, `${VAR}` a variable that must be set, `${VAR:-text}` one with a default for unset or empty. Any other `$` is itself. */
function interpolate(text: string, lookUp: (name: string) => string | undefined, report: (problem: string) => void): string {
  return text.replace(/\$\$|\$\{([^}]*)\}?/g, (whole, inside: string | undefined) => {
    if (inside === undefined) return '$'
    const [, name, fallback] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inside) ?? []
    if (name === undefined || !whole.endsWith('}')) {
      report('a ${ begins no variable; write ${NAME}, ${NAME:-default}, or $$ for a dollar')
      return whole
    }
    const value = lookUp(name)
    if (fallback !== undefined) return value === undefined || value === '' ? fallback : value
    if (value === undefined) report(`the variable ${name} is not set; set it, or write \${${name}:-default}`)
    return value ?? whole
  })
}

/** Follows `path` as far as the document goes; aliases lead to what they stand for. */
function find(document: Document, path: readonly PropertyKey[]): { value: number; key: number } {
  let node: Node | null = document.contents
  let value = node?.range?.[0] ?? 0
  let key = value
  for (const step of path) {
    const parent: Node | null | undefined = isAlias(node) ? node.resolve(document) : node
    if (!isCollection(parent)) break
    const pair = isMap(parent) ? parent.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step)) : undefined
    const child: unknown = isSeq(parent) ? parent.items[Number(step)] : pair?.value
    key = (isScalar(pair?.key) ? pair.key.range?.[0] : undefined) ?? (child as Node | undefined)?.range?.[0] ?? value
    if (pair === undefined && child === undefined) break
    node = (child ?? null) as Node | null
    value = node?.range?.[0] ?? key
  }
  return { value, key }
}
