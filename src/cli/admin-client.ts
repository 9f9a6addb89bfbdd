import { request } from 'node:http'
import { ADMIN_HEADER } from '../admin/guard.ts'
import { ERROR_CODES, type ErrorCode, WeirError } from '../core/errors.ts'
import { type Address, formatAddress } from '../daemon/config/addresses.ts'

/** Milliseconds an admin call may take. */
const TIMEOUT_MS = 10_000

/** Calls the admin API of a running daemon. */
export class AdminClient {
  readonly #address: Address

  constructor(address: Address) {
    this.#address = address
  }

  /** @throws WeirError UNAVAILABLE when nobody answers, PROTOCOL_ERROR when not Weir does, else the daemon's own error */
  async call<T>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> {
    const { status, text, isWeir } = await this.#exchange(method, path, body)
    if (!isWeir) throw this.#stranger(`HTTP ${status} without the header ${ADMIN_HEADER}`)
    let answer: unknown
    try {
      answer = JSON.parse(text)
    } catch {
      throw this.#stranger('an answer that is not JSON')
    }
    if (status >= 400) throw errorOf(answer)
    return answer as T
  }

  get #place(): string {
    return formatAddress(this.#address)
  }

  #stranger(detail: string): WeirError {
    return new WeirError(
      'PROTOCOL_ERROR',
      `no Weir answers at ${this.#place}, something else does (${detail}); is it listen.admin of a running Weir?`,
    )
  }

  #exchange(
    method: string,
    path: string,
    body: unknown,
  ): Promise<{ status: number; text: string; isWeir: boolean }> {
    const address = this.#address
    const payload = body === undefined ? undefined : JSON.stringify(body)
    return new Promise((resolve, reject) => {
      const call = request(
        {
          ...(address.kind === 'unix'
            ? { socketPath: address.path }
            : { host: address.host, port: address.port }),
          method,
          path,
          headers: {
            [ADMIN_HEADER]: '1',
            connection: 'close',
            /* Node leaves the length of a DELETE away, and its body would be taken for the next request. */
            ...(payload !== undefined && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(payload),
            }),
          },
          timeout: TIMEOUT_MS,
        },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              text: Buffer.concat(chunks).toString('utf8'),
              isWeir: response.headers[ADMIN_HEADER] !== undefined,
            }),
          )
        },
      )
      call.on('timeout', () => call.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)))
      call.on('error', (error: NodeJS.ErrnoException) => {
        /* The HTTP parser's own codes: somebody is there and does not speak HTTP. */
        if (error.code?.startsWith('HPE_') === true) reject(this.#stranger('no HTTP'))
        else
          reject(
            new WeirError('UNAVAILABLE', `cannot reach the daemon at ${this.#place}: ${error.message}`, {
              cause: error,
            }),
          )
      })
      call.end(payload)
    })
  }
}

function errorOf(answer: unknown): WeirError {
  const { error } = answer as { error?: { code?: string; message?: string } }
  const code = error?.code !== undefined && error.code in ERROR_CODES ? (error.code as ErrorCode) : 'INTERNAL'
  return new WeirError(code, error?.message ?? 'the daemon failed without a reason')
}
