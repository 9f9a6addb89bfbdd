import { GRPC_STATUS, isGrpcType } from './grpc-status.ts'
import { endWithStatus, refuse } from './respond.ts'
import type { ServerCall } from './server-call.ts'

/** Serves one call. Content type and method were checked; response headers were not sent. */
export type GrpcHandler = (call: ServerCall) => void

/** Calls by path. */
export type GrpcRoutes = ReadonlyMap<string, GrpcHandler>

/** Hands a call to who serves it, or refuses it. Returns whether it is served. */
export function route(call: ServerCall, routes: GrpcRoutes): boolean {
  const { headers } = call
  if (headers[':method'] !== 'POST') {
    refuse(call, 405)
    return false
  }
  if (!isGrpcType(headers['content-type'] ?? '')) {
    refuse(call, 415)
    return false
  }
  const encoding = headers['grpc-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    endWithStatus(call, GRPC_STATUS.unimplemented, `compression ${encoding} is not supported`)
    return false
  }
  const path = headers[':path'] ?? ''
  const handler = routes.get(path)
  if (handler === undefined) {
    endWithStatus(call, GRPC_STATUS.unimplemented, `unknown method ${path}`)
    return false
  }
  handler(call)
  return true
}
