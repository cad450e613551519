// Which paths a folder can hold: what comes from a manifest must not leave it, and no two entries may claim one place.
import { directoryOf } from '../model/location.ts'

const SEGMENT_BYTES_MOST = 255
// PATH_MAX of Linux, with its NUL.
const PATH_BYTES_MOST = 4095

/** The folder inside a destination that a restore works in, and that no entry can be in. */
export const ROOM = '.varve-restore'

/** True for the names that a restore itself uses there: what else lies in it is somebody's. */
export function isRoomName(name: string): boolean {
  return /^(lock|varve-(\d+\.tmp|[0-9a-f]{32}\.part|case|names|\u00e9))$/.test(name)
}

/** What the file system of a destination takes for one name; each has its own idea of cases and forms, so that it alone can say. */
export interface Folding {
  /** It takes some names for the same as others. */
  readonly folds: boolean
  same(name: string, other: string): boolean
}

/** Told every path of a version once, in path order. */
export class Names {
  readonly #root: string
  /** Files whose name may yet turn up as a folder: each begins with the one before. */
  readonly #open: string[] = []
  readonly #twins: Twins | undefined

  /** `root` is the destination, ending in `/`. */
  constructor(root: string, folding?: Folding) {
    this.#root = root
    this.#twins = folding?.folds === true ? new Twins(folding) : undefined
  }

  /** Why no file of that path can be made, in words; undefined when one can. */
  trouble(path: string): string | undefined {
    const plain = segmentTrouble(path) ?? (Buffer.byteLength(this.#root + path) > PATH_BYTES_MOST ? `longer than ${PATH_BYTES_MOST} bytes with the destination` : undefined)
    if (plain !== undefined) return plain
    while (this.#open.length > 0 && !path.startsWith(this.#open.at(-1) as string)) this.#open.pop()
    const file = this.#open.find((one) => path.startsWith(`${one}/`))
    if (file !== undefined) return `${JSON.stringify(file)} is a file in this version, and cannot be a folder, too`
    this.#open.push(path)
    const twin = this.#twins?.add(path)
    return twin === undefined ? undefined : `this file system takes ${JSON.stringify(twin)} for the same name`
  }
}

/** Paths, where a file system takes some names for the same. */
export class Twins {
  readonly #folding: Folding
  readonly #folded = new Map<string, string[]>()

  constructor(folding: Folding) {
    this.#folding = folding
  }

  /** Answers what is there already and the same as the path, or as a folder on its way; else the path is there from now on. */
  add(path: string): string | undefined {
    for (let one = path; one !== ''; one = directoryOf(one).slice(0, -1)) {
      const folded = fold(one)
      const others = this.#folded.get(folded) ?? []
      if (others.includes(one)) continue
      const twin = this.of(one)
      if (twin !== undefined) return twin
      this.#folded.set(folded, [...others, one])
    }
    return undefined
  }

  /** What is there and, under another name, the same as the path. */
  of(path: string): string | undefined {
    return this.#folded.get(fold(path))?.find((other) => other !== path && this.#isSame(other, path))
  }

  #isSame(path: string, other: string): boolean {
    const names = other.split('/')
    return path.split('/').every((name, at) => name === names[at] || this.#folding.same(name, names[at] as string))
  }
}

/** Names that any file system takes for one are one here; more may be. */
function fold(path: string): string {
  return path.normalize('NFC').toUpperCase().toLowerCase().normalize('NFC')
}

function segmentTrouble(path: string): string | undefined {
  if (path.startsWith('/')) return 'an absolute path'
  if (path.includes('\0')) return 'a NUL in a name'
  const segments = path.split('/')
  if (segments[0] === ROOM) return `${ROOM} is the folder that a restore works in`
  for (const segment of segments) {
    if (segment === '') return 'an empty name between two slashes, or at the end'
    if (segment === '.' || segment === '..') return `${segment} as a name leads elsewhere`
    if (Buffer.byteLength(segment) > SEGMENT_BYTES_MOST) return `a name of more than ${SEGMENT_BYTES_MOST} bytes`
  }
  return undefined
}
