import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { plainAllow } from '../../src/core/reply.ts'
import { AgentResponder } from '../../src/sdk/agent-responder.ts'
import { allow } from '../../src/sdk/answer.ts'
import { EventServer } from '../../src/sdk/event-server.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { RecordingLink } from '../support/recording-link.ts'
import { requestComplete, requestHeaders } from '../support/sample-events.ts'

type Step =
  | {
      readonly do: 'event'
      readonly link: number
      readonly id: string
      readonly isSlow: boolean
      readonly keeps: boolean
    }
  | { readonly do: 'complete' | 'cancel'; readonly link: number; readonly id: string }
  /** The `pick`-th of the handlers that wait answers. */
  | { readonly do: 'answer'; readonly pick: number }
  | { readonly do: 'close'; readonly link: number }
  | { readonly do: 'pass'; readonly ms: number }

const link = fc.nat(1)
const id = fc.constantFrom('a', 'b', 'c')
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('event' as const),
      link,
      id,
      isSlow: fc.boolean(),
      keeps: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('complete' as const, 'cancel' as const), link, id }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('answer' as const), pick: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const), link }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(10, 2000) }) },
)
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/*
 * The model: per link and id a line of numbered events. A cancel empties the line, a closed link all of its lines; whatever
 * is still in a line in the end is answered, in order, and nothing else ever is.
 */
test('every event gets one reply in order, but for those cancelled or cut off, under any schedule', async () => {
  const property = fc.asyncProperty(fc.array(step, { maxLength: 80, size: 'max' }), async (steps) => {
    const clock = new FakeClock()
    const waiting: (() => void)[] = []
    let number = 0
    const responder = new AgentResponder<{ seen?: number }>(
      {
        name: 'model',
        onRequestHeaders(event, context) {
          if (event.metadata.protocol === 'keeps') context.state.seen = 1
          const answer = allow().addTag(event.uri)
          if (event.method !== 'SLOW') return answer
          return new Promise((resolve) => waiting.push(() => resolve(answer)))
        },
      },
      {},
      clock,
      {},
    )
    const server = new EventServer(responder, { clock, idleTtlMs: 1000, maxRequests: 4 })
    responder.attach(server)
    const open = (): { link: RecordingLink; expected: Map<string, string[]> } => ({
      link: new RecordingLink(server),
      expected: new Map(),
    })
    const ends = [open(), open()]
    const all = [...ends]
    for (const one of steps) {
      switch (one.do) {
        case 'event': {
          const end = ends[one.link]!
          const uri = String(number++)
          const metadata = { ...requestHeaders('x').metadata, protocol: one.keeps ? 'keeps' : 'HTTP/1.1' }
          expectIn(end.expected, one.id, uri)
          server.onEvent(
            requestHeaders(one.id, { uri, method: one.isSlow ? 'SLOW' : 'GET', metadata }),
            end.link,
          )
          break
        }
        case 'complete':
          expectIn(ends[one.link]!.expected, one.id, '')
          server.onEvent(requestComplete(one.id), ends[one.link]!.link)
          break
        case 'cancel': {
          const end = ends[one.link]!
          const answered = end.link.replies.filter((reply) => reply.correlationId === one.id).length
          end.expected.set(one.id, (end.expected.get(one.id) ?? []).slice(0, answered))
          server.onCancel(one.id, 'timeout', end.link)
          break
        }
        case 'answer':
          waiting.splice(one.pick % Math.max(1, waiting.length), 1)[0]?.()
          break
        case 'close': {
          const end = ends[one.link]!
          for (const [key, line] of end.expected) {
            const answered = end.link.replies.filter((reply) => reply.correlationId === key).length
            end.expected.set(key, line.slice(0, answered))
          }
          end.link.end()
          ends[one.link] = open()
          all.push(ends[one.link]!)
          break
        }
        case 'pass':
          clock.advance(one.ms)
      }
      await turn()
      for (const end of all) assertPrefix(end.link, end.expected)
      assert.ok(server.requests <= 4)
    }
    while (waiting.length > 0) {
      waiting.shift()!()
      await turn()
    }
    for (const end of all) assertPrefix(end.link, end.expected, true)
    clock.advance(2000)
    assert.deepEqual([server.requests, server.waiting, server.workload.inFlight, clock.timers], [0, 0, 0, 0])
  })
  await fc.assert(property, { numRuns: 150 })
})

function expectIn(lines: Map<string, string[]>, key: string, tag: string): void {
  const line = lines.get(key)
  if (line === undefined) lines.set(key, [tag])
  else line.push(tag)
}

/** What was answered so far is the beginning of what was asked, or all of it. */
function assertPrefix(
  end: RecordingLink,
  expected: ReadonlyMap<string, readonly string[]>,
  isWhole = false,
): void {
  for (const [key, line] of expected) {
    const tags = end.replies.filter((reply) => reply.correlationId === key).map(tagOf)
    const whole = line.map((tag, at) => (tags[at] === REFUSED ? REFUSED : tag))
    assert.deepEqual(tags, isWhole ? whole : whole.slice(0, tags.length), `id ${key}`)
  }
}

/** A request that finds no place among busy ones is answered too: with a refusal. */
const REFUSED = 'OVERLOADED'
const tagOf = ({ audit }: { audit: ReturnType<typeof plainAllow>['audit'] }): string =>
  audit.reasonCodes[0] ?? audit.tags[0] ?? ''
