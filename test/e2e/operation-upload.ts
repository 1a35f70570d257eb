import { type Operation, refused, type Told } from './operation.ts'
import type { Platform } from './platform.ts'
import { readRows } from './whole-rows.ts'

/** What clients send by links. */
export interface Uploads {
  source: Operation
  slug: Operation
}

export function uploads(platform: Platform, app: string, archive: Buffer): Uploads {
  let id = ''
  const put = async (url: string): Promise<Told> => {
    id = new URL(url).pathname.split('/').at(-1) ?? ''
    const answer = await fetch(url, { method: 'PUT', body: archive }).catch(() => undefined)
    const { message } = answer?.ok === false ? ((await answer.json()) as { message: string }) : { message: '' }
    return answer?.ok ? { done: true, words: '' } : refused(message)
  }
  return {
    source: {
      async perform() {
        const { source_blob } = await platform.api<{ source_blob: { put_url: string } }>('POST', '/sources')
        return put(source_blob.put_url)
      },
      inEffect: async () => (await readRows(platform.data)).sources.find((row) => row.id === id)?.checksum != null,
    },
    slug: {
      async perform() {
        const body = { process_types: { web: 'perl server.pl' } }
        const { blob } = await platform.api<{ blob: { url: string } }>('POST', `/apps/${app}/slugs`, body)
        return put(blob.url)
      },
      inEffect: async () => (await readRows(platform.data)).slugs.find((row) => row.id === id)?.archive === 'ready',
    },
  }
}
