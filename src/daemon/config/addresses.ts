import { type BindAddress, type Endpoint, parseBindAddress, parseEndpoint } from '../../transport/endpoint.ts'

/** A place to listen at. */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export type { BindAddress, Endpoint }

/** Bytes of a Unix socket path that Linux takes, without the final NUL (`sun_path`, unix(7)). */
export const MAX_SOCKET_PATH_BYTES = 107

/** `127.0.0.1:8080`, `[::1]:8080` or `unix:./path.sock`; undefined when it is none of these. */
export function parseAddress(text: string): Address | undefined {
  const bound = orUndefined(parseBindAddress, text.startsWith('unix:') ? text : `tcp://${text}`)
  if (bound === undefined || bound.kind === 'unix') return bound
  return { kind: 'tcp', host: bound.host, port: bound.port }
}

/** `unix:path`, `tcp://host:port` or `tls://host:port`; undefined when it is none of these. */
export function parseReverseAddress(text: string): BindAddress | undefined {
  return orUndefined(parseBindAddress, text)
}

/** Where an agent is dialed; undefined when it is no endpoint. */
export function parseAgentEndpoint(text: string): Endpoint | undefined {
  const endpoint = orUndefined(parseEndpoint, text)
  return endpoint?.kind === 'grpc' && endpoint.port === 0 ? undefined : endpoint
}

export function formatAddress(address: BindAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  const place = hostPort(address.host, address.port)
  return address.kind === 'tls' ? `tls://${place}` : place
}

export function formatEndpoint(endpoint: Endpoint): string {
  if (endpoint.kind === 'uds') return `unix:${endpoint.path}`
  if (endpoint.kind === 'v1') return `v1:unix:${endpoint.path}`
  const scheme = { plaintext: 'grpc', tls: 'grpcs', 'explicit-tls': 'https' }[endpoint.security]
  return `${scheme}://${hostPort(endpoint.host, endpoint.port)}`
}

export function isLoopback(address: BindAddress): boolean {
  if (address.kind === 'unix') return true
  return address.host === 'localhost' || address.host === '::1' || /^127(\.\d{1,3}){3}$/.test(address.host)
}

function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function orUndefined<T>(parse: (text: string) => T, text: string): T | undefined {
  try {
    return parse(text)
  } catch {
    return undefined
  }
}
