import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Answers at once: the proxies in front are what is measured. `/large` has 64 KiB. */
const small = Buffer.alloc(512, 'x')
const large = Buffer.alloc(64 * 1024, 'x')

const server = createServer((request, response) => {
  const body = request.url === '/large' ? large : small
  request.resume()
  response.writeHead(200, [
    'content-type',
    'text/plain',
    'cache-control',
    'no-store',
    'etag',
    '"abc"',
    'content-length',
    String(body.length),
  ])
  response.end(body)
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => console.log(`listening ${(server.address() as AddressInfo).port}`))
