import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Certificates {
  readonly ca: Buffer
  readonly server: { readonly cert: Buffer; readonly key: Buffer }
  readonly client: { readonly cert: Buffer; readonly key: Buffer }
  /** Signed by an authority that nobody trusts. */
  readonly stranger: { readonly cert: Buffer; readonly key: Buffer }
}

let made: Certificates | undefined

/** An authority, a server certificate for localhost, and client certificates, made once per test process. */
export function certificates(): Certificates {
  made ??= make()
  return made
}

function make(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'weir-certs-'))
  const path = (name: string): string => join(folder, name)
  const openssl = (...args: string[]): void =>
    void execFileSync('openssl', args, { stdio: 'pipe', cwd: folder })
  const authority = (name: string): void =>
    openssl(
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ],
      ...['-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.pem`],
    )
  const signed = (name: string, by: string, names: string) => {
    openssl(
      ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`],
      ...['-keyout', `${name}.key`, '-out', `${name}.csr`],
    )
    openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-CAcreateserial'],
      ...['-days', '2', '-copy_extensions', 'copy', '-out', `${name}.pem`],
    )
    return { cert: readFileSync(path(`${name}.pem`)), key: readFileSync(path(`${name}.key`)) }
  }
  try {
    authority('ca')
    authority('other')
    return {
      ca: readFileSync(path('ca.pem')),
      server: signed('server', 'ca', 'DNS:localhost,IP:127.0.0.1'),
      client: signed('client', 'ca', 'DNS:agent.example,URI:spiffe://weir.example/waf'),
      stranger: signed('stranger', 'other', 'DNS:agent.example'),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
