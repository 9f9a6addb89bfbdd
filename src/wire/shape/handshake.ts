import type {
  Encoding,
  HandshakeRequest,
  HandshakeResponse,
  RegistrationRequest,
  RegistrationResponse,
} from '../codec.ts'
import { capabilities, plainCapabilities } from './capabilities.ts'
import * as field from './fields.ts'

export function handshakeRequest(value: unknown): HandshakeRequest {
  const of = field.struct(value, 'handshake')
  const versions = field.list(field.member(of, 'supported_versions', 0), 'supported_versions')
  const encodings = field.list(field.member(of, 'supported_encodings', 4), 'supported_encodings')
  return {
    supportedVersions: versions.map((version) => field.count(version, 'supported_versions')),
    proxyId: field.text(field.member(of, 'proxy_id', 1), 'proxy_id'),
    proxyVersion: field.text(field.member(of, 'proxy_version', 2), 'proxy_version'),
    config: field.member(of, 'config', 3) ?? undefined,
    supportedEncodings: encodings.filter((name): name is Encoding => name === 'json' || name === 'msgpack'),
  }
}

export function plainHandshakeRequest(of: HandshakeRequest): Record<string, unknown> {
  return {
    supported_versions: of.supportedVersions,
    proxy_id: of.proxyId,
    proxy_version: of.proxyVersion,
    config: of.config ?? null,
    ...(of.supportedEncodings.length === 0 ? {} : { supported_encodings: of.supportedEncodings }),
  }
}

export function handshakeResponse(value: unknown): HandshakeResponse {
  const of = field.struct(value, 'handshake response')
  const encoding = encodingOf(field.member(of, 'encoding', 4)) ?? 'json'
  const protocolVersion = field.count(field.member(of, 'protocol_version', 0), 'protocol_version')
  return {
    protocolVersion,
    capabilities: capabilities(field.member(of, 'capabilities', 1), protocolVersion),
    success: field.flag(field.member(of, 'success', 2), 'success'),
    error: field.optionalText(field.member(of, 'error', 3), 'error'),
    encoding,
    ...(field.member(of, 'raw_bodies', -1) === true ? { rawBodies: true } : {}),
  }
}

export function plainHandshakeResponse(of: HandshakeResponse): Record<string, unknown> {
  return {
    protocol_version: of.protocolVersion,
    capabilities: plainCapabilities(of.capabilities),
    success: of.success,
    error: of.error ?? null,
    encoding: of.encoding,
    ...(of.rawBodies === true ? { raw_bodies: true } : {}),
  }
}

export function registrationRequest(value: unknown): RegistrationRequest {
  const of = field.struct(value, 'registration')
  const protocolVersion = field.count(field.member(of, 'protocol_version', 0), 'protocol_version')
  return {
    protocolVersion,
    agentId: field.text(field.member(of, 'agent_id', 1), 'agent_id'),
    capabilities: capabilities(field.member(of, 'capabilities', 2), protocolVersion),
    authToken: field.optionalText(field.member(of, 'auth_token', 3), 'auth_token'),
    metadata: field.member(of, 'metadata', 4) ?? undefined,
  }
}

export function plainRegistrationRequest(of: RegistrationRequest): Record<string, unknown> {
  return {
    protocol_version: of.protocolVersion,
    agent_id: of.agentId,
    capabilities: plainCapabilities(of.capabilities),
    auth_token: of.authToken ?? null,
    metadata: of.metadata ?? null,
  }
}

export function registrationResponse(value: unknown): RegistrationResponse {
  const of = field.struct(value, 'registration response')
  return {
    success: field.flag(field.member(of, 'success', 0), 'success'),
    error: field.optionalText(field.member(of, 'error', 1), 'error'),
    proxyId: field.textOr(field.member(of, 'proxy_id', 2), '', 'proxy_id'),
    proxyVersion: field.textOr(field.member(of, 'proxy_version', 3), '', 'proxy_version'),
    connectionId: field.textOr(field.member(of, 'connection_id', 4), '', 'connection_id'),
    encoding: encodingOf(field.member(of, 'encoding', -1)),
  }
}

export function plainRegistrationResponse(of: RegistrationResponse): Record<string, unknown> {
  return {
    success: of.success,
    error: of.error ?? null,
    proxy_id: of.proxyId,
    proxy_version: of.proxyVersion,
    connection_id: of.connectionId,
    ...(of.encoding === undefined ? {} : { encoding: of.encoding }),
  }
}

function encodingOf(value: unknown): Encoding | undefined {
  if (value === undefined || value === null) return undefined
  if (value === 'json' || value === 'msgpack') return value
  throw field.malformed('encoding', 'json or msgpack', value)
}
