/** Memory that `joined` has taken, of which the rest is free. */
const ours = new WeakSet<ArrayBufferLike>()

/**
 * A chunk behind what is kept of those before it. Room doubles, so that n bytes in n pieces cost n copies and not n². Of what it returned
 * the front may be cut off and handed on; nothing is ever written there again.
 */
export function joined(kept: Buffer | null, chunk: Buffer): Buffer {
  if (kept === null) return chunk
  const { buffer, byteOffset, length } = kept
  const whole = length + chunk.length
  if (ours.has(buffer) && byteOffset + whole <= buffer.byteLength) {
    const grown = Buffer.from(buffer, byteOffset, whole)
    chunk.copy(grown, length)
    return grown
  }
  const room = new ArrayBuffer(whole * 2)
  ours.add(room)
  const moved = Buffer.from(room, 0, whole)
  kept.copy(moved)
  chunk.copy(moved, length)
  return moved
}
