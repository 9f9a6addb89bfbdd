import { type BindAddress, formatAddress, formatEndpoint, isLoopback } from './addresses.ts'
import type { ConfigDocument } from './document.ts'
import type { Report } from './problem.ts'
import { secretIn } from './redact.ts'
import type { ConfigInput } from './schema.ts'

/** What may be meant as it is, and is better known: the file is valid. */
export function cautions(input: ConfigInput, document: ConfigDocument, warn: Report): void {
  for (const name of Object.keys(input.agents ?? {})) {
    const path = ['agents', name, 'config']
    const secret = secretIn(document.value, path)
    const way = secret === undefined ? undefined : openWay(name, input)
    if (secret !== undefined && way !== undefined)
      warn(
        secret,
        `is sent ${way} in clear, and whoever is between here and there can read it; use TLS, a loopback address or a Unix socket`,
      )
  }
}

/** How the configuration of an agent leaves this machine without encryption; undefined: it does not. */
function openWay(name: string, { agents, listen }: ConfigInput): string | undefined {
  const { endpoint, reverse } = agents![name]!
  if (endpoint?.kind === 'grpc') {
    const isOpen = endpoint.security === 'plaintext' && isRemote({ ...endpoint, kind: 'tcp' })
    return isOpen ? `to ${formatEndpoint(endpoint)}` : undefined
  }
  if (reverse === undefined) return undefined
  const addresses = (listen.reverse ?? []).map((entry) => ('address' in entry ? entry.address : entry))
  const open = addresses.find((address) => address.kind === 'tcp' && isRemote(address))
  return open && `to whoever dials in at listen.reverse ${formatAddress(open)}`
}

function isRemote(address: BindAddress): boolean {
  return !isLoopback(address)
}
