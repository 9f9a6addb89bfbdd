import { createServer, type Server } from 'node:http'

/** Pages of the demo's own web server, behind Weir. */
const PAGES: Readonly<Record<string, string>> = {
  '/hello': 'Hello from the upstream.\n',
  '/admin': 'Welcome to the admin area.\n',
  '/login': 'Please sign in.\n',
}
/** Split inside the number, so that masking must look across chunk borders. */
const CARD_PAGE = ['{"customer":"Ada","card":"4111 11', '11 1111 1111","order":"1234567890123456"}\n']

/** Starts the upstream on a free port of the loopback interface. */
export async function startUpstream(): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://upstream').pathname
    request.resume()
    request.on('end', () => {
      if (path === '/card') {
        response.writeHead(200, { 'content-type': 'application/json' })
        response.write(CARD_PAGE[0])
        setImmediate(() => response.end(CARD_PAGE[1]))
        return
      }
      const page = PAGES[path]
      response.writeHead(page === undefined && request.method === 'GET' ? 404 : 200, {
        'content-type': 'text/plain',
      })
      response.end(page ?? `${request.method} ${path} reached the upstream.\n`)
    })
  })
  await listen(server)
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
}
