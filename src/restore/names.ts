// Which paths a folder can hold: what comes from a manifest must not leave it, and no two entries may claim one place.
import { directoryOf } from '../model/location.ts'

const SEGMENT_BYTES_MOST = 255
// PATH_MAX of Linux, with its NUL.
const PATH_BYTES_MOST = 4095

/** The folder inside a destination that a restore works in, and that no entry can be in. */
export const ROOM = '.varve-restore'

/** True for the names that a restore itself uses there: what else lies in it is somebody's. */
export function isRoomName(name: string): boolean {
  return /^(lock|varve-(\d+\.tmp|[0-9a-f]{32}\.part|case|\u00e9))$/.test(name)
}

/** What the file system of a destination takes for one name. */
export interface Folding {
  readonly cases: boolean
  readonly forms: boolean
}

/** Told every path of a version once, in path order. */
export class Names {
  readonly #root: string
  /** Files whose name may yet turn up as a folder: each begins with the one before. */
  readonly #open: string[] = []
  readonly #folding: Folding
  readonly #folded = new Map<string, string>()

  /** `root` is the destination, ending in `/`. */
  constructor(root: string, folding: Folding = { cases: false, forms: false }) {
    this.#root = root
    this.#folding = folding
  }

  /** Why no file of that path can be made, in words; undefined when one can. */
  trouble(path: string): string | undefined {
    const plain = segmentTrouble(path) ?? (Buffer.byteLength(this.#root + path) > PATH_BYTES_MOST ? `longer than ${PATH_BYTES_MOST} bytes with the destination` : undefined)
    if (plain !== undefined) return plain
    while (this.#open.length > 0 && !path.startsWith(this.#open.at(-1) as string)) this.#open.pop()
    const file = this.#open.find((one) => path.startsWith(`${one}/`))
    if (file !== undefined) return `${JSON.stringify(file)} is a file in this version, and cannot be a folder, too`
    this.#open.push(path)
    return this.#folding.cases || this.#folding.forms ? this.#collision(path) : undefined
  }

  #collision(path: string): string | undefined {
    for (let one = path; one !== ''; one = directoryOf(one).slice(0, -1)) {
      const folded = this.#fold(one)
      const other = this.#folded.get(folded)
      if (other !== undefined && other !== one) return `this file system takes ${JSON.stringify(other)} for the same name`
      this.#folded.set(folded, one)
    }
    return undefined
  }

  #fold(path: string): string {
    const formed = this.#folding.forms ? path.normalize('NFC') : path
    return this.#folding.cases ? formed.toLowerCase() : formed
  }
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
