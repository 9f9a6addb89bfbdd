import { loadSync, type PackageDefinition, type ServiceDefinition } from '@grpc/proto-loader'
import { packagePath } from '../package-root.ts'

/** How decoded messages look: names as in the file, numbers for integers, absent members absent. */
const LOADER_OPTIONS = { keepCase: true, longs: Number, oneofs: true, bytes: Buffer } as const

export const AGENT_SERVICE_NAME = 'zentinel.agent.v2.AgentServiceV2'

/** Everything in `proto/agent_v2.proto`, as `@grpc/grpc-js` takes it. */
export const agentPackageDefinition: PackageDefinition = loadSync(
  packagePath('proto/agent_v2.proto'),
  LOADER_OPTIONS,
)

/** ProcessStream, ControlStream and ProcessEvent, with serializers for plain messages. */
export const agentServiceDefinition = agentPackageDefinition[AGENT_SERVICE_NAME] as ServiceDefinition

/** Paths as HTTP/2 requests name them. */
export const PROCESS_STREAM_PATH = '/zentinel.agent.v2.AgentServiceV2/ProcessStream'
export const CONTROL_STREAM_PATH = '/zentinel.agent.v2.AgentServiceV2/ControlStream'
export const PROCESS_EVENT_PATH = '/zentinel.agent.v2.AgentServiceV2/ProcessEvent'

/** A message as the loader's generated code takes and gives it. */
export type ProtoMessage = Readonly<Record<string, unknown>>

interface MessageCode {
  encode(message: ProtoMessage): Buffer
  /** @throws Error of the loader's own when the bytes are not such a message. */
  decode(bytes: Buffer): ProtoMessage
}

const processStream = agentServiceDefinition['ProcessStream']!
const controlStream = agentServiceDefinition['ControlStream']!

/** Generated code of the four messages that travel on their own. */
export const ProxyToAgent: MessageCode = {
  encode: processStream.requestSerialize as MessageCode['encode'],
  decode: processStream.requestDeserialize as MessageCode['decode'],
}
export const AgentToProxy: MessageCode = {
  encode: processStream.responseSerialize as MessageCode['encode'],
  decode: processStream.responseDeserialize as MessageCode['decode'],
}
export const AgentControl: MessageCode = {
  encode: controlStream.requestSerialize as MessageCode['encode'],
  decode: controlStream.requestDeserialize as MessageCode['decode'],
}
export const ProxyControl: MessageCode = {
  encode: controlStream.responseSerialize as MessageCode['encode'],
  decode: controlStream.responseDeserialize as MessageCode['decode'],
}
