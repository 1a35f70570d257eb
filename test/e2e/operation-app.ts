import { once } from 'node:events'
import { connect } from 'node:tls'
import { make } from '../integration/chains.ts'
import { either, type Operation, refused, type Told, telling } from './operation.ts'
import { answers } from './operation-push.ts'
import type { Platform } from './platform.ts'
import type { Source } from './source.ts'
import { waitFor } from './wait.ts'

/** What is done to apps as such: they are made, named, given code of another, reached under domains, and destroyed. */
export interface Life {
  create: Operation
  rename: Operation
  /** To an app that is new, so that its network is made too. */
  promote: Operation
  destroy: Operation
  addDomain: Operation
  removeDomain: Operation
  replaceCertificate: Operation
}

/** `app` has been deployed from `source`, and is not changed but for its domains. */
export async function life(platform: Platform, app: string, source: Source): Promise<Life> {
  const { api } = platform
  const { id: pipeline } = await api<{ id: string }>('POST', '/pipelines', { name: app })
  await api('POST', '/pipeline-couplings', { app, pipeline, stage: 'staging' })
  const { id: from } = await api<{ id: string }>('GET', `/apps/${app}`)
  let number = 0
  /** Made of the code of `app`, in a pipeline with it. */
  const promoteTo = async (name: string): Promise<Told> => {
    const { id } = await api<{ id: string }>('POST', '/apps', { name })
    await api('POST', '/pipeline-couplings', { app: name, pipeline, stage: 'production' })
    const body = { pipeline: { id: pipeline }, source: { app: { id: from } }, targets: [{ app: { id } }] }
    const promoted = api<{ id: string }>('POST', '/pipeline-promotions', body)
    return promoted.then(
      (promotion) => promotionEnd(platform, promotion.id),
      (error) => telling(Promise.reject(error)),
    )
  }
  const host = () => `www-${number}.example.com`
  const reaches = async (name: string) => (await platform.request(app, '/', { headers: { host: name } })).status === 200

  let name = ''
  return {
    create: {
      perform() {
        name = `made-${++number}`
        return telling(api('POST', '/apps', { name }))
      },
      inEffect: () => exists(platform, name),
    },
    rename: {
      async perform() {
        const old = `named-${number}`
        if (!(await exists(platform, old))) await promoteTo(old)
        name = `named-${++number}`
        return telling(api('PATCH', `/apps/${old}`, { name }))
      },
      inEffect: async () => (await exists(platform, name)) && (await platform.request(name)).status === 200,
    },
    promote: {
      perform: () => {
        name = `given-${++number}`
        return promoteTo(name)
      },
      inEffect: async () => (await platform.releases(name)).length === 2 && (await answers(platform, name)) === 'v1',
    },
    destroy: destruction(platform, source),
    addDomain: {
      perform() {
        number++
        return telling(api('POST', `/apps/${app}/domains`, { hostname: host(), sni_endpoint: null }))
      },
      inEffect: () => reaches(host()),
    },
    removeDomain: {
      async perform() {
        number++
        await api('POST', `/apps/${app}/domains`, { hostname: host(), sni_endpoint: null })
        await waitFor('the domain to be served', () => reaches(host()))
        return telling(api('DELETE', `/apps/${app}/domains/${host()}`))
      },
      inEffect: async () => !(await reaches(host())),
    },
    replaceCertificate: await certificate(platform, app),
  }
}

/** Of an app that was pushed to. */
export function destruction(platform: Platform, source: Source): Operation {
  let number = 0
  let name = ''
  return {
    async ready() {
      name = `gone-${++number}`
      await platform.createApp(name)
      const { code, output } = await platform.push(source, name)
      if (code !== 0) throw new Error(output)
    },
    perform: () => telling(platform.api('DELETE', `/apps/${name}`)),
    inEffect: async () => !(await exists(platform, name)),
  }
}

const exists = ({ api }: Platform, app: string): Promise<boolean> =>
  api('GET', `/apps/${app}`).then(
    () => true,
    () => false,
  )

/** Who asked for it looks until all is told, also over a death of the daemon. */
async function promotionEnd(platform: Platform, promotion: string): Promise<Told> {
  interface Target {
    status: string
    error_message: string | null
  }
  const targets = await waitFor('the promotion to end', async () => {
    const targets = await platform.api<Target[]>('GET', `/pipeline-promotions/${promotion}/promotion-targets`)
    return targets.every(({ status }) => status !== 'pending') && targets
  })
  const failed = targets.find(({ status }) => status === 'failed')
  return failed ? refused(failed.error_message ?? '') : { done: true, words: '' }
}

const SECURED = 'secured.example.com'

/** The chain and key of an endpoint with one domain are replaced; routers show another one from then on. */
async function certificate(platform: Platform, app: string): Promise<Operation> {
  let number = 0
  const endpoints = `/apps/${app}/sni-endpoints`
  const subject = () => `certificate-${number}`
  const body = async () => {
    const { cert, key } = await make({ subject: `CN=${subject()}`, names: [SECURED] })
    return { certificate_chain: cert, private_key: key }
  }
  const shown = async (): Promise<string> => {
    const to = { host: '127.0.0.1', port: platform.ports.tls, servername: SECURED, rejectUnauthorized: false }
    const socket = connect(to)
    await once(socket, 'secureConnect')
    const { subject } = socket.getPeerCertificate()
    socket.destroy()
    return String(subject.CN)
  }
  const { name } = await platform.api<{ name: string }>('POST', endpoints, await body())
  await platform.api('POST', `/apps/${app}/domains`, { hostname: SECURED, sni_endpoint: name })
  let before = ''
  return {
    async perform() {
      before = subject()
      number++
      return telling(platform.api('PATCH', `${endpoints}/${name}`, await body()))
    },
    inEffect: async () => either(await shown(), { before, after: subject() }),
  }
}
