import type { SkipReason } from '../../model/entry.ts'
import type { Location } from '../../model/location.ts'
import type { Root } from '../storage.ts'
import type { Piece, PieceTask, Read, ReadTask, StandTask, Walked, WalkTask } from './pack.ts'

/** Calls at once where each waits for a server. A wait of 1 ms then costs 16 µs, about what a call costs the processor; more threads would wait for that. */
export const CALLS_AT_ONCE = 64

/** What is to be told of a root. */
export interface RootTask {
  readonly kind: 'root'
  readonly location: Location
  readonly marker?: string
}

/** The file or folder that a path leads to is to be looked at. */
export interface StatTask {
  readonly kind: 'stat'
  readonly path: string
}

/** The real path of a file or folder is to be told. */
export interface RealTask {
  readonly kind: 'real'
  readonly path: string
}

/** What lies there; `kind` is absent for a regular file. */
export interface Stated {
  readonly kind?: SkipReason | 'directory'
  readonly size: bigint
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
  readonly ino: bigint
}

/** What looks at files for a store: threads of this process for local disks, a process of its own for what may hang. All throw VarveError. */
export interface Hands {
  /** How many tasks keep it busy. */
  readonly width: number
  /** There will be work, for `count` or all: what takes time to start may start now. */
  warm(count?: number): void
  root(task: RootTask): Promise<Root>
  stat(task: StatTask): Promise<Stated>
  walk(task: WalkTask): Promise<Walked>
  read(task: ReadTask): Promise<Read>
  /** Outcome `read` for each regular file, with its numbers and no digest; `torn` where nothing could be told. */
  stand(task: StandTask): Promise<Read>
  /** Resolves soon, whatever hangs; tasks that are not done reject. */
  close(): Promise<void>
}

/** Those of a process of its own, which reads what must not be opened in this one. */
export interface FarHands extends Hands {
  /** Throws NOT_FOUND for what is no regular file. */
  piece(task: PieceTask): Promise<Piece>
  /** Throws LOCATION_MISSING for what is not there. */
  real(task: RealTask): Promise<string>
}
