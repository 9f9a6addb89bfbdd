/** Anything that could read differently once decoded or tidied up: escapes, backslashes, dot segments, `//`. */
const AMBIGUOUS = /[%\\;]|\/\/|\/\./

/** Where a request line points, in pieces. */
export interface RequestTarget {
  /** Path and query, for the upstream and the agents. */
  readonly pathAndQuery: string
  /** Path without query, as sent. */
  readonly path: string
  /** The path as a server that decodes and resolves it sees it; the same string when nothing is to do. */
  readonly resolvedPath: string
  /** Only of the absolute form: it replaces the host header. */
  readonly authority: string | undefined
}

/** Takes a request target apart; a string says why it must be refused with 400. */
export function parseTarget(url: string): RequestTarget | string {
  if (url.charCodeAt(0) === 0x2f) return fromPath(url, undefined)
  const absolute = /^https?:\/\/([^/?#@\\]+)(?=[/?#]|$)/i.exec(url)
  if (absolute === null) return 'a target that is neither a path nor an http URL'
  const rest = url.slice(absolute[0].length)
  return fromPath(rest.startsWith('/') ? rest : `/${rest}`, absolute[1])
}

function fromPath(url: string, authority: string | undefined): RequestTarget | string {
  if (url.includes('#')) return 'a target with a fragment'
  const query = url.indexOf('?')
  const path = query < 0 ? url : url.slice(0, query)
  return {
    pathAndQuery: url,
    path,
    resolvedPath: AMBIGUOUS.test(path) ? resolvePath(path) : path,
    authority,
  }
}

/** Decodes escapes, turns backslashes, drops path parameters, merges slashes and resolves dot segments. */
export function resolvePath(path: string): string {
  const decoded = path
    .replace(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replaceAll('\\', '/')
  const kept: string[] = []
  const segments = decoded.split('/')
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1
    const bare = segment.includes(';') ? segment.slice(0, segment.indexOf(';')) : segment
    if (bare === '..') kept.pop()
    else if (bare !== '' && bare !== '.') kept.push(bare)
    if (isLast && (bare === '' || bare === '.' || bare === '..')) kept.push('')
  }
  return `/${kept.join('/')}`
}

/** `Example.com:80` to `example.com`; the brackets of an IPv6 address stay. */
export function hostWithoutPort(host: string): string {
  const colon = host.lastIndexOf(':')
  const name = colon > host.lastIndexOf(']') ? host.slice(0, colon) : host
  return name.toLowerCase()
}
