// Which addresses a redirect may not lead to: what is behind the same firewall as we are, and the services that clouds offer to their machines alone.
import { BlockList, isIP } from 'node:net'
import type { LookupFunction } from 'node:net'

// The special-purpose registries of IANA (RFC 6890), without what is reachable from everywhere.
const IPV4 = [
  '0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24', '192.168.0.0/16', '198.18.0.0/15',
  '224.0.0.0/4', '240.0.0.0/4',
]
// Unspecified, loopback and IPv4-compatible (::/96), discarded, local NAT64, Teredo, unique-local, link-local, site-local, multicast.
const IPV6 = ['::/96', '100::/64', '64:ff9b:1::/48', '2001::/32', 'fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8']

const PRIVATE = privateOnes()

function privateOnes(): BlockList {
  const list = new BlockList()
  for (const range of IPV4) {
    const [net = '', length = ''] = range.split('/')
    const [a = 0, b = 0, c = 0, d = 0] = net.split('.').map(Number)
    const pair = (high: number, low: number): string => (high * 256 + low).toString(16)
    list.addSubnet(net, Number(length), 'ipv4')
    // The same within IPv6: mapped, behind NAT64 and 6to4.
    list.addSubnet(`::ffff:${net}`, 96 + Number(length), 'ipv6')
    list.addSubnet(`64:ff9b::${net}`, 96 + Number(length), 'ipv6')
    list.addSubnet(`2002:${pair(a, b)}:${pair(c, d)}::`, 16 + Number(length), 'ipv6')
  }
  for (const range of IPV6) {
    const [net = '', length = ''] = range.split('/')
    list.addSubnet(net, Number(length), 'ipv6')
  }
  return list
}

/** True for an address that is not one of the public Internet, in whatever way it is written; a name is none. */
export function isPrivate(address: string): boolean {
  const plain = address.replace(/^\[|\]$/g, '').replace(/%.*$/, '')
  const family = isIP(plain)
  return family !== 0 && PRIVATE.check(plain, family === 4 ? 'ipv4' : 'ipv6')
}

/** Thrown into a connection that would have led to a private address. */
export class PrivateAddress extends Error {
  readonly address: string

  constructor(address: string) {
    super(`${address} is a private address`)
    this.address = address
  }
}

/**
 * A look-up that answers with what `lookup` found, or, when one of these addresses is private, with PrivateAddress. A socket connects to what its
 * look-up answered and asks no second time, so the address that is judged is the one that is connected to.
 */
export function publicOnly(lookup: LookupFunction): LookupFunction {
  return (host, options, answer) => {
    lookup(host, { ...options, all: true }, (error, found) => {
      const all = Array.isArray(found) ? found : []
      const bad = all.find(({ address }) => isPrivate(address))
      const [first] = all
      if (error !== null || first === undefined) answer(error ?? Object.assign(new Error(`no address of ${host}`), { code: 'ENOTFOUND' }), [])
      else if (bad !== undefined) answer(new PrivateAddress(bad.address), [])
      else if (options.all === true) answer(null, all)
      else answer(null, first.address, first.family)
    })
  }
}
