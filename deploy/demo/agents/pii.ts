import { allow, dialIn, replaceBody } from '../../../src/index.ts'
import { untilStopped } from '../child-side.ts'
import { maskCardNumbers } from './card-numbers.ts'

/* Masks payment card numbers in responses. Dials in to Weir and proves itself with a token. */

const { WEIR_DEMO_REVERSE_SOCKET = './agents.sock', WEIR_DEMO_PII_TOKEN } = process.env
const agent = dialIn(
  `unix:${WEIR_DEMO_REVERSE_SOCKET}`,
  {
    name: 'pii',
    version: '1.0.0',
    onResponseHeaders: () => allow().setResponseHeader('x-pii-scanned', 'true'),
    onResponseBody(chunk) {
      /* One byte per character keeps every byte that is not a digit as it was, whatever the encoding. */
      const text = Buffer.from(chunk.data).toString('latin1')
      const masked = maskCardNumbers(text)
      return masked === text ? allow() : replaceBody(Buffer.from(masked, 'latin1')).addTag('card-number')
    },
  },
  { token: WEIR_DEMO_PII_TOKEN },
)
untilStopped(() => agent.close())
