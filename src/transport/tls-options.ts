import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { ConnectionOptions, PeerCertificate, TLSSocket, TlsOptions } from 'node:tls'

/** PEM text or bytes. */
export type Pem = string | Buffer

/** How we check and prove who we are when we dial. */
export interface TlsClientOptions {
  /** Authorities to trust instead of the system's. */
  readonly ca?: Pem | undefined
  /** Our certificate and key, for servers that ask for one. */
  readonly cert?: Pem | undefined
  readonly key?: Pem | undefined
  /** Name to ask for and to check, when it is not the host dialed. */
  readonly serverName?: string | undefined
  /** Accept any certificate. For tests and first steps only. */
  readonly insecureSkipVerify?: boolean | undefined
}

/** How we prove who we are, and whom we let in, when we listen. */
export interface TlsServerOptions {
  readonly cert: Pem
  readonly key: Pem
  /** Authorities of client certificates. With it a client must show one that they signed. */
  readonly clientCa?: Pem | undefined
}

export function clientTls(options: TlsClientOptions, host: string): ConnectionOptions {
  const servername = options.serverName ?? (isIP(host) === 0 ? host : undefined)
  return {
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.cert === undefined ? {} : { cert: options.cert }),
    ...(options.key === undefined ? {} : { key: options.key }),
    ...(servername === undefined ? {} : { servername }),
    rejectUnauthorized: options.insecureSkipVerify !== true,
    minVersion: 'TLSv1.2',
  }
}

export function serverTls(options: TlsServerOptions): TlsOptions {
  const { cert, key, clientCa } = options
  const asks = clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true }
  return { cert, key, minVersion: 'TLSv1.2', ...asks }
}

/** The client certificate of a connection, verified against `clientCa`. */
export interface ClientCertificate {
  /** As OpenSSL prints them: `DNS:agent.example`, `URI:spiffe://...`, `IP Address:...`. */
  readonly subjectAltNames: readonly string[]
  readonly commonName: string | undefined
  /** SHA-256, upper-case hex with colons. */
  readonly fingerprint: string
}

/** Undefined when the peer showed none, or one that no authority of ours signed. */
export function clientCertificateOf(socket: TLSSocket): ClientCertificate | undefined {
  if (!socket.authorized) return undefined
  const certificate: Partial<PeerCertificate> = socket.getPeerCertificate()
  if (certificate.raw === undefined) return undefined
  const names = new X509Certificate(certificate.raw).subjectAltName
  const commonName = certificate.subject?.CN
  return {
    subjectAltNames: names === undefined ? [] : splitNames(names),
    commonName: typeof commonName === 'string' ? commonName : undefined,
    fingerprint: certificate.fingerprint256 ?? '',
  }
}

/** Values with separators in them are quoted as JSON strings by Node, so that no name can pretend to be two. */
function splitNames(text: string): string[] {
  const names: string[] = []
  const pattern = /\s*([^:,"]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:,|$)/gy
  for (let match = pattern.exec(text); match !== null && match[0] !== ''; match = pattern.exec(text)) {
    const value = match[2]!
    names.push(`${match[1]!}:${value.startsWith('"') ? (JSON.parse(value) as string) : value}`)
  }
  return names
}
