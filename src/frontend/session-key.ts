import type { HeaderList } from '../core/event.ts'

/** What names the session of a request, for agents that are chosen by session. */
export type SessionKeySource =
  | { readonly from: 'header'; readonly name: string }
  | { readonly from: 'cookie'; readonly name: string }
  | { readonly from: 'client-address' }

/** The session a request belongs to, whichever front end it came in by; undefined when it has none. */
export function sessionKeyOf(
  source: SessionKeySource,
  headers: HeaderList,
  clientAddress: string,
): string | undefined {
  switch (source.from) {
    case 'client-address':
      return clientAddress
    case 'header':
      return headerNamed(headers, source.name.toLowerCase())
    case 'cookie':
      return cookieOf(headers, source.name)
  }
}

function headerNamed(headers: HeaderList, name: string): string | undefined {
  for (let at = 0; at < headers.length; at += 2) if (headers[at] === name) return headers[at + 1]
  return undefined
}

/** Cookies may be spread over several header fields (HTTP/2 does so). */
function cookieOf(headers: HeaderList, name: string): string | undefined {
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at] !== 'cookie') continue
    for (const pair of headers[at + 1]!.split(';')) {
      const equals = pair.indexOf('=')
      if (equals >= 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
    }
  }
  return undefined
}
