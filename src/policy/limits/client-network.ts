/**
 * The network that an address belongs to, as a bucket key: `10.1.2.3` with 24 bits is `10.1.2.0/24`. An IPv4
 * address inside IPv6 (`::ffff:10.1.2.3`) counts as IPv4. What is not an address is returned as it is, so
 * that it still has a bucket.
 */
export function clientNetwork(address: string, ipv4Bits: number, ipv6Bits: number): string {
  if (!address.includes(':')) return ipv4Network(address, ipv4Bits)
  const mapped = address.toLowerCase().startsWith('::ffff:') ? address.slice(7) : ''
  if (mapped.includes('.')) return ipv4Network(mapped, ipv4Bits)
  const groups = ipv6Groups(address)
  if (groups === undefined) return address
  const kept: string[] = []
  for (let index = 0; index < 8; index++) {
    const bits = Math.min(16, Math.max(0, ipv6Bits - index * 16))
    kept.push((groups[index]! & ((0xffff << (16 - bits)) & 0xffff)).toString(16))
  }
  return `${kept.join(':')}/${ipv6Bits}`
}

function ipv4Network(address: string, bits: number): string {
  if (bits === 32) return address
  const octets = address.split('.').map(Number)
  if (octets.length !== 4 || octets.some((octet) => !(octet >= 0 && octet <= 255))) return address
  const kept = octets.map((octet, index) => {
    const keptBits = Math.min(8, Math.max(0, bits - index * 8))
    return octet & ((0xff << (8 - keptBits)) & 0xff)
  })
  return `${kept.join('.')}/${bits}`
}

function ipv6Groups(address: string): number[] | undefined {
  const [plain = ''] = address.split('%')
  const halves = plain.split('::')
  if (halves.length > 2) return undefined
  const head = parseGroups(halves[0]!)
  const tail = halves.length === 2 ? parseGroups(halves[1]!) : []
  const missing = 8 - head.length - tail.length
  if (missing < 0 || (halves.length === 1 && missing !== 0)) return undefined
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail]
  return groups.every((group) => group >= 0 && group <= 0xffff) ? groups : undefined
}

function parseGroups(part: string): number[] {
  return part === '' ? [] : part.split(':').map((group) => (group === '' ? -1 : Number(`0x${group}`)))
}
