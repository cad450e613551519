import type { EdgeView } from '../model/version.ts'
import type { Context, Options } from './context.ts'
import { parseVersion } from './names.ts'
import { placeOf, reading } from './place.ts'
import type { Screen } from './screen.ts'
import { formatArtifact, formatMark, formatRun, plural } from './words.ts'

const DEPTH = 10

export interface LineageOptions extends Options {
  readonly depth?: number
}

/** Prints what a version came from and what came of it, as a tree; with `json` edge by edge. */
export async function lineage(context: Context, name: string, options: LineageOptions): Promise<void> {
  const place = await placeOf(context, options)
  const { collection, version } = parseVersion(name, place.defaultEntity)
  const { screen } = context
  return reading(context, place, async (registry) => {
    const depth = options.depth ?? DEPTH
    let reached = 0
    const edges: EdgeView[] = []
    for await (const page of registry.lineage(collection, version, depth)) {
      reached = page.reduce((most, edge) => Math.max(most, edge.depth), reached)
      if (options.json === true) await screen.json(page)
      else edges.push(...page)
    }
    if (options.json !== true) {
      const root = await registry.version(collection, version)
      await screen.print(`${versionLine(root, place.defaultEntity)}  ${root.digest}`)
      for (const direction of ['up', 'down'] as const) await printTree(screen, edges.filter((edge) => edge.direction === direction), keyOfVersion(root), place.defaultEntity)
    }
    if (reached === depth) screen.note(`nothing was looked for beyond ${plural(depth, 'edge', 'edges')}: --depth goes further`)
  })
}

const TITLES = { up: 'made by', down: 'used by' } as const

/** One direction. What is reached by several ways is gone on from at the first, and named at the others. */
async function printTree(screen: Screen, edges: readonly EdgeView[], root: string, defaultEntity: string): Promise<void> {
  const [first] = edges
  if (first === undefined) return
  await screen.print(screen.paint('dim', TITLES[first.direction]))
  const leaving = new Map<string, EdgeView[]>()
  for (const edge of edges) {
    const from = endsOf(edge)[0]
    const known = leaving.get(from)
    if (known === undefined) leaving.set(from, [edge])
    else known.push(edge)
  }
  const shown = new Set([root])
  const todo = branchesOf(leaving, root, '')
  for (let one = todo.pop(); one !== undefined; one = todo.pop()) {
    const { edge, indent, last } = one
    const to = endsOf(edge)[1]
    const inner = `${indent}${last ? '   ' : '│  '}`
    const again = shown.has(to)
    const line = edge.depth % 2 === 1 ? formatRun(edge.run, defaultEntity) : versionLine(edge.version, defaultEntity)
    const marks = (edge.marks ?? []).map((mark) => `${inner}${screen.paint('yellow', formatMark(mark, defaultEntity))}`)
    await screen.print(`${indent}${last ? '└─ ' : '├─ '}${line}${again && (to === root || leaving.has(to)) ? '  (above)' : ''}`, ...marks)
    if (again) continue
    shown.add(to)
    for (const branch of branchesOf(leaving, to, inner)) todo.push(branch)
  }
}

interface Branch {
  readonly edge: EdgeView
  readonly indent: string
  readonly last: boolean
}

/** The last one first, as they are taken from the end. */
function branchesOf(leaving: ReadonlyMap<string, readonly EdgeView[]>, from: string, indent: string): Branch[] {
  const edges = leaving.get(from) ?? []
  return edges.map((edge, i) => ({ edge, indent, last: i === edges.length - 1 })).reverse()
}

/** Where an edge is gone along from and to: of odd depth it leads from a version to a run. */
function endsOf({ depth, run, version }: EdgeView): readonly [string, string] {
  const runKey = JSON.stringify(['run', run.kind, run.entity, run.project, run.name])
  return depth % 2 === 1 ? [keyOfVersion(version), runKey] : [runKey, keyOfVersion(version)]
}

function keyOfVersion({ entity, artifact, version }: EdgeView['version']): string {
  return JSON.stringify([entity, artifact, version])
}

function versionLine(view: EdgeView['version'], defaultEntity: string): string {
  return `${formatArtifact(view, defaultEntity)}:${view.version}${view.digest === undefined ? ' (removed)' : ''}`
}
