// `npm test [PATTERN…]`: types first, then the tests that need nothing, those that answer soon before the long ones (`// long` at the top of a file), then those that need real
// components as these become ready (`// needs: redis, moto`).
// The last line counts: `N passed, N failed`. A group that runs no test fails.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { COMPONENTS } from './components.ts'

const ROOT = join(import.meta.dirname, '..')
// Cheap to get first: what takes minutes to build (Go, both cores) is waited for last.
const ORDER = Object.keys(COMPONENTS)

// How long Jest may stay after its report.
const LINGER_MOST_MS = 20_000

interface Counts {
  passed: number
  failed: number
}

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly numRuntimeErrorTestSuites: number
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Runs a program of this checkout; true when it ended well. */
async function run(program: string, args: readonly string[]): Promise<boolean> {
  const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] })
  const [status] = (await once(child, 'exit')) as [number | null]
  return status === 0
}

/** Runs Jest; true when it ended well, and by itself: after its report it has nothing left to do, and what keeps it is a leaked handle. */
async function runJest(args: readonly string[], output: string): Promise<boolean> {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = once(child, 'exit') as Promise<[number | null]>
  let lingered = false
  const watching = setInterval(() => {
    if (!existsSync(output) || Date.now() - statSync(output).mtimeMs < LINGER_MOST_MS) return
    lingered = true
    child.kill('SIGKILL')
  }, 1_000)
  const [status] = await ended
  clearInterval(watching)
  if (lingered) say('== a test left something open: Jest did not end by itself')
  return status === 0
}

/** The test files whose path holds one of the patterns, with the components that each needs. */
function filesFor(patterns: readonly string[]): Map<string, readonly string[]> {
  const all = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.test.ts')).map((file) => join('test', file)).sort()
  const chosen = patterns.length === 0 ? all : all.filter((file) => patterns.some((pattern) => file.includes(pattern)))
  return new Map(chosen.map((file) => [file, needsOf(file)]))
}

function needsOf(file: string): readonly string[] {
  const line = /^\/\/ needs: (.+)$/m.exec(readFileSync(join(ROOT, file), 'utf8'))?.[1]
  const names = line === undefined ? [] : line.split(',').map((name) => name.trim())
  for (const name of names) if (COMPONENTS[name] === undefined) throw new Error(`${file} needs ${name}, which is no component of tools/components.ts`)
  return names
}

function isLong(file: string): boolean {
  return /^\/\/ long$/m.test(readFileSync(join(ROOT, file), 'utf8'))
}

/** Runs a group of files under Jest and adds what it counted. What could not even start, and what was skipped, counts as failed. */
async function runGroup(title: string, files: readonly string[], workers: number, folder: string, counts: Counts): Promise<void> {
  say(`\n== ${title}: ${files.length} files`)
  const output = join(folder, `${counts.passed}-${counts.failed}.json`)
  const jest = join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js')
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', jest, '--ci', `--maxWorkers=${workers}`, '--json', `--outputFile=${output}`, '--runTestsByPath', ...files]
  const well = await runJest(flags, output)
  const report = readReport(output)
  const bad = report === undefined ? 1 : report.numFailedTests + report.numRuntimeErrorTestSuites + report.numPendingTests + report.numTodoTests
  counts.passed += report?.numPassedTests ?? 0
  counts.failed += well && bad === 0 && (report?.numPassedTests ?? 0) > 0 ? 0 : Math.max(1, bad)
  say(`== ${title}: ${report?.numPassedTests ?? 0} passed, ${bad} failed or skipped`)
}

function readReport(file: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report
  } catch (error) {
    say(`no report was written: ${(error as Error).message}`)
    return undefined
  }
}

async function main(patterns: readonly string[]): Promise<boolean> {
  const files = filesFor(patterns)
  if (files.size === 0) throw new Error(`no test file's path holds ${patterns.join(' or ')}`)
  const wanted = ORDER.filter((name) => [...files.values()].some((needs) => needs.includes(name)))
  // One at a time in the background: each Go build uses both cores.
  let before: Promise<unknown> = Promise.resolve()
  const ready = new Map(wanted.map((name) => {
    const got = before.then(() => run(process.execPath, [join(ROOT, 'tools', 'components.ts'), name]))
    before = got
    return [name, got]
  }))
  const counts: Counts = { passed: 0, failed: 0 }
  const folder = mkdtempSync(join(tmpdir(), 'varve-test-'))
  try {
    say('== types')
    if (await run(join(ROOT, 'node_modules', '.bin', 'tsc'), ['--noEmit'])) counts.passed++
    else counts.failed++
    const plain = [...files].filter(([, needs]) => needs.length === 0).map(([file]) => file)
    const [soon, long] = [plain.filter((file) => !isLong(file)), plain.filter(isLong)]
    if (soon.length > 0) await runGroup('what needs no component', soon, 2, folder, counts)
    if (long.length > 0) await runGroup('what needs none, and takes longer', long, 2, folder, counts)
    for (const name of wanted) {
      const group = [...files].filter(([, needs]) => last(needs) === name).map(([file]) => file)
      if (group.length === 0) continue
      if (!(await ready.get(name))) say(`== ${name} could not be had: the tests that need it fail`)
      await runGroup(`with ${name}`, group, 2, folder, counts)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  say(`\n${counts.passed} passed, ${counts.failed} failed`)
  return counts.failed === 0
}

/** Of several needs the one that is ready last decides when a file runs. */
function last(needs: readonly string[]): string | undefined {
  return ORDER.filter((name) => needs.includes(name)).at(-1)
}

/** What keeps the tests from running at all is one line, and a failure that the last line counts. */
function refuse(words: string): boolean {
  say(`${words}\n\n0 passed, 1 failed`)
  return false
}

const isOld = Number(process.versions.node.split('.')[0]) < 24
const well = isOld ? refuse(`Node 24 or newer is needed, this is ${process.version}: run npm test`) : await main(process.argv.slice(2)).catch((error: unknown) => refuse((error as Error).message))
process.exitCode = well ? 0 : 1
