import { AGENT_SERVICE_NAME } from '../../wire/grpc/service.ts'
import { GRPC_STATUS } from './grpc-status.ts'
import { endWithMessage, endWithStatus } from './respond.ts'
import type { ServerCall } from './server-call.ts'

export const HEALTH_CHECK_PATH = '/grpc.health.v1.Health/Check'

/** HealthCheckResponse { status: SERVING } in gRPC framing. */
const SERVING = Buffer.from('00000000020801', 'hex')
/** A service name is short; more is no health check. */
const MAX_REQUEST_BYTES = 1024

/** Answers grpc.health.v1.Health/Check for the server as a whole and for the agent service. */
export function serveHealthCheck(call: ServerCall): void {
  const chunks: Buffer[] = []
  let size = 0
  call.start({
    onData(chunk) {
      size += chunk.length
      /* A copy: what it was read into is used again. */
      if (size <= MAX_REQUEST_BYTES) chunks.push(Buffer.from(chunk))
    },
    onEnd() {
      const service = size > MAX_REQUEST_BYTES ? undefined : serviceNameIn(Buffer.concat(chunks))
      if (service === undefined) endWithStatus(call, GRPC_STATUS.invalidArgument, 'not a HealthCheckRequest')
      else if (service !== '' && service !== AGENT_SERVICE_NAME)
        endWithStatus(call, GRPC_STATUS.notFound, `unknown service ${service}`)
      else endWithMessage(call, SERVING)
    },
    onRetiring() {},
    onClosed() {},
  })
}

/** Field 1 of the one message in `framed`; empty when it is absent. */
function serviceNameIn(framed: Buffer): string | undefined {
  if (framed.length < 5 || framed[0] !== 0 || framed.readUInt32BE(1) !== framed.length - 5) return undefined
  const message = framed.subarray(5)
  if (message.length === 0) return ''
  /* Tag 0x0a, then a length that fits one byte for every service name in use. */
  if (message[0] !== 0x0a || message[1] !== message.length - 2) return undefined
  return message.toString('utf8', 2)
}
