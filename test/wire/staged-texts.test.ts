import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { RequestHeadersEvent, ResponseHeadersEvent } from '../../src/core/event.ts'
import { headersToMap } from '../../src/wire/shape/headers.ts'
import { plainEvent } from '../../src/wire/shape/plain-events.ts'
import { writeMsgpack } from '../../src/wire/uds/msgpack-write.ts'
import { written } from './support/codecs.ts'
import { JSON_PAIR, MSGPACK_PAIR } from './support/frames.ts'

/*
 * Events whose texts are all ASCII are staged; one awkward character anywhere takes another way to the same bytes.
 */
const HEAD = 5
const AWKWARD = ['"', '\\', '\u0000', '\u001f', '\u007f', '\u0080', '\u00e9', '\u2028', '\u{1f600}', '\ud800']

const ascii = (maxLength = 60): fc.Arbitrary<string> =>
  fc
    .array(fc.integer({ min: 0x20, max: 0x7e }), { maxLength })
    .map((codes) => String.fromCharCode(...codes.filter((code) => code !== 0x22 && code !== 0x5c)))

/** Nearly always plain text; else one awkward character in it, at any place. */
const text = (maxLength?: number): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 60, arbitrary: ascii(maxLength) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(ascii(maxLength), fc.constantFrom(...AWKWARD), ascii(12))
        .map(([before, odd, after]) => before + odd + after),
    },
  )
const maybe = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined })

/** Names that are numbers would be sorted by objects. */
const name = (): fc.Arbitrary<string> =>
  fc.oneof(
    fc.constantFrom('host', 'cookie', 'via'),
    text(20).map((any) => `n${any}`),
  )

/** In any order, names repeated anywhere. */
const headers = (): fc.Arbitrary<string[]> =>
  fc.array(fc.tuple(name(), text(100)), { maxLength: 14 }).map((pairs) => pairs.flat())

const request = (): fc.Arbitrary<RequestHeadersEvent> =>
  fc.record({
    kind: fc.constant('request-headers' as const),
    correlationId: text(14),
    metadata: fc.record({
      requestId: text(),
      clientIp: text(15),
      clientPort: fc.nat(0xffff),
      serverName: maybe(text()),
      protocol: text(8),
      tlsVersion: maybe(text(8)),
      tlsCipher: maybe(text()),
      routeId: maybe(text()),
      upstreamId: maybe(text()),
      timestampMs: fc.nat(2 ** 31),
      traceparent: maybe(text()),
    }),
    method: text(7),
    uri: text(300),
    headers: headers(),
  })

const response = (): fc.Arbitrary<ResponseHeadersEvent> =>
  fc.record({
    kind: fc.constant('response-headers' as const),
    correlationId: text(14),
    status: fc.nat(999),
    headers: headers(),
  })

const wellFormed = (any: string): string => Buffer.from(any).toString()

/** `JSON.stringify` with lone surrogates as U+FFFD and keys in the order of the reference. */
function jsonOf(event: RequestHeadersEvent | ResponseHeadersEvent): string {
  const plain = plainEvent(event) as Record<string, unknown>
  const ordered = Object.fromEntries(Object.entries(plain).toSorted(([a], [b]) => (a < b ? -1 : 1)))
  const { metadata } = ordered
  if (metadata !== undefined) {
    const members = Object.entries(metadata as object).toSorted(([a], [b]) => (a < b ? -1 : 1))
    ordered['metadata'] = Object.fromEntries(members)
  }
  ordered['headers'] = headersToMap(event.headers.map(wellFormed))
  return JSON.stringify(ordered, (_, value: unknown) =>
    typeof value === 'string' ? wellFormed(value) : value,
  )
}

const payload = (pair: typeof JSON_PAIR, event: RequestHeadersEvent | ResponseHeadersEvent): Buffer =>
  written((out) => pair.proxy().writeEvent(event, out)).subarray(HEAD)

test('JSON events are spelled as JSON.stringify spells them, whatever way their texts take', () => {
  fc.assert(
    fc.property(fc.oneof(request(), response()), (event) => {
      assert.equal(payload(JSON_PAIR, event).toString(), jsonOf(event))
    }),
    { numRuns: 1000 },
  )
})

test('MessagePack events are packed as plain objects are, whatever way their texts take', () => {
  fc.assert(
    fc.property(fc.oneof(request(), response()), (event) => {
      const expected = written((out) => writeMsgpack(plainEvent(event), out))
      assert.deepEqual(payload(MSGPACK_PAIR, event), expected)
    }),
    { numRuns: 1000 },
  )
})

test('an awkward character is seen at every place of the last text', () => {
  for (const awkward of AWKWARD) {
    for (let before = 0; before < 9; before++) {
      for (let after = 0; after < 9; after++) {
        const value = 'x'.repeat(before) + awkward + 'y'.repeat(after)
        const event: ResponseHeadersEvent = {
          kind: 'response-headers',
          correlationId: 'c1',
          status: 200,
          headers: ['a', value],
        }
        assert.equal(payload(JSON_PAIR, event).toString(), jsonOf(event))
      }
    }
  }
})

test('events grow the buffer that they are written into', () => {
  for (const length of [10, 100, 5_000, 6_000, 100_000]) {
    for (const fill of ['x', '"', '\u0001', 'é', '漢']) {
      const event: ResponseHeadersEvent = {
        kind: 'response-headers',
        correlationId: 'c1',
        status: 200,
        headers: ['a', fill.repeat(length), 'b', 'last'],
      }
      assert.equal(payload(JSON_PAIR, event).toString(), jsonOf(event), `${length} of ${fill}`)
      const expected = written((out) => writeMsgpack(plainEvent(event), out))
      assert.deepEqual(payload(MSGPACK_PAIR, event), expected, `${length} of ${fill}`)
    }
  }
})

test('an event with a text that is none is refused, as its other texts would move into the wrong places', () => {
  const sample = fc.sample(request(), { numRuns: 1, seed: 1 })[0]!
  const metadata = { ...sample.metadata, protocol: undefined as unknown as string }
  for (const pair of [JSON_PAIR, MSGPACK_PAIR])
    assert.throws(() => payload(pair, { ...sample, metadata }), { code: 'INTERNAL', sent: false })
})
