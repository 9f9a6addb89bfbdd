import { Socket } from 'node:net'

/** What Node keeps of a socket and has no public name for. */
interface Insides {
  _handle: object | null
  _server: object | null
  server: object | null
}

/** Where a socket reads into, and who is told how much it was: Node's own shape. */
export interface OwnReads {
  readonly buffer: () => Buffer
  readonly callback: (count: number) => boolean
}

/**
 * The same accepted socket, reading into buffers of our choice. Node lets only the side that dials choose, so the
 * connection is taken over by a new socket; where Node's insides are not what they are in Node 20, the socket comes
 * back as it was and undefined says so.
 */
export function readInto(accepted: Socket, onread: OwnReads): Socket | undefined {
  const old = accepted as unknown as Insides
  const { _handle: handle, _server: server } = old
  if (typeof handle !== 'object' || handle === null || typeof server !== 'object' || server === null)
    return undefined
  if (typeof (handle as { useUserBuffer?: unknown }).useUserBuffer !== 'function') return undefined
  /* `handle` is what Node itself makes accepted sockets of. */
  const options: object = { handle, allowHalfOpen: true, onread }
  const socket = new Socket(options)
  const taken = socket as unknown as Insides
  /* The server counts its connections until they close. */
  taken._server = server
  taken.server = server
  old._handle = null
  old._server = null
  old.server = null
  return socket
}
