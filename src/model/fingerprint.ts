const scratch = new BigInt64Array(3)
const scratchBytes = Buffer.from(scratch.buffer)

/** mtime, ctime and inode of a file as text: the same text and the same size mean that it was not touched. */
export function fingerprintOf(stat: { readonly mtimeNs: bigint; readonly ctimeNs: bigint; readonly ino: bigint }): string {
  scratch[0] = stat.mtimeNs
  scratch[1] = stat.ctimeNs
  scratch[2] = stat.ino
  return scratchBytes.toString('base64')
}
