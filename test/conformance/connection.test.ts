import { TRANSPORTS } from './support/transports.ts'
import { everyConnection } from './every-connection.ts'

for (const transport of TRANSPORTS) everyConnection(transport)
