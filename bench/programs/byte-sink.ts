import { rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'

/*
 * The far side of a bare socket: looks at the bytes as the SDK agent of `agent.ts` does, and answers one byte per
 * body. `byte-sink PATH` listens there and on a TCP port, which it says; the first four bytes of a connection say how
 * long its bodies are.
 */
const path = process.argv[2]!
rmSync(path, { force: true })
let sum = 0
function serve(socket: Socket): void {
  let size = 0
  let left = 0
  socket.on('data', (chunk: Buffer) => {
    let at = 0
    if (size === 0) {
      size = chunk.readUInt32BE(0)
      left = size
      at = 4
    }
    for (let look = at; look < chunk.length; look += 4096) sum += chunk[look]!
    let rest = chunk.length - at
    while (rest >= left) {
      rest -= left
      left = size
      socket.write('.')
    }
    left -= rest
  })
  socket.on('error', () => socket.destroy())
}

const tcp = createServer(serve)
createServer(serve).listen(path, () => {
  tcp.listen(0, '127.0.0.1', () => console.log(`ready ${(tcp.address() as AddressInfo).port}`))
})
process.stdin
  .on('close', () => {
    console.log(`sum ${sum}`)
    process.exit(0)
  })
  .resume()
