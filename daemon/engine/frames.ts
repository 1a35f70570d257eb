/** One message of the engine's multiplexed streams: https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach */
export interface Frame {
  stream: 'stdout' | 'stderr'
  data: Buffer
}

const HEADER = 8

/** Splits a multiplexed stream. Reads no further than its consumer, so a slow reader slows the writer. */
export async function* frames(stream: AsyncIterable<Buffer | string>): AsyncGenerator<Frame> {
  let buffer: Buffer = Buffer.alloc(0)
  for await (const chunk of stream) {
    buffer = buffer.length === 0 ? Buffer.from(chunk) : Buffer.concat([buffer, Buffer.from(chunk)])
    let start = 0
    while (buffer.length - start >= HEADER) {
      const end = start + HEADER + buffer.readUInt32BE(start + 4)
      if (buffer.length < end) break
      yield { stream: buffer[start] === 2 ? 'stderr' : 'stdout', data: buffer.subarray(start + HEADER, end) }
      start = end
    }
    buffer = buffer.subarray(start)
  }
}
