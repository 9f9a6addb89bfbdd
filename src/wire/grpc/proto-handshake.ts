import {
  type AgentCapabilities,
  DEFAULT_FEATURES,
  DEFAULT_HEALTH_REPORTING,
  DEFAULT_LIMITS,
} from '../../core/agent-messages.ts'
import type { HandshakeRequest, HandshakeResponse } from '../codec.ts'
import {
  eventCodes,
  eventKinds,
  plainFeatures,
  plainHealthReporting,
  unsigned32,
} from '../shape/capabilities.ts'
import { unsigned } from '../shape/fields.ts'
import * as proto from './proto-fields.ts'
import type { ProtoMessage } from './service.ts'

export function protoHandshakeRequest(of: HandshakeRequest): ProtoMessage {
  return {
    supported_versions: of.supportedVersions,
    proxy_id: of.proxyId,
    proxy_version: of.proxyVersion,
    config_json: of.config === undefined || of.config === null ? '{}' : JSON.stringify(of.config),
  }
}

/** `{}` is what proxies send when they have no configuration. @throws WeirError PROTOCOL_ERROR */
export function handshakeRequest(of: ProtoMessage): HandshakeRequest {
  const json = proto.text(of, 'config_json')
  const isNone = json === '' || json === '{}'
  return {
    supportedVersions: proto.numbers(of, 'supported_versions'),
    proxyId: proto.text(of, 'proxy_id'),
    proxyVersion: proto.text(of, 'proxy_version'),
    config: isNone ? undefined : (proto.jsonOf(json, 'config_json') ?? undefined),
    supportedEncodings: [],
  }
}

export function protoHandshakeResponse(of: HandshakeResponse): ProtoMessage {
  return proto.present({
    protocol_version: of.protocolVersion,
    capabilities: fromCapabilities(of.capabilities),
    success: of.success,
    error: of.error,
  })
}

function fromCapabilities(of: AgentCapabilities): ProtoMessage {
  const { limits } = of
  return {
    protocol_version: of.protocolVersion,
    agent_id: of.agentId,
    name: of.name,
    version: of.version,
    supported_events: eventCodes(of.supportedEvents),
    features: plainFeatures(of.features),
    limits: proto.present({
      max_body_size: unsigned(limits.maxBodySize),
      max_concurrency: unsigned32(limits.maxConcurrency),
      preferred_chunk_size: unsigned(limits.preferredChunkSize),
      max_memory: limits.maxMemory === undefined ? undefined : unsigned(limits.maxMemory),
      max_processing_time_ms:
        limits.maxProcessingTimeMs === undefined ? undefined : unsigned(limits.maxProcessingTimeMs),
    }),
    health_config: plainHealthReporting(of.health),
  }
}

export function handshakeResponse(of: ProtoMessage): HandshakeResponse {
  return {
    protocolVersion: proto.number(of, 'protocol_version'),
    capabilities: capabilities(proto.message(of, 'capabilities'), proto.number(of, 'protocol_version')),
    success: proto.flag(of, 'success'),
    error: proto.optionalText(of, 'error'),
    encoding: 'json',
  }
}

/** Sub-messages that are missing take the protocol's defaults; members inside one that is there take zero. */
function capabilities(of: ProtoMessage, protocolVersion: number): AgentCapabilities {
  const features = proto.optionalMessage(of, 'features')
  const limits = proto.optionalMessage(of, 'limits')
  const health = proto.optionalMessage(of, 'health_config')
  const events = proto.numbers(of, 'supported_events')
  return {
    protocolVersion: proto.optionalNumber(of, 'protocol_version') ?? protocolVersion,
    agentId: proto.text(of, 'agent_id'),
    name: proto.text(of, 'name'),
    version: proto.text(of, 'version'),
    supportedEvents: events.length === 0 ? ['request-headers'] : eventKinds(events),
    features:
      features === undefined
        ? DEFAULT_FEATURES
        : {
            streamingBody: proto.flag(features, 'streaming_body'),
            websocket: proto.flag(features, 'websocket'),
            guardrails: proto.flag(features, 'guardrails'),
            configPush: proto.flag(features, 'config_push'),
            metricsExport: proto.flag(features, 'metrics_export'),
            concurrentRequests: proto.number(features, 'concurrent_requests'),
            cancellation: proto.flag(features, 'cancellation'),
            flowControl: proto.flag(features, 'flow_control'),
            healthReporting: proto.flag(features, 'health_reporting'),
          },
    limits:
      limits === undefined
        ? DEFAULT_LIMITS
        : {
            maxBodySize: proto.number(limits, 'max_body_size'),
            maxConcurrency: proto.number(limits, 'max_concurrency'),
            preferredChunkSize: proto.number(limits, 'preferred_chunk_size'),
            maxMemory: proto.optionalNumber(limits, 'max_memory'),
            maxProcessingTimeMs: proto.optionalNumber(limits, 'max_processing_time_ms'),
          },
    health:
      health === undefined
        ? DEFAULT_HEALTH_REPORTING
        : {
            reportIntervalMs: proto.number(health, 'report_interval_ms'),
            includeLoadMetrics: proto.flag(health, 'include_load_metrics'),
            includeResourceMetrics: proto.flag(health, 'include_resource_metrics'),
          },
  }
}
