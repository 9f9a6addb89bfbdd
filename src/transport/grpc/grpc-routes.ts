import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'

/** Serves one call. Content type and method were checked; response headers were not sent. */
export type GrpcHandler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: string) => void

/** Calls by path, as an HTTP/2 server hands them out. */
export type GrpcRoutes = ReadonlyMap<string, GrpcHandler>
