/** Sub-buckets per power of two: values are kept to within 1/32, about 3 %. */
const SUB = 32
const SUB_BITS = 5

/** Latencies in microseconds, log-linear: constant memory, no sorting, raw counts for the record. */
export class Histogram {
  readonly #counts = new Uint32Array(SUB * 40)
  #total = 0

  get total(): number {
    return this.#total
  }

  record(microseconds: number): void {
    this.#counts[bucketOf(microseconds)]!++
    this.#total++
  }

  /** Upper bound of the bucket that holds the quantile (0 to 1), microseconds; 0 when empty. */
  quantile(share: number): number {
    const rank = Math.ceil(share * this.#total)
    let seen = 0
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      seen += this.#counts[bucket]!
      if (seen >= rank && seen > 0) return upperBound(bucket)
    }
    return 0
  }

  raw(): readonly (readonly [number, number])[] {
    const pairs: [number, number][] = []
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      if (this.#counts[bucket]! > 0) pairs.push([upperBound(bucket), this.#counts[bucket]!])
    }
    return pairs
  }
}

function bucketOf(microseconds: number): number {
  const value = Math.max(0, Math.floor(microseconds))
  if (value < SUB) return value
  const exponent = 31 - Math.clz32(value)
  const shift = exponent - SUB_BITS
  return Math.min(SUB * 40 - 1, SUB * (shift + 1) + (value >> shift) - SUB)
}

function upperBound(bucket: number): number {
  if (bucket < SUB) return bucket + 1
  const shift = Math.floor(bucket / SUB) - 1
  return ((bucket % SUB) + SUB + 1) << shift
}
