import { count, durationMs, flag, list, number, section, text } from './fields.ts'

const upstream = section(
  {
    connectTimeoutMs: durationMs(5000, 'Time to connect; then 504. Default 5,000.').optional(),
    headersTimeoutMs: durationMs(
      60_000,
      'Time to the complete response head; then 504. Default 60,000.',
    ).optional(),
    bodyIdleTimeoutMs: durationMs(
      60_000,
      'Time without a byte of the body; then it is cut. Default 60,000.',
    ).optional(),
    keepAliveTimeoutMs: durationMs(4000, 'Time an unused connection is kept. Default 4,000.').optional(),
    maxConnections: count(0, 65_535, 256, 'Connections to one origin; 0: no bound. Default 0.').optional(),
    maxHeaderBytes: count(
      1024,
      16_777_216,
      65_536,
      'Bytes of a response head; more is 502. Default 65,536.',
    ).optional(),
  },
  'Connections to upstreams.',
)

const webSocket = section(
  {
    maxFrameBytes: count(
      1,
      1_073_741_824,
      1_048_576,
      'Bytes of an inspected frame. Default 1,048,576.',
    ).optional(),
    closeTimeoutMs: durationMs(
      5000,
      'Time a side may take to end after a close frame. Default 5,000.',
    ).optional(),
  },
  'WebSocket connections.',
)

/** The HTTP front end beside its address. */
export const httpSchema = section(
  {
    trustedProxies: list(
      text('an address or CIDR range', '10.0.0.0/8', 'Address or CIDR range of a proxy in front of Weir.'),
      'addresses or CIDR ranges',
      '[10.0.0.0/8]',
      'Proxies whose x-forwarded-* headers are believed. Default: nobody.',
    ).optional(),
    via: text('a name', 'weir', 'Name to announce in the via header. Default: no such header.').optional(),
    maxHeaderBytes: count(
      1024,
      16_777_216,
      65_536,
      'Bytes of a request head; more is 431. Default 65,536.',
    ).optional(),
    headersTimeoutMs: durationMs(
      10_000,
      'Time for a complete request head; then 408. Default 10,000.',
    ).optional(),
    bodyIdleTimeoutMs: durationMs(30_000, 'Time without progress of a body. Default 30,000.').optional(),
    bodyTimeoutMs: number(
      0,
      2_147_483_647,
      30_000,
      'Time to send a request body; then 408. Each bodyMinBytesPerSecond received add a second. 0: no bound. Default 30,000.',
    ).optional(),
    bodyMinBytesPerSecond: count(
      0,
      1_073_741_824,
      500,
      'Bytes per second below which a request body counts as dripping; 0: none do. Default 500.',
    ).optional(),
    forwardCorrelationId: flag(
      'Whether upstreams are told the correlation id, as x-weir-correlation-id. Default true.',
    ).optional(),
    keepAlive: flag('Whether client connections outlive one request. Default true.').optional(),
    keepAliveTimeoutMs: durationMs(60_000, 'Time a client connection may idle. Default 60,000.').optional(),
    upstream: upstream.optional(),
    webSocket: webSocket.optional(),
  },
  'The HTTP front end.',
)
