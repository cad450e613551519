const scratch = new BigInt64Array(3)
const scratchBytes = Buffer.from(scratch.buffer)

/** mtime, ctime and inode of a file as text: the same text and the same size mean that it was not touched. */
export function fingerprintOf(stat: { readonly mtimeNs: bigint; readonly ctimeNs: bigint; readonly ino: bigint }): string {
  scratch[0] = stat.mtimeNs
  scratch[1] = stat.ctimeNs
  scratch[2] = stat.ino
  return scratchBytes.toString('base64')
}

/** True when two fingerprints are of one file that was not written to, though links to it may have come and gone. */
export function sameFile(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one, 'base64'), Buffer.from(other, 'base64')]
  const ends = (bytes: Buffer): string => bytes.toString('latin1', 0, 8) + bytes.toString('latin1', 16, 24)
  return a.length === scratchBytes.length && b.length === a.length && ends(a) === ends(b)
}
