// Reads TypeScript far enough for the rules of the house: what is code and what is not, what it imports, where functions begin and end.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One source file. `code` is `text` with everything in comments, strings, templates and regular expressions blanked: same length, same lines. */
export interface Source {
  /** Relative to the root, with `/`. */
  readonly file: string
  readonly text: string
  readonly code: string
}

/** Every `.ts` file below `root`, in path order. */
export function sourcesOf(root: string): readonly Source[] {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts')).sort()
  return files.map((file) => {
    const text = readFileSync(join(root, file), 'utf8')
    return { file, text, code: blank(text) }
  })
}

/** The line that `offset` lies on, from 1. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

/** A specifier as it is written: static, dynamic, for its types alone, or re-exported; and the line it stands on. */
export function importsOf(source: Source): readonly { readonly specifier: string; readonly line: number }[] {
  return [...source.code.matchAll(/(?:\bfrom|\bimport|\bimport\s*\()\s*(['"`])( *)\1/g)].map((found) => {
    const end = found.index + found[0].length - 1
    return { specifier: source.text.slice(end - (found[2] as string).length, end), line: lineAt(source.text, found.index) }
  })
}

/** The lines of every function that has a body in braces or parentheses, from its parameters to its end. */
export function functionsOf(source: Source): readonly { readonly line: number; readonly lines: number }[] {
  const { code } = source
  const closing = pairs(code)
  const found: { line: number; lines: number }[] = []
  const add = (start: number, open: number): void => {
    const end = closing.get(open)
    if (end === undefined) return
    const line = lineAt(code, start)
    found.push({ line, lines: lineAt(code, end) - line + 1 })
  }
  for (const arrow of code.matchAll(/=>\s*[{(]/g)) add(arrow.index, arrow.index + arrow[0].length - 1)
  for (const [open, close] of closing) {
    if (code[open] !== '(' || /\b(?:if|for|await|while|switch|catch|with)\s*$/.test(code.slice(Math.max(0, open - 20), open))) continue
    const body = bodyAfter(code, close + 1, closing)
    if (body !== undefined) add(open, body)
  }
  return found
}

/** The `{` of the body that follows a parameter list, past a return type; undefined when none does. */
function bodyAfter(code: string, from: number, closing: ReadonlyMap<number, number>): number | undefined {
  let at = from + blanksAt(code, from)
  if (code[at] === '{') return at
  if (code[at] !== ':') return undefined
  // Within a type, a brace where an operand is due opens an object type; one after an operand opens the body.
  for (let due = true; at < code.length; at++) {
    const character = code[at] as string
    if (/\s/.test(character)) continue
    if (character === '{' && !due) return at
    if (/[;,)}\]?]/.test(character) || (character === '=' && code[at + 1] !== '>')) return undefined
    if (character === '=') at++
    if (/[{([]/.test(character)) at = closing.get(at) ?? code.length
    const word = /^(?:is|keyof|readonly|asserts|typeof|infer|extends|new)\b/.exec(code.slice(at, at + 10))
    if (word !== null && /\W/.test(code[at - 1] as string)) at += word[0].length - 1
    due = word !== null || /[:|&=<]/.test(character)
  }
  return undefined
}

function blanksAt(code: string, from: number): number {
  return (/^\s*/.exec(code.slice(from, from + 200)) as RegExpExecArray)[0].length
}

/** Where each bracket closes. */
function pairs(code: string): Map<number, number> {
  const closing = new Map<number, number>()
  const open: number[] = []
  for (let at = 0; at < code.length; at++) {
    if ('{(['.includes(code[at] as string)) open.push(at)
    if ('})]'.includes(code[at] as string)) {
      const opened = open.pop()
      if (opened !== undefined) closing.set(opened, at)
    }
  }
  return closing
}

/** Blanks what is no code; quotes stay, so that a string can still be found. */
function blank(text: string): string {
  const out = [...Array(text.length).keys()].map((at) => text[at] as string)
  const hide = (from: number, to: number): void => {
    for (let at = from; at < to; at++) if (out[at] !== '\n') out[at] = ' '
  }
  // For each template that is open, how many braces are open within its `${`.
  const templates: number[] = []
  let at = 0
  const template = (): void => {
    const from = at
    while (at < text.length && text[at] !== '`' && !(text[at] === '$' && text[at + 1] === '{')) at += text[at] === '\\' ? 2 : 1
    hide(from, at)
    if (text[at] === '$') {
      templates.push(0)
      at += 1
    }
    at += 1
  }
  while (at < text.length) {
    const character = text[at] as string
    const rest = text.slice(at, at + 2)
    if (rest === '//' || rest === '/*') {
      const end = rest === '//' ? text.indexOf('\n', at) : text.indexOf('*/', at + 2) + 2
      const stop = end < 2 ? text.length : end
      hide(at, stop)
      at = stop
    } else if (character === "'" || character === '"') {
      const end = endOf(text, at, character)
      hide(at + 1, end)
      at = end + 1
    } else if (character === '/' && isRegex(out, at)) {
      const end = endOf(text, at, '/')
      hide(at, end + 1)
      out[at] = '0'
      at = end + 1
    } else if (character === '`') {
      at += 1
      template()
    } else {
      const depth = templates.at(-1)
      if (depth !== undefined && character === '{') templates[templates.length - 1] = depth + 1
      if (depth !== undefined && character === '}') templates[templates.length - 1] = depth - 1
      at += 1
      if (depth === 0 && character === '}') {
        templates.pop()
        template()
      }
    }
  }
  return out.join('')
}

/** The offset of the unescaped `mark` that ends what begins at `from`; within a class of a regular expression a slash is itself. */
function endOf(text: string, from: number, mark: string): number {
  let inClass = false
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '\n') return at
    else if (mark === '/' && text[at] === '[') inClass = true
    else if (mark === '/' && text[at] === ']') inClass = false
    else if (text[at] === mark && !inClass) return at
  }
  return text.length
}

/** A slash begins a regular expression where an operand is due. */
function isRegex(out: readonly string[], at: number): boolean {
  const before = out.slice(Math.max(0, at - 200), at).join('').trimEnd()
  return before === '' || /[(,=:[!&|?{};+\-*%~^<>]$/.test(before) || /\b(?:return|typeof|case|in|of|await|yield|void|delete)$/.test(before)
}
