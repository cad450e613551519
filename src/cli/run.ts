import { basename, relative } from 'node:path'
import { findConfig } from '../config.ts'
import type { Config } from '../config.ts'
import { scrub } from '../model/errors.ts'
import type { WatchView } from '../model/version.ts'
import { formatCollection } from '../model/watch.ts'
import { watchLine } from './check.ts'
import type { Context, Options } from './context.ts'
import { configOf } from './place.ts'
import { tellAll } from './tell.ts'
import { plural, visible } from './words.ts'

/** Runs the daemon until SIGINT or SIGTERM; prints what it watches, each new version and each state. Resolves when all of it has stopped. */
export async function run(context: Context, options: Options): Promise<void> {
  const config = await configOf(context, options, 'tokens')
  const daemon = await context.opener.daemon(config, tellAll(context.screen, config.defaultEntity))
  try {
    const views = await daemon.registry.watchViews(context.clock.now())
    for (const line of await opening(context, config, views, daemon.url)) context.screen.say(line)
    await daemon.run(context.signal)
  } finally {
    context.screen.settle()
    await daemon.close()
  }
}

async function opening(context: Context, config: Config, views: readonly WatchView[], url: string | undefined): Promise<string[]> {
  const queue = config.queue === 'inline' ? 'inline' : scrub(config.queue.url)
  const lines = [
    `${plural(config.watches.length, 'watch', 'watches')}; data in ${visible(config.dataFolder)}, queue ${queue}${url === undefined ? '' : `, listening on ${url}`}`,
    ...await Promise.all(config.watches.map(async (watch) => {
      const head = views.find((view) => view.watch === watch.name)?.head
      return `${await watchLine(watch, config.defaultEntity, context.opener)}${head === undefined ? '' : `; now at ${head}`}`
    })),
  ]
  return context.screen.terminal || basename(config.file) === 'quickstart.yaml' ? [...lines, '', ...tries(context, config), ''] : lines
}

/** What to try, each line fit to be pasted into another terminal here. */
function tries(context: Context, config: Config): string[] {
  const [watch] = config.watches
  if (watch === undefined) return []
  const artifact = formatCollection(watch.collection, config.defaultEntity)
  const flags = flagsFor(context, config)
  const [location] = watch.locations
  const change = location.scheme === 'file' && location.object === undefined
    ? [`  echo hello >> ${shell(`${relative('.', location.prefix) || '.'}/hello.txt`)}`]
    : []
  return [
    context.screen.paint('bold', 'Try, in another terminal:'),
    ...change,
    ...[`log ${shell(artifact)}`, `diff ${shell(`${artifact}:v0`)} latest`, `files ${shell(`${artifact}:latest`)}`, 'status']
      .map((verb) => `  ${context.self} ${verb}${flags}`),
  ]
}

/** What the reading verbs must be told to find the same data; nothing, where they find it by themselves. */
function flagsFor(context: Context, config: Config): string {
  const found = findConfig(undefined, context.surroundings)
  if (found === config.file || (found === undefined && relative('.', config.dataFolder) === '.varve')) return ''
  return ` --config ${shell(relative('.', config.file))}`
}

/** `text` as one word of a POSIX shell. */
function shell(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
