import { isIPv4 } from 'node:net'
import { metadata } from '../metadata.ts'
import { ANY_BRIDGE, bridgePrefix, buildBridgeOf, shortOf } from './spec.ts'

/** What dynos and builds may reach beside their own app and the internet. */
export interface Reach {
  /** The /16 that networks of apps are cut from. */
  pool: string
  /** Of this machine: apps call one another by their public URLs. */
  routerPorts: number[]
  /** The operator's exceptions from whatever is closed, and what is closed beside it. */
  allow: Destination[]
  deny: Destination[]
}

export interface Destination {
  /** IPv4, with or without `/n`. */
  network: string
  /** TCP and UDP; all when there is none. */
  port?: number
}

/** The table of one installation; another one's is not touched. */
export const tableOf = (installation: string): string => `sluice_${shortOf(installation)}`

const REJECT = 'counter reject with icmpx admin-prohibited'

/**
 * The whole firewall of an installation, for `nft -f`, which puts it in the place of the former one in one transaction. Its chains come
 * before those of the engine, which takes its own out for moments whenever a network comes or goes; what they let pass the engine's still
 * judge. There are as many rules for a thousand apps as for one.
 *
 * Packets of connections that exist pass; so answers come back, and what follows is asked once a connection. What does not come from a dyno or
 * a build is nobody's business here.
 */
export function ruleset(installation: string, { pool, routerPorts, allow, deny }: Reach): string {
  const table = tableOf(installation)
  const ours = `"${bridgePrefix(installation)}*"`
  // Networks of apps that are older than the names of our bridges are known by their addresses.
  const from = [`iifname ${ours}`, `ip saddr ${pool}`]
  const chain = (name: string, lines: string[]) => [`  chain ${name} {`, ...lines.map((line) => `    ${line}`), '  }']
  return [
    // Declared first, because only what is there can be deleted.
    `table inet ${table}`,
    `delete table inet ${table}`,
    `table inet ${table} {`,
    ...chain('forward', [
      'type filter hook forward priority filter - 1; policy accept;',
      'ct state established,related accept',
      ...from.map((ours) => `${ours} jump outside`),
    ]),
    ...chain('input', [
      'type filter hook input priority filter - 1; policy accept;',
      'ct state established,related accept',
      // This machine to itself, by its address in a network of ours.
      'iifname "lo" accept',
      ...from.map((ours) => `${ours} jump machine`),
    ]),
    ...chain('outside', [
      `oifname "${buildBridgeOf(installation)}" ${REJECT}`,
      // From an app to itself: what comes in by a bridge and would go out by it again.
      'fib daddr . iif oif exists accept',
      `oifname "${ANY_BRIDGE}*" ${REJECT}`,
      `ip daddr ${pool} ${REJECT}`,
      ...everywhere(allow),
      `ip daddr { ${metadata.ipv4.join(', ')} } ${REJECT}`,
      ...deny.map((one) => `${matching(one)} ${REJECT}`),
    ]),
    ...chain('machine', [...everywhere(allow), `tcp dport { ${routerPorts.join(', ')} } accept`, REJECT]),
    '}',
    '',
  ].join('\n')
}

/** IPv6 is nowhere. Name servers are anywhere: some clouds have theirs at a metadata address. */
const everywhere = (allow: Destination[]): string[] => [
  `meta nfproto ipv6 ${REJECT}`,
  'meta l4proto { tcp, udp } th dport 53 accept',
  ...allow.map((one) => `${matching(one)} accept`),
]

const matching = ({ network, port }: Destination): string =>
  `ip daddr ${network}${port === undefined ? '' : ` meta l4proto { tcp, udp } th dport ${port}`}`

/** `10.0.0.0/8,192.0.2.7:5432`: IPv4 addresses and networks, with or without a port. Throws, naming the setting, for anything else. */
export const parseDestinations = (setting: string, text: string): Destination[] =>
  text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map((entry) => {
      const [, address = '', bits, port] = /^([\d.]+)(?:\/(\d{1,2}))?(?::(\d{1,5}))?$/.exec(entry) ?? []
      if (!isIPv4(address) || Number(bits ?? 32) > 32 || Number(port ?? 1) < 1 || Number(port ?? 1) > 65_535)
        throw new Error(
          `${setting} has "${entry}"; it must be IPv4 addresses and networks, each with or without a port, comma-separated: 10.0.0.0/8,192.0.2.7:5432.`,
        )
      const network = bits === undefined ? address : `${address}/${bits}`
      return port === undefined ? { network } : { network, port: Number(port) }
    })
