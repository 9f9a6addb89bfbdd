import { isIP } from 'node:net'

/**
 * Takes the port off a client address: proxies write `ip`, `ip:port` or `[v6]:port`. `port` is 0 when there is none.
 * What is no address is returned as it is: limits then key by it, and the agent sees what the proxy said.
 */
export function clientAddress(text: string): { readonly ip: string; readonly port: number } {
  if (isIP(text) !== 0) return { ip: text, port: 0 }
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text)
  const ip = match?.[1] ?? match?.[2]
  if (match === null || ip === undefined || isIP(ip) === 0) return { ip: text, port: 0 }
  return { ip, port: Number(match[3] ?? 0) }
}
