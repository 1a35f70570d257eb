import { broken } from './source.ts'

/** Reads a stream in pieces of given sizes. */
export class Blocks {
  readonly #source: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** So many bytes, or fewer at the end. */
  async take(size: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    for (let missing = size; missing > 0; ) {
      const piece = await this.#next(missing)
      if (piece === undefined) break
      pieces.push(piece)
      missing -= piece.length
    }
    return Buffer.concat(pieces)
  }

  async *pass(size: number): AsyncGenerator<Buffer> {
    for (let missing = size; missing > 0; ) {
      const piece = await this.#next(missing)
      if (piece === undefined) throw broken('It ends early.')
      missing -= piece.length
      yield piece
    }
  }

  async skip(size: number): Promise<void> {
    for await (const _ of this.pass(size));
  }

  async drain(): Promise<void> {
    for (let more = true; more; ) more = (await this.#source.next()).done !== true
  }

  async close(): Promise<void> {
    await this.#source.return?.()
  }

  async #next(most: number): Promise<Buffer | undefined> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#source.next()
      if (done) return undefined
      this.#rest = value
    }
    const piece = this.#rest.subarray(0, most)
    this.#rest = this.#rest.subarray(piece.length)
    return piece
  }
}
