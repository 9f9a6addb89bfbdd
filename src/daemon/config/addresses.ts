/** A place to listen at. `path` as written; the loader makes it absolute. */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** Where agents dial in. */
export type ReverseAddress = Address | { readonly kind: 'tls'; readonly host: string; readonly port: number }

/** Where an agent is dialed. */
export type Endpoint =
  | { readonly kind: 'grpc'; readonly host: string; readonly port: number; readonly isTls: boolean }
  | { readonly kind: 'unix'; readonly path: string }

/** Bytes of a Unix socket path that Linux takes, without the final NUL (`sun_path`, unix(7)). */
export const MAX_SOCKET_PATH_BYTES = 107

/** `127.0.0.1:8080`, `[::1]:8080` or `unix:./path.sock`; undefined when it is none of these. */
export function parseAddress(text: string): Address | undefined {
  if (text.startsWith('unix:')) return parseUnix(text)
  const place = parseHostPort(text)
  return place === undefined ? undefined : { kind: 'tcp', ...place }
}

/** `unix:path`, `tcp://host:port` or `tls://host:port`; undefined when it is none of these. */
export function parseReverseAddress(text: string): ReverseAddress | undefined {
  if (text.startsWith('unix:')) return parseUnix(text)
  const [, scheme, rest] = /^(tcp|tls):\/\/(.+)$/.exec(text) ?? []
  const place = rest === undefined ? undefined : parseHostPort(rest)
  return place === undefined ? undefined : { kind: scheme === 'tls' ? 'tls' : 'tcp', ...place }
}

/** `grpc://host:port`, `grpcs://host:port` or `unix:path`; undefined when it is none of these. */
export function parseEndpoint(text: string): Endpoint | undefined {
  if (text.startsWith('unix:')) return parseUnix(text)
  const [, scheme, rest] = /^(grpcs?):\/\/(.+)$/.exec(text) ?? []
  const place = rest === undefined ? undefined : parseHostPort(rest)
  if (place === undefined || place.port === 0) return undefined
  return { kind: 'grpc', isTls: scheme === 'grpcs', ...place }
}

export function formatAddress(address: ReverseAddress | Endpoint): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  if (address.kind === 'grpc') return `${address.isTls ? 'grpcs' : 'grpc'}://${host}:${address.port}`
  return address.kind === 'tls' ? `tls://${host}:${address.port}` : `${host}:${address.port}`
}

export function isLoopback(address: ReverseAddress): boolean {
  if (address.kind === 'unix') return true
  return address.host === 'localhost' || address.host === '::1' || /^127(\.\d{1,3}){3}$/.test(address.host)
}

function parseUnix(text: string): { kind: 'unix'; path: string } | undefined {
  const path = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '')
  return path === '' || path.includes('\0') ? undefined : { kind: 'unix', path }
}

function parseHostPort(text: string): { host: string; port: number } | undefined {
  const [, bracketed, plain, digits] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  const port = Number(digits)
  return host === undefined || port > 65_535 ? undefined : { host, port }
}
