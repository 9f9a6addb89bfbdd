import type { IncomingMessage } from 'node:http'
import { WeirError } from '../core/errors.ts'

/** Header that every change must carry. A browser cannot send it across sites without a preflight, which fails. */
export const ADMIN_HEADER = 'x-weir-admin'

/**
 * Refuses what a browser could be tricked into: names in `host` that are not ours (DNS rebinding), and changes
 * without our header or from a page of another origin (request forgery).
 * @throws WeirError PERMISSION_DENIED
 */
export function guard(request: IncomingMessage): void {
  const host = request.headers.host
  if (host !== undefined && !isOwnHost(host))
    throw new WeirError('PERMISSION_DENIED', `the admin API is not called "${host}"; use its address`)
  if (request.method === 'GET' || request.method === 'HEAD') return
  if (request.headers[ADMIN_HEADER] === undefined)
    throw new WeirError(
      'PERMISSION_DENIED',
      `changes need the header ${ADMIN_HEADER}; example: ${ADMIN_HEADER}: 1`,
    )
  if (request.headers.origin !== undefined)
    throw new WeirError('PERMISSION_DENIED', 'changes are not accepted from web pages')
}

/** An address or `localhost`: whatever needs no name server cannot be rebound. */
const OWN_HOST = /^(localhost|\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\])(:\d+)?$/i

function isOwnHost(host: string): boolean {
  return OWN_HOST.test(host)
}
