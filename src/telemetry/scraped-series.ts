import { Counter, Gauge, type Registry } from 'prom-client'

/** Registers series without labels. */
export interface ScrapedSeries<Facts> {
  /** Absent while there are no facts, or the figure is undefined. */
  readonly gauge: (name: string, help: string, value: (facts: Facts) => number | undefined) => void
  readonly total: (name: string, help: string, value: (facts: Facts) => number) => void
}

/** Series whose figures somebody else keeps, read at each scrape. `read`: undefined while there is nothing to read. */
export function scrapedSeries<Facts>(
  registry: Registry,
  read: () => Facts | undefined,
): ScrapedSeries<Facts> {
  const registers = [registry]
  return {
    gauge(name, help, value) {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.remove()
          const facts = read()
          const figure = facts === undefined ? undefined : value(facts)
          if (figure !== undefined) this.set(figure)
        },
      })
    },
    total(name, help, value) {
      new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset()
          const facts = read()
          if (facts !== undefined) this.inc(value(facts))
        },
      })
    },
  }
}
