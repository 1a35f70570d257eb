/** One message of the engine's multiplexed streams: https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach */
export interface Frame {
  stream: 'stdout' | 'stderr'
  data: Buffer
}

const HEADER = 8

/** Takes a multiplexed stream apart: gives the frames that a chunk completes, and holds what it has begun. */
export function createFraming(): (chunk: Buffer) => Frame[] {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk) => {
    const buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const found: Frame[] = []
    let start = 0
    while (buffer.length - start >= HEADER) {
      const end = start + HEADER + buffer.readUInt32BE(start + 4)
      if (buffer.length < end) break
      found.push({ stream: buffer[start] === 2 ? 'stderr' : 'stdout', data: buffer.subarray(start + HEADER, end) })
      start = end
    }
    rest = buffer.subarray(start)
    return found
  }
}

/** Splits a multiplexed stream. Reads no further than its consumer, so a slow reader slows the writer. */
export async function* frames(stream: AsyncIterable<Buffer | string>): AsyncGenerator<Frame> {
  const take = createFraming()
  for await (const chunk of stream) for (const frame of take(Buffer.from(chunk))) yield frame
}
