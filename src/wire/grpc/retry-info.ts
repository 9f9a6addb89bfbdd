/** Type name of the detail, as `google.protobuf.Any` carries it. */
const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo'

/**
 * A `google.rpc.Status` with one `RetryInfo`, for the trailer `grpc-status-details-bin`: what gRPC clients read to know
 * when to come again. Written by hand, because these two messages are all we need of that package.
 * @param retryAfterMs milliseconds, >= 0
 */
export function retryInfoStatus(status: number, message: string, retryAfterMs: number): Buffer {
  const whole = Math.floor(retryAfterMs / 1000)
  const nanos = Math.ceil((retryAfterMs - whole * 1000) * 1e6)
  const duration = Buffer.concat([varintField(1, whole), varintField(2, Math.min(nanos, 999_999_999))])
  const retryInfo = bytesField(1, duration)
  const any = Buffer.concat([bytesField(1, Buffer.from(RETRY_INFO)), bytesField(2, retryInfo)])
  return Buffer.concat([varintField(1, status), bytesField(2, Buffer.from(message)), bytesField(3, any)])
}

function varintField(field: number, value: number): Buffer {
  return value === 0 ? Buffer.alloc(0) : Buffer.concat([varint(field << 3), varint(value)])
}

function bytesField(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint((field << 3) | 2), varint(bytes.length), bytes])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}
