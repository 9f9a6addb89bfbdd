import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { ERROR_CODES, WeirError } from '../core/errors.ts'
import { bindSocketFile } from '../transport/channel/socket-file.ts'
import { bindPort } from '../transport/channel/socket-listener.ts'
import { ADMIN_HEADER, guard } from './guard.ts'
import type { Operations } from './operations.ts'
import { type AdminAnswer, type AdminRoute, findRoute } from './router.ts'
import { adminRoutes } from './routes/all-routes.ts'

export type AdminAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export interface AdminServer {
  /** 0 for Unix sockets. */
  readonly port: number
  /** Stops at once: admin calls are short. */
  close(): Promise<void>
}

/** Bytes of a request body; the largest is a ban with its reason. */
const MAX_BODY_BYTES = 64 * 1024
/** Milliseconds a caller has for its request; the API is local. */
const REQUEST_TIMEOUT_MS = 10_000
/** The admin API has no login: whoever can open the socket is an operator, so it is our user alone. */
const SOCKET_MODE = 0o600

/** Opens the admin API. Rejects with CONFLICT or INVALID_ARGUMENT when the address cannot be had. */
export async function listenAdmin(address: AdminAddress, operations: Operations): Promise<AdminServer> {
  const routes = adminRoutes(operations)
  const server = createServer((request, response) => void serve(request, response, routes))
  server.requestTimeout = REQUEST_TIMEOUT_MS
  server.headersTimeout = REQUEST_TIMEOUT_MS
  const removeFile =
    address.kind === 'unix' ? await bindSocketFile(server, address.path, SOCKET_MODE) : undefined
  if (address.kind === 'tcp') await bindPort(server, address.host, address.port)
  const bound = server.address()
  return {
    port: bound !== null && typeof bound === 'object' ? bound.port : 0,
    close: async () => {
      await removeFile?.()
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  routes: readonly AdminRoute[],
): Promise<void> {
  try {
    guard(request)
    const url = urlOf(request)
    const { route, params } = findRoute(routes, request.method ?? 'GET', url.pathname)
    const peer = request.socket.remoteAddress ?? 'socket'
    send(
      response,
      await route.answer({ params, query: url.searchParams, peer, body: () => jsonBody(request) }),
    )
  } catch (thrown) {
    const { code, message } = WeirError.from(thrown)
    send(response, { status: ERROR_CODES[code].http, json: { error: { code, message } } })
  }
}

/** @throws WeirError INVALID_ARGUMENT */
function urlOf(request: IncomingMessage): URL {
  const text = request.url ?? '/'
  try {
    return new URL(text, 'http://admin')
  } catch (cause) {
    throw new WeirError('INVALID_ARGUMENT', `${text} is no path; example: /v1/status`, { cause })
  }
}

function send(response: ServerResponse, answer: AdminAnswer): void {
  const isJson = 'json' in answer
  response.writeHead(answer.status ?? 200, {
    'content-type': isJson ? 'application/json; charset=utf-8' : answer.contentType,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    /* Tells a caller that it is Weir that answers, whatever else may listen at a mistyped address. */
    [ADMIN_HEADER]: '1',
  })
  response.end(isJson ? `${JSON.stringify(answer.json)}\n` : answer.text)
}

/** Undefined when there is none. */
async function jsonBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES)
      throw new WeirError('TOO_LARGE', `the body is larger than ${MAX_BODY_BYTES} bytes`)
    chunks.push(chunk)
  }
  if (size === 0) return undefined
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (error) {
    throw new WeirError('INVALID_ARGUMENT', 'the body is not JSON', { cause: error })
  }
}
