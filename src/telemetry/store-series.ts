import { Counter, Gauge, type Registry } from 'prom-client'
import type { StoreHealth } from '../store/store.ts'

/** How the file of durable facts stands, read at each scrape. Undefined while there is none yet. */
export function registerStoreSeries(registry: Registry, health: () => StoreHealth | undefined): void {
  const registers = [registry]
  new Gauge({
    name: 'weir_store_open',
    help: '1 while the file of durable facts is open, 0 while its thread is being started anew.',
    registers,
    collect() {
      this.remove()
      const now = health()
      if (now !== undefined) this.set(Number(now.isOpen))
    },
  })
  const total = (name: string, help: string, value: (now: StoreHealth) => number): void => {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset()
        const now = health()
        if (now !== undefined) this.inc(value(now))
      },
    })
  }
  total(
    'weir_store_losses_total',
    'Threads of the store that died, or gave up a file that was deleted or replaced.',
    (now) => now.losses,
  )
  total(
    'weir_store_replacements_total',
    'Times that another file than before was found at storage.path.',
    (now) => now.replacements,
  )
}
