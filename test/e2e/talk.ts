import { connect, type Socket } from 'node:net'

/** A Unix socket, or a port of this machine. */
export type Where = string | number

export function open(where: Where): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = typeof where === 'string' ? connect(where) : connect(where, '127.0.0.1')
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      socket.on('error', () => undefined)
      resolve(socket)
    })
  })
}

/** Sends bytes on a connection of their own, ends it, and resolves with what came back when the other side ended too. */
export async function talk(where: Where, bytes: Buffer, timeoutMs = 10_000): Promise<string> {
  const socket = await open(where)
  return new Promise((resolve, reject) => {
    let text = ''
    const timer = setTimeout(() => {
      socket.destroy()
      reject(
        new Error(`still open after ${timeoutMs} ms, having sent ${bytes.toString('latin1').slice(0, 500)}`),
      )
    }, timeoutMs)
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.once('close', () => {
      clearTimeout(timer)
      resolve(text)
    })
    socket.end(bytes)
  })
}

/** Sends byte after byte, and resolves with what came back when the other side hung up. */
export async function drip(where: Where, bytes: Buffer, everyMs: number, timeoutMs: number): Promise<string> {
  const socket = await open(where)
  return new Promise((resolve, reject) => {
    let text = ''
    let at = 0
    const dripping = setInterval(() => socket.write(bytes.subarray(at, ++at)), everyMs)
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`a slow peer on ${where} was kept for ${timeoutMs} ms`))
    }, timeoutMs)
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.once('close', () => {
      clearInterval(dripping)
      clearTimeout(timer)
      resolve(text)
    })
  })
}

/** Runs `work` so often, on so many lanes at once. */
export async function lanes(times: number, width: number, work: (n: number) => Promise<void>): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < times) await work(next++)
  }
  await Promise.all(Array.from({ length: width }, lane))
}
