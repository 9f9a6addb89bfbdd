import { randomBytes } from 'node:crypto'
import { lstatSync, rmSync, type Stats } from 'node:fs'
import { chmod, link, lstat, mkdir, rename, rm, rmdir, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { WeirError } from '../../core/errors.ts'

/** Who may connect: 0o600 our user, 0o660 our group too. */
export type SocketMode = number

/** Longest path a Unix socket address holds on Linux, bytes. */
const MAX_PATH_BYTES = 107

/**
 * Makes `server` listen on a socket file. The socket is bound inside a folder that only we can enter, gets its
 * mode there and is linked to its place afterwards, so it is never reachable with a wider mode. A stale socket is
 * moved away only when nobody listens on it; any other file, and a socket in use, is a CONFLICT.
 *
 * Returns what removes the file again, provided it is still ours. A process that exits without having called it
 * (`process.exit`, an exception nobody caught) removes it too.
 */
export async function bindSocketFile(
  server: Server,
  path: string,
  mode: SocketMode,
): Promise<() => Promise<void>> {
  const folder = join(dirname(path), `.${randomBytes(3).toString('hex')}`)
  const hidden = join(folder, 's')
  if (Buffer.byteLength(hidden) > MAX_PATH_BYTES || Buffer.byteLength(path) > MAX_PATH_BYTES)
    throw new WeirError('INVALID_ARGUMENT', `socket path "${path}" is too long; use a shorter one`)
  try {
    await mkdir(folder, { mode: 0o700 })
  } catch (error) {
    throw cannotListen(path, error)
  }
  try {
    await listenOn(server, hidden)
    await chmod(hidden, mode)
    const ours = await lstat(hidden)
    await place(hidden, path, folder)
    return removerOf(path, ours)
  } catch (error) {
    server.close()
    throw error instanceof WeirError ? error : cannotListen(path, error)
  } finally {
    await rm(hidden, { force: true })
    await rmdir(folder).catch(() => {})
  }
}

function listenOn(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.removeListener('error', reject)
      resolve()
    })
  })
}

/** Links the bound socket to its place. A link never replaces a file, so two starters cannot both win. */
async function place(hidden: string, path: string, folder: string): Promise<void> {
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      await link(hidden, path)
      return
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error
    }
    await moveStaleAway(path, join(folder, basename(hidden) + attempt))
  }
  throw inUse(path)
}

async function moveStaleAway(path: string, aside: string): Promise<void> {
  const found = await statOf(path)
  if (found === undefined) return
  if (!found.isSocket())
    throw new WeirError('CONFLICT', `"${path}" exists and is not a socket; remove it or choose another path`)
  if (await isListening(path)) throw inUse(path)
  try {
    await rename(path, aside)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return
    throw error
  }
  const moved = await lstat(aside)
  /* Somebody else put a live socket there in between: give it back. */
  if (moved.ino !== found.ino || moved.dev !== found.dev) {
    await link(aside, path)
    await unlink(aside)
    throw inUse(path)
  }
  await unlink(aside)
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', (error) => {
      if (isErrno(error, 'ECONNREFUSED') || isErrno(error, 'ENOENT')) resolve(false)
      else if (isErrno(error, 'EAGAIN')) resolve(true)
      else reject(error)
    })
  })
}

/** What an exit of this process removes: the one listener of `exit` that there is, however many sockets are open. */
const atExit = new Set<() => void>()

function removeAll(): void {
  for (const remove of atExit) remove()
}

function removerOf(path: string, ours: Stats): () => Promise<void> {
  const removeNow = (): void => {
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found !== undefined && isSame(found, ours)) rmSync(path, { force: true })
  }
  if (atExit.size === 0) process.on('exit', removeAll)
  atExit.add(removeNow)
  return async () => {
    if (atExit.delete(removeNow) && atExit.size === 0) process.off('exit', removeAll)
    const found = await statOf(path)
    if (found !== undefined && isSame(found, ours)) await rm(path, { force: true })
  }
}

function isSame(one: Stats, other: Stats): boolean {
  return one.ino === other.ino && one.dev === other.dev
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

function inUse(path: string): WeirError {
  return new WeirError('CONFLICT', `another process listens on "${path}"; stop it or choose another path`)
}

function cannotListen(path: string, cause: unknown): WeirError {
  const message = cause instanceof Error ? cause.message : String(cause)
  return new WeirError('INVALID_ARGUMENT', `cannot listen on "${path}": ${message}`, { cause })
}
