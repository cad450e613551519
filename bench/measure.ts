import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One row of the report: a ratio or a number, measured in this run, against a limit. */
export interface Result {
  readonly name: string
  readonly value: number
  readonly limit: number
  readonly unit: string
  readonly detail: string
}

/** The middle of an odd number of measurements. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number
}

const MAIN = join(import.meta.dirname, '..', 'dist', 'main.js')

/** What follows `node` where an installed `varve` runs: the options that the first line of the built program names, and the program. */
export function varve(): readonly string[] {
  const [line = ''] = readFileSync(MAIN, 'utf8').split('\n', 1)
  return [...line.split(' ').slice(3), MAIN]
}

/** A module of the built JavaScript, which is what users run. */
export function built<T>(name: string): Promise<T> {
  return import(join(import.meta.dirname, '..', 'dist', `${name}.js`)) as Promise<T>
}

/** Wall seconds of a command from its start to its end. Throws when it fails. */
export function secondsOf(command: string, args: readonly string[]): number {
  const started = process.hrtime.bigint()
  const { status, stderr } = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'], maxBuffer: 1 << 26 })
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: exit ${status}: ${String(stderr)}`)
  return seconds
}

/** Medians of five alternating pairs, or another odd number, after one warm-up of each, so that a busy moment hits both sides. */
export function pair(ours: () => number, peer: () => number, pairs = 5): { ours: number; peer: number } {
  const a: number[] = []
  const b: number[] = []
  ours()
  peer()
  for (let i = 0; i < pairs; i++) {
    a.push(ours())
    b.push(peer())
  }
  return { ours: median(a), peer: median(b) }
}

/** One line per row, and whether it holds. */
export function print(result: Result): boolean {
  const holds = result.value <= result.limit
  process.stdout.write(`${holds ? 'ok  ' : 'FAIL'}  ${result.name}: ${result.value.toFixed(2)}${result.unit} (limit ${result.limit}${result.unit})  ${result.detail}\n`)
  return holds
}
