import { request } from 'node:http'
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

  /** @throws WeirError UNAVAILABLE when nobody answers, else the daemon's own error */
  async call<T>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> {
    const { status, text } = await this.#exchange(method, path, body)
    let answer: unknown
    try {
      answer = JSON.parse(text)
    } catch (error) {
      throw new WeirError('PROTOCOL_ERROR', `${this.#place} is not the admin API of Weir`, { cause: error })
    }
    if (status >= 400) throw errorOf(answer)
    return answer as T
  }

  get #place(): string {
    return formatAddress(this.#address)
  }

  #exchange(method: string, path: string, body: unknown): Promise<{ status: number; text: string }> {
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
          headers: { 'x-weir-admin': '1', 'content-type': 'application/json', connection: 'close' },
          timeout: TIMEOUT_MS,
        },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
          )
        },
      )
      call.on('timeout', () => call.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)))
      call.on('error', (error) =>
        reject(
          new WeirError('UNAVAILABLE', `cannot reach the daemon at ${this.#place}: ${error.message}`, {
            cause: error,
          }),
        ),
      )
      call.end(payload)
    })
  }
}

function errorOf(answer: unknown): WeirError {
  const { error } = answer as { error?: { code?: string; message?: string } }
  const code = error?.code !== undefined && error.code in ERROR_CODES ? (error.code as ErrorCode) : 'INTERNAL'
  return new WeirError(code, error?.message ?? 'the daemon failed without a reason')
}
