/** The door of `api`: how programs ask. A listener that answers whether the daemon is well and what it counts, and takes what stores post. */
import type { Health, Log } from '../daemon/daemon.ts'

/** What is posted to `path` of the listener goes here. */
export interface Hook {
  readonly path: string
  /** Before the body is read: the status to refuse with, or undefined. Never rejects. */
  refusal(authorization: string | undefined): Promise<number | undefined>
  /** The status to answer when the body has been dealt with. Never rejects. */
  tell(body: Uint8Array): Promise<number>
}

export interface ListenOrder {
  readonly host: string
  /** 0: whichever is free. */
  readonly port: number
  readonly hooks: readonly Hook[]
  readonly health: Health
  /** What `/metrics` answers, as Prometheus reads it. */
  metrics(): Promise<string>
  readonly log: Log
}

/** What listens. */
export interface Listener {
  /** `http://127.0.0.1:7373`. */
  readonly url: string
  /** Takes nothing more; resolves when what was under way is answered, or was given up after some seconds. */
  close(): Promise<void>
}
