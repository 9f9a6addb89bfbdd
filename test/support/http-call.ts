import { request } from 'node:http'

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

export interface HttpCall {
  readonly host?: string
  readonly port?: number
  readonly socketPath?: string
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** One plain HTTP exchange, on a connection of its own. */
export function httpCall(call: HttpCall): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const place =
      call.socketPath === undefined
        ? { host: call.host ?? '127.0.0.1', port: call.port }
        : { socketPath: call.socketPath }
    const outgoing = request(
      {
        ...place,
        method: call.method ?? 'GET',
        path: call.path,
        headers: { connection: 'close', ...call.headers },
        timeout: 10_000,
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString('utf8'),
          }),
        )
      },
    )
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer within 10 s')))
    outgoing.on('error', reject)
    outgoing.end(call.body)
  })
}
