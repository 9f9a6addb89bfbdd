import type { RequestHeadersEvent } from '../../core/event.ts'
import type { SessionKeySource } from '../../frontend/http/options.ts'
import { headerOf } from '../../sdk/header-of.ts'

/** The session a proxy's request belongs to, by the same rule as the HTTP front end's. */
export function sessionKeyOf(source: SessionKeySource, event: RequestHeadersEvent): string | undefined {
  switch (source.from) {
    case 'client-address':
      return event.metadata.clientIp
    case 'header':
      return headerOf(event.headers, source.name)
    case 'cookie':
      return cookieOf(headerOf(event.headers, 'cookie') ?? '', source.name)
  }
}

function cookieOf(header: string, name: string): string | undefined {
  for (const part of header.split(';')) {
    const at = part.indexOf('=')
    if (at > 0 && part.slice(0, at).trim() === name) return part.slice(at + 1).trim()
  }
  return undefined
}
