import { rmSync } from 'node:fs'
import { createServer } from 'node:net'

/*
 * The far side of a bare socket: looks at the bytes as the SDK agent of `agent.ts` does, and answers one byte per
 * body. `byte-sink PATH`; the first four bytes of a connection say how long its bodies are.
 */
const path = process.argv[2]!
rmSync(path, { force: true })
let sum = 0
createServer((socket) => {
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
}).listen(path, () => console.log(`ready ${sum}`))
process.stdin.on('close', () => process.exit(0)).resume()
