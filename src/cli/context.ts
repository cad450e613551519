import type { ChildProcess } from 'node:child_process'
import type { Config, Environment } from '../config.ts'
import type { LookParts, Tell } from '../daemon/daemon.ts'
import type { Clock } from '../model/clock.ts'
import type { Examination, Policy } from '../model/probe.ts'
import type { Watch } from '../model/watch.ts'
import type { Location } from '../model/location.ts'
import type { Aside, Fault, Registry } from '../registry/registry.ts'
import type { Parts, Progress } from '../restore/restore.ts'
import type { Access, Inventory } from '../storage/storage.ts'
import type { Screen } from './screen.ts'

/** What every command is handed. */
export interface Context {
  readonly screen: Screen
  readonly surroundings: Environment
  readonly clock: Clock
  /** Stdin, opened when it is first asked for. */
  input(): AsyncIterable<Uint8Array>
  /** Aborts at SIGINT, SIGTERM, or when nobody reads stdout any more (EPIPE); the reason is that name. */
  readonly signal: AbortSignal
  readonly opener: Opener
  /** Starts this very command in a process of its own, which is sent the name of each signal (main.ts); undefined in such a one. */
  readonly apart?: () => ChildProcess
  /** How to call Varve again from here: `varve`, or what works in a checkout. */
  readonly self: string
}

/** Opens what a command drives. What it opened is the command's to close. */
export interface Opener {
  /** The registry in `folder`. With `create` false it throws NOT_FOUND, and makes nothing, where there is none. */
  registry(folder: string, create: boolean): Promise<Registry>
  /** A registry for `folder` that is there only once it is kept; undefined where there is one. */
  registryAside(folder: string): Promise<Aside | undefined>
  /** How long (ms) this machine may not see what another changed at a watch's location, Infinity where nobody knows; undefined where all is heard or asked anew. */
  lagMs(watch: Watch): Promise<number | undefined>
  /** Writes the registry in `folder` to a new file, whole and checked. */
  backup(folder: string, file: string): Promise<void>
  /** Puts the backup `file` in the place of the registry in `folder`; with `force` answers where the one that was there is kept. */
  restoreRegistry(folder: string, file: string, force: boolean): Promise<{ readonly kept?: string }>
  /** What is wrong in the registry in `folder`: nothing in a sound one. */
  fsck(folder: string): AsyncIterable<Fault>
  /** True while a daemon works on `folder`. */
  daemonRuns(folder: string): Promise<boolean>
  /** For a scan of a watch that is to come soon: starts what takes a moment to start. */
  warm(watch: Watch): Promise<void>
  /** What one look in this process needs. */
  lookParts(registry: Registry, tell: Tell, verbose: boolean): LookParts
  /** What a restore in this process works with; `folder` is that of the registry. */
  restoreParts(registry: Registry, folder: string, accessOf: (location: Location) => Access, progress: (done: Progress) => void): Parts
  /** What tells whether the mount answers on which a folder lies, is to be made, or has some below it; undefined for local disks. Asks nothing that may hang. */
  shore(folder: string): Promise<Shore | undefined>
  /** What a place keeps of older object versions; undefined where it keeps none. */
  openInventory(location: Location, access: Access): Promise<Inventory | undefined>
  /** What globs let through, as those of a watch do. */
  filter(include: readonly string[], exclude: readonly string[]): Promise<(path: string) => boolean>
  /** Asks a running daemon to look at a watch now rather than at its next sweep. Never rejects: false, with a note that says why, where only the sweep will. */
  wake(config: Config, registry: Registry, watch: string): Promise<boolean>
  /** The whole loop. Throws REGISTRY_REFUSED when another daemon works on the same folder, LISTEN_REFUSED when it cannot listen where it must. */
  daemon(config: Config, tell: Tell): Promise<Daemon>
  /** What there is to ask for these watches, in their order, and then for what all share. Asks nothing yet. */
  examinations(config: Config, watches: readonly Watch[]): Promise<readonly Examination[]>
  /** The least that providers must allow for these watches. */
  policies(watches: readonly Watch[]): Promise<readonly Policy[]>
}

/** A mount that may hang. */
export interface Shore {
  /** Resolves when it has answered. Throws STORAGE_UNAVAILABLE when it was silent for too long. */
  ask(): Promise<void>
  close(): Promise<void>
}

/** An opened daemon. */
export interface Daemon {
  readonly registry: Registry
  /** Where it listens: `http://127.0.0.1:7373`; undefined: nowhere. */
  readonly url?: string
  /** Resolves when `signal` has aborted and the running looks have stopped. */
  run(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** The options that more than one command takes. */
export interface Options {
  readonly config?: string
  readonly data?: string
  readonly json?: boolean
  readonly verbose?: boolean
}
