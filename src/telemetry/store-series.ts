import type { Registry } from 'prom-client'
import type { StoreHealth } from '../store/store.ts'
import { scrapedSeries } from './scraped-series.ts'

/** How the file of durable facts stands, read at each scrape. Undefined while there is none yet. */
export function registerStoreSeries(registry: Registry, health: () => StoreHealth | undefined): void {
  const { gauge, total } = scrapedSeries(registry, health)
  gauge(
    'weir_store_open',
    '1 while the file of durable facts is open, 0 while its thread is being started anew.',
    (now) => Number(now.isOpen),
  )
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
