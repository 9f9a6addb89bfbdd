import { createServer } from 'node:http'

/** The port itself when it can be had (a free one for 0), or one sentence that says why not. */
export function checkPort(port: number): Promise<number | string> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reason =
        error.code === 'EADDRINUSE' ? 'is taken by another process' : `cannot be used (${error.message})`
      resolve(`port ${port} on 127.0.0.1 ${reason}; choose another with --port or WEIR_DEMO_PORT`)
    })
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      const found = typeof address === 'object' && address !== null ? address.port : port
      server.close(() => resolve(found))
    })
  })
}
