/**
 * The door of `restore`: bytes back, exactly or not at all (law 9). Every byte that is put into place was digested on its way; what cannot come back is known before anything is
 * written, as far as stores show it, and is told by path and reason in one error: LOST, whatever the scheme.
 */
export { get } from './get.ts'
export { verify } from './check.ts'
export type { GetWish, Parts, Progress, Report, Step, Tell, Verified, Wish } from './terms.ts'
export type { Way } from './local.ts'
export type { Proof } from './verify.ts'
