import { createHash, hash } from 'node:crypto'

const BITS = 256

/**
 * The set digest: the sum modulo 2^256 of the SHA-256 of each entry's length-prefixed (path, identity). Independent of order, unambiguous,
 * and moved by one addition per change. It guards against accidents, not against adversaries.
 */
export class SetDigest {
  #sum: bigint

  /** Starts from `varve1:<hex>`, or from the empty set. */
  constructor(text?: string) {
    this.#sum = text === undefined ? 0n : BigInt(`0x${text.slice('varve1:'.length)}`)
  }

  add(path: string, identity: string): void {
    this.#sum = BigInt.asUintN(BITS, this.#sum + term(path, identity))
  }

  remove(path: string, identity: string): void {
    this.#sum = BigInt.asUintN(BITS, this.#sum - term(path, identity))
  }

  /** Adds all that `other` stands for. */
  join(other: SetDigest): void {
    this.#sum = BigInt.asUintN(BITS, this.#sum + other.#sum)
  }

  /** `varve1:` and 64 hexadecimal digits. */
  toString(): string {
    return `varve1:${this.#sum.toString(16).padStart(64, '0')}`
  }
}

function term(path: string, identity: string): bigint {
  return BigInt(`0x${hash('sha256', `${Buffer.byteLength(path)}:${path}${identity}`, 'hex')}`)
}

/** A short stable name for a JSON-able value: what a watch's row keeps to see that its configuration changed. */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32)
}
