import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { extract } from 'tar-stream'

interface Wanted {
  /** At the top of the archive. */
  name: string
  most: number
  /** What is thrown when it has more bytes. */
  beyond: () => Error
}

/** The text of one plain file of a tar that we have received; undefined when it is not there. Nothing of the archive is unpacked. */
export async function fileIn(tar: string, { name, most, beyond }: Wanted): Promise<string | undefined> {
  const entries = extract()
  let text: string | undefined
  entries.on('entry', (header, content, next) => {
    content.on('end', next)
    // The archive's own error is told of by the pipeline.
    content.on('error', () => {})
    const found = header.type === 'file' && header.name.replace(/^\.\//, '') === name
    if (text !== undefined || !found) return void content.resume()
    if ((header.size ?? 0) > most) return void entries.destroy(beyond())
    const chunks: Buffer[] = []
    content.on('data', (chunk) => chunks.push(chunk as Buffer))
    content.on('end', () => {
      text = Buffer.concat(chunks).toString('utf8')
    })
  })
  await pipeline(createReadStream(tar), entries)
  return text
}
