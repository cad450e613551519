// Real runs of the command line, as its own process.
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export interface Ended {
  readonly exit: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Without what would change the meaning of a command line here. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  const { VARVE_CONFIG, NO_COLOR, FORCE_COLOR, LOG_LEVEL, NODE_OPTIONS, ...rest } = process.env
  return rest
}

/** Starts `varve` with these words in `folder`. */
export function start(folder: string, ...words: readonly string[]): ChildProcess {
  return startWith({}, folder, ...words)
}

/** The same with more in the environment. */
export function startWith(more: NodeJS.ProcessEnv, folder: string, ...words: readonly string[]): ChildProcess {
  const env = { ...plainEnvironment(), ...more }
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...words], { cwd: folder, env })
}

/** Runs `varve` with these words in `folder` to its end. */
export function varve(folder: string, ...words: readonly string[]): Promise<Ended> {
  return ended(start(folder, ...words))
}

/** Resolves when a child has ended and its output was read. */
export function ended(child: ChildProcess): Promise<Ended> {
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (exit) => resolve({ exit, stdout, stderr }))
  })
}

/** Resolves when `child` has written to stdout what `pattern` matches; rejects when it ends before, or after `mostMs`. */
export function says(child: ChildProcess, pattern: RegExp, mostMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const timer = setTimeout(() => reject(new Error(`no ${pattern} within ${mostMs} ms in: ${text}`)), mostMs)
    const hear = (chunk: string): void => {
      text += chunk
      if (!pattern.test(text)) return
      clearTimeout(timer)
      child.stdout?.off('data', hear)
      resolve(text)
    }
    child.stdout?.setEncoding('utf8').on('data', hear)
    let complaints = ''
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (complaints += chunk))
    child.on('close', (exit) => {
      clearTimeout(timer)
      reject(new Error(`ended with ${exit} and without ${pattern}: ${text}${complaints}`))
    })
  })
}
