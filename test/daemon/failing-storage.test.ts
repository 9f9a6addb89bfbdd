import assert from 'node:assert/strict'
import {
  closeSync,
  copyFileSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Store } from '../../src/store/store.ts'
import { eventually } from '../support/eventually.ts'
import { makeReadOnly, mountDisk, unmount } from '../support/small-disk.ts'
import { type Daemon, Place } from './harness.ts'

/** Each request counts by a key of its own, so that each needs tokens from the file. */
const AGENTS =
  '{ a: { endpoint: "unix:./a.sock", limit: { ratePerSecond: 100, key: "header:x-key" }, onFailure: closed } }'
const NOT_ALLOWED = 'mounting a file system is not allowed here'

const storageOf = (onFailure: string): string => `storage: { path: ./disk/weir.db, onFailure: ${onFailure} }`

interface PlaceWithDisk {
  readonly place: Place
  readonly disk: string
  /** Lays one more empty disk over it. */
  readonly cover: () => void
}

/** A place whose database lies on a disk of its own; undefined where mounting is not allowed. */
async function placeWithDisk(t: TestContext, size: string): Promise<PlaceWithDisk | undefined> {
  const mounts: string[] = []
  /* Before the hook of the folder, which removes it. */
  t.after(() => mounts.forEach(unmount))
  const place = await Place.make(t)
  const disk = join(place.folder, 'disk')
  await mkdir(disk)
  const mount = (): boolean => {
    const isMounted = mountDisk(disk, size)
    if (isMounted) mounts.push(disk)
    return isMounted
  }
  if (mount()) return { place, disk, cover: () => assert.ok(mount()) }
  t.skip(NOT_ALLOWED)
  return undefined
}

async function serve(place: Place): Promise<Daemon> {
  await place.agent('a')
  await place.configure(AGENTS, 'a', storageOf('deny'))
  const daemon = await place.serve('--wait-for-agents', '5000')
  await daemon.untilReady()
  assert.equal((await ask(daemon)).status, 200)
  return daemon
}

let keys = 0

function ask(daemon: Daemon): Promise<{ readonly status: number; readonly text: string }> {
  return daemon.get('/', { 'x-key': `key ${keys++}` })
}

/** The daemon says what is wrong, is not ready, and decides by the policy of now; each of them in turn. */
async function assertPolicies(place: Place, daemon: Daemon, problem: RegExp): Promise<void> {
  await eventually(`the daemon is not ready and says ${problem}`, async () => {
    await ask(daemon)
    const { status, text } = await daemon.admin('/readyz')
    return status === 503 && problem.test(text)
  })
  for (const [policy, status] of [
    ['allow', 200],
    ['memory-only', 200],
    ['deny', 503],
  ] as const) {
    await place.configure(AGENTS, 'a', storageOf(policy))
    await eventually(`${policy} is in force`, async () =>
      (await daemon.admin('/readyz')).text.includes(`storage.onFailure: ${policy}`),
    )
    const answer = await ask(daemon)
    assert.equal(answer.status, status, `${policy}: ${answer.text}`)
  }
}

/** A start on what lies at ./disk/weir.db is refused with a text that helps, whatever the policy. */
async function assertRefusesToStart(place: Place, problem: RegExp): Promise<void> {
  await place.configure(AGENTS, 'a', storageOf('memory-only'))
  const process = place.weir('serve', '-c', place.file)
  assert.equal(await process.ended(), 1)
  assert.match(process.output(), problem)
  assert.doesNotMatch(process.output(), /"event":"serving"/)
}

async function fill(disk: string): Promise<string> {
  const ballast = join(disk, 'ballast')
  const file = openSync(ballast, 'w')
  try {
    for (;;) writeSync(file, Buffer.alloc(4096, 1))
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
  } finally {
    closeSync(file)
  }
  return ballast
}

function damage(path: string): void {
  const { size } = statSync(path)
  const file = openSync(path, 'r+')
  for (let at = path.endsWith('.db') ? 4096 : 0; at < size; at += 4096)
    writeSync(file, Buffer.alloc(Math.min(4096, size - at), 0xa5), 0, undefined, at)
  closeSync(file)
}

test('a disk that is full at run time makes limits go by storage.onFailure, until there is space', async (t) => {
  const made = await placeWithDisk(t, '2m')
  if (made === undefined) return
  const { place, disk } = made
  const daemon = await serve(place)
  const ballast = await fill(disk)
  await assertPolicies(place, daemon, /storage: \S*weir\.db.*(disk is full|cannot be read or written)/)
  unlinkSync(ballast)
  await daemon.untilReady()
  assert.equal((await ask(daemon)).status, 200)
})

test('a file that is on a read-only disk at run time makes limits go by storage.onFailure', async (t) => {
  const made = await placeWithDisk(t, '2m')
  if (made === undefined) return
  const { place, disk, cover } = made
  const daemon = await serve(place)
  const copy = join(place.folder, 'copy.db')
  copyFileSync(join(disk, 'weir.db'), copy)
  /* As a disk that comes back read-only: a mount with an open file cannot be made so. */
  cover()
  copyFileSync(copy, join(disk, 'weir.db'))
  makeReadOnly(disk)
  await assertPolicies(place, daemon, /storage: \S*weir\.db cannot be (written|opened)/)
})

test('a file that is damaged at run time makes limits go by storage.onFailure, and nothing is deleted', async (t) => {
  const place = await Place.make(t)
  await mkdir(join(place.folder, 'disk'))
  const daemon = await serve(place)
  const path = join(place.folder, 'disk', 'weir.db')
  /* As a backup that is brought back and turns out to be bad: pages that are held in memory are not read again. */
  const backup = join(place.folder, 'backup.db')
  await (await Store.open({ path: backup })).close()
  damage(backup)
  const before = readFileSync(backup)
  renameSync(backup, path)
  await assertPolicies(place, daemon, /storage: \S*weir\.db is (damaged|not a SQLite database)/)
  assert.ok(readFileSync(path).equals(before))
})

test('a disk that is full at the start is a reason not to start', async (t) => {
  const made = await placeWithDisk(t, '1m')
  if (made === undefined) return
  await fill(made.disk)
  await assertRefusesToStart(made.place, /weir\.db cannot (grow: the disk is full|be)/)
})

test('a file that cannot be written is a reason not to start', async (t) => {
  const made = await placeWithDisk(t, '2m')
  if (made === undefined) return
  await (await Store.open({ path: join(made.disk, 'weir.db') })).close()
  makeReadOnly(made.disk)
  await assertRefusesToStart(
    made.place,
    /weir\.db cannot be (written|opened) .*check (the owner and mode|that its folder exists and may be read and written)/,
  )
})

test('a damaged file is a reason not to start, and stays as it is', async (t) => {
  const place = await Place.make(t)
  await mkdir(join(place.folder, 'disk'))
  const path = join(place.folder, 'disk', 'weir.db')
  await (await Store.open({ path })).close()
  damage(path)
  const before = readFileSync(path)
  await assertRefusesToStart(place, /weir\.db is damaged.*restore a backup/)
  writeFileSync(path, 'dear diary')
  await assertRefusesToStart(place, /weir\.db is not a SQLite database/)
  assert.equal(readFileSync(path, 'utf8'), 'dear diary')
  assert.ok(before.length > 4096)
})
