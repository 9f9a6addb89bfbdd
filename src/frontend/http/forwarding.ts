import { BlockList, isIP } from 'node:net'
import { WeirError } from '../../core/errors.ts'
import type { Peer } from './client-message.ts'
import type { RequestShape } from './request-shape.ts'

/** The proxies whose x-forwarded-* headers are believed. */
export class TrustedProxies {
  readonly #ranges = new BlockList()
  readonly #isEmpty: boolean

  /** Throws INVALID_ARGUMENT for what is neither an address nor a CIDR range. */
  constructor(ranges: readonly string[]) {
    this.#isEmpty = ranges.length === 0
    for (const range of ranges) {
      const [, address = '', bits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(range) ?? []
      const family = isIP(address)
      if (family === 0) {
        throw new WeirError(
          'INVALID_ARGUMENT',
          `trustedProxies: "${range}" is neither an address nor a CIDR range; example: 10.0.0.0/8`,
        )
      }
      const type = family === 6 ? 'ipv6' : 'ipv4'
      const most = family === 6 ? 128 : 32
      const prefix = bits === undefined ? most : Number(bits)
      if (prefix > most) {
        throw new WeirError(
          'INVALID_ARGUMENT',
          `trustedProxies: "${range}" has a prefix length above ${most}; example: 10.0.0.0/8`,
        )
      }
      this.#ranges.addSubnet(address, prefix, type)
    }
  }

  has(address: string): boolean {
    if (this.#isEmpty) return false
    const family = isIP(address)
    return family !== 0 && this.#ranges.check(address, family === 6 ? 'ipv6' : 'ipv4')
  }
}

/** The client as the agents shall know it: the nearest address in x-forwarded-for that is no trusted proxy. */
export function clientAddress(peer: Peer, forwardedFor: string | undefined, trusted: TrustedProxies): string {
  if (!peer.isTrusted || forwardedFor === undefined) return peer.address
  const hops = forwardedFor.split(',')
  let nearest = peer.address
  for (let at = hops.length - 1; at >= 0; at--) {
    const hop = hops[at]!.trim()
    if (isIP(hop) === 0) break
    nearest = hop
    if (!trusted.has(hop)) break
  }
  return nearest
}

/**
 * Adds host, x-forwarded-for, -proto and -host, and `via` if it has a name, to the fields of a request. From a
 * trusted peer they are kept and appended to; anybody else's are replaced, and a `forwarded` header is dropped.
 */
export function addForwarding(
  fields: string[],
  shape: RequestShape,
  host: string,
  peer: Peer,
  via: string | undefined,
): void {
  const isTrusted = peer.isTrusted
  if (!isTrusted) dropForwarded(fields)
  const chain = isTrusted && shape.forwardedFor !== undefined ? `${shape.forwardedFor}, ` : ''
  fields.push('host', host, 'x-forwarded-for', chain + peer.address)
  fields.push('x-forwarded-proto', (isTrusted ? shape.forwardedProto : undefined) ?? 'http')
  fields.push('x-forwarded-host', (isTrusted ? shape.forwardedHost : undefined) ?? host)
  if (via !== undefined) fields.push('via', `1.1 ${via}`)
}

function dropForwarded(fields: string[]): void {
  for (let at = fields.length - 2; at >= 0; at -= 2) if (fields[at] === 'forwarded') fields.splice(at, 2)
}
