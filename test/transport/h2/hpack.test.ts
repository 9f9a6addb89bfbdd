import assert from 'node:assert/strict'
import { createServer } from 'node:http2'
import { type AddressInfo, connect } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { WeirError } from '../../../src/core/errors.ts'
import { HeaderTable } from '../../../src/transport/h2/header-table.ts'
import { HpackDecoder } from '../../../src/transport/h2/hpack-decoder.ts'
import { encodeHeaders } from '../../../src/transport/h2/hpack-encoder.ts'
import type { Field } from '../../../src/transport/h2/static-table.ts'
import { H2_ERROR, Violation } from '../../../src/transport/h2/violation.ts'
import { eventually } from '../../support/eventually.ts'
import { framesIn, h2 } from '../support/raw-http2.ts'

const EXAMPLE: Field = [':authority', 'www.example.com']
const GET: readonly Field[] = [[':method', 'GET'], [':scheme', 'http'], [':path', '/'], EXAMPLE]
const CUSTOM: readonly Field[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/index.html'],
  EXAMPLE,
  ['custom-key', 'custom-value'],
]
const LATER: Field = ['date', 'Mon, 21 Oct 2013 20:13:22 GMT']
const EARLIER: Field = ['date', 'Mon, 21 Oct 2013 20:13:21 GMT']
const PRIVATE: Field = ['cache-control', 'private']
const LOCATION: Field = ['location', 'https://www.example.com']

/** Three blocks each, in their order on one connection. */
const EXAMPLES: readonly [
  title: string,
  tableBytes: number,
  blocks: readonly [string, readonly Field[]][],
][] = [
  [
    'C.3: requests without Huffman codes',
    4096,
    [
      ['828684410f7777772e6578616d706c652e636f6d', GET],
      ['828684be58086e6f2d6361636865', [...GET, ['cache-control', 'no-cache']]],
      ['828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565', CUSTOM],
    ],
  ],
  [
    'C.4: requests with Huffman codes',
    4096,
    [
      ['828684418cf1e3c2e5f23a6ba0ab90f4ff', GET],
      ['828684be5886a8eb10649cbf', [...GET, ['cache-control', 'no-cache']]],
      ['828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf', CUSTOM],
    ],
  ],
  [
    'C.6: responses with Huffman codes and a table that forgets',
    256,
    [
      [
        '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
        [[':status', '302'], PRIVATE, EARLIER, LOCATION],
      ],
      ['4883640effc1c0bf', [[':status', '307'], PRIVATE, EARLIER, LOCATION]],
      [
        '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
        [
          [':status', '200'],
          PRIVATE,
          LATER,
          LOCATION,
          ['content-encoding', 'gzip'],
          ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
        ],
      ],
    ],
  ],
]

for (const [title, tableBytes, blocks] of EXAMPLES) {
  test(`the examples of RFC 7541 are read, ${title}`, () => {
    const decoder = new HpackDecoder(tableBytes, 65_536)
    for (const [hex, fields] of blocks) assert.deepEqual(decoder.decode(Buffer.from(hex, 'hex')), fields)
  })
}

test('what our encoder writes our decoder reads, whatever the text', () => {
  const text = fc.string({
    unit: fc.integer({ min: 0x20, max: 0xff }).map((n) => String.fromCharCode(n)),
    maxLength: 300,
  })
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text), { maxLength: 8 }), (fields) => {
      assert.deepEqual(new HpackDecoder(4096, 1_000_000).decode(encodeHeaders(fields)), fields)
    }),
  )
})

test('what nghttp2 encodes is read: every character a header may have, and the same again from its table', async (t) => {
  /* Long runs of a short code make the Huffman form the shorter one for every character. */
  const rows: Record<string, string> = {}
  for (let code = 0x20; code <= 0xff; code++)
    if (code !== 0x7f && (code < 0x7f || code >= 0xa0))
      rows[`x-${code}`] = `a${String.fromCharCode(code)}${'0'.repeat(40)}`
  const server = createServer()
  server.on('stream', (stream) => {
    stream.respond({ ':status': 200, ...rows }, { endStream: true })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  let received = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])))
  t.after(() => socket.destroy())
  const request = encodeHeaders([
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'x'],
  ])
  socket.write(
    Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), h2(4, 0, 0), h2(1, 5, 1, request)]),
  )
  const ended = (): number =>
    framesIn(received).filter(({ type, flags }) => type === 1 && (flags & 4) !== 0).length
  await eventually('the first response', () => ended() === 1)
  socket.write(h2(1, 5, 3, request))
  await eventually('the second response', () => ended() === 2)
  const decoder = new HpackDecoder(4096, 65_536)
  for (const { type, payload } of framesIn(received)) {
    if (type !== 1) continue
    const headers = Object.fromEntries(decoder.decode(payload))
    for (const [name, value] of Object.entries(rows)) assert.equal(headers[name], value, name)
  }
})

const HOSTILE: readonly [title: string, hex: string, code: number][] = [
  ['an index of nothing', '80', H2_ERROR.compression],
  ['an index beyond the table', 'be', H2_ERROR.compression],
  ['a number that never ends', `ff${'ff'.repeat(20)}`, H2_ERROR.compression],
  ['a number larger than any table', 'ffffffff7f', H2_ERROR.compression],
  ['a block that ends inside a name', '400a6375', H2_ERROR.compression],
  ['a block that ends inside a number', 'ff', H2_ERROR.compression],
  ['a string that claims gigabytes', '007fffffff7f', H2_ERROR.compression],
  ['a table larger than was agreed', '3fe21f', H2_ERROR.compression],
  ['a table resized among headers', '8820', H2_ERROR.compression],
  ['Huffman padding of a whole byte', '000161' + '82ffff', H2_ERROR.compression],
  ['Huffman padding of zeros', '000161' + '8100', H2_ERROR.compression],
  ['the end-of-string mark inside a string', '000161' + '84ffffffff', H2_ERROR.compression],
  ['a bomb: one large header named a thousand times', bomb(), H2_ERROR.enhanceYourCalm],
]

/** A header of 4000 bytes, remembered, and 1000 times its index. */
function bomb(): string {
  const value = Buffer.alloc(4000, 'x')
  return `400161${'7fa11e'}${value.toString('hex')}${'be'.repeat(1000)}`
}

for (const [title, hex, code] of HOSTILE) {
  test(`${title} is refused`, () => {
    const decoder = new HpackDecoder(4096, 65_536)
    assert.throws(
      () => decoder.decode(Buffer.from(hex, 'hex')),
      (error) => error instanceof Violation && error.http2Code === code,
    )
  })
}

test('random bytes are refused or read, never anything else, and the table keeps its bound', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (blocks) => {
      const decoder = new HpackDecoder(4096, 65_536)
      try {
        for (const block of blocks) decoder.decode(Buffer.from(block))
      } catch (error) {
        assert.ok(error instanceof WeirError)
        assert.equal(error.code, 'PROTOCOL_ERROR')
      }
    }),
    { numRuns: 2000 },
  )
})

test('a header table never holds more than its bound, and forgets the oldest first', () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 60 })
  fc.assert(
    fc.property(sizes, fc.integer({ min: 0, max: 600 }), (lengths, limit) => {
      const table = new HeaderTable(limit)
      let model: Field[] = []
      const bytes = (): number =>
        model.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0)
      lengths.forEach((length, index) => {
        const field: Field = [`n${index}`, 'v'.repeat(length)]
        table.add(field)
        model.unshift(field)
        while (bytes() > limit) model = model.slice(0, -1)
        assert.ok(table.bytes <= limit)
        for (const [at, expected] of model.entries()) assert.deepEqual(table.at(62 + at), expected)
        assert.throws(() => table.at(62 + model.length), Violation)
      })
    }),
  )
})
