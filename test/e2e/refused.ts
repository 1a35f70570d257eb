import * as assert from 'uvu/assert'
import { Refusal } from './client.ts'

/** Asserts that the API refuses, with this status and in these words. */
export async function refused(work: Promise<unknown>, status: number, words: RegExp): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    assert.is(error.status, status, error.message)
    assert.match(error.message, words)
    return
  }
  assert.unreachable('it should have been refused')
}
