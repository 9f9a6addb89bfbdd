import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WeirError } from '../../src/core/errors.ts'
import { seededRandom } from '../../src/core/random.ts'
import { DialKeeper, type DialState } from '../../src/sdk/dial-keeper.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { RecordingLink } from '../support/recording-link.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const quiet = {
  onOpen: () => undefined,
  onClosed: () => undefined,
  onEvent: () => undefined,
  onMalformedEvent: () => undefined,
  onCancel: () => undefined,
  onConfigure: () => Promise.resolve(),
}

function keeper(dial: (attempt: number, signal: AbortSignal) => Promise<RecordingLink>) {
  const clock = new FakeClock()
  const states: DialState[] = []
  let attempts = 0
  const its = new DialKeeper({
    dial: (signal) => dial(++attempts, signal),
    clock,
    random: seededRandom(7),
    onState: (state) => states.push(state),
  })
  const pauses = (): number[] => states.flatMap((s) => (s.state === 'waiting' ? [s.retryInMs] : []))
  /** Runs pause after pause. */
  const pass = async (rounds: number): Promise<void> => {
    for (let n = 0; n < rounds; n++) {
      await turn()
      if (its.state.state === 'waiting') clock.advance(its.state.retryInMs)
    }
    await turn()
  }
  /** A fresh look: TypeScript would go on believing what an assertion found before. */
  const now = (): DialState => its.state
  return { clock, now, keeper: its, attempts: () => attempts, pauses, pass }
}

test('an unreachable proxy is dialed forever, with pauses that grow to a cap and carry jitter', async () => {
  const {
    keeper: its,
    attempts,
    pauses,
    pass,
  } = keeper(() => Promise.reject(new WeirError('UNAVAILABLE', 'down')))
  its.start()
  await pass(20)
  assert.equal(attempts(), 21)
  const seen = pauses()
  assert.ok(seen[0]! <= 100 && seen[0]! >= 50)
  assert.ok(seen.slice(10).every((pause) => pause >= 15_000 && pause < 30_000))
  assert.equal(new Set(seen.slice(10)).size, seen.length - 10)
  assert.equal(its.state.state === 'waiting' && its.state.isRefused, false)
  its.stop()
})

test('a refused registration is told apart from an unreachable proxy, and is tried again', async () => {
  const { keeper: its, attempts, pass } = keeper(() => Promise.reject(new WeirError('UNAUTHENTICATED', 'no')))
  its.start()
  await pass(3)
  assert.equal(its.state.state === 'waiting' && its.state.isRefused, true)
  assert.equal(attempts(), 4)
  its.stop()
})

test('a link that ends right after its registration counts as a refusal: the pauses keep growing', async () => {
  const links: RecordingLink[] = []
  const {
    now,
    keeper: its,
    pauses,
    pass,
  } = keeper(() => {
    const link = new RecordingLink(quiet)
    links.push(link)
    return Promise.resolve(link)
  })
  its.start()
  for (let n = 0; n < 8; n++) {
    await turn()
    assert.equal(now().state, 'registered')
    its.linkClosed(links.at(-1)!, new WeirError('CONNECTION_LOST', 'hung up'))
    const state = now()
    assert.equal(state.state === 'waiting' && state.isRefused, true)
    await pass(1)
  }
  assert.ok(pauses().at(-1)! >= 5000, pauses().join(' '))
  its.stop()
})

test('a link that lived is redialed soon after it was lost', async () => {
  const links: RecordingLink[] = []
  const {
    clock,
    now,
    keeper: its,
    pass,
  } = keeper((attempt) => {
    if (attempt < 6) return Promise.reject(new WeirError('UNAVAILABLE', 'down'))
    const link = new RecordingLink(quiet)
    links.push(link)
    return Promise.resolve(link)
  })
  its.start()
  await pass(5)
  assert.equal(now().state, 'registered')
  clock.advance(6000)
  its.linkClosed(links[0]!, new WeirError('CONNECTION_LOST', 'restart'))
  const state = now()
  assert.ok(state.state === 'waiting' && !state.isRefused && state.retryInMs <= 100)
  its.stop()
})

test('a link that ended before its keeper heard of it is redialed', async () => {
  const { keeper: its } = keeper(() => {
    const link = new RecordingLink(quiet)
    link.end()
    return Promise.resolve(link)
  })
  its.start()
  await turn()
  assert.equal(its.state.state, 'waiting')
  its.stop()
})

test('a stopped keeper aborts its attempt, sets no timer and closes a link that comes too late', async () => {
  let give: ((link: RecordingLink) => void) | undefined
  let aborted: AbortSignal | undefined
  const {
    clock,
    keeper: its,
    attempts,
  } = keeper((_attempt, signal) => {
    aborted = signal
    return new Promise((resolve) => {
      give = resolve
    })
  })
  its.start()
  its.stop()
  assert.equal(aborted!.aborted, true)
  const link = new RecordingLink(quiet)
  give!(link)
  await turn()
  assert.equal(link.isClosed, true)
  assert.equal(clock.timers, 0)
  assert.equal(attempts(), 1)
  assert.equal(its.state.state, 'closed')
})
