import { Run } from '../runs.ts'

/** MessagePack strings in a row: the keys and names that frequent messages are made of. */
export function packedTexts(...texts: readonly string[]): Run {
  return new Run(Uint8Array.from(texts.flatMap((text) => [0xa0 | text.length, ...Buffer.from(text)])))
}

export function joined(...parts: readonly (Run | number)[]): Run {
  return new Run(
    Uint8Array.from(parts.flatMap((part) => (typeof part === 'number' ? [part] : [...part.bytes]))),
  )
}

export const NIL = 0xc0
export const FALSE = 0xc2
export const TRUE = 0xc3

export const ID_KEY = packedTexts('correlation_id')
export const METADATA_KEY = packedTexts('metadata')
export const REQUEST_ID_KEY = packedTexts('request_id')
export const CLIENT_IP_KEY = packedTexts('client_ip')
export const CLIENT_PORT_KEY = packedTexts('client_port')
export const SERVER_NAME_KEY = packedTexts('server_name')
export const PROTOCOL_KEY = packedTexts('protocol')
export const TLS_VERSION_KEY = packedTexts('tls_version')
export const TLS_CIPHER_KEY = packedTexts('tls_cipher')
export const ROUTE_ID_KEY = packedTexts('route_id')
export const UPSTREAM_ID_KEY = packedTexts('upstream_id')
export const TIMESTAMP_KEY = packedTexts('timestamp')
export const TRACEPARENT_KEY = packedTexts('traceparent')
export const METHOD_KEY = packedTexts('method')
export const URI_KEY = packedTexts('uri')
export const HEADERS_KEY = packedTexts('headers')
export const STATUS_KEY = packedTexts('status')
export const DATA_KEY = packedTexts('data')
export const IS_LAST_KEY = packedTexts('is_last')
export const TOTAL_SIZE_KEY = packedTexts('total_size')
export const CHUNK_INDEX_KEY = packedTexts('chunk_index')
export const BYTES_RECEIVED_KEY = packedTexts('bytes_received')
export const BYTES_SENT_KEY = packedTexts('bytes_sent')

/* Pieces of a reply with nothing but header operations. */
const VERSION_AND_DECISION = joined(packedTexts('version'), 2, packedTexts('decision'))
export const REPLY_START = joined(0x8a, VERSION_AND_DECISION)
/** With the id at the top as well. */
export const REPLY_START_WITH_ID = joined(0x8b, VERSION_AND_DECISION)
/** With that and the time it took. */
export const REPLY_START_WITH_TIME = joined(0x8c, VERSION_AND_DECISION)
export const PROCESSING_TIME_KEY = packedTexts('processing_time_ms')
export const ALLOW_NAME = packedTexts('allow')
export const BLOCK_START = joined(0x81, packedTexts('block'), 0x83, STATUS_KEY)
export const BODY_KEY = packedTexts('body')
export const NO_HEADERS = joined(HEADERS_KEY, NIL)
export const REQUEST_OPS_KEY = packedTexts('request_headers')
export const RESPONSE_OPS_KEY = packedTexts('response_headers')
export const UP_TO_ID = joined(
  packedTexts('routing_metadata'),
  0x80,
  packedTexts('audit'),
  0x85,
  packedTexts('tags'),
  0x90,
  packedTexts('rule_ids'),
  0x90,
  packedTexts('confidence'),
  NIL,
  packedTexts('reason_codes'),
  0x90,
  packedTexts('custom'),
  0x81,
  ID_KEY,
)
export const NEEDS_MORE_KEY = packedTexts('needs_more')
export const TO_THE_END = joined(
  packedTexts('request_body_mutation'),
  NIL,
  packedTexts('response_body_mutation'),
  NIL,
  packedTexts('websocket_decision'),
  NIL,
)
export const SET_START = joined(0x81, packedTexts('set'), 0x82, packedTexts('name'))
export const ADD_START = joined(0x81, packedTexts('add'), 0x82, packedTexts('name'))
export const REMOVE_START = joined(0x81, packedTexts('remove'), 0x81, packedTexts('name'))
export const VALUE_KEY = packedTexts('value')
