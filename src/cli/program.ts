import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { Command, CommanderError, InvalidArgumentError, Option as CommandOption } from 'commander'
import { describe, FAILURES, isFailure, scrub } from '../model/errors.ts'
import type { BackupOptions } from './backup.ts'
import type { Context, Options } from './context.ts'
import type { ExportOptions } from './export.ts'
import type { Format } from './formats.ts'
import type { GetOptions, WishOptions } from './get.ts'
import type { ImportOptions } from './import.ts'
import type { LineageOptions } from './lineage.ts'
import type { PutOptions } from './put.ts'
import type { ResolveOptions } from './resolve.ts'
import type { PruneOptions, RmOptions } from './rm.ts'
import type { ScanOptions } from './scan.ts'
import type { ShowOptions } from './show.ts'
import type { FinishOptions, UseOptions } from './use.ts'
import { visible } from './words.ts'

// Those of `resolve`, which is loaded only when it runs.
const FORMATS: readonly Format[] = ['wandb', 'csv', 'json', 'webdataset']
const EXPORTS: readonly NonNullable<ExportOptions['format']>[] = ['jsonl', 'parquet']

const EXIT = { failed: 1, usage: 2, compared: 3, SIGINT: 130, SIGTERM: 143, EPIPE: 0 } as const

const UNFINISHED: readonly string[] = ['get', 'verify']

// Where 1 means "different", a failure must not.
const COMPARING: readonly string[] = ['diff', 'status', 'doctor', 'verify', 'fsck']

/**
 * Runs one command line (without program and script) and answers its exit code: 0 done, 1 failed, 2 usage, 78 configuration; `diff`, `status`,
 * `doctor`, `verify` and `fsck` 0 same (well), 1 different, 3 failed; 130 and 143 when a signal cut it short, `run` alone 0. Never throws: what went wrong is on stderr, in one line, or in one for
 * each mistake of a configuration.
 */
export async function execute(words: readonly string[], context: Context, running: Running = { status: 0, verb: '' }): Promise<number> {
  const program = describeProgram(context, running)
  try {
    await program.parseAsync(words, { from: 'user' })
    return running.status
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage
    // Who reads no more of a list has what was wanted; what was to be restored or checked is not done.
    if (context.signal.reason === 'EPIPE' && UNFINISHED.includes(running.verb)) return EXIT.failed
    if (context.signal.aborted) return exitWhenStopped(running, context.signal.reason as Stop)
    context.screen.settle()
    for (const line of errorLines(error, program.opts<Options>().verbose === true)) context.screen.note(line)
    const exit = isFailure(error) ? FAILURES[error.code].exit : EXIT.failed
    return exit === EXIT.failed && COMPARING.includes(running.verb) ? EXIT.compared : exit
  }
}

export interface Running {
  status: number
  verb: string
}

export type Stop = 'SIGINT' | 'SIGTERM' | 'EPIPE'

/** The exit code of what a signal ends. A daemon that is told to stop does what it is told, in the middle of a look as well: what that has not recorded the next start looks at. */
export function exitWhenStopped({ verb }: Running, reason: Stop): number {
  return verb === 'run' ? 0 : EXIT[reason]
}

/** `varve: what; what to do`. Every error of a configuration has a line of its own. */
function errorLines(error: unknown, verbose: boolean): string[] {
  if (verbose) return inspect(error).split('\n').map((line) => visible(scrub(line)))
  if (!isFailure(error)) return [`varve: ${visible(describe(error))}; this may be a defect of Varve: --verbose shows where`]
  const lines = error.message.split('\n').filter((line) => line !== '')
  const hint = error.hint === undefined ? '' : `; ${error.hint}`
  return lines.map((line, i) => `varve: ${visible(line)}${i === lines.length - 1 ? visible(scrub(hint)) : ''}`)
}

/** The commands with their options. Each is loaded only when it runs. */
function describeProgram(context: Context, running: Running): Command {
  const program = new Command('varve')
    .description('Versions the data you already store: metadata only, each time the content really changed.')
    .version(version(), '-V, --version')
    .option('--config <file>', 'configuration (else VARVE_CONFIG, ./varve.yaml, /etc/varve/config.yaml)')
    .option('--verbose', 'show where an error came from')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => context.screen.say(text.trimEnd()),
      writeErr: (text) => context.screen.note(text.trimEnd()),
      outputError: (text, write) => write(`varve: ${visible(text.replace(/^error: /, '').trim().replace(/\s*\n\s*/g, ' '))}; see varve --help`),
    })
  const verb: Verb = (words, summary, options, act) => {
    const command = program.command(words).description(summary)
    for (const add of options) add(command)
    command.action((...given: unknown[]) => perform(running, command, act(command.optsWithGlobals(), ...(given.slice(0, -2) as string[]))))
  }
  describeDaemon(verb, context)
  describeReading(verb, context)
  describeRestore(verb, context)
  describeUse(verb, context)
  describeRetention(verb, context)
  describeAliases(program, context, running)
  return program
}

async function perform(running: Running, command: Command, doing: Promise<number | void>): Promise<void> {
  running.verb = command.name()
  running.status = (await doing) ?? 0
}

type Verb = <O extends Options>(words: string, summary: string, options: readonly Option[], act: Act<O>) => void
type Act<O> = (options: O, ...taken: string[]) => Promise<number | void>
type Option = (command: Command) => unknown

const data: Option = (command) => command.option('--data <folder>', 'where the registry lies (else that of the configuration, else ./.varve)')
const json: Option = (command) => command.option('--json', 'one JSON object per line')
const skipped: Option = (command) => command.option('--skipped', 'only what it skipped, all of it')
const wait: Option = (command) => command.option('--wait', 'end when the look is recorded')

function describeDaemon(verb: Verb, context: Context): void {
  verb('run', 'watch, look and record until stopped', [], async (options) => (await import('./run.ts')).run(context, options))
  verb('check', 'check the configuration and print what it would watch', [], async (options) => (await import('./check.ts')).check(context, options))
  verb('doctor [watch]', 'probe what each watch needs, and say what is missing (exit 1 when something fails)', [json],
    async (options, watch) => (await import('./doctor.ts')).doctor(context, watch, options))
  verb<PutOptions>('put <uri>', 'look at a location once and record it', [putting, data, json],
    async (options, uri) => (await import('./put.ts')).put(context, uri, options))
  verb<ScanOptions>('scan <watch>', 'look at the whole of a watch now', [wait, json],
    async (options, watch) => (await import('./scan.ts')).scan(context, watch, options))
  verb<ScanOptions>('accept <watch>', 'let a held watch record what it saw', [wait, json],
    async (options, watch) => (await import('./scan.ts')).accept(context, watch, options))
  verb('status', 'the state of every watch, and what to do (exit 1 when one needs it)', [data, json],
    async (options) => (await import('./status.ts')).status(context, options))
}

const putting: Option = (command) =>
  command
    .requiredOption('--name <artifact>', 'project/name or entity/project/name')
    .requiredOption('--type <type>', 'dataset, model…')
    .option('--alias <alias>', 'besides latest; may be given again', more)
    .option('--max-objects <count>', 'fail above so many objects (10000)', positive)
    .option('--description <text>', 'kept with the version')
    .option('--run <run>', 'the run that made it, made where it is missing')
    .option('--project <project>', "the run's, else the artifact's own")

function positive(text: string): number {
  const count = Number(text)
  if (!Number.isSafeInteger(count) || count < 1) throw new InvalidArgumentError('It is not a positive whole number.')
  return count
}

function describeReading(verb: Verb, context: Context): void {
  verb('ls [project]', 'the artifacts', [data, json], async (options, project) => (await import('./ls.ts')).ls(context, project, options))
  verb('log <artifact>', 'the versions of an artifact, newest first', [data, json],
    async (options, artifact) => (await import('./log.ts')).log(context, artifact, options))
  verb<ShowOptions>('show <version>', 'one version (project/name:ALIAS) with its certificate', [skipped, data, json],
    async (options, version) => (await import('./show.ts')).show(context, version, options))
  verb('files <version> [path]', 'the entries of a version, or those at and under a path', [data, json],
    async (options, version, path) => (await import('./files.ts')).files(context, version, path, options))
  verb('history <artifact> <path>', 'when a path changed', [data, json],
    async (options, artifact, path) => (await import('./history.ts')).history(context, artifact, path, options))
  verb('diff <version> <other>', 'what turns project/name:v1 into v2 (exit 1 when they differ)', [data, json],
    async (options, version, other) => (await import('./diff.ts')).diff(context, version, other, options))
}

function describeUse(verb: Verb, context: Context): void {
  verb<ResolveOptions>('resolve <version>', 'the exact version that project/name:ALIAS names now, or its entries for a loader', [resolving, data, json],
    async (options, version) => (await import('./resolve.ts')).resolve(context, version, options))
  verb<UseOptions>('use <version>', 'write down that a run uses a version', [using, data, json],
    async (options, version) => (await import('./use.ts')).use(context, version, options))
  verb<FinishOptions>('finish <run>', 'a run has ended: nothing marks it any more', [finishing, data, json],
    async (options, run) => (await import('./use.ts')).finish(context, run, options))
  verb<LineageOptions>('lineage <version>', 'the runs that made and used a version, up and down', [depth, data, json],
    async (options, version) => (await import('./lineage.ts')).lineage(context, version, options))
}

const resolving: Option = (command) =>
  command
    .option('--wait-settled <duration>', 'wait until no change that was heard is left to be recorded, at most so long: 30m')
    .addOption(new CommandOption('--format <format>', 'list its entries with their pins').choices(FORMATS).conflicts('json'))
const project: Option = (command) => command.option('--project <project>', "the run's, else the artifact's own")
const using: Option = (command) => project(command.requiredOption('--run <run>', 'made where it is missing'))
const finishing: Option = (command) => command.option('--project <project>', 'where several have a run of that name').option('--failed', 'it ended badly')
const depth: Option = (command) => command.option('--depth <edges>', 'how far to go (10)', positive)

function describeRetention(verb: Verb, context: Context): void {
  verb<RmOptions>('rm <version>', 'remove a version: what is known of it, never a byte of your data', [forcing('also with aliases or users'), data, json],
    async (options, version) => (await import('./rm.ts')).rm(context, version, options))
  verb<PruneOptions>('prune <artifact>', 'remove the versions that no rule keeps; the newest always stays', [pruning, forcing('also those with aliases or users'), data, json],
    async (options, artifact) => (await import('./rm.ts')).prune(context, artifact, options))
  verb<ExportOptions>('export <version> [file]', 'write a version with its entries to a file, or to stdout (-)', [exporting, forcing('take the place of a file'), data],
    async (options, version, file) => (await import('./export.ts')).exportVersion(context, version, file, options))
  verb<ImportOptions>('import <file>', 'record an exported version (-: from stdin)', [importing, data, json],
    async (options, file) => (await import('./import.ts')).importVersion(context, file, options))
  verb<BackupOptions>('backup <file>', 'write the registry to a file, beside a running daemon', [forcing('take the place of a file'), data],
    async (options, file) => (await import('./backup.ts')).backup(context, file, options))
  verb<BackupOptions>('restore-registry <file>', 'put a backup in the place of the registry', [forcing('also where there is one, which is kept beside'), data],
    async (options, file) => (await import('./backup.ts')).restoreRegistry(context, file, options))
  verb('fsck', 'check that the registry is sound (exit 1 when it is not)', [data, json], async (options) => (await import('./fsck.ts')).fsck(context, options))
}

const forcing = (words: string): Option => (command) => command.option('--force', words)
const pruning: Option = (command) =>
  command
    .option('--keep-last <count>', 'keep so many of the newest', positive)
    .option('--older-than <duration>', 'keep what is younger: 90d')
    .option('--keep-aliased', 'keep what has an alias (so it is without --force)')
    .option('--keep-used', 'keep what a run used (so it is without --force)')
    .option('--dry-run', 'only say what would go')
const exporting: Option = (command) => command.addOption(new CommandOption('--format <format>', 'how it is written (jsonl)').choices(EXPORTS))
const importing: Option = (command) =>
  command
    .requiredOption('--name <artifact>', 'project/name or entity/project/name')
    .option('--type <type>', 'else the type that it had')
    .option('--alias <alias>', 'besides latest; may be given again', more)

function describeRestore(verb: Verb, context: Context): void {
  verb<GetOptions>('get <version> [folder]', 'restore a version (project/name:ALIAS), verified, to a folder (else artifacts/NAME:vN)', [getting, choosing, data, json],
    async (options, version, folder) => (await import('./get.ts')).get(context, version, folder, options))
  verb<WishOptions>('verify <version>', 'tell whether a version can still be restored (exit 1 when something is lost)', [choosing, data, json],
    async (options, version) => (await import('./verify.ts')).verify(context, version, options))
}

const more = (text: string, before: readonly string[] = []): readonly string[] => [...before, text]

const choosing: Option = (command) =>
  command
    .option('--path <path>', 'only that entry, or all under it')
    .option('--include <glob>', 'only what it takes; may be given again', more)
    .option('--exclude <glob>', 'not what it takes; may be given again', more)
    .option('--deep', 'read every byte')

const getting: Option = (command) =>
  command
    .option('--dry-run', 'only tell what would be fetched from where, and what cannot be')
    .option('--partial', 'restore the rest when some of it is lost')
    .option('--force', 'overwrite files that hold other bytes')
    .option('--delete', 'remove what the version does not have')
    .option('--as <way>', 'copy, or for files of a local disk reflink, hardlink or symlink')

function describeAliases(program: Command, context: Context, running: Running): void {
  const alias = program.command('alias').description('move an alias')
  const words = '<version> <alias>'
  const add = alias.command(`add ${words}`).description('give an alias to a version, from whichever has it now')
  const remove = alias.command(`rm ${words}`).description('take an alias from a version')
  for (const command of [add, remove]) {
    data(command)
    command.action(async (version: string, name: string) => {
      const { addAlias, removeAlias } = await import('./alias.ts')
      const act = command === add ? addAlias : removeAlias
      await perform(running, command, act(context, version, name, command.optsWithGlobals()))
    })
  }
}

/** Of the package that this file lies in, in a checkout and installed alike. */
function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
  return version
}
