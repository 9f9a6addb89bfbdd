import { WeirError } from '../core/errors.ts'

/** Where an agent can be dialed. */
export type Endpoint =
  | { readonly kind: 'uds'; readonly path: string }
  | { readonly kind: 'v1'; readonly path: string }
  | { readonly kind: 'grpc'; readonly host: string; readonly port: number; readonly security: GrpcSecurity }

/** `explicit-tls` (https://) works only with TLS options given: the origin accepts that scheme and then fails. */
export type GrpcSecurity = 'plaintext' | 'tls' | 'explicit-tls'

/** Where agents that dial in, or proxies, reach us. */
export type BindAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp' | 'tls'; readonly host: string; readonly port: number }

const GRPC_SCHEMES: Readonly<Record<string, GrpcSecurity>> = {
  'grpc:': 'plaintext',
  'http:': 'plaintext',
  'grpcs:': 'tls',
  'https:': 'explicit-tls',
}
const EXAMPLES = 'unix:/run/agent.sock, grpc://host:port, grpcs://host:port or v1:unix:/run/agent.sock'

/**
 * Reads an agent's endpoint: `unix:path`, a path, `*.sock` (Unix socket), `grpc://`, `http://` (plain gRPC),
 * `grpcs://` (gRPC over TLS), `v1:unix:path` (legacy framing).
 * @throws WeirError INVALID_ARGUMENT
 */
export function parseEndpoint(text: string): Endpoint {
  if (text.startsWith('v1:')) return { kind: 'v1', path: pathOf(text, text.slice(3)) }
  if (text.startsWith('unix:')) return { kind: 'uds', path: pathOf(text, text) }
  const scheme = /^([a-z]+:)\/\//.exec(text)?.[1]
  const security = scheme === undefined ? undefined : GRPC_SCHEMES[scheme]
  if (security !== undefined) return { kind: 'grpc', security, ...authorityOf(text) }
  if (scheme === undefined && (text.startsWith('/') || text.endsWith('.sock')))
    return { kind: 'uds', path: pathOf(text, text) }
  const hint = /^[^/]+:\d+$/.test(text) ? `; write grpc://${text}` : ''
  throw invalid(text, `is not an endpoint${hint}`, EXAMPLES)
}

/**
 * Reads an address to listen on or to dial in to: `unix:path`, a path, `tcp://host:port`, `tls://host:port`.
 * @throws WeirError INVALID_ARGUMENT
 */
export function parseBindAddress(text: string): BindAddress {
  if (text.startsWith('unix:') || text.startsWith('/')) return { kind: 'unix', path: pathOf(text, text) }
  if (text.startsWith('tcp://')) return { kind: 'tcp', ...authorityOf(text) }
  if (text.startsWith('tls://')) return { kind: 'tls', ...authorityOf(text) }
  throw invalid(text, 'is not an address', 'unix:/run/agents.sock, tcp://host:port or tls://host:port')
}

/** Largest path that a Unix socket address holds on Linux, bytes. */
const MAX_SOCKET_PATH_BYTES = 107

function pathOf(text: string, value: string): string {
  const path = value.startsWith('unix://')
    ? value.slice(7)
    : value.startsWith('unix:')
      ? value.slice(5)
      : value
  if (path === '') throw invalid(text, 'names no socket file', 'unix:/run/agent.sock')
  const length = Buffer.byteLength(path)
  if (length > MAX_SOCKET_PATH_BYTES)
    throw invalid(
      text,
      `is ${length} bytes long, a socket path has at most ${MAX_SOCKET_PATH_BYTES}`,
      'a shorter path',
    )
  return path
}

function authorityOf(text: string): { host: string; port: number } {
  let url: URL
  try {
    /* A scheme that URL treats as special, so that the host is checked and the port is not dropped. */
    url = new URL(text.replace(/^[a-z]+:/, 'ws:'))
  } catch (error) {
    throw invalid(text, 'has no valid host and port', EXAMPLES, error)
  }
  const rest = url.pathname + url.search + url.hash + url.username + url.password
  if (rest !== '/') throw invalid(text, 'has more than host and port', EXAMPLES)
  const port = /:(\d+)\/?$/.exec(text)?.[1]
  if (port === undefined) throw invalid(text, 'has no port', `${text.replace(/\/$/, '')}:50051`)
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
  return { host, port: Number(port) }
}

function invalid(text: string, what: string, fix: string, cause?: unknown): WeirError {
  return new WeirError('INVALID_ARGUMENT', `"${text}" ${what}; expected: ${fix}`, { cause })
}
