import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import { eventually } from '../support/eventually.ts'
import { frame, RawClient } from '../transport/support/raw-peer.ts'
import { type Daemon, Place } from './harness.ts'

const LINKS = 100
const FRAMES_PER_LINK = 1000
/** Events, cancels, pings, types that proxies do not send, and unknown ones: none of them may end a link. */
const TYPES = [0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x20, 0x30, 0x33, 0x40, 0x41, 0x7f, 0xff]
const STRANGERS = 60
const TIMEOUT_MS = 20_000

const random = seededRandom(20)
const below = (bound: number): number => Math.floor(random() * bound)

function noise(): Buffer {
  return Buffer.from(Array.from({ length: below(40) }, () => below(256)))
}

/** Bytes that mean nothing, or the beginning of something that would. */
function payload(): Buffer {
  if (random() < 0.5) return noise()
  const text = `{"correlation_id":"c${below(50)}","metadata":{"request_id":"r"},"data":"aGk="`
  return Buffer.from(text.slice(0, below(text.length)))
}

function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

test('a daemon outlives a hundred thousand random frames and keeps nothing of them', async (t) => {
  const place = await Place.make(t)
  await place.agent('waf')
  await writeFile(
    place.file,
    `
listen: { http: "127.0.0.1:0", socket: unix:./weir.sock, reverse: [unix:./agents.sock], admin: unix:./admin.sock }
agents:
  waf: { endpoint: unix:./waf.sock }
  pii: { reverse: { tokenSha256: ${'a'.repeat(64)} }, onFailure: open }
routes:
  - { match: { path: /* }, upstream: "http://127.0.0.1:${place.upstream}", agents: [waf] }
`,
  )
  const daemon = await place.serve('--wait-for-agents', '1')
  const { process } = daemon
  assert.equal((await daemon.get('/')).status, 200)
  const before = openFiles(process.pid)

  const greeting = { supported_versions: [2], proxy_id: 'noise', proxy_version: '1', config: null }
  for (let begun = 0; begun < LINKS; begun += 10) {
    const clients = Array.from({ length: 10 }, () => new RawClient(t, place.socket('weir')))
    for (const client of clients) {
      const frames = Array.from({ length: FRAMES_PER_LINK }, () =>
        frame(TYPES[below(TYPES.length)]!, payload()),
      )
      const last = frame(0x41, { sequence: 7, timestamp_ms: 1 })
      client.socket.write(Buffer.concat([frame(0x01, greeting), ...frames, last]))
    }
    for (const client of clients) {
      const isThrough = (): boolean => client.received.includes('{"sequence":7,')
      await eventually('the ping behind the noise is answered', isThrough, TIMEOUT_MS)
      client.socket.destroy()
    }
  }
  for (let n = 0; n < STRANGERS; n++) {
    const places = [place.socket('weir'), place.socket('agents'), { host: '127.0.0.1', port: daemon.port }]
    const stranger = new RawClient(t, places[n % places.length]!)
    stranger.socket.write(random() < 0.5 ? noise() : frame(below(256), payload()))
    stranger.socket.end()
  }

  assert.equal((await daemon.get('/')).status, 200)
  const isAsBefore = (): boolean => openFiles(process.pid) <= before
  await eventually('every socket is given back', isAsBefore, TIMEOUT_MS)
  process.child.kill('SIGTERM')
  assert.equal(await process.ended(), 0)
})
