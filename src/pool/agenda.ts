/** Span of one bucket, milliseconds: nobody needs to be found more exactly than the timer that asks comes round. */
const BUCKET_MS = 1000

/**
 * Who is to be looked at when, by name. Asking who is due touches those alone, however many wait for later, and who is
 * written down for several instants is found at each of them: being found says "look", not "it is due".
 */
export class Agenda {
  readonly #buckets = new Map<number, Set<string>>()
  #soon = new Set<string>()
  /** The oldest bucket that may hold somebody. */
  #from: number

  /** `now`: the clock's milliseconds, as everywhere here. */
  constructor(now: number) {
    this.#from = bucketOf(now)
  }

  /** Found as soon as somebody asks. */
  addSoon(name: string): void {
    this.#soon.add(name)
  }

  /** Found once `at` has come, up to a bucket earlier; Infinity: never. */
  add(name: string, at: number): void {
    if (at === Number.POSITIVE_INFINITY) return
    const number = bucketOf(at)
    if (number < this.#from) {
      this.#soon.add(name)
      return
    }
    const bucket = this.#buckets.get(number)
    if (bucket === undefined) this.#buckets.set(number, new Set([name]))
    else bucket.add(name)
  }

  /** Takes out everybody who may be due by `now`, each once. Who is to be found again is to be added again. */
  take(now: number): ReadonlySet<string> {
    const found = this.#soon
    this.#soon = new Set()
    const last = bucketOf(now)
    for (; this.#from <= last; this.#from++) {
      const bucket = this.#buckets.get(this.#from)
      if (bucket === undefined) continue
      this.#buckets.delete(this.#from)
      for (const name of bucket) found.add(name)
    }
    /* The rest of the present bucket is still to come. */
    this.#from = last
    return found
  }
}

function bucketOf(at: number): number {
  return Math.floor(at / BUCKET_MS)
}
